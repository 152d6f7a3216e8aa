//! Configuration types as their source says them: keys, types, defaults, manual entries.
//!
//! serde knows names and values but not comments, and a derive for comments would be a dependency; so the source is read.
//! What is read is checked against the code: `reference` compares the defaults with those that serde writes.
//!
//! **Not here.** Types that are not structs or enums of ours: `simple` names them.

use crate::source::{Source, rust};
use agentguard::base::duration;
use std::time::Duration;

/// A key that a user writes.
pub struct Field {
    pub name: String,
    pub doc: String,
    pub ty: String,
    /// As it would be written; empty where there is none.
    pub default: String,
}

/// A struct or an enum that is read from a configuration.
pub struct Type {
    pub path: String,
    pub name: String,
    pub doc: String,
    /// A struct's.
    pub fields: Vec<Field>,
    /// An enum's, as written.
    pub variants: Vec<String>,
    /// The variant that is the default.
    default: String,
    untagged: bool,
    is_public: bool,
}

impl Type {
    /// Whether several components share it.
    pub fn is_shared(&self) -> bool {
        self.is_public && self.path.starts_with("src/config/fragments/")
    }
}

/// All types that are read, with their sources.
pub struct Schema {
    pub sources: Vec<Source>,
    pub types: Vec<Type>,
}

impl Schema {
    /// Reads the sources.
    pub fn read() -> Self {
        let sources = rust(&["src"]);
        let mut types: Vec<Type> = sources.iter().flat_map(types_of).collect();
        // enums first: the defaults of structs name their variants
        let variants: Vec<(String, Vec<String>, String)> = types
            .iter()
            .map(|t| (t.name.clone(), t.variants.clone(), t.default.clone()))
            .collect();
        for ty in &mut types {
            let source = sources
                .iter()
                .find(|source| source.path == ty.path)
                .unwrap();
            let written = written_defaults(source, &ty.name);
            for field in &mut ty.fields {
                let bare = inner(&field.ty);
                field.default = match written.iter().find(|(name, _)| *name == field.name) {
                    Some((_, expression)) => evaluate(expression, source, &sources, &variants)
                        .unwrap_or_else(|| {
                            panic!(
                                "{}: the default of `{}` is not understood: {expression}",
                                ty.path, field.name
                            )
                        }),
                    None if field.ty.starts_with("Option<") => String::new(),
                    None => match variants
                        .iter()
                        .find(|(name, list, _)| *name == bare && !list.is_empty())
                    {
                        Some((_, _, default)) => default.clone(),
                        None => of_type(&field.ty),
                    },
                };
            }
        }
        Schema { sources, types }
    }

    /// A type by its name as seen from a file: the file's own, its folder's, or the only one.
    pub fn find(&self, name: &str, from: &str) -> Option<&Type> {
        let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
        let named = || self.types.iter().filter(|ty| ty.name == name);
        named()
            .find(|ty| ty.path == from)
            .or_else(|| named().find(|ty| ty.path.starts_with(folder)))
            .or_else(|| named().next())
    }

    /// What a user reads of a field's type.
    pub fn shown(&self, field: &Field, from: &str) -> String {
        let bare = inner(&field.ty);
        let one = match self.find(&bare, from) {
            Some(ty) if ty.untagged => "value".to_owned(),
            Some(ty) if !ty.variants.is_empty() => {
                let variants = ty.variants.iter().map(|name| format!("`{name}`"));
                variants.collect::<Vec<_>>().join(", ")
            }
            Some(_) => "section".to_owned(),
            None => simple(&bare).to_owned(),
        };
        if field.ty.contains("Vec<") {
            format!("list of {one}s")
        } else {
            one
        }
    }
}

/// The word for a type that is none of ours.
fn simple(ty: &str) -> &'static str {
    match ty {
        "bool" => "`true`, `false`",
        "String" => "text",
        "u16" | "u32" | "u64" | "usize" | "i64" | "f32" | "f64" => "number",
        "Bound" | "Duration" => "duration",
        "ByteSize" => "size",
        "Secret" => "secret",
        "Headers" | "BTreeMap<String, String>" => "names and values",
        "Endpoint" => "`host:port`",
        "IgnoredAny" => "any",
        other => panic!("the reference has no word for the type `{other}`"),
    }
}

