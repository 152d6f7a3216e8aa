//! What holds for any input of the formats around requests: JSON, compression, captures, configurations, gRPC frames.
#![allow(dead_code, reason = "each fuzz target calls one of them")]
#![allow(clippy::expect_used, reason = "a check fails by panicking")]

use agentguard::base::Problems;
use agentguard::config::{Document, Env};
use agentguard::otlp::{Signal, capture, json, validate};
use agentguard::pipeline::compression::{DecompressError, Encoding, Limits, compress, decompress};
use agentguard::receivers::otlp::{FrameError, unframe};
use agentguard::service::Plan;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::de::DeserializeOwned;
use std::io::{self, Read};

/// The bytes as the generated types write them, after they have read them.
fn through_prost(signal: Signal, bytes: &[u8]) -> Vec<u8> {
    fn of<T: Message + Default>(bytes: &[u8]) -> Vec<u8> {
        T::decode(bytes).expect("a valid request").encode_to_vec()
    }
    match signal {
        Signal::Traces => of::<ExportTraceServiceRequest>(bytes),
        Signal::Metrics => of::<ExportMetricsServiceRequest>(bytes),
        Signal::Logs => of::<ExportLogsServiceRequest>(bytes),
    }
}

/// The bytes of a text as the generated types read it, if they do.
fn through_serde(signal: Signal, text: &[u8]) -> Option<Vec<u8>> {
    fn of<T: Message + DeserializeOwned>(text: &[u8]) -> Option<Vec<u8>> {
        Some(serde_json::from_slice::<T>(text).ok()?.encode_to_vec())
    }
    match signal {
        Signal::Traces => of::<ExportTraceServiceRequest>(text),
        Signal::Metrics => of::<ExportMetricsServiceRequest>(text),
        Signal::Logs => of::<ExportLogsServiceRequest>(text),
    }
}

/// The first byte chooses the signal, the rest is a text. What is read is a valid request, and reads the same after
/// it was written, by us and by the generated types where they can read it at all.
pub(crate) fn json(input: &[u8]) {
    let Some((choice, text)) = input.split_first() else {
        return;
    };
    let signal = Signal::ALL[usize::from(*choice) % 3];
    let bytes = match json::decode(signal, text) {
        Ok(bytes) => bytes,
        Err(malformed) => {
            assert!(malformed.at <= text.len(), "{malformed}");
            return;
        }
    };
    validate(signal, &bytes).expect("what was read is valid");
    let read = through_prost(signal, &bytes);
    let mut written = Vec::new();
    json::encode(signal, &bytes, &mut written).expect("what was read can be written");
    let again = json::decode(signal, &written).expect("what was written can be read");
    assert_eq!(through_prost(signal, &again), read);
    // not on the text itself: they know one spelling of a name, we both
    if let Some(theirs) = through_serde(signal, &written) {
        assert_eq!(theirs, read, "with-serde reads something else");
    }
}

const LIMITS: Limits = Limits {
    limit: 64 << 10,
    max_ratio: 50,
    ratio_floor: 4 << 10,
};

/// What the libraries' own readers make of a body, no more than one byte above the limit.
fn plain(encoding: Encoding, body: &[u8]) -> io::Result<Vec<u8>> {
    let most = LIMITS.limit as u64 + 1;
    let mut out = Vec::new();
    match encoding {
        Encoding::Gzip => flate2::read::MultiGzDecoder::new(body)
            .take(most)
            .read_to_end(&mut out)?,
        Encoding::Deflate => flate2::read::ZlibDecoder::new(body)
            .take(most)
            .read_to_end(&mut out)?,
        Encoding::Zstd => zstd::Decoder::new(body)?.take(most).read_to_end(&mut out)?,
        Encoding::Identity => body.take(most).read_to_end(&mut out)?,
    };
    Ok(out)
}

