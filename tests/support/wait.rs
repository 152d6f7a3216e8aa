//! Waiting for conditions, never for time alone.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

/// Long enough for a debug build on a loaded machine; a passing test never waits so long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Polls until the probe yields something.
///
/// # Panics
/// When the deadline passes first; `what` says what was waited for.
pub async fn eventually<T, F, P>(what: &str, deadline: Duration, mut probe: P) -> T
where
    P: FnMut() -> F,
    F: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(
            started.elapsed() < deadline,
            "waited {deadline:?} in vain: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Different loopback ports that were free a moment ago. Held all at once while choosing, so they differ.
///
/// # Panics
/// When loopback has no port left.
#[must_use]
pub fn free_ports<const N: usize>() -> [SocketAddr; N] {
    let held: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    held.map(|listener| listener.local_addr().expect("a bound address"))
}
