//! Findings as a test wants them.

use crate::analysis::{Analysis, Cycle, Entry, NodeRisk};

impl Analysis {
    /// Findings of the first rows; of the rest there are none.
    pub(crate) fn made_of(
        nodes: impl IntoIterator<Item = NodeRisk>,
        system: f32,
        cycles: &[Cycle],
        entries: &[Entry],
    ) -> Analysis {
        Analysis {
            nodes: nodes.into_iter().collect(),
            system,
            cycles: cycles.into(),
            entries: entries.into(),
            ..Analysis::default()
        }
    }
}
