//! The analysis from one tick to the next: what changed goes in, findings that share the rest come out.
//!
//! Another structure: everything is put together anew, and what was known of a node stays until it is recomputed. The same
//! structure: hardness, weights and shares of what was touched, then only what rests on those that moved.

use crate::analysis::components::Components;
use crate::analysis::entries::Traffic;
use crate::analysis::findings::{Analysis, Blast, Cycle, NodeRisk, SystemTerm, Term, Terms};
use crate::analysis::found::{Found, Ground, Taken};
use crate::analysis::hardness::{Learned, PRIOR, fallbacks};
use crate::analysis::needs::{Needs, Rules, SLACK};
use crate::analysis::risk::{self, Grounds, RiskSettings};
use crate::analysis::structure::{EdgeRow, Link, Lists, Structure};
use crate::analysis::weights::{Touched, Weights};
use crate::analysis::windows::Recent;
use crate::base::NodeId;
use crate::graph::Row;
use crate::scan::EdgeKind;
use std::collections::HashMap;
use std::sync::Arc;

/// In no cycle.
const NO_CYCLE: u32 = u32::MAX;

/// What is known, from look to look. One owner: the tick.
#[derive(Debug)]
pub struct Analyst {
    settings: RiskSettings,
    /// By how much weights may differ from those that are computed with.
    pub(super) slack: f32,
    structure: Arc<Structure>,
    learned: Learned,
    fallbacks: Vec<(EdgeRow, EdgeRow)>,
    needs: Needs,
    components: Components,
    traffic: Traffic,
    found: Found,
    /// By node: its cycle.
    cycle_of: Vec<u32>,
    latest: Analysis,
}

impl Analyst {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(settings: RiskSettings) -> Self {
        Analyst {
            settings,
            slack: SLACK,
            structure: Arc::default(),
            learned: Learned::default(),
            fallbacks: Vec::new(),
            needs: Needs::default(),
            components: Components::default(),
            traffic: Traffic::default(),
            found: Found::default(),
            cycle_of: Vec::new(),
            latest: Analysis::default(),
        }
    }

    /// The findings for a structure and its weights. `touched` names what changed since the last look; it need not name
    /// anything when the structure is another one.
    ///
    /// A structure that was replaced by its like is the same; telling takes a comparison.
    ///
    /// Costs what changed, and [`RiskSettings::steps`] at most beside it; what that leaves undone is [`Analysis::stale`] and
    /// done by later looks, which need no change to go on.
    pub fn look(
        &mut self,
        structure: &Arc<Structure>,
        weights: &Weights,
        touched: &Touched,
    ) -> Analysis {
        self.look_within(structure, weights, touched, self.settings.steps)
    }

    /// The findings, complete whatever it takes: for a recording that is read once.
    pub fn look_whole(&mut self, structure: &Arc<Structure>, weights: &Weights) -> Analysis {
        let everything = Touched {
            nodes: (0..structure.nodes().len() as Row).collect(),
            edges: (0..structure.edges().len() as EdgeRow).collect(),
            follows: true,
        };
        self.look_within(structure, weights, &everything, u64::MAX)
    }

    fn look_within(
        &mut self,
        structure: &Arc<Structure>,
        weights: &Weights,
        touched: &Touched,
        steps: u64,
    ) -> Analysis {
        let is_same = Arc::ptr_eq(structure, &self.structure) || **structure == *self.structure;
        let is_grown = !is_same || self.has_other_fallbacks(weights, touched);
        let mut moved_edges = Vec::new();
        if is_grown {
            self.rebuild(structure, weights);
        } else {
            moved_edges = self.reweigh(weights, touched);
        }
        let moved_shares = self.traffic.weigh(structure, weights);
        if !moved_shares.is_empty() {
            self.found.open_certain();
            self.found.open_expected(&self.needs, &moved_shares);
        }
        let ground = Ground {
            needs: &self.needs,
            components: &self.components,
            entries: self.traffic.entries(),
            shares: self.traffic.shares(),
        };
        let mut rows = self.found.work(ground, weights, steps);
        if is_grown {
            self.publish_all(weights);
        } else {
            rows.extend(touched.nodes.iter().chain(&moved_shares));
            rows.sort_unstable();
            rows.dedup();
            self.publish(weights, &rows, &moved_edges);
        }
        self.latest.clone()
    }

