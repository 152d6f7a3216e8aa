//! The table's invariants, looked at one by one.

use crate::graph::entry::NONE;
use crate::graph::table::{Shelf, SpanTable};

impl SpanTable {
    /// Whether the invariants hold; looks at everything.
    pub(crate) fn check(&self) {
        let mut chained = 0;
        for shelf in [Shelf::Open, Shelf::Stuck, Shelf::Closed] {
            let mut at = self.oldest(shelf);
            while let Some(trace) = at {
                assert_eq!(self.trace(trace).shelf, shelf);
                let mut slot = self.trace(trace).first;
                assert_ne!(slot, NONE, "a trace without entries");
                while slot != NONE {
                    chained += 1;
                    let links = self.links(slot);
                    assert_eq!(links.trace, trace);
                    assert_eq!(self.find(trace, links.span), Some(slot));
                    assert!(
                        links.is_present || links.first_child != NONE,
                        "a placeholder for nobody"
                    );
                    if links.parent != NONE {
                        assert_eq!(self.links(links.parent).trace, trace);
                        let mut child = self.links(links.parent).first_child;
                        while child != slot {
                            child = self.links(child).next_sibling;
                        }
                    }
                    slot = links.next_in_trace;
                }
                let newer = self.trace(trace).newer;
                at = (newer != NONE).then_some(newer);
            }
        }
        assert_eq!(chained, self.len());
    }
}
