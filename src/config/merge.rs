//! Several trees into one, as the Collector merges its `--config` sources.
//!
//! Maps merge key by key, to any depth; lists and scalars are replaced by the later. A key without a value (`otlp:`) adds
//! nothing to a map that another source wrote, whichever comes first, since it means "with defaults".
//! **Invariants.** Merging with an empty map changes nothing; keys keep the place in which they were first written in order, and
//! each value keeps the mark of its own source.

use crate::config::node::{Entry, Node, Value};
use std::collections::HashMap;

/// Puts `later` over `earlier`.
pub(super) fn merge(earlier: &mut Node, later: Node) {
    if later.is_null() && matches!(earlier.value, Value::Map(_)) {
        return;
    }
    match (&mut earlier.value, later) {
        (
            Value::Map(into),
            Node {
                value: Value::Map(from),
                ..
            },
        ) => merge_maps(into, from),
        (_, later) => *earlier = later,
    }
}

fn merge_maps(into: &mut Vec<Entry>, from: Vec<Entry>) {
    let mut at: HashMap<String, usize> = into
        .iter()
        .enumerate()
        .map(|(i, entry)| (entry.key.clone(), i))
        .collect();
    for entry in from {
        match at.get(&entry.key).and_then(|i| into.get_mut(*i)) {
            Some(old)
                if matches!(
                    (&old.node.value, &entry.node.value),
                    (Value::Map(_), Value::Map(_))
                ) =>
            {
                merge(&mut old.node, entry.node);
            }
            Some(old) if entry.node.is_null() && matches!(old.node.value, Value::Map(_)) => {}
            Some(old) => *old = entry,
            None => {
                at.insert(entry.key.clone(), into.len());
                into.push(entry);
            }
        }
    }
}

/// Splits keys such as `exporters::otlp::endpoint` into maps: the short form of the Collector's `yaml:` sources.
pub(super) fn split_keys(node: Node) -> Node {
    let Node { mark, value } = node;
    let Value::Map(entries) = value else {
        return Node { mark, value };
    };
    let mut result = Node {
        mark: mark.clone(),
        value: Value::Map(Vec::new()),
    };
    for entry in entries {
        let node = split_keys(entry.node);
        // Each part is a level, and a tree's depth is bounded.
        let parts: Vec<&str> = entry.key.splitn(MAX_PARTS, "::").collect();
        let nested = parts.into_iter().rev().fold(node, |node, part| Node {
            mark: entry.mark.clone(),
            value: Value::Map(vec![Entry {
                key: part.to_owned(),
                mark: entry.mark.clone(),
                node,
            }]),
        });
        merge(&mut result, nested);
    }
    result
}

/// Levels that one key of a `yaml:` source can write.
const MAX_PARTS: usize = 8;