    /// What the last look found.
    #[must_use]
    pub fn latest(&self) -> &Analysis {
        &self.latest
    }

    /// Whether a node's needs are other sets than before, since what callers turn to is.
    fn has_other_fallbacks(&self, weights: &Weights, touched: &Touched) -> bool {
        touched.follows && fallbacks(&self.structure, weights) != self.fallbacks
    }

    fn rules(&self) -> Rules {
        Rules {
            slack: self.slack,
            use_share: self.settings.certain_use,
            assumes_hard: self.settings.assumes_hard,
        }
    }

    fn rebuild(&mut self, structure: &Arc<Structure>, weights: &Weights) {
        let known: HashMap<NodeId, Taken> = (0..)
            .zip(self.structure.nodes())
            .map(|(row, node)| (node.id, self.found.node(row)))
            .collect();
        let before = structure
            .nodes()
            .iter()
            .map(|node| known.get(&node.id).copied().unwrap_or_default())
            .collect();
        let nodes = structure.nodes().len() as Row;
        self.structure = Arc::clone(structure);
        self.fallbacks = fallbacks(structure, weights);
        self.learned = Learned::new(structure, weights, &self.fallbacks);
        self.needs = Needs::new(structure, &self.fallbacks);
        let rules = self.rules();
        self.needs
            .weigh(structure, weights, &self.learned, rules, 0..nodes);
        let needed = Lists::of(nodes as usize, self.needs.pairs());
        self.components = Components::find(&needed);
        self.found = Found::new(&self.needs, &self.components, before);
        self.traffic = Traffic::new(structure);
        self.find_cycles();
    }

    /// Circles of calls, as they are drawn; where something runs is no call.
    fn find_cycles(&mut self) {
        let structure = &self.structure;
        let nodes = structure.nodes().len();
        let calls: Vec<(Row, Row)> = structure
            .links()
            .filter(|(_, link)| link.kind != EdgeKind::RunsIn)
            .map(|(_, link)| (link.from, link.to))
            .collect();
        let found = Components::find(&Lists::of(nodes, calls.iter().copied()));
        let mut calls_itself = vec![false; nodes];
        for (from, to) in calls {
            calls_itself[from as usize] |= from == to;
        }
        let mut cycles: Vec<Cycle> = (0..found.len())
            .map(|component| found.nodes(component))
            .filter(|rows| rows.len() > 1 || rows.iter().any(|row| calls_itself[*row as usize]))
            .map(|rows| {
                let mut rows = rows.to_vec();
                rows.sort_unstable();
                Cycle { rows }
            })
            .collect();
        cycles.sort_unstable_by(|a, b| a.rows.cmp(&b.rows));
        self.cycle_of = vec![NO_CYCLE; nodes];
        for (number, cycle) in (0..).zip(&cycles) {
            for row in &cycle.rows {
                self.cycle_of[*row as usize] = number;
            }
        }
        if cycles != *self.latest.cycles {
            self.latest.cycles = cycles.into();
        }
    }

