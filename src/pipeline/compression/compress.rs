//! Compression of a request that may lie in several parts.

use crate::pipeline::compression::Encoding;
use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use std::cell::RefCell;
use std::io;
use zstd::zstd_safe::{
    self, CCtx, CParameter, InBuffer, OutBuffer, ResetDirective, zstd_sys::ZSTD_EndDirective,
};

/// As in the Collector: zlib's default.
const DEFLATE_LEVEL: u32 = 6;
/// As in the Collector: zstd's default.
const ZSTD_LEVEL: i32 = 3;
/// Room that is not worth giving back, in bytes.
const KEPT_ROOM: usize = 64 << 10;
/// Magic, deflate, no flags, no time, no hint, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

thread_local! {
    static BARE: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(DEFLATE_LEVEL), false));
    static WITH_HEADER: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(DEFLATE_LEVEL), true));
    static ZSTD: RefCell<CCtx<'static>> = RefCell::new(CCtx::create());
}

/// Compresses the parts as one body. One part under `Identity` is handed back as it is.
///
/// # Errors
/// What the codec says; it has no reason to with memory to write to.
pub fn compress(encoding: Encoding, parts: &[Bytes]) -> io::Result<Bytes> {
    let len: usize = parts.iter().map(Bytes::len).sum();
    let mut out = Vec::new();
    match (encoding, parts) {
        (Encoding::Identity, [whole]) => return Ok(whole.clone()),
        (Encoding::Identity, _) => {
            out.reserve_exact(len);
            parts.iter().for_each(|part| out.extend_from_slice(part));
        }
        (Encoding::Gzip, _) => {
            out.reserve(len / 4 + 64);
            out.extend_from_slice(&GZIP_HEADER);
            BARE.with_borrow_mut(|state| deflate(state, parts, &mut out))?;
            let mut crc = Crc::new();
            parts.iter().for_each(|part| crc.update(part));
            out.extend_from_slice(&crc.sum().to_le_bytes());
            out.extend_from_slice(&crc.amount().to_le_bytes());
        }
        (Encoding::Deflate, _) => {
            out.reserve(len / 4 + 64);
            WITH_HEADER.with_borrow_mut(|state| deflate(state, parts, &mut out))?;
        }
        (Encoding::Zstd, _) => ZSTD
            .with_borrow_mut(|context| zstd(context, parts, len, &mut out))
            .map_err(|code| io::Error::other(zstd_safe::get_error_name(code)))?,
    }
    if out.capacity() / 2 > out.len().max(KEPT_ROOM) {
        out.shrink_to_fit(); // the body may wait for a slow peer; zstd was given room for the worst case
    }
    Ok(Bytes::from(out))
}

fn deflate(state: &mut Compress, parts: &[Bytes], out: &mut Vec<u8>) -> io::Result<()> {
    state.reset();
    let end: [&[u8]; 1] = [&[]];
    let inputs = parts.iter().map(Bytes::as_ref).chain(end);
    let last = parts.len();
    for (index, mut rest) in inputs.enumerate() {
        let flush = if index == last {
            FlushCompress::Finish
        } else {
            FlushCompress::None
        };
        loop {
            if out.len() == out.capacity() {
                out.reserve(out.len().max(64));
            }
            let before = state.total_in();
            let status = state.compress_vec(rest, out, flush)?;
            let read = usize::try_from(state.total_in() - before).unwrap_or(usize::MAX);
            rest = rest.get(read..).unwrap_or_default();
            let is_done = match flush {
                FlushCompress::Finish => status == Status::StreamEnd,
                _ => rest.is_empty(),
            };
            if is_done {
                break;
            }
        }
    }
    Ok(())
}

fn zstd(
    context: &mut CCtx<'static>,
    parts: &[Bytes],
    len: usize,
    out: &mut Vec<u8>,
) -> Result<(), zstd_safe::ErrorCode> {
    context.reset(ResetDirective::SessionAndParameters)?;
    context.set_parameter(CParameter::CompressionLevel(ZSTD_LEVEL))?;
    context.set_pledged_src_size(Some(len as u64))?; // the reader allocates once
    out.reserve(zstd_safe::compress_bound(len));
    let (last, first) = match parts.split_last() {
        Some((last, first)) => (last.as_ref(), first),
        None => (&[][..], parts),
    };
    for part in first {
        let mut input = InBuffer::around(part);
        while input.pos() < part.len() {
            write_some(context, &mut input, ZSTD_EndDirective::ZSTD_e_continue, out)?;
        }
    }
    let mut input = InBuffer::around(last);
    while write_some(context, &mut input, ZSTD_EndDirective::ZSTD_e_end, out)? > 0 {}
    Ok(())
}

/// One call of the codec; how much it still holds back.
fn write_some(
    context: &mut CCtx<'static>,
    input: &mut InBuffer<'_>,
    directive: ZSTD_EndDirective,
    out: &mut Vec<u8>,
) -> Result<usize, zstd_safe::ErrorCode> {
    if out.len() == out.capacity() {
        out.reserve(out.len().max(64));
    }
    let at = out.len();
    let mut output = OutBuffer::around_pos(out, at);
    context.compress_stream2(&mut output, input, directive)
}
