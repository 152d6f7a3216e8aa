//! When entries age out: the tick's slow hand (R-GRA-3).
//!
//! ```text
//! resting ─ a minute ─▶ what is idle? ─ asked of the shards ─▶ forgotten, a new epoch begins ─▶ quarantine
//!    ▲                                                                                            │ a minute, and no
//!    └──────────────── given to others ◀─ asked of the shards: what do you refer to still? ◀──────┘ request of old
//! ```
//!
//! **Bounds.** One round at a time; epochs that are waited for are those of one round.
//! **Invariant.** A number is given to another only when no worker remembers it, no request under way carries it, and no
//! shard refers to it.
//! **Not here.** What is idle, what becomes of its counts (`graph`), how shards are asked (`connectors`).

#[cfg(test)]
mod tests;

use crate::base::Nanos;
use crate::graph::{Epoch, Expired, Numbers, Totals};
use crate::guard::Guard;
use std::sync::Arc;
use std::time::Duration;

/// Time between two looks at what is idle, and the least between forgetting a number and giving it to another.
const ROUND: Duration = Duration::from_secs(60);

/// Where the rounds stand; the tick's owner keeps it.
#[derive(Debug, Default)]
pub struct Ageing {
    /// Not looked at again before.
    next: Nanos,
    /// Numbers were forgotten then, and have not been given to others yet.
    forgotten: Option<Nanos>,
    /// Epochs that have ended; requests that began in them may be under way.
    ended: Vec<Arc<Epoch>>,
    /// What had found no room when names were given room last.
    refused: (u64, u64),
}

impl Guard {
    /// Lets the entries age. `now` is stream time. `ask` puts numbers to every shard ([`crate::guard::Settler::forget`]) and
    /// joins what they answer; `None` if one did not. Says how many left the graph, if any were forgotten: then
    /// [`Guard::publish`] is due, before anything else is absorbed.
    pub fn age(
        &self,
        ageing: &mut Ageing,
        totals: &mut Totals,
        now: Nanos,
        mut ask: impl FnMut(Numbers) -> Option<Numbers>,
    ) -> Option<Expired> {
        let after = self.settings.expire_after;
        if after.is_zero() || now < ageing.next {
            return None;
        }
        if let Some(since) = ageing.forgotten {
            // nobody but us holds one: its requests are done
            ageing.ended.retain(|epoch| Arc::strong_count(epoch) > 1);
            if now >= since.plus(ROUND) && ageing.ended.is_empty() {
                let retired = totals.retired().clone();
                let kept = ask(retired.clone())?;
                totals.recycle(&retired, &kept);
                ageing.forgotten = None;
                if self.interner.refused() != ageing.refused {
                    // names that found no room may find some now, if workers ask again
                    ageing.refused = self.interner.refused();
                    ageing.ended.push(self.interner.next_epoch());
                }
            }
            return None;
        }
        ageing.next = now.plus(ROUND);
        let mut idle = totals.idle(now, after);
        if idle.is_empty() {
            // some may have been referred to
            ageing.forgotten = (!totals.retired().is_empty()).then_some(now);
            return None;
        }
        let kept = ask(idle.clone())?;
        totals.touch(&kept);
        idle.remove(&kept);
        if idle.is_empty() {
            return None;
        }
        let expired = totals.forget(&idle);
        ageing.ended.push(self.interner.next_epoch());
        ageing.forgotten = Some(now);
        Some(expired)
    }
}