/// The first byte chooses the encoding, the rest is a body. What comes out is within its bounds and what the library's
/// own reader makes of it; what is packed can be unpacked.
pub(crate) fn compression(input: &[u8]) {
    let Some((choice, body)) = input.split_first() else {
        return;
    };
    let encoding = [
        Encoding::Gzip,
        Encoding::Zstd,
        Encoding::Deflate,
        Encoding::Identity,
    ][usize::from(*choice) % 4];
    let body = Bytes::copy_from_slice(body);
    match decompress(encoding, &body, LIMITS) {
        Ok(out) => {
            let ratio = body.len().saturating_mul(50).max(LIMITS.ratio_floor);
            let most = if encoding == Encoding::Identity {
                LIMITS.limit
            } else {
                ratio.min(LIMITS.limit)
            };
            assert!(
                out.len() <= most,
                "{} bytes where {most} are allowed",
                out.len()
            );
            if let Ok(theirs) = plain(encoding, &body) {
                assert_eq!(out, theirs, "the library unpacks something else");
            }
        }
        Err(DecompressError::TooLarge { .. }) => {
            let theirs = plain(encoding, &body);
            assert!(theirs.is_err() || theirs.is_ok_and(|out| out.len() > LIMITS.limit));
        }
        Err(_) => {}
    }
    let packed = compress(encoding, std::slice::from_ref(&body)).expect("anything can be packed");
    let limits = Limits {
        max_ratio: u32::MAX,
        limit: body.len(),
        ..LIMITS
    };
    assert_eq!(
        decompress(encoding, &packed, limits).expect("what was packed can be unpacked"),
        body
    );
}

/// A file of records: ends, says nothing after a failure, and is the records that it was read as.
pub(crate) fn capture(input: &[u8]) {
    const LIMIT: usize = 32 << 10;
    let mut written = Vec::new();
    let mut is_whole = true;
    for record in capture::records_within(input, LIMIT) {
        assert!(is_whole, "a record after a failure");
        match record {
            Ok(record) => {
                capture::write_record(&mut written, record.arrived, &[&record.bytes])
                    .expect("memory takes all");
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                is_whole = false;
            }
        }
    }
    let is_binary = input.len() > 12
        && !matches!(
            input[0],
            b'{' | b'[' | 0x1f | b' ' | b'\n' | b'\r' | b'\t' | 0xef
        );
    if is_binary && is_whole {
        assert_eq!(written, input, "not the records that are in the file");
    }
}

/// A configuration: any text has an answer, and what has no mistakes loads to the same after it was printed.
pub(crate) fn configuration(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let load = |text: &str| {
        let var = |name: &str| {
            name.starts_with('A')
                .then(|| format!("[{name}, ${{env:B}}]"))
        };
        let file = |path: &std::path::Path| match path.to_str() {
            Some("input.yaml") => Ok(text.to_owned()),
            Some("other") => Ok("a: {b: 1}".to_owned()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        let env = Env {
            var: &var,
            file: &file,
        };
        Document::load(&["input.yaml"], &env)
    };
    let (document, problems) = load(text);
    let mut of_plan = Problems::new();
    drop(Plan::read(&document, &mut of_plan));
    if !problems.errors().is_empty() {
        return;
    }
    let printed = document.to_yaml(false);
    let (again, problems) = load(&printed);
    assert!(problems.errors().is_empty(), "{problems:?} in {printed}");
    assert_eq!(again.to_yaml(false), printed);
}

/// A gRPC frame: one message of the announced length, or the reason why not.
pub(crate) fn frame(input: &[u8]) {
    const LIMIT: usize = 600;
    let body = Bytes::copy_from_slice(input);
    let announced = input.get(1..5).map(|length| {
        length
            .iter()
            .fold(0, |all, byte| all << 8 | usize::from(*byte))
    });
    match unframe(&body, LIMIT) {
        Ok((is_compressed, message)) => {
            assert!(message.len() <= LIMIT && Some(message.len()) == announced);
            assert_eq!(
                input,
                [&[u8::from(is_compressed)], &input[1..5], &message].concat()
            );
        }
        Err(FrameError::Short { found }) => assert!(found < 5 && found == input.len()),
        Err(FrameError::Flag { flag }) => assert!(flag > 1 && input[0] == flag),
        Err(FrameError::TooLarge {
            announced: told, ..
        }) => assert!(told > LIMIT && Some(told) == announced),
        Err(FrameError::Length {
            announced: told,
            found,
        }) => {
            assert!(told != found && Some(told) == announced && found == input.len() - 5);
        }
    }
}
