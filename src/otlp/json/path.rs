//! Where in the text we are, in the words of its keys.

use crate::otlp::json::MAX_FINDING_CHARS;

/// Longest path that is shown whole; of a longer one the end, which tells more.
const MAX_PATH_CHARS: usize = MAX_FINDING_CHARS / 2;

/// One step down.
#[derive(Clone, Copy, Debug)]
enum Step {
    Key(&'static str),
    Index(usize),
}

/// The way from the request to the value being read. Grows with nesting, which is bounded, not with the text.
#[derive(Debug, Default)]
pub(super) struct Path {
    steps: Vec<Step>,
}

impl Path {
    /// Goes down to a field.
    pub(super) fn enter_key(&mut self, key: &'static str) {
        self.steps.push(Step::Key(key));
    }

    /// Goes down to an element.
    pub(super) fn enter_index(&mut self, index: usize) {
        self.steps.push(Step::Index(index));
    }

    /// Goes up again; not called after a mistake, so that the path still names its place.
    pub(super) fn leave(&mut self) {
        self.steps.pop();
    }

    /// A finding with its place, cut to [`MAX_FINDING_CHARS`].
    pub(super) fn finding(&self, what: &str) -> String {
        let path = self.render();
        let mut text = if path.is_empty() {
            what.to_owned()
        } else {
            format!("{path}: {what}")
        };
        if let Some((cut, _)) = text.char_indices().nth(MAX_FINDING_CHARS) {
            text.truncate(cut);
        }
        text
    }

    fn render(&self) -> String {
        let mut path = String::new();
        for step in &self.steps {
            match step {
                Step::Key(key) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        // keys are ASCII, so characters are bytes here
        match path.len().checked_sub(MAX_PATH_CHARS) {
            Some(excess) if excess > 0 => format!("…{}", path.split_off(excess)),
            _ => path,
        }
    }
}
