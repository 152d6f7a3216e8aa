//! What the published findings say of the system, in lines for people: single points of failure, cycles, who is at risk.
//!
//! **Bounds.** What was told, at most once for each node and cycle of the graph. **Not here.** Finding it (`analysis`).

use super::watch::name;
use crate::analysis::{Cycle, NodeRisk, Term};
use crate::base::NodeId;
use crate::graph::NodeRow;
use crate::guard::Snapshot;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

/// Before this the graph is too young to say what depends on what.
const SETTLED: Duration = Duration::from_secs(8);

/// How many looks in a row must agree before it is told.
const LOOKS: u32 = 3;

/// Tells of findings as they come up.
#[derive(Debug, Default)]
pub(super) struct Fragile {
    /// Nodes that were single points of failure at the last looks, which each had `count`.
    candidates: BTreeSet<NodeId>,
    looks: u32,
    told: BTreeSet<NodeId>,
    cycles: BTreeSet<Vec<NodeId>>,
}

impl Fragile {
    /// What is new since the last look.
    pub(super) fn look(&mut self, at: Duration, snapshot: &Snapshot) -> Vec<String> {
        if at < SETTLED {
            return Vec::new();
        }
        let spofs: BTreeSet<NodeId> = rated(snapshot)
            .filter(|(_, risk)| risk.is_spof)
            .map(|(row, _)| row.record.node)
            .collect();
        self.looks = if spofs == self.candidates {
            self.looks + 1
        } else {
            1
        };
        self.candidates = spofs;
        let mut lines = Vec::new();
        if self.looks >= LOOKS {
            let mut new: Vec<(&NodeRow, &NodeRisk)> = rated(snapshot)
                .filter(|(row, risk)| risk.is_spof && self.told.insert(row.record.node))
                .collect();
            new.sort_by(|(_, a), (_, b)| b.spof_share.total_cmp(&a.spof_share));
            lines.extend(new.into_iter().map(|(row, risk)| spof(row, risk)));
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
    pub(super) fn table(snapshot: &Snapshot, rows: usize) -> String {
        let mut rated: Vec<(&NodeRow, &NodeRisk)> = rated(snapshot)
            .filter(|(_, risk)| risk.score > 0.0)
            .collect();
        rated.sort_by(|(_, a), (_, b)| b.score.total_cmp(&a.score));
        let mut out = format!(
            "  risk of the system {:.1} of 10\n  {:<10} {:<28} {:>5} {:>5} {:>8} {:>11}  {}\n",
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
                "  {:<10} {:<28} {:>5.1} {:>5} {:>6.0} % {:>4} ({:>3})  {}",
                row.record.key.kind.as_str(),
                name(row),
                risk.score,
                if risk.is_spof { "yes" } else { "-" },
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
}

fn rated(snapshot: &Snapshot) -> impl Iterator<Item = (&NodeRow, &NodeRisk)> {
    let findings = snapshot.analysis.nodes();
    snapshot.graph.nodes().iter().zip(findings.iter())
}

fn spof(row: &NodeRow, risk: &NodeRisk) -> String {
    format!(
        "! single point of failure: {} {}, {:.0} % of the traffic fails with it (risk {:.1} of 10)",
        row.record.key.kind.as_str(),
        name(row),
        100.0 * risk.spof_share,
        risk.score
    )
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
