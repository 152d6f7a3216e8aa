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
use crate::graph::{Candidates, Epoch, Expired, Numbers};
use crate::guard::{Guard, Ticker};
use std::sync::Arc;
use std::time::Duration;

/// Time between two looks at what is idle, and the least between forgetting a number and giving it to another.
const ROUND: Duration = Duration::from_secs(60);

/// Where the rounds stand.
#[derive(Debug, Default)]
pub(super) struct Ageing {
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
    /// Lets the entries age by stream time, and publishes the graph anew where some leave it; says how many did. `ask` puts
    /// numbers to every shard ([`crate::guard::Settler::forget`]) and joins what they answer; `None` if one did not.
    pub fn age(
        &self,
        ticker: &mut Ticker,
        ask: impl FnOnce(Candidates) -> Option<Numbers>,
    ) -> Option<Expired> {
        let now = ticker.time();
        if self.settings.expire_after.is_zero() || now < ticker.ageing.next {
            return None;
        }
        match ticker.ageing.forgotten {
            Some(since) => {
                self.recycle(ticker, since, ask);
                None
            }
            None => self.forget(ticker, ask),
        }
    }

    /// Forgets what is idle.
    fn forget(
        &self,
        ticker: &mut Ticker,
        ask: impl FnOnce(Candidates) -> Option<Numbers>,
    ) -> Option<Expired> {
        let now = ticker.time();
        ticker.ageing.next = now.plus(ROUND);
        let mut idle = ticker.totals.idle(now, self.settings.expire_after);
        if idle.is_empty() {
            // shards may have referred to some that were forgotten before
            ticker.ageing.forgotten = (!ticker.totals.retired().is_empty()).then_some(now);
            return None;
        }
        let kept = ask(Candidates {
            numbers: idle.clone(),
            are_forgotten: false,
        })?;
        ticker.totals.touch(&kept);
        idle.remove(&kept);
        if idle.is_empty() {
            return None;
        }
        let expired = ticker.forget(&idle);
        ticker.ageing.ended.push(self.interner.next_epoch());
        ticker.ageing.forgotten = Some(now);
        self.published.store(Arc::new(ticker.snapshot(false)));
        Some(expired)
    }

    /// Gives numbers that were forgotten `since` then to others, if nobody knows them any more.
    fn recycle(
        &self,
        ticker: &mut Ticker,
        since: Nanos,
        ask: impl FnOnce(Candidates) -> Option<Numbers>,
    ) {
        let ageing = &mut ticker.ageing;
        // nobody but us holds one: its requests are done
        ageing.ended.retain(|epoch| Arc::strong_count(epoch) > 1);
        if ticker.time() < since.plus(ROUND) || !ticker.ageing.ended.is_empty() {
            return;
        }
        let retired = ticker.totals.retired().clone();
        let kept = ask(Candidates {
            numbers: retired.clone(),
            are_forgotten: true,
        });
        let Some(kept) = kept else {
            return;
        };
        ticker.totals.recycle(&retired, &kept);
        let ageing = &mut ticker.ageing;
        ageing.forgotten = None;
        let refused = self.interner.refused();
        if refused != ageing.refused {
            // names that found no room may find some now, if workers ask again
            ageing.refused = refused;
            ageing.ended.push(self.interner.next_epoch());
        }
    }
}
