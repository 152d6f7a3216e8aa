//! The body of a unary gRPC call: the message's head, then its parts, none of them copied.

use bytes::{BufMut, Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

/// Length of the head of a gRPC message: a compression flag and a length.
const HEAD: usize = 5;

/// One gRPC message in pieces.
pub(super) struct GrpcBody {
    head: Option<Bytes>,
    parts: vec::IntoIter<Bytes>,
    left: u64,
}

impl GrpcBody {
    /// Frames the parts as one message; `None` when they are longer than a gRPC message can be (4 GiB).
    pub(super) fn new(parts: Vec<Bytes>, is_compressed: bool) -> Option<Self> {
        let len: usize = parts.iter().map(Bytes::len).sum();
        let mut head = BytesMut::with_capacity(HEAD);
        head.put_u8(u8::from(is_compressed));
        head.put_u32(u32::try_from(len).ok()?);
        Some(GrpcBody {
            head: Some(head.freeze()),
            parts: parts.into_iter(),
            left: (len + HEAD) as u64,
        })
    }
}

impl Body for GrpcBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self
            .head
            .take()
            .or_else(|| self.parts.find(|part| !part.is_empty()));
        if let Some(data) = &next {
            self.left -= data.len() as u64;
        }
        Poll::Ready(next.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
