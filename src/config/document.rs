//! YAML text → a tree with places. The only file that knows the YAML crate.
//!
//! ```text
//! text ─▶ saphyr-parser's events ─▶ Builder: a stack of open lists and maps ─▶ Node
//! ```
//!
//! The crate is used for its events and marks alone; its own tree has no place per key and copies whatever an alias asks
//! for. We use pure YAML 1.2 with one addition that Collector configurations rely on: the merge key `<<`.
//!
//! **Bounds.** [`MAX_TEXT`] bytes a source, [`MAX_DEPTH`] levels, and after aliases were followed [`MAX_NODES`] nodes with
//! [`MAX_TEXT_TOTAL`] bytes, which is what stops "a billion laughs".
//! **Invariants.** Whatever the bytes, an answer: a tree or a problem with a place. A duplicate key is a problem, the
//! first one stays; building goes on, so that one run shows all of them. Broken syntax ends its source.
//! **Not here.** Expansion (`expand`), merging of sources (`sources`), typing (`typed`).

use crate::base::{Place, Problems};
use crate::config::node::{Entry, MAX_DEPTH, Mark, Node, Scalar, Value};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Bytes of one source; a large configuration has some 50 KiB.
pub(super) const MAX_TEXT: usize = 1 << 20;
/// Nodes of one source, those that aliases repeat counted again.
const MAX_NODES: usize = 100_000;
/// Bytes of text in one source's tree, those that aliases repeat counted again.
const MAX_TEXT_TOTAL: usize = 4 << 20;

/// Reads one document. `None` if there is none, or if the reason is among the problems.
pub(super) fn parse(file: &Arc<str>, text: &str, problems: &mut Problems) -> Option<Node> {
    if text.len() > MAX_TEXT {
        let message = format!(
            "the file has {} bytes; at most {MAX_TEXT} are read",
            text.len()
        );
        problems.error(Place::root(file), message, "is this a configuration?");
        return None;
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(place) = forbidden(file, text) {
        problems.error(
            place,
            "a control character",
            "YAML allows none but tab and line breaks",
        );
        return None;
    }
    let mut builder = Builder::new(file, problems);
    let mut parser = Parser::new_from_str(text);
    loop {
        let (event, mark) = match parser.next_event()? {
            Ok((event, span)) => (event, builder.mark(span.start)),
            Err(error) => {
                let mark = builder.mark(*error.marker());
                let message = format!("not YAML: {}", error.info());
                builder.error(&mark, message, syntax_help(text, mark.line));
                return None;
            }
        };
        match builder.take(event, mark) {
            Step::Next => {}
            Step::Done => return builder.root,
            Step::Stop => return None,
        }
    }
}

/// The first character that YAML forbids; the YAML crate would take a NUL for the end of the text.
fn forbidden(file: &Arc<str>, text: &str) -> Option<Place> {
    let odd = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}');
    let (line, column) = text.split('\n').enumerate().find_map(|(line, content)| {
        let column = content.chars().position(odd)?;
        Some((line, column))
    })?;
    Some(Place {
        file: Arc::clone(file),
        line: count(line + 1),
        column: count(column + 1),
        key: String::new(),
    })
}

/// A hint for the two mistakes that people make most.
fn syntax_help(text: &str, line: u32) -> &'static str {
    let index = usize::try_from(line)
        .unwrap_or(usize::MAX)
        .saturating_sub(1);
    let mut near = text.lines().skip(index.saturating_sub(1)).take(2);
    if near.any(|l| l.trim_start_matches(' ').starts_with('\t')) {
        "indent with spaces, not with tabs"
    } else {
        "see whether this line and the one before it are indented alike, and quotes and brackets are closed"
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// What to do after an event.
enum Step {
    Next,
    Done,
    Stop,
}

/// A list or a map that is still open.
struct Frame {
    anchor: usize,
    mark: Mark,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    seen: HashMap<String, Mark>,
    /// The key that waits for its value; `None` inside means that the value is dropped (a key in error).
    key: Option<(Option<String>, Mark)>,
    /// Whether the value that comes next is that of `<<`.
    merging: bool,
    /// What `<<` brings in, in the order written.
    merged: Vec<Node>,
}

/// Builds the tree from events, with an explicit stack so that depth costs no recursion.
struct Builder<'p> {
    file: Arc<str>,
    problems: &'p mut Problems,
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Node, Size)>,
    spent: Size,
    documents: usize,
    root: Option<Node>,
}

