//! The first bytes of a connection: they come in time, or the connection ends.
//!
//! hyper limits the time for the head of an HTTP/1 request, but neither for the first byte, which tells the versions
//! apart, nor for HTTP/2's preface. A peer that opens connections and says nothing would hold a place of
//! `max_connections` for ever.
//!
//! **Not here.** What comes after the first bytes.

use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// What a client that speaks HTTP/2 says first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long until a preface that came in part is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Waits until HTTP/2's whole preface, or anything else, has come; false when the peer was too slow or is gone. Nothing
/// is read. Cancel-safe.
pub(super) async fn has_begun(stream: &TcpStream, within: Duration) -> bool {
    timeout(within, begun(stream)).await.unwrap_or(false)
}

async fn begun(stream: &TcpStream) -> bool {
    let mut first = [0; PREFACE.len()];
    loop {
        let Ok(seen) = stream.peek(&mut first).await else {
            return false;
        };
        let first = first.get(..seen).unwrap_or_default();
        if first.is_empty() {
            return false;
        }
        if seen == PREFACE.len() || !PREFACE.starts_with(first) {
            return true;
        }
        // what has come stays readable, so that only time can tell of more
        sleep(LOOK_AGAIN).await;
    }
}
