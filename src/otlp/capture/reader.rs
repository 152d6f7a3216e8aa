//! Reads records of whichever format the first bytes show.

use crate::base::Nanos;
use crate::otlp::capture::document::{Extent, signal_of};
use crate::otlp::capture::{CaptureError, MAX_RECORD_BYTES, Record};
use crate::otlp::{Signal, json};
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::mem;

/// Bytes looked at to tell the format: a record's time.
const PEEKED_BYTES: usize = 8;
/// A record's time and length.
const HEADER_BYTES: usize = 12;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Reads records of at most [`MAX_RECORD_BYTES`].
pub fn records<R: BufRead>(reader: R) -> Records<R> {
    records_within(reader, MAX_RECORD_BYTES)
}

/// Reads records of at most so many bytes (of JSON: bytes of text).
pub fn records_within<R: BufRead>(reader: R, limit: usize) -> Records<R> {
    Records {
        source: Source::New(reader),
        format: Format::Unknown,
        limit,
        record: 0,
    }
}

/// The records of one file, in order. The format is looked for when the first is asked for.
pub struct Records<R: BufRead> {
    source: Source<R>,
    format: Format,
    limit: usize,
    record: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Unknown,
    Capture,
    Json,
    /// Nothing more to read, or nothing that could be.
    Ended,
}

/// What was peeked at stands before the rest.
type Peeked<R> = io::Chain<Cursor<Vec<u8>>, R>;

enum Source<R: BufRead> {
    New(R),
    Plain(Peeked<R>),
    /// Boxed, as the decoder is large; buffered twice, because the format inside is peeked at as well.
    Gzip(Box<Peeked<BufReader<MultiGzDecoder<Peeked<R>>>>>),
    Gone,
}

impl<R: BufRead> Source<R> {
    fn open(&mut self) -> Option<&mut dyn BufRead> {
        match self {
            Source::Plain(reader) => Some(reader),
            Source::Gzip(reader) => Some(reader.as_mut()),
            Source::New(_) | Source::Gone => None,
        }
    }
}

fn peek<R: BufRead>(mut reader: R) -> io::Result<(Vec<u8>, Peeked<R>)> {
    let mut start = Vec::with_capacity(PEEKED_BYTES);
    reader
        .by_ref()
        .take(PEEKED_BYTES as u64)
        .read_to_end(&mut start)?;
    Ok((start.clone(), Cursor::new(start).chain(reader)))
}

fn format_of(start: &[u8]) -> Result<Format, CaptureError> {
    let unknown = |found| Err(CaptureError::UnknownFormat { found });
    // JSON has no control characters but these; a capture's eighth byte, the highest of a time in nanoseconds, is another
    // one from 2002 to 2043. Outside of these years a time is taken for text if all of its bytes look like it.
    let is_text = start
        .iter()
        .all(|byte| *byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r'));
    let is_time = start.get(PEEKED_BYTES - 1).is_some_and(|byte| *byte < b' ');
    let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        None if start.is_empty() => Ok(Format::Ended),
        Some(b'{') if is_text => Ok(Format::Json),
        Some(b'[') if is_text => unknown("a JSON list"),
        _ if start.starts_with(&ZSTD_MAGIC) => unknown("zstd"),
        _ if is_text && !is_time => unknown("text"),
        _ => Ok(Format::Capture),
    }
}

impl<R: BufRead> Records<R> {
    fn detect(&mut self) -> Result<(), CaptureError> {
        let reader = match mem::replace(&mut self.source, Source::Gone) {
            Source::New(reader) => reader,
            opened => {
                self.source = opened;
                return Ok(());
            }
        };
        let failed = |source| CaptureError::Io { record: 1, source };
        let (start, reader) = peek(reader).map_err(failed)?;
        if start.starts_with(&GZIP_MAGIC) {
            let inside = BufReader::new(MultiGzDecoder::new(reader));
            let (start, inside) = peek(inside).map_err(failed)?;
            self.format = format_of(&start)?;
            self.source = Source::Gzip(Box::new(inside));
        } else {
            self.format = format_of(&start)?;
            self.source = Source::Plain(reader);
        }
        Ok(())
    }

