//! A request as the bytes that are appended for it.

use crate::base::Nanos;
use crate::exporters::file::config::{FileCompression, Format};
use crate::otlp::{capture, json};
use crate::pipeline::compression::{Encoding, compress};
use crate::pipeline::{Cause, Outgoing, Verdict};
use bytes::Bytes;

/// Renders a request. What fails here fails again.
pub(super) fn frame(
    request: &Outgoing,
    format: Format,
    compression: FileCompression,
    now: Nanos,
) -> Result<Vec<u8>, Verdict> {
    let mut out = Vec::new();
    match (format, compression) {
        (Format::Capture, _) if !format.takes(request.signal) => {
            return Err(permanent("a capture holds traces only"));
        }
        (Format::Capture, _) => {
            capture::write_record(&mut out, now, &request.parts).map_err(permanent)?;
        }
        (Format::Json, FileCompression::None) => {
            write_json(request, &mut out)?;
            out.push(b'\n');
        }
        (Format::Json, FileCompression::Zstd) => {
            let mut text = Vec::new();
            write_json(request, &mut text)?;
            let body = compress(Encoding::Zstd, &[text.into()]).map_err(permanent)?;
            write_with_length(&[body], &mut out)?;
        }
        (Format::Proto, FileCompression::None) => write_with_length(&request.parts, &mut out)?,
        (Format::Proto, FileCompression::Zstd) => {
            let body = compress(Encoding::Zstd, &request.parts).map_err(permanent)?;
            write_with_length(&[body], &mut out)?;
        }
    }
    Ok(out)
}

fn write_json(request: &Outgoing, out: &mut Vec<u8>) -> Result<(), Verdict> {
    let parts: Vec<&[u8]> = request.parts.iter().map(Bytes::as_ref).collect();
    json::encode_parts(request.signal, &parts, out).map_err(permanent)
}

fn write_with_length(parts: &[Bytes], out: &mut Vec<u8>) -> Result<(), Verdict> {
    let len: usize = parts.iter().map(Bytes::len).sum();
    let len = u32::try_from(len).map_err(|_| permanent("a request of 4 GiB or more"))?;
    out.extend_from_slice(&len.to_be_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
    Ok(())
}

fn permanent(why: impl ToString) -> Verdict {
    Verdict::Permanent {
        source: Cause::new(format!("request cannot be written: {}", why.to_string())),
    }
}
