//! What is at risk, node by node and for the whole system, as it is now.
//!
//! **Bounds.** So many nodes; where there are more, the riskiest are shown. **Invariants.** A node without findings shows
//! none, and one that is gone shows nothing; two nodes that are shown alike are one, the riskier. **Not here.** Findings
//! (`analysis`).

use super::super::metrics::{
    BLAST_RADIUS, CYCLE_NODES, CYCLES, DEPENDENTS, ENTRY_SHARE, NODE_INFO, RISK_SCORE, RISK_TERM,
    SPOF, SPOF_SHARE, SYSTEM_RISK,
};
use super::families::{Families, number};
use super::labels::{Name, NodeLabels};
use crate::analysis::{NodeRisk, Term, shown as figure};
use crate::guard::Snapshot;
use crate::telemetry::MetricDef;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most series of a node: name, score, flag, share, blast radius, two reaches, share of entry; and the terms.
pub(super) const SERIES: usize = 8 + Term::COUNT;

/// Nodes with what was found of them.
type Rows<'s> = BTreeMap<NodeLabels, Option<&'s NodeRisk>>;

/// Writes all families; says how many nodes found no room.
pub(super) fn write(
    snapshot: &Snapshot,
    limit: usize,
    realms: bool,
    families: &mut dyn Families,
) -> u64 {
    let (rows, left_out) = select(snapshot, limit);
    write_names(&rows, realms, families);
    each(&RISK_SCORE, &rows, realms, families, |risk| {
        Some(figure(risk.score))
    });
    families.family(&RISK_TERM);
    for (labels, risk) in found(&rows) {
        let mut pairs = labels.pairs(realms);
        for (term, ratio) in Term::ALL.iter().zip(risk.terms) {
            pairs.push(("term", term.as_str()));
            families.gauge(&RISK_TERM, &pairs, figure(ratio));
            pairs.pop();
        }
    }
    each(&SPOF, &rows, realms, families, |risk| {
        Some(f64::from(u8::from(risk.is_spof)))
    });
    each(&SPOF_SHARE, &rows, realms, families, |risk| {
        Some(figure(risk.spof_share))
    });
    each(&BLAST_RADIUS, &rows, realms, families, |risk| {
        Some(figure(risk.blast.share))
    });
    families.family(&DEPENDENTS);
    for (labels, risk) in found(&rows) {
        let mut pairs = labels.pairs(realms);
        let reaches = [
            ("direct", risk.blast.direct),
            ("transitive", risk.blast.transitive),
        ];
        for (reach, nodes) in reaches {
            pairs.push(("reach", reach));
            families.gauge(&DEPENDENTS, &pairs, nodes.into());
            pairs.pop();
        }
    }
    each(&ENTRY_SHARE, &rows, realms, families, |risk| {
        (risk.entry_share > 0.0).then(|| figure(risk.entry_share))
    });
    write_system(snapshot, families);
    left_out
}

/// The nodes that are shown, and how many are not.
fn select(snapshot: &Snapshot, limit: usize) -> (Rows<'_>, u64) {
    let score = |risk: Option<&NodeRisk>| risk.map_or(-1.0, |risk| risk.score);
    let mut rows = Rows::new();
    for (row, node) in (0..).zip(snapshot.graph.nodes()) {
        let labels = NodeLabels(Name::Of(Arc::clone(&node.record)));
        let risk = snapshot.analysis.node(row);
        let shown = rows.entry(labels).or_insert(risk);
        if score(*shown) < score(risk) {
            *shown = risk;
        }
    }
    let left_out = rows.len().saturating_sub(limit);
    if left_out > 0 {
        let mut by_score: Vec<_> = rows.into_iter().collect();
        // stable: of equals, the first in order stay
        by_score.sort_by(|a, b| score(b.1).total_cmp(&score(a.1)));
        by_score.truncate(limit);
        rows = by_score.into_iter().collect();
    }
    (rows, left_out as u64)
}

fn found<'r, 's>(rows: &'r Rows<'s>) -> impl Iterator<Item = (&'r NodeLabels, &'s NodeRisk)> {
    rows.iter()
        .filter_map(|(labels, risk)| Some((labels, (*risk)?)))
}

fn each(
    def: &'static MetricDef,
    rows: &Rows<'_>,
    realms: bool,
    families: &mut dyn Families,
    value: fn(&NodeRisk) -> Option<f64>,
) {
    families.family(def);
    for (labels, risk) in found(rows) {
        if let Some(value) = value(risk) {
            families.gauge(def, &labels.pairs(realms), value);
        }
    }
}

fn write_names(rows: &Rows<'_>, realms: bool, families: &mut dyn Families) {
    families.family(&NODE_INFO);
    for labels in rows.keys() {
        let mut pairs = labels.pairs(realms);
        pairs.push(("name", labels.display()));
        families.gauge(&NODE_INFO, &pairs, 1.0);
    }
}

fn write_system(snapshot: &Snapshot, families: &mut dyn Families) {
    let analysis = &snapshot.analysis;
    let is_known = !analysis.nodes().is_empty();
    let cycles = analysis.cycles();
    let in_cycles: usize = cycles.iter().map(|cycle| cycle.rows.len()).sum();
    let count = |n: usize| number(i64::try_from(n).unwrap_or(i64::MAX));
    let values = [
        (&SYSTEM_RISK, figure(analysis.system())),
        (&CYCLES, count(cycles.len())),
        (&CYCLE_NODES, count(in_cycles)),
    ];
    for (def, value) in values {
        families.family(def);
        if is_known {
            families.gauge(def, &[], value);
        }
    }
}
