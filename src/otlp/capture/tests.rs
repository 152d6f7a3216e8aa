//! Files as they come: whole, cut, packed, foreign.

use super::*;
use crate::otlp::json;
use flate2::Compression;
use flate2::read::GzEncoder;
use proptest::prelude::*;
use std::io::{BufReader, Read as _};

fn read_all(file: &[u8]) -> Vec<Result<Record, String>> {
    // a tiny buffer, so that documents and headers fall across its end
    records(BufReader::with_capacity(3, file))
        .map(|record| record.map_err(|error| error.to_string()))
        .collect()
}

fn gzip(file: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    GzEncoder::new(file, Compression::fast())
        .read_to_end(&mut packed)
        .unwrap();
    packed
}

fn record(arrived: u64, bytes: &[u8]) -> Record {
    Record {
        arrived: Nanos(arrived),
        signal: Signal::Traces,
        bytes: Bytes::copy_from_slice(bytes),
    }
}

fn file_of(records: &[Record]) -> Vec<u8> {
    let mut file = Vec::new();
    for record in records {
        write_record(&mut file, record.arrived, &[&record.bytes]).unwrap();
    }
    file
}

/// The layout of a record, byte by byte.
#[test]
fn a_record_is_time_length_and_bytes() {
    let mut file = Vec::new();
    write_record(&mut file, Nanos(0x0102_0304_0506_0708), &["ab", "c"]).unwrap();
    assert_eq!(file, b"\x08\x07\x06\x05\x04\x03\x02\x01\x03\0\0\0abc");
    assert_eq!(read_all(&file), [Ok(record(0x0102_0304_0506_0708, b"abc"))]);
}

/// A time of 2001 whose bytes are all printable or line ends was taken for text.
#[test]
fn a_time_that_looks_like_text_is_a_time() {
    let written = record(1_005_246_257_410_690_592, b"span");
    let file = file_of(std::slice::from_ref(&written));
    assert!(
        file.iter()
            .take(8)
            .all(|byte| *byte >= b' ' || *byte == b'\r')
    );
    assert_eq!(read_all(&file), [Ok(written)]);
}

proptest! {
    #[test]
    fn what_was_written_is_read(contents in prop::collection::vec((1_010_000_000_000_000_000_u64..2_300_000_000_000_000_000, prop::collection::vec(any::<u8>(), 0..300)), 1..6)) {
        let written: Vec<Record> = contents.iter().map(|(at, bytes)| record(*at, bytes)).collect();
        let file = file_of(&written);
        let expected: Vec<_> = written.into_iter().map(Ok).collect();
        prop_assert_eq!(&read_all(&file), &expected);
        prop_assert_eq!(&read_all(&gzip(&file)), &expected);
    }

    #[test]
    fn any_file_is_answered(file in prop::collection::vec(any::<u8>(), 0..200), text in "[ \\[\\]{}\":,a\\\\]{0,60}") {
        for file in [file.as_slice(), text.as_bytes(), &gzip(&file)] {
            let found = read_all(file);
            let failures = found.iter().filter(|record| record.is_err()).count();
            prop_assert!(failures == 0 || failures == 1 && found.last().unwrap().is_err());
        }
    }
}

#[test]
fn a_cut_file_names_the_record() {
    let first = record(1_800_000_000_000_000_000, b"whole");
    let file = file_of(&[first.clone(), record(1_800_000_000_000_000_001, b"cut off")]);
    for cut in 18..file.len() {
        let found = read_all(&file[..cut]);
        assert_eq!(found[0], Ok(first.clone()));
        let error = found[1].as_ref().unwrap_err();
        assert!(error.starts_with("record 2 is cut short"), "{error}");
        assert_eq!(found.len(), 2);
    }
    assert_eq!(
        read_all(&file[..file.len() - 3])[1],
        Err("record 2 is cut short: the file ends after 4 of 7 bytes".to_owned())
    );
    let packed = gzip(&file);
    let error = read_all(&packed[..packed.len() - 9])
        .pop()
        .unwrap()
        .unwrap_err();
    assert!(error.starts_with("record "), "{error}");
}