/// The type inside of `Option`, `Vec` and the like.
pub fn inner(ty: &str) -> String {
    let mut ty = ty;
    while let Some(rest) = ["Option<", "Vec<", "Box<"]
        .iter()
        .find_map(|outer| ty.strip_prefix(outer))
    {
        ty = rest.strip_suffix('>').unwrap_or(rest);
    }
    ty.rsplit("::").next().unwrap_or(ty).to_owned()
}

/// What `Default` is for a type, where nothing else is said.
fn of_type(ty: &str) -> String {
    match inner(ty).as_str() {
        _ if ty.starts_with("Option<") || ty.starts_with("Vec<") => String::new(),
        "bool" => "false".to_owned(),
        "u16" | "u32" | "u64" | "usize" | "i64" | "f64" => "0".to_owned(),
        "Duration" => "0s".to_owned(),
        _ => String::new(),
    }
}

/// The types that a file declares for reading.
fn types_of(source: &Source) -> Vec<Type> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut types = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let declared = line
            .trim_start_matches("pub ")
            .trim_start_matches("pub(super) ");
        let Some((kind, rest)) = declared.split_once(' ') else {
            continue;
        };
        let is_type =
            matches!(kind, "struct" | "enum") && line.ends_with('{') && source.is_production(i + 1);
        let (doc, attributes) = above(&lines, i);
        if !is_type || !attributes.contains("Deserialize") {
            continue;
        }
        let body: Vec<&str> = lines[i + 1..]
            .iter()
            .copied()
            .take_while(|line| *line != "}")
            .collect();
        let lower = attributes.contains("rename_all = \"lowercase\"");
        let mut ty = Type {
            path: source.path.clone(),
            name: rest.split([' ', '<']).next().unwrap_or_default().to_owned(),
            doc,
            fields: Vec::new(),
            variants: Vec::new(),
            default: String::new(),
            untagged: attributes.contains("untagged"),
            is_public: line.starts_with("pub "),
        };
        for (j, line) in body.iter().enumerate() {
            let inside = line.trim();
            if !line.starts_with("    ")
                || line.starts_with("     ")
                || inside.starts_with(['/', '#'])
            {
                continue;
            }
            let (doc, attributes) = above(&body, j);
            if kind == "enum" {
                let name = inside.split([',', '(']).next().unwrap_or_default();
                let name = if lower {
                    name.to_lowercase()
                } else {
                    snake(name)
                };
                if attributes.contains("#[default]") {
                    ty.default.clone_from(&name);
                }
                ty.variants.push(name);
            } else if let Some((name, of)) = inside.split_once(": ") {
                ty.fields.push(Field {
                    name: name
                        .trim_start_matches("pub ")
                        .trim_start_matches("pub(super) ")
                        .to_owned(),
                    doc,
                    ty: of.trim_end_matches(',').to_owned(),
                    default: String::new(),
                });
            }
        }
        types.push(ty);
    }
    types
}

/// The comment and the attributes above a line.
fn above(lines: &[&str], at: usize) -> (String, String) {
    let (mut doc, mut attributes) = (Vec::new(), Vec::new());
    for line in lines[..at].iter().rev() {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("///") {
            doc.push(text.trim());
        } else if line.starts_with("#[") && line.ends_with(']') {
            attributes.push(line);
        } else {
            break;
        }
    }
    doc.reverse();
    let doc = doc.join(" ").replace("[`", "`").replace("`]", "`");
    (doc, attributes.join(" "))
}

