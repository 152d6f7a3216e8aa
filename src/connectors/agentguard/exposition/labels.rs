//! What tells series apart: the labels of edges, nodes and models, and those under which all is shown that finds no room.
//!
//! **Invariant.** Two things whose labels show alike are equal here, so that no series stands twice.
//! **Not here.** What the series show (`readings`).

use super::super::metrics::{EDGE_LABELS, MODEL_LABELS, NODE_LABELS, REALM};
use crate::graph::{NodeRecord, OVERFLOW};
use crate::scan::{EdgeKind, NodeKind};
use crate::telemetry::OTHER;
use std::cmp::Ordering;
use std::sync::Arc;

/// A label's value that a node gives, or the one for all that found no room.
#[derive(Clone, Debug)]
pub(super) enum Name {
    Of(Arc<NodeRecord>),
    Other,
}

impl Name {
    fn of<'a>(&'a self, value: impl Fn(&'a NodeRecord) -> &'a str) -> &'a str {
        match self {
            Name::Of(record) => value(record),
            Name::Other => OTHER,
        }
    }

    fn display(&self) -> &str {
        self.of(|record| &record.display)
    }

    fn realm(&self) -> &str {
        match self {
            Name::Of(record) => &record.key.realm,
            Name::Other => "",
        }
    }
}

/// What is shown of the realm: nothing while there is one (R-GRA-7).
fn with_realm<'a>(pairs: &mut Vec<(&'a str, &'a str)>, realm: &'a str, is_shown: bool) {
    if is_shown && !realm.is_empty() {
        pairs.push((REALM, realm));
    }
}

/// The labels of an edge.
#[derive(Clone, Debug)]
pub(super) struct EdgeLabels {
    client: Name,
    server: Name,
    connection_type: &'static str,
    /// Empty unless asked for.
    client_kind: &'static str,
    server_kind: &'static str,
}

impl EdgeLabels {
    /// The labels of an edge between these, with kinds as asked for.
    pub(super) fn new(
        from: &Arc<NodeRecord>,
        to: &Arc<NodeRecord>,
        kind: EdgeKind,
        (client_kind, server_kind): (bool, bool),
    ) -> Self {
        let kind_if = |asked: bool, record: &NodeRecord| {
            if asked { record.key.kind.as_str() } else { "" }
        };
        EdgeLabels {
            client: Name::Of(Arc::clone(from)),
            server: Name::Of(Arc::clone(to)),
            connection_type: connection_type(kind, from.key.kind, to.key.kind),
            client_kind: kind_if(client_kind, from),
            server_kind: kind_if(server_kind, to),
        }
    }

    /// The labels of all that find no room.
    pub(super) fn other((client_kind, server_kind): (bool, bool)) -> Self {
        EdgeLabels {
            client: Name::Other,
            server: Name::Other,
            connection_type: "",
            client_kind: if client_kind { OTHER } else { "" },
            server_kind: if server_kind { OTHER } else { "" },
        }
    }

    /// Names and values, with the realm where there are several.
    pub(super) fn pairs(&self, realms: bool) -> Vec<(&str, &str)> {
        let mut pairs = vec![
            (EDGE_LABELS[0], self.client.display()),
            (EDGE_LABELS[1], self.server.display()),
            (EDGE_LABELS[2], self.connection_type),
        ];
        let kinds = [
            ("client_kind", self.client_kind),
            ("server_kind", self.server_kind),
        ];
        pairs.extend(kinds.into_iter().filter(|(_, kind)| !kind.is_empty()));
        with_realm(&mut pairs, self.client.realm(), realms);
        pairs
    }

    fn parts(&self) -> [&str; 6] {
        [
            self.client.display(),
            self.server.display(),
            self.connection_type,
            self.client_kind,
            self.server_kind,
            self.client.realm(),
        ]
    }
}

/// A node, told apart by its id.
#[derive(Clone, Debug)]
pub(super) struct NodeLabels(pub(super) Name);

impl NodeLabels {
    /// Names and values, with the realm where there are several; more may follow.
    pub(super) fn pairs(&self, realms: bool) -> Vec<(&str, &str)> {
        let [node, kind, realm] = self.parts();
        let mut pairs = vec![(NODE_LABELS[0], node), (NODE_LABELS[1], kind)];
        with_realm(&mut pairs, realm, realms);
        pairs
    }

    /// Its shown name.
    pub(super) fn display(&self) -> &str {
        self.0.display()
    }

    fn parts(&self) -> [&str; 3] {
        let kind = self.0.of(|record| record.key.kind.as_str());
        [self.0.of(|record| &record.id), kind, self.0.realm()]
    }
}

/// A model, told apart by its name and its provider.
#[derive(Clone, Debug)]
pub(super) struct ModelLabels(pub(super) Name);

impl ModelLabels {
    /// Names and values, with the realm where there are several; more may follow.
    pub(super) fn pairs(&self, realms: bool) -> Vec<(&str, &str)> {
        let [model, provider, realm] = self.parts();
        let mut pairs = vec![(MODEL_LABELS[0], model), (MODEL_LABELS[1], provider)];
        with_realm(&mut pairs, realm, realms);
        pairs
    }

    fn parts(&self) -> [&str; 3] {
        let provider = self.0.of(|record| &record.key.scope);
        [self.0.display(), provider, self.0.realm()]
    }
}

/// Labels are what they show.
macro_rules! by_parts {
    ($($labels:ty),*) => {$(
        impl PartialEq for $labels {
            fn eq(&self, other: &Self) -> bool {
                self.parts() == other.parts()
            }
        }

        impl Eq for $labels {}

        impl PartialOrd for $labels {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $labels {
            fn cmp(&self, other: &Self) -> Ordering {
                self.parts().cmp(&other.parts())
            }
        }
    )*};
}

by_parts!(EdgeLabels, NodeLabels, ModelLabels);

/// Whether there is more than one realm. Once seen, it stays so: labels that came and went would end series.
#[derive(Debug, Default)]
pub(super) struct Realms {
    first: Option<Arc<str>>,
    are_several: bool,
}

impl Realms {
    /// Sees a node; those that stand for others have no realm.
    pub(super) fn see(&mut self, record: &NodeRecord) {
        if self.are_several || *record.key.name == *OVERFLOW {
            return;
        }
        match &self.first {
            None => self.first = Some(Arc::clone(&record.key.realm)),
            Some(first) => self.are_several = **first != *record.key.realm,
        }
    }

    /// Whether it has seen two.
    pub(super) fn are_several(&self) -> bool {
        self.are_several
    }
}

/// The field's word for what lies between two nodes: a model or a person sends no spans and is seen by its caller alone.
pub(super) fn connection_type(edge: EdgeKind, from: NodeKind, to: NodeKind) -> &'static str {
    match (edge, from, to) {
        (EdgeKind::Publishes | EdgeKind::Delivers, _, _)
        | (_, NodeKind::Queue, _)
        | (_, _, NodeKind::Queue) => "messaging_system",
        (_, _, NodeKind::Database) => "database",
        (_, _, NodeKind::Model | NodeKind::Human) => "virtual_node",
        _ => "",
    }
}