#[test]
fn a_length_is_compared_before_anything_is_allocated() {
    let file = b"\0\0\0\0\0\0\0\x18\xff\xff\xff\xffx";
    assert_eq!(
        read_all(file),
        [Err(
            "record 1 is longer than the limit of 67108864 bytes, or this is no capture".to_owned()
        )]
    );
    let file = file_of(&[record(1, b"1234"), record(2, b"12345")]);
    let within: Vec<_> = records_within(file.as_slice(), 4).collect();
    assert!(matches!(
        within[..],
        [
            Ok(_),
            Err(CaptureError::TooLong {
                record: 2,
                limit: 4
            })
        ]
    ));
    let document = br#"{"resourceLogs":[]}"#;
    let found = records_within(document.as_slice(), document.len() - 1).next();
    assert!(matches!(
        found,
        Some(Err(CaptureError::TooLong { record: 1, .. }))
    ));
    assert!(matches!(
        records_within(document.as_slice(), document.len()).next(),
        Some(Ok(_))
    ));
}

#[test]
fn json_is_read_as_documents_or_lines() {
    let spans = r#"{"resourceSpans":[{"schemaUrl":"a}\"]\\"}]}"#;
    let logs = r#"{"other":{},"resource_logs":[{"schemaUrl":"b"}]}"#;
    let metrics = "{\n  \"resourceMetrics\": [\n    {}\n  ]\n}";
    let expected: Vec<_> = [
        (Signal::Traces, spans),
        (Signal::Logs, logs),
        (Signal::Metrics, metrics),
    ]
    .map(|(signal, text)| {
        Ok(Record {
            arrived: Nanos(0),
            signal,
            bytes: json::decode(signal, text.as_bytes()).unwrap().into(),
        })
    })
    .into();
    for between in ["", "\n", "\r\n\r\n"] {
        let file = format!("{between}{spans}{between}{logs}{between}{metrics}{between}");
        assert_eq!(read_all(file.as_bytes()), expected, "{between:?}");
        assert_eq!(read_all(&gzip(file.as_bytes())), expected, "{between:?}");
    }
}

#[test]
fn what_is_wrong_with_json_is_said() {
    for (file, expected) in [
        (
            "{\"resourceSpans\":[]}\n{}",
            "record 2 has none of `resourceSpans`, `resourceMetrics` and `resourceLogs`",
        ),
        (
            "{\"resourceSpans\":[{]",
            "record 1 is cut short: the file ends after 20 of 21 bytes",
        ),
        (
            "{\"resourceSpans\":5}",
            "record 1: malformed request: resourceSpans: invalid type: integer `5`, expected a list at byte 18",
        ),
        (
            "[{\"resourceSpans\":[]}]",
            "not a capture: expected records, OTLP/JSON, or either in gzip; found a JSON list",
        ),
        (
            "Hello, world",
            "not a capture: expected records, OTLP/JSON, or either in gzip; found text",
        ),
        (
            "  ",
            "not a capture: expected records, OTLP/JSON, or either in gzip; found text",
        ),
        (
            "(\u{b5}/",
            "not a capture: expected records, OTLP/JSON, or either in gzip; found text",
        ),
    ] {
        let error = read_all(file.as_bytes()).pop().unwrap().unwrap_err();
        assert_eq!(error, expected, "{file}");
    }
    let error = read_all(b"\x28\xb5\x2f\xfd\0\0\0\0")
        .pop()
        .unwrap()
        .unwrap_err();
    assert!(error.ends_with("found zstd"), "{error}");
}

#[test]
fn an_empty_file_has_no_records() {
    assert_eq!(read_all(b""), []);
    assert_eq!(read_all(&gzip(b"")), []);
}