impl<'p> Builder<'p> {
    fn new(file: &Arc<str>, problems: &'p mut Problems) -> Self {
        Builder {
            file: Arc::clone(file),
            problems,
            stack: Vec::new(),
            anchors: HashMap::new(),
            spent: Size::default(),
            documents: 0,
            root: None,
        }
    }

    fn mark(&self, marker: Marker) -> Mark {
        Mark {
            file: Arc::clone(&self.file),
            line: count(marker.line()),
            column: count(marker.col() + 1),
        }
    }

    /// Notes a problem under the keys that are open now.
    fn error(&mut self, mark: &Mark, message: impl Into<String>, help: &str) {
        let mut key = String::new();
        for frame in &self.stack {
            match &frame.content {
                Content::List(items) => key.push_str(&format!("[{}]", items.len())),
                Content::Map(map) => {
                    if let Some((Some(name), _)) = &map.key {
                        key.push_str(if key.is_empty() { "" } else { "::" });
                        key.push_str(name);
                    }
                }
            }
        }
        let place = Place {
            file: Arc::clone(&mark.file),
            line: mark.line,
            column: mark.column,
            key,
        };
        self.problems.error(place, message, help);
    }

    fn take(&mut self, event: Event<'_>, mark: Mark) -> Step {
        match event {
            Event::Nothing | Event::StreamStart | Event::DocumentEnd => Step::Next,
            Event::StreamEnd => Step::Done,
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.error(
                        &mark,
                        "a second document",
                        "give each document its own file and --config",
                    );
                    return Step::Stop;
                }
                Step::Next
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let plain = self.tagged(tag.as_deref(), plain, &mark);
                let text = text.into_owned();
                let size = Size {
                    nodes: 1,
                    bytes: text.len(),
                    depth: 0,
                };
                let scalar = Scalar {
                    text,
                    plain,
                    expanded: false,
                };
                self.close(
                    Node {
                        mark,
                        value: Value::Scalar(scalar),
                    },
                    anchor,
                    size,
                )
            }
            Event::SequenceStart(anchor, tag) => {
                self.tagged(tag.as_deref(), false, &mark);
                self.open(Frame {
                    anchor,
                    mark,
                    content: Content::List(Vec::new()),
                })
            }
            Event::MappingStart(anchor, tag) => {
                self.tagged(tag.as_deref(), false, &mark);
                self.open(Frame {
                    anchor,
                    mark,
                    content: Content::Map(OpenMap::default()),
                })
            }
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(frame) => self.finish(frame),
                None => Step::Stop,
            },
            Event::Alias(anchor) => self.alias(anchor, &mark),
        }
    }

    /// Repeats what the anchor names, if the budget allows.
    fn alias(&mut self, anchor: usize, mark: &Mark) -> Step {
        let Some(size) = self.anchors.get(&anchor).map(|(_, size)| *size) else {
            let message = "an alias inside of what it stands for";
            self.error(mark, message, "use it after its value ended");
            return Step::Stop;
        };
        if !self.afford(mark, size) {
            return Step::Stop;
        }
        match self.anchors.get(&anchor).map(|(node, _)| node.clone()) {
            Some(node) => self.close(node, 0, Size::default()),
            None => Step::Stop,
        }
    }

    /// Whether a scalar's type is inferred, given its tag.
    fn tagged(&mut self, tag: Option<&Tag>, plain: bool, mark: &Mark) -> bool {
        match tag {
            None => plain,
            Some(tag) if tag.is_yaml_core_schema() => match tag.suffix.as_str() {
                "str" => false,
                "int" | "float" | "bool" | "null" => true,
                _ => plain,
            },
            Some(tag) => {
                self.error(
                    mark,
                    format!("the tag `{tag}` is not understood"),
                    "leave it out",
                );
                plain
            }
        }
    }

    fn open(&mut self, frame: Frame) -> Step {
        if self.stack.len() >= MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} lists and maps inside each other");
            self.error(&frame.mark, message, "");
            return Step::Stop;
        }
        self.stack.push(frame);
        Step::Next
    }

    fn finish(&mut self, frame: Frame) -> Step {
        let value = match frame.content {
            Content::List(items) => Value::List(items),
            Content::Map(map) => Value::Map(self.merge_keys(map)),
        };
        let size = Size {
            nodes: 1,
            ..Size::default()
        };
        self.close(
            Node {
                mark: frame.mark,
                value,
            },
            frame.anchor,
            size,
        )
    }

    /// Applies `<<`: what is written stands, then the first source that has the key wins (YAML's merge-key type).
    fn merge_keys(&mut self, map: OpenMap) -> Vec<Entry> {
        let mut entries = map.entries;
        if map.merged.is_empty() {
            return entries;
        }
        let mut have: HashSet<String> = entries.iter().map(|e| e.key.clone()).collect();
        for source in map.merged {
            let sources = match source.value {
                Value::List(items) => items,
                _ => vec![source],
            };
            for Node { mark, value } in sources {
                let Value::Map(more) = value else {
                    self.error(
                        &mark,
                        "`<<` takes a map or a list of maps",
                        "write `<<: *anchor`",
                    );
                    continue;
                };
                entries.extend(more.into_iter().filter(|e| have.insert(e.key.clone())));
            }
        }
        entries
    }

    /// Puts a finished node where it belongs: the root, a list, a map's key or a map's value.
    fn close(&mut self, node: Node, anchor: usize, size: Size) -> Step {
        let mut size = size;
        if anchor > 0 {
            // The copy that aliases will repeat is kept as well.
            let whole = measure(&node);
            size.nodes += whole.nodes;
            size.bytes += whole.bytes;
            self.anchors.insert(anchor, (node.clone(), whole));
        }
        if !self.afford(&node.mark, size) {
            return Step::Stop;
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Step::Next;
        };
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map(map) => match map.key.take() {
                None => return self.key(node),
                Some((Some(key), mark)) => map.entries.push(Entry { key, mark, node }),
                Some((None, _)) if map.merging => {
                    map.merging = false;
                    map.merged.push(node);
                }
                Some((None, _)) => {}
            },
        }
        Step::Next
    }

    /// Takes from the budget; notes the problem if it is used up.
    fn afford(&mut self, mark: &Mark, size: Size) -> bool {
        self.spent.nodes = self.spent.nodes.saturating_add(size.nodes);
        self.spent.bytes = self.spent.bytes.saturating_add(size.bytes);
        let deep = self.stack.len() + size.depth > MAX_DEPTH;
        if self.spent.nodes <= MAX_NODES && self.spent.bytes <= MAX_TEXT_TOTAL && !deep {
            return true;
        }
        let message = "the document is too large; what an alias repeats counts again";
        self.error(mark, message, "use fewer aliases, or split the file");
        false
    }

    /// Takes a node as the key of the open map.
    fn key(&mut self, node: Node) -> Step {
        let mark = node.mark;
        let Value::Scalar(scalar) = node.value else {
            self.error(&mark, "a list or a map as a key", "keys are text");
            return self.expect_value(None, mark);
        };
        if scalar.plain && scalar.text == "<<" {
            if let Some(Content::Map(map)) = self.stack.last_mut().map(|f| &mut f.content) {
                map.merging = true;
            }
            return self.expect_value(None, mark);
        }
        let Some(Content::Map(map)) = self.stack.last_mut().map(|f| &mut f.content) else {
            return Step::Stop;
        };
        if let Some(first) = map.seen.get(&scalar.text) {
            let message = format!(
                "`{}` was written before, in line {}",
                scalar.text, first.line
            );
            self.error(&mark, message, "keep one of the two");
            return self.expect_value(None, mark);
        }
        map.seen.insert(scalar.text.clone(), mark.clone());
        self.expect_value(Some(scalar.text), mark)
    }

    fn expect_value(&mut self, key: Option<String>, mark: Mark) -> Step {
        if let Some(Content::Map(map)) = self.stack.last_mut().map(|f| &mut f.content) {
            map.key = Some((key, mark));
        }
        Step::Next
    }
}

/// What a tree takes.
#[derive(Clone, Copy, Default)]
pub(super) struct Size {
    nodes: usize,
    bytes: usize,
    /// Levels; only set where a whole tree is added at once.
    pub(super) depth: usize,
}

/// A whole tree's size, keys included.
pub(super) fn measure(node: &Node) -> Size {
    let add = |mut sum: Size, part: Size| {
        sum.nodes += part.nodes;
        sum.bytes += part.bytes;
        sum.depth = sum.depth.max(part.depth + 1);
        sum
    };
    let own = Size {
        nodes: 1,
        bytes: 0,
        depth: 0,
    };
    match &node.value {
        Value::Scalar(scalar) => Size {
            bytes: scalar.text.len(),
            ..own
        },
        Value::List(items) => items
            .iter()
            .map(measure)
            .fold(Size { depth: 1, ..own }, add),
        Value::Map(entries) => entries.iter().fold(Size { depth: 1, ..own }, |sum, entry| {
            let mut part = measure(&entry.node);
            part.bytes += entry.key.len();
            add(sum, part)
        }),
    }
}
