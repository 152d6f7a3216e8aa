//! Reading a request's body: never more than allowed, never longer than allowed, and without a copy where one frame
//! holds it all.
//!
//! What a refused HTTP/1 sender still has under way is thrown away for a moment ([`linger`]): closing a connection with
//! unread bytes makes the kernel reset it, and the sender loses the answer that tells it why.

use crate::base::sync::{AtomicU64, Ordering};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Largest buffer reserved on the sender's word alone, in bytes.
const TRUSTED_BYTES: usize = 1 << 20;

/// How much of a refused body is thrown away, in bytes: as much as the largest request that is usual.
const LINGER_BYTES: usize = 64 << 20;
/// And for how long.
const LINGER: Duration = Duration::from_secs(2);

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// It is, or says it is, longer than the limit.
    #[error("request is larger than the limit of {limit} bytes")]
    TooLarge { limit: usize },
    /// The bodies being read at this moment fill the budget.
    #[error("too many bytes of requests are being received; the limit is {limit} bytes")]
    Busy { limit: u64 },
    /// The connection or the stream broke.
    #[error("request body ended early: {0}")]
    Broken(hyper::Error),
}

/// How many bytes of bodies may be in memory before they are queued; shared by the listeners of a receiver.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicU64,
    limit: u64,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Budget {
            used: AtomicU64::new(0),
            limit,
        })
    }

    /// A share that grows as bytes come in and is given back when dropped.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        Share {
            budget: Arc::clone(self),
            held: 0,
        }
    }
}

/// What one request holds of the budget.
pub(super) struct Share {
    budget: Arc<Budget>,
    held: u64,
}

impl Share {
    /// Raises the share to `bytes`.
    pub(super) fn grow_to(&mut self, bytes: usize) -> Result<(), BodyError> {
        let bytes = bytes as u64;
        let more = bytes.saturating_sub(self.held);
        if more == 0 {
            return Ok(());
        }
        // relaxed: a count, nothing is published through it
        let before = self.budget.used.fetch_add(more, Ordering::Relaxed);
        self.held = bytes;
        if before + more > self.budget.limit {
            return Err(BodyError::Busy {
                limit: self.budget.limit,
            });
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.held, Ordering::Relaxed);
    }
}

/// Reads a whole body of at most `limit` bytes. `announced` is its length if the sender said it.
pub(super) async fn read(
    body: &mut Incoming,
    limit: usize,
    share: &mut Share,
) -> Result<Bytes, BodyError> {
    let announced = body
        .size_hint()
        .exact()
        .map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    if let Some(n) = announced {
        if n > limit {
            return Err(BodyError::TooLarge { limit });
        }
        share.grow_to(n)?;
    }
    let Some(first) = next_piece(body).await? else {
        return Ok(Bytes::new());
    };
    check(first.len(), limit, share)?;
    let Some(second) = next_piece(body).await? else {
        return Ok(first);
    };
    check(first.len() + second.len(), limit, share)?;
    let expected = announced
        .or_else(|| grpc_length(&first))
        .unwrap_or(0)
        .min(limit)
        .min(TRUSTED_BYTES);
    let mut whole = BytesMut::with_capacity(expected.max(first.len() + second.len()));
    whole.extend_from_slice(&first);
    drop(first);
    whole.extend_from_slice(&second);
    drop(second);
    while let Some(next) = next_piece(body).await? {
        check(whole.len() + next.len(), limit, share)?;
        whole.extend_from_slice(&next);
    }
    Ok(whole.freeze())
}

/// Throws away what still comes of a refused body, for a moment, while the answer is on its way.
pub(super) async fn linger(mut body: Incoming) {
    let thrown = timeout(LINGER, async {
        let mut left = LINGER_BYTES;
        while let Ok(Some(piece)) = next_piece(&mut body).await {
            left = left.saturating_sub(piece.len());
            if left == 0 {
                break;
            }
        }
    });
    // too slow is as good as done
    drop(thrown.await);
}

fn check(len: usize, limit: usize, share: &mut Share) -> Result<(), BodyError> {
    if len > limit {
        return Err(BodyError::TooLarge { limit });
    }
    share.grow_to(len)
}

/// The next piece of data; trailers and empty pieces are passed over.
async fn next_piece(body: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(BodyError::Broken)?.into_data()
            && !data.is_empty()
        {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// The length that a gRPC message's head announces, with the head.
fn grpc_length(start: &[u8]) -> Option<usize> {
    let head = start.first_chunk::<5>()?;
    let [_, length @ ..] = head;
    usize::try_from(u32::from_be_bytes(*length))
        .ok()?
        .checked_add(5)
}