    fn read_next(&mut self) -> Result<Option<Record>, CaptureError> {
        self.detect()?;
        let Some(reader) = self.source.open() else {
            return Ok(None);
        };
        let within = Within {
            reader,
            record: self.record + 1,
            limit: self.limit,
        };
        let next = match self.format {
            Format::Capture => within.read_record()?,
            Format::Json => within.read_document()?,
            Format::Unknown | Format::Ended => None,
        };
        self.record += 1;
        Ok(next)
    }
}

impl<R: BufRead> Iterator for Records<R> {
    type Item = Result<Record, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read_next().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.format = Format::Ended;
            self.source = Source::Gone;
        }
        next
    }
}

/// One record being read.
struct Within<'r> {
    reader: &'r mut dyn BufRead,
    record: u64,
    limit: usize,
}

impl Within<'_> {
    fn failed(&self, source: io::Error) -> CaptureError {
        CaptureError::Io {
            record: self.record,
            source,
        }
    }

    fn truncated(&self, found: usize, expected: usize) -> CaptureError {
        CaptureError::Truncated {
            record: self.record,
            found,
            expected,
        }
    }

    fn too_long(&self) -> CaptureError {
        CaptureError::TooLong {
            record: self.record,
            limit: self.limit,
        }
    }

    /// As many bytes as there are, up to `len`; grows by what comes.
    fn read_up_to(&mut self, len: usize) -> Result<Vec<u8>, CaptureError> {
        let mut bytes = Vec::with_capacity(len.min(1 << 20));
        let mut part = (&mut *self.reader).take(len as u64);
        match part.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(source) => Err(self.failed(source)),
        }
    }

    fn read_record(mut self) -> Result<Option<Record>, CaptureError> {
        let header = self.read_up_to(HEADER_BYTES)?;
        if header.is_empty() {
            return Ok(None);
        }
        let Some((time, len)) = header
            .split_first_chunk()
            .and_then(|(time, rest)| Some((time, rest.first_chunk()?)))
        else {
            return Err(self.truncated(header.len(), HEADER_BYTES));
        };
        let len = usize::try_from(u32::from_le_bytes(*len)).unwrap_or(usize::MAX);
        if len > self.limit {
            return Err(self.too_long());
        }
        let bytes = self.read_up_to(len)?;
        if bytes.len() < len {
            return Err(self.truncated(bytes.len(), len));
        }
        Ok(Some(Record {
            arrived: Nanos(u64::from_le_bytes(*time)),
            signal: Signal::Traces,
            bytes: Bytes::from(bytes),
        }))
    }

    fn read_document(mut self) -> Result<Option<Record>, CaptureError> {
        let Some(text) = self.read_text()? else {
            return Ok(None);
        };
        let record = self.record;
        let signal = signal_of(&text).ok_or(CaptureError::UnknownSignal { record })?;
        let bytes = json::decode(signal, &text)
            .map_err(|source| CaptureError::Malformed { record, source })?;
        Ok(Some(Record {
            arrived: Nanos::default(),
            signal,
            bytes: Bytes::from(bytes),
        }))
    }

    /// The next document's text, without the white space before it.
    fn read_text(&mut self) -> Result<Option<Vec<u8>>, CaptureError> {
        let mut text = Vec::new();
        let mut extent = Extent::default();
        loop {
            let piece = match self.reader.fill_buf() {
                Ok(piece) => piece,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(self.failed(source)),
            };
            if piece.is_empty() {
                return if text.is_empty() {
                    Ok(None)
                } else {
                    Err(self.truncated(text.len(), text.len() + 1))
                };
            }
            let skipped = if text.is_empty() {
                piece
                    .iter()
                    .take_while(|byte| byte.is_ascii_whitespace())
                    .count()
            } else {
                0
            };
            let rest = piece.get(skipped..).unwrap_or_default();
            let end = extent.feed(rest);
            let taken = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let len = taken.len();
            if text.len() + len > self.limit {
                return Err(self.too_long());
            }
            text.extend_from_slice(taken);
            self.reader.consume(skipped + len);
            if end.is_some() {
                return Ok(Some(text));
            }
        }
    }
}
