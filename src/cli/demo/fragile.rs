//! What the published findings say of the system, in lines for people: single points of failure, cycles, who is at risk.
//!
//! **Bounds.** What was told, at most once for each node and cycle of the graph. **Not here.** Finding it (`analysis`).

use super::watch::name;
use crate::analysis::{Cycle, NodeRisk, Term};
use crate::base::{Nanos, NodeId};
use crate::graph::NodeRow;
use crate::guard::Snapshot;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

/// Before this the graph is too young to say what depends on what.
const SETTLED: Duration = Duration::from_secs(8);

/// How many are named in a line.
const MOST: usize = 5;

/// How many looks in a row must agree before it is told.
const LOOKS: u32 = 3;

/// Tells of findings as they come up.
#[derive(Debug)]
pub(super) struct Fragile {
    /// When the live system began; who was seen before it only is the recording's.
    since: Nanos,
    /// Nodes that are single points of failure, or are so no more, and at how many looks in a row they were.
    looks: BTreeMap<NodeId, (bool, u32)>,
    told: BTreeSet<NodeId>,
    cycles: BTreeSet<Vec<NodeId>>,
}

impl Fragile {
    /// Knows of nothing yet.
    pub(super) fn new(since: Nanos) -> Self {
        Fragile {
            since,
            looks: BTreeMap::new(),
            told: BTreeSet::new(),
            cycles: BTreeSet::new(),
        }
    }

    /// What is new since the last look.
    pub(super) fn look(&mut self, at: Duration, snapshot: &Snapshot) -> Vec<String> {
        if at < SETTLED {
            return Vec::new();
        }
        let (mut new, mut gone) = (Vec::new(), Vec::new());
        for (row, risk) in self.rated(snapshot) {
            let node = row.record.node;
            let (was, looks) = self.looks.get(&node).copied().unwrap_or_default();
            let looks = if was == risk.is_spof { looks + 1 } else { 1 };
            let is_told = self.told.contains(&node);
            if looks >= LOOKS && risk.is_spof && !is_told {
                new.push((row, risk));
            } else if looks >= LOOKS && !risk.is_spof && is_told {
                gone.push(row);
            }
            self.looks.insert(node, (risk.is_spof, looks));
        }
        new.sort_by(|(_, a), (_, b)| b.spof_share.total_cmp(&a.spof_share));
        self.told.extend(new.iter().map(|(row, _)| row.record.node));
        for row in &gone {
            self.told.remove(&row.record.node);
        }
        let mut lines: Vec<String> = spofs(&new).into_iter().collect();
        if !gone.is_empty() {
            let names: Vec<String> = gone.into_iter().take(MOST).map(name).collect();
            lines.push(format!(
                "✓ no single point of failure after all, callers go on without: {}",
                names.join(", ")
            ));
        }
        for cycle in snapshot.analysis.cycles() {
            lines.extend(self.cycle(cycle, snapshot));
        }
        lines
    }

    fn cycle(&mut self, cycle: &Cycle, snapshot: &Snapshot) -> Option<String> {
        let rows = cycle
            .rows
            .iter()
            .filter_map(|row| snapshot.graph.node_at(*row));
        let (nodes, names): (Vec<NodeId>, Vec<String>) =
            rows.map(|row| (row.record.node, name(row))).unzip();
        self.cycles
            .insert(nodes)
            .then(|| format!("↻ cycle: {} call each other in a circle", names.join(", ")))
    }

    /// The nodes with the highest scores, and why.
    pub(super) fn table(&self, snapshot: &Snapshot, rows: usize) -> String {
        let mut rated: Vec<(&NodeRow, &NodeRisk)> = self
            .rated(snapshot)
            .filter(|(_, risk)| risk.score > 0.0)
            .collect();
        rated.sort_by(|(_, a), (_, b)| b.score.total_cmp(&a.score));
        let mut out = format!(
            "  risk of the system {:.1} of 10\n  {:<10} {:<28} {:>5} {:>7} {:>8} {:>11}  {}\n",
            snapshot.analysis.system(),
            "risk",
            "name",
            "score",
            "spof",
            "traffic",
            "dependents",
            "chiefly for"
        );
        for (row, risk) in rated.into_iter().take(rows) {
            let line = writeln!(
                out,
                "  {:<10} {:<28} {:>5.1} {:>7} {:>6.0} % {:>5} ({:>3})  {}",
                row.record.key.kind.as_str(),
                name(row),
                risk.score,
                match (risk.is_spof, risk.is_proven) {
                    (true, true) => "yes",
                    (true, false) => "likely",
                    _ => "-",
                },
                100.0 * risk.blast.share,
                risk.blast.direct,
                risk.blast.transitive,
                reasons(risk),
            );
            // writing to a `String` cannot fail
            line.unwrap_or_default();
        }
        out
    }

    /// The live system's nodes with what is known of their risk.
    fn rated<'s>(
        &self,
        snapshot: &'s Snapshot,
    ) -> impl Iterator<Item = (&'s NodeRow, &'s NodeRisk)> + use<'s> {
        let findings = snapshot.analysis.nodes();
        let since = self.since.0;
        let nodes = snapshot.graph.nodes().iter().zip(findings.iter());
        nodes.filter(move |(row, _)| row.counts.last_seen >= since)
    }
}

/// The new single points of failure, those that take most along first.
fn spofs(new: &[(&NodeRow, &NodeRisk)]) -> Option<String> {
    let told = new.iter().take(MOST).map(|(row, risk)| {
        format!(
            "{} {} ({:.0} % of the traffic{})",
            row.record.key.kind.as_str(),
            name(row),
            100.0 * risk.spof_share,
            if risk.is_proven { ", proven" } else { "" }
        )
    });
    let told: Vec<String> = told.collect();
    let rest = new.len().saturating_sub(MOST);
    let more = if rest > 0 {
        format!(" and {rest} more")
    } else {
        String::new()
    };
    let (first, plural) = (told.first()?, told.len() > 1);
    Some(if plural {
        format!("! single points of failure: {}{more}", told.join(", "))
    } else {
        format!("! single point of failure: {first}")
    })
}

/// Its two largest terms.
fn reasons(risk: &NodeRisk) -> String {
    let mut terms: Vec<(Term, f32)> = Term::ALL.into_iter().zip(risk.terms).collect();
    terms.retain(|(_, value)| *value >= 0.01);
    terms.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let terms = terms.iter().take(2);
    let terms: Vec<String> = terms
        .map(|(term, value)| format!("{} {value:.2}", term.as_str()))
        .collect();
    terms.join(", ")
}