    /// Takes what was touched; the edges whose hardness moved are those returned.
    fn reweigh(&mut self, weights: &Weights, touched: &Touched) -> Vec<EdgeRow> {
        let structure = Arc::clone(&self.structure);
        let edges = touched.edges.iter().copied();
        let moved = self.learned.weigh(&structure, weights, edges);
        let depender = |edge: &EdgeRow| {
            let link = structure.edges().get(*edge as usize);
            link.map(Link::depender)
        };
        let mut nodes: Vec<Row> = touched
            .edges
            .iter()
            .chain(&moved)
            .filter_map(depender)
            .collect();
        nodes.extend(&touched.nodes);
        nodes.sort_unstable();
        nodes.dedup();
        nodes.retain(|row| (*row as usize) < structure.nodes().len());
        let rules = self.rules();
        let needs = &mut self.needs;
        let change = needs.weigh(&structure, weights, &self.learned, rules, nodes.into_iter());
        if change.is_certain {
            self.found.open_certain();
        }
        self.found.open_expected(&self.needs, &change.nodes);
        moved
    }

    fn publish_all(&mut self, weights: &Weights) {
        let rows = 0..self.structure.nodes().len() as Row;
        self.latest.nodes = rows.map(|row| self.risk(row, weights)).collect();
        let edges = 0..self.structure.edges().len() as EdgeRow;
        self.latest.edges = edges.map(|edge| self.learned.edge(edge)).collect();
        self.publish_system();
    }

    fn publish(&mut self, weights: &Weights, rows: &[Row], edges: &[EdgeRow]) {
        for row in rows {
            let risk = self.risk(*row, weights);
            if self.latest.nodes.get(*row as usize) != Some(&risk) {
                self.latest.nodes.set(*row as usize, risk);
            }
        }
        for edge in edges {
            self.latest
                .edges
                .set(*edge as usize, self.learned.edge(*edge));
        }
        self.publish_system();
    }

    /// A node's findings.
    fn risk(&self, row: Row, weights: &Weights) -> NodeRisk {
        let at = row as usize;
        let taken = self.found.node(row);
        let cycle = self.cycle_of.get(at).copied().unwrap_or(NO_CYCLE);
        let figures = weights.nodes.get(at);
        let nothing = Recent::default();
        let instances = figures.and_then(|figures| figures.instances);
        // what no failure has proven weighs as much as it is likely
        let belief = if taken.is_proven { 1.0 } else { PRIOR };
        let spof = taken.certain * belief;
        let expected = taken.expected.max(spof);
        let terms = risk::terms(
            &Grounds {
                spof_share: spof,
                blast_share: expected,
                recent: figures.map_or(&nothing, |figures| &figures.recent),
                is_in_cycle: cycle != NO_CYCLE,
                is_single: instances == Some(1) && taken.direct > 0,
            },
            self.settings.objective,
        );
        NodeRisk {
            score: risk::score(&terms, &self.settings.weights),
            terms,
            is_spof: taken.is_spof,
            is_proven: taken.is_proven,
            spof_share: taken.certain.clamp(0.0, 1.0) as f32,
            blast: Blast {
                direct: taken.direct,
                transitive: taken.transitive,
                failing: taken.failing,
                share: terms[Term::Blast as usize],
            },
            entry_share: self.traffic.shares().get(at).copied().unwrap_or(0.0),
            cycle,
        }
    }

    fn publish_system(&mut self) {
        let mut greatest: [(f32, Row); Term::COUNT] = Default::default();
        for (row, risk) in (0..).zip(self.latest.nodes.iter()) {
            for (most, value) in greatest.iter_mut().zip(risk.terms) {
                if value > most.0 {
                    *most = (value, row);
                }
            }
        }
        let terms: Terms = greatest.map(|(value, _)| value);
        self.latest.system = risk::score(&terms, &self.settings.weights);
        self.latest.system_terms = Term::ALL
            .into_iter()
            .zip(greatest)
            .filter(|(_, (value, _))| *value > 0.0)
            .map(|(term, (value, row))| SystemTerm { term, value, row })
            .collect();
        let mut entries = self.traffic.entries().to_vec();
        entries.sort_by(|a, b| b.requests.total_cmp(&a.requests).then(a.row.cmp(&b.row)));
        if entries != *self.latest.entries {
            self.latest.entries = entries.into();
        }
        self.latest.stale = u32::try_from(self.found.stale()).unwrap_or(u32::MAX);
    }
}