/// `MaxSize` as `max_size`.
fn snake(name: &str) -> String {
    let mut text = String::new();
    for (i, letter) in name.chars().enumerate() {
        if i > 0 && letter.is_uppercase() {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// Fields and expressions of `impl Default for NAME`, if it is written out.
fn written_defaults(source: &Source, name: &str) -> Vec<(String, String)> {
    let start = format!("impl Default for {name} {{");
    let lines = source.text.lines().skip_while(|line| *line != start);
    let body = lines.take_while(|line| *line != "}");
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in body {
        let Some(deep) = line.strip_prefix("            ") else {
            continue;
        };
        if deep.starts_with(' ') || deep.starts_with([')', '}', ']']) {
            if let Some((_, expression)) = fields.last_mut() {
                expression.push_str(deep.trim());
            }
        } else if let Some((field, expression)) = deep.split_once(':') {
            fields.push((field.to_owned(), expression.trim().to_owned()));
        }
    }
    for (_, expression) in &mut fields {
        *expression = expression.trim_end_matches(',').to_owned();
    }
    fields
}

/// A default's expression as a user would write its value; `None` if that is beyond this reader.
fn evaluate(
    expression: &str,
    source: &Source,
    sources: &[Source],
    enums: &[(String, Vec<String>, String)],
) -> Option<String> {
    let call = |name: &str| expression.strip_prefix(name)?.strip_suffix(')');
    let number = |text: &str| -> Option<u64> { text.replace('_', "").parse().ok() };
    if let Some(n) = call("Duration::from_secs(").and_then(number) {
        return Some(duration::print(Duration::from_secs(n)));
    }
    if let Some(n) = call("Duration::from_millis(").and_then(number) {
        return Some(duration::print(Duration::from_millis(n)));
    }
    if let Some(port) = call("Endpoint::localhost(").and_then(number) {
        return Some(format!("localhost:{port}"));
    }
    for (unit, name) in [
        ("KiB", "ByteSize::kib("),
        ("MiB", "ByteSize::mib("),
        ("GiB", "ByteSize::gib("),
    ] {
        if let Some(n) = call(name).and_then(number) {
            return Some(format!("{n}{unit}"));
        }
    }
    match expression {
        "Duration::ZERO" => return Some("0s".to_owned()),
        "None" | "String::new()" | "Vec::new()" | "BTreeMap::new()" | "vec![]" => {
            return Some(String::new());
        }
        "true" | "false" => return Some(expression.to_owned()),
        _ if expression.ends_with("::default()") => return Some(String::new()),
        _ => {}
    }
    if expression.starts_with(|c: char| c.is_ascii_digit()) {
        return Some(expression.replace('_', ""));
    }
    if let Some(text) = expression.strip_prefix('"') {
        return text.split('"').next().map(str::to_owned);
    }
    for outer in ["vec![", "["] {
        if let Some(list) = expression.strip_prefix(outer) {
            let items = list.trim_end_matches(']').split(',').map(str::trim);
            let items = items.filter(|item| !item.is_empty()).map(|item| {
                let item = item
                    .trim_end_matches(".to_owned()")
                    .trim_end_matches(".into()");
                let text = match item.strip_prefix("semconv::") {
                    Some(name) => attribute(name, sources)?,
                    None => item.strip_prefix('"')?.strip_suffix('"')?.to_owned(),
                };
                Some(if text.is_empty() {
                    "\"\"".to_owned()
                } else {
                    text
                })
            });
            let items: Option<Vec<String>> = items.collect();
            return Some(format!("[{}]", items?.join(", ")));
        }
    }
    let path = expression.split_once("::");
    if let Some((name, variant)) = path.filter(|(name, _)| !name.contains('.')) {
        let known = enums
            .iter()
            .find(|(known, list, _)| known == name && !list.is_empty())?;
        let variant = snake(variant);
        let same = |text: &&String| text.replace('_', "") == variant.replace('_', "");
        return known.1.iter().find(same).cloned();
    }
    // a constant of the same file, perhaps converted
    let name = expression.split('.').next()?;
    let is_constant = name
        .chars()
        .all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit());
    let start = format!("const {name}: ");
    let rest = is_constant
        .then(|| source.text.split(&start).nth(1))
        .flatten()?;
    let (_, value) = rest.split_once(" = ")?;
    let end = value.find(";\n")?;
    evaluate(value.get(..end)?.trim(), source, sources, enums)
}

/// The attribute's name that a constant of `otlp/semconv.rs` has.
fn attribute(name: &str, sources: &[Source]) -> Option<String> {
    let home = sources
        .iter()
        .find(|source| source.path == "src/otlp/semconv.rs")?;
    let (_, rest) = home.text.split_once(&format!(" {name} = \""))?;
    rest.split('"').next().map(str::to_owned)
}
