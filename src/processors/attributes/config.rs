//! What the user writes, and whether it can be done.

use super::AttributesProcessor;
use super::edit::{Actions, Deed, MAX_KEYS, Source};
use crate::base::{Problems, nearest};
use crate::config::Section;
use crate::otlp::Signal;
use crate::pipeline::{BuildContext, BuiltProcessor, Consumer, ProcessorConfig};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fmt;
use std::sync::Arc;

/// Configuration of the processor `attributes`; the Collector's keys.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttributesConfig {
    /// What to do with the attributes of each span, log record or data point, in this order. At least one.
    pub actions: Vec<ActionConfig>,
    /// Not supported: all items are edited.
    pub include: Option<IgnoredAny>,
    /// Not supported: all items are edited.
    pub exclude: Option<IgnoredAny>,
}

/// One action. Insert, update and upsert need one of `value` and `from_attribute`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ActionConfig {
    /// The attribute to act on.
    pub key: String,
    /// `insert` (where the key is missing), `update` (where it is present), `upsert` (either) or `delete`.
    pub action: String,
    /// The value to write: text, a bool or a number.
    pub value: Option<AttributeValue>,
    /// The attribute whose value to write; where that is missing, nothing is done.
    pub from_attribute: Option<String>,
    /// Not supported.
    pub from_context: Option<String>,
    /// Not supported.
    pub default_value: Option<AttributeValue>,
    /// Not supported.
    pub pattern: Option<String>,
    /// Not supported.
    pub converted_type: Option<String>,
}

/// A value as YAML has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum AttributeValue {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Double(f64),
    /// Text.
    Str(String),
}

/// What can be done with an attribute.
const ACTIONS: [&str; 4] = ["insert", "update", "upsert", "delete"];

/// Something in the configuration that cannot be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where, from the processor's section on: `actions[2].key`.
    pub at: String,
    /// What, and what would be right.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.at, self.what)
    }
}

impl AttributesConfig {
    /// All that is wrong with it.
    #[must_use]
    pub fn mistakes(&self) -> Vec<Mistake> {
        self.actions().err().unwrap_or_default()
    }

    /// The actions as the processor runs them.
    pub(super) fn actions(&self) -> Result<Actions, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let mut note = |at: &str, what: &str| {
            mistakes.push(Mistake {
                at: at.to_owned(),
                what: what.to_owned(),
            });
        };
        for (is_set, key) in [
            (self.include.is_some(), "include"),
            (self.exclude.is_some(), "exclude"),
        ] {
            if is_set {
                note(key, "is not supported; the actions apply to every item");
            }
        }
        if self.actions.is_empty() {
            note("actions", "is missing; give at least one action");
        }
        let mut actions = Actions::default();
        for (index, config) in self.actions.iter().enumerate() {
            match config.parse(&mut |key, what| note(&format!("actions[{index}].{key}"), what)) {
                Some((deed, source)) => actions.push(&config.key, deed, source),
                None => continue,
            }
        }
        if actions.keys() > MAX_KEYS {
            note("actions", "name more than 64 different attributes");
        }
        if mistakes.is_empty() {
            Ok(actions)
        } else {
            Err(mistakes)
        }
    }
}

impl ActionConfig {
    fn parse(&self, note: &mut dyn FnMut(&str, &str)) -> Option<(Deed, Option<Source<'_>>)> {
        let mut is_fine = true;
        let mut note = |key: &str, what: &str| {
            is_fine = false;
            note(key, what);
        };
        if self.key.is_empty() {
            note("key", "is missing; name the attribute to act on");
        }
        let unsupported = [
            (self.from_context.is_some(), "from_context"),
            (self.default_value.is_some(), "default_value"),
            (self.pattern.is_some(), "pattern"),
            (self.converted_type.is_some(), "converted_type"),
        ];
        for (_, key) in unsupported.iter().filter(|(is_set, _)| *is_set) {
            note(key, "is not supported; use `value` or `from_attribute`");
        }
        let deed = match self.action.to_ascii_lowercase().as_str() {
            "insert" => Some(Deed::Insert),
            "update" => Some(Deed::Update),
            "upsert" => Some(Deed::Upsert),
            "delete" => Some(Deed::Delete),
            "" => {
                note(
                    "action",
                    "is missing; one of insert, update, upsert, delete",
                );
                None
            }
            other => {
                let what = match nearest(other, ACTIONS) {
                    Some(near) => format!("`{other}` is not known; did you mean `{near}`?"),
                    None => format!("`{other}` is not supported; one of {}", ACTIONS.join(", ")),
                };
                note("action", &what);
                None
            }
        };
        let source = match (&self.value, &self.from_attribute) {
            (Some(_), Some(_)) => {
                note("from_attribute", "stands beside `value`; give one of them");
                None
            }
            (Some(value), None) => Some(Source::Value(value)),
            (None, Some(key)) => Some(Source::Attribute(key)),
            (None, None) => None,
        };
        match (deed?, &source) {
            (Deed::Delete, Some(_)) => note("action", "`delete` takes no value"),
            (Deed::Insert | Deed::Update | Deed::Upsert, None)
                if self.value.is_none() && self.from_attribute.is_none() =>
            {
                note("value", "is missing; give `value` or `from_attribute`");
            }
            _ => {}
        }
        deed.filter(|_| is_fine).map(|deed| (deed, source))
    }
}

/// Reads and checks the section.
pub fn configure(
    section: &Section<'_>,
    problems: &mut Problems,
) -> Option<Box<dyn ProcessorConfig>> {
    let config: AttributesConfig = section.parse(&[], problems)?;
    let mistakes = config.mistakes();
    for mistake in &mistakes {
        problems.error(section.place_of(&mistake.at), mistake.what.as_str(), "");
    }
    mistakes.is_empty().then(|| Box::new(config) as _)
}

impl ProcessorConfig for AttributesConfig {
    fn build(
        &self,
        _: &BuildContext,
        _: Signal,
        next: Arc<dyn Consumer>,
    ) -> anyhow::Result<BuiltProcessor> {
        let processor = AttributesProcessor::build(self, next).map_err(|mistakes| {
            let all: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            anyhow::anyhow!(all.join("; "))
        })?;
        Ok(BuiltProcessor {
            consumer: Arc::new(processor),
            component: None,
        })
    }
}
