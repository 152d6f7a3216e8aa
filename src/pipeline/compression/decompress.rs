//! Decompression that stops at its limit.

use crate::pipeline::compression::{DecompressError, Encoding};
use bytes::Bytes;
use flate2::{Crc, Decompress, FlushDecompress, Status};
use std::cell::RefCell;
use zstd::zstd_safe::{
    DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, get_frame_content_size,
};

/// How far a body may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest decompressed request, in bytes.
    pub limit: usize,
    /// Largest growth, as a multiple of the compressed length.
    pub max_ratio: u32,
    /// Up to so many bytes the growth is not asked: short texts of one character compress a thousandfold.
    pub ratio_floor: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            limit: 64 << 20,
            max_ratio: 200,
            ratio_floor: 1 << 20,
        }
    }
}

/// First allocation when nothing tells the size; grows by doubling.
const FIRST_ROOM: usize = 16 << 10;
/// A zstd context larger than this is not kept for the next request.
const KEPT_CONTEXT_BYTES: usize = 16 << 20;
/// The window that every zstd reader must offer (RFC 8878), as a power of two: 8 MiB.
const MIN_WINDOW_LOG: u32 = 23;
/// zstd's own default bound: 128 MiB.
const MAX_WINDOW_LOG: u32 = 27;

thread_local! {
    static INFLATE: RefCell<Decompress> = RefCell::new(Decompress::new(false));
    static ZSTD: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

/// Decompresses a whole body. `Identity` costs nothing but the look at its length.
///
/// # Errors
/// See [`DecompressError`]; no more than the limit was allocated then.
pub fn decompress(
    encoding: Encoding,
    body: &Bytes,
    limits: Limits,
) -> Result<Bytes, DecompressError> {
    if let Encoding::Identity = encoding {
        return if body.len() > limits.limit {
            Err(DecompressError::TooLarge {
                limit: limits.limit,
            })
        } else {
            Ok(body.clone())
        };
    }
    let mut sink = Sink::new(encoding, body.len(), limits);
    match encoding {
        Encoding::Gzip => gunzip(body, &mut sink)?,
        Encoding::Deflate => {
            let mut rest = body.as_ref();
            inflate(&mut rest, true, &mut sink)?;
            if !rest.is_empty() {
                return Err(sink.malformed("bytes behind the end"));
            }
        }
        Encoding::Zstd => unzstd(body, &mut sink)?,
        Encoding::Identity => {}
    }
    Ok(Bytes::from(sink.out))
}

/// The output, and how much of it there may be.
struct Sink {
    encoding: Encoding,
    out: Vec<u8>,
    /// The smaller of the two bounds.
    most: usize,
    limits: Limits,
}

impl Sink {
    fn new(encoding: Encoding, body_len: usize, limits: Limits) -> Self {
        let by_ratio = usize::try_from(limits.max_ratio)
            .ok()
            .and_then(|ratio| ratio.checked_mul(body_len))
            .unwrap_or(usize::MAX)
            .max(limits.ratio_floor);
        Sink {
            encoding,
            out: Vec::new(),
            most: by_ratio.min(limits.limit),
            limits,
        }
    }

    /// Makes room for at least one byte more. The one byte beyond the bound is there to see that there is one.
    fn make_room(&mut self, hint: usize) {
        if self.out.len() == self.out.capacity() {
            let wanted = self.out.len().max(hint).max(FIRST_ROOM);
            let left = (self.most - self.out.len()).saturating_add(1);
            self.out.reserve_exact(wanted.min(left));
        }
    }

    fn check(&self) -> Result<(), DecompressError> {
        if self.out.len() <= self.most {
            Ok(())
        } else if self.most == self.limits.limit {
            Err(DecompressError::TooLarge {
                limit: self.limits.limit,
            })
        } else {
            Err(DecompressError::Ratio {
                max_ratio: self.limits.max_ratio,
            })
        }
    }

    fn malformed(&self, what: &'static str) -> DecompressError {
        DecompressError::Malformed {
            encoding: self.encoding,
            what,
        }
    }
}

// ── gzip and zlib ──

/// Reads one deflate stream, with zlib's header or bare, and leaves what is behind it.
fn inflate(rest: &mut &[u8], has_header: bool, sink: &mut Sink) -> Result<(), DecompressError> {
    INFLATE.with_borrow_mut(|state| {
        state.reset(has_header);
        loop {
            sink.make_room(4 * rest.len());
            let (read_before, out_before) = (state.total_in(), sink.out.len());
            let status = state
                .decompress_vec(rest, &mut sink.out, FlushDecompress::None)
                .map_err(|_| sink.malformed("invalid deflate stream"))?;
            sink.check()?;
            let read = usize::try_from(state.total_in() - read_before).unwrap_or(usize::MAX);
            *rest = rest.get(read..).unwrap_or_default();
            match status {
                Status::StreamEnd => return Ok(()),
                _ if read == 0 && sink.out.len() == out_before => {
                    return Err(sink.malformed("truncated"));
                }
                _ => {}
            }
        }
    })
}

fn gunzip(body: &[u8], sink: &mut Sink) -> Result<(), DecompressError> {
    let mut rest = body;
    loop {
        skip_gzip_header(&mut rest).map_err(|what| sink.malformed(what))?;
        let start = sink.out.len();
        inflate(&mut rest, false, sink)?;
        let mut crc = Crc::new();
        crc.update(sink.out.get(start..).unwrap_or_default());
        let (found_crc, found_len) = take(&mut rest, 4)
            .zip(take(&mut rest, 4))
            .ok_or_else(|| sink.malformed("truncated"))?;
        if found_crc != crc.sum().to_le_bytes() || found_len != crc.amount().to_le_bytes() {
            return Err(sink.malformed("checksum does not match"));
        }
        if rest.is_empty() {
            return Ok(());
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(taken)
}

fn take_text(rest: &mut &[u8]) -> Option<()> {
    let end = rest.iter().position(|byte| *byte == 0)?;
    take(rest, end + 1).map(|_| ())
}

/// RFC 1952, section 2.3.
fn skip_gzip_header(rest: &mut &[u8]) -> Result<(), &'static str> {
    const HAS_CRC: u8 = 2;
    const HAS_EXTRA: u8 = 4;
    const HAS_NAME: u8 = 8;
    const HAS_COMMENT: u8 = 16;
    const RESERVED: u8 = 0xe0;
    let fixed = take(rest, 10).ok_or("truncated")?;
    let &[0x1f, 0x8b, 8, flags, ..] = fixed else {
        return Err("not a gzip header");
    };
    if flags & RESERVED != 0 {
        return Err("reserved flags in the gzip header");
    }
    let mut fields = || {
        if flags & HAS_EXTRA != 0 {
            let len = <[u8; 2]>::try_from(take(rest, 2)?).ok()?;
            take(rest, u16::from_le_bytes(len).into())?;
        }
        if flags & HAS_NAME != 0 {
            take_text(rest)?;
        }
        if flags & HAS_COMMENT != 0 {
            take_text(rest)?;
        }
        if flags & HAS_CRC != 0 {
            take(rest, 2)?;
        }
        Some(())
    };
    fields().ok_or("truncated")
}

// ── zstd ──

fn unzstd(body: &[u8], sink: &mut Sink) -> Result<(), DecompressError> {
    ZSTD.with_borrow_mut(|kept| {
        let context = kept.get_or_insert_with(DCtx::create);
        let result = read_frames(context, body, sink);
        if context.sizeof() > KEPT_CONTEXT_BYTES {
            *kept = None;
        }
        result
    })
}

fn read_frames(
    context: &mut DCtx<'static>,
    body: &[u8],
    sink: &mut Sink,
) -> Result<(), DecompressError> {
    // a window larger than the longest request is never needed; the context would allocate it
    let window_log = usize::BITS - sink.most.leading_zeros();
    context
        .reset(ResetDirective::SessionAndParameters)
        .and_then(|_| {
            context.set_parameter(DParameter::WindowLogMax(
                window_log.clamp(MIN_WINDOW_LOG, MAX_WINDOW_LOG),
            ))
        })
        .map_err(|_| sink.malformed("decoder could not be prepared"))?;
    // with room for all of a frame whose header tells its size, zstd needs no window at all
    let hint = get_frame_content_size(body).ok().flatten().unwrap_or(0);
    let hint = usize::try_from(hint).unwrap_or(usize::MAX);
    let mut input = InBuffer::around(body);
    loop {
        sink.make_room(hint);
        let (read_before, out_before) = (input.pos(), sink.out.len());
        let mut output = OutBuffer::around_pos(&mut sink.out, out_before);
        let left = context
            .decompress_stream(&mut output, &mut input)
            .map_err(|_| sink.malformed("invalid zstd frame"))?;
        sink.check()?;
        let is_stuck = input.pos() == read_before && sink.out.len() == out_before;
        if input.pos() == body.len() && left == 0 && !body.is_empty() {
            return Ok(());
        }
        if is_stuck {
            return Err(sink.malformed("truncated"));
        }
    }
}
