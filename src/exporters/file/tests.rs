//! Files as they are left behind.
#![expect(clippy::disallowed_methods, reason = "tests unpack what they packed")]

use super::*;
use crate::otlp::{Signal, capture, json};
use crate::pipeline::Outgoing;
use bytes::Bytes;
use std::collections::BTreeMap;
use tempfile::TempDir;

/// 2026-09-14 05:02:14.173 UTC.
fn noon() -> Nanos {
    Nanos(1_789_362_134_173_456_789)
}

fn request(name: &str) -> Outgoing {
    let text = format!(r#"{{"resourceSpans":[{{"schemaUrl":"{name}"}}]}}"#);
    let bytes = json::decode(Signal::Traces, text.as_bytes()).unwrap();
    Outgoing {
        signal: Signal::Traces,
        parts: vec![Bytes::from(bytes)],
        items: 0,
    }
}

fn config(directory: &TempDir, name: &str) -> FileConfig {
    FileConfig {
        path: directory.path().join(name).display().to_string(),
        ..FileConfig::default()
    }
}

async fn write_all(config: &FileConfig, requests: &[Outgoing]) {
    let exporter = FileExporter::new(config.clone(), noon);
    exporter.start().await.unwrap();
    for request in requests {
        exporter.export(request.clone()).await.unwrap();
    }
    exporter.shutdown(Duration::from_secs(5)).await;
    exporter.shutdown(Duration::from_secs(5)).await;
}

/// File names and contents.
fn found(directory: &Path) -> BTreeMap<String, String> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let content = String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned();
            (entry.file_name().into_string().unwrap(), content)
        })
        .collect()
}

#[tokio::test]
async fn json_is_a_line_a_request_of_all_its_parts() {
    let directory = TempDir::new().unwrap();
    let config = config(&directory, "spans.json");
    let mut merged = request("a");
    merged.parts.extend(request("b").parts);
    write_all(&config, &[merged, request("c")]).await;
    let expected = "{\"resourceSpans\":[{\"schemaUrl\":\"a\"},{\"schemaUrl\":\"b\"}]}\n{\"resourceSpans\":[{\"schemaUrl\":\"c\"}]}\n";
    assert_eq!(fs::read_to_string(&config.path).unwrap(), expected);

    // emptied at the start, unless asked to append
    write_all(&config, &[request("d")]).await;
    let appending = FileConfig {
        append: true,
        ..config.clone()
    };
    write_all(&appending, &[request("e")]).await;
    let expected = "{\"resourceSpans\":[{\"schemaUrl\":\"d\"}]}\n{\"resourceSpans\":[{\"schemaUrl\":\"e\"}]}\n";
    assert_eq!(fs::read_to_string(&config.path).unwrap(), expected);
}

#[tokio::test]
async fn a_capture_reads_back() {
    let directory = TempDir::new().unwrap();
    let config = FileConfig {
        format: Format::Capture,
        ..config(&directory, "capture.otlp")
    };
    let mut merged = request("a");
    merged.parts.extend(request("b").parts);
    write_all(&config, &[merged.clone(), request("c")]).await;
    let file = io::BufReader::new(File::open(&config.path).unwrap());
    let records: Vec<_> = capture::records(file).map(Result::unwrap).collect();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].arrived, noon());
    assert_eq!(records[0].bytes, merged.parts.concat());
    assert_eq!(records[1].bytes, request("c").parts[0]);

    let exporter = FileExporter::new(config, noon);
    exporter.start().await.unwrap();
    let logs = Outgoing {
        signal: Signal::Logs,
        ..request("x")
    };
    let refused = exporter.export(logs).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "permanent: request cannot be written: a capture holds traces only"
    );
}

#[tokio::test]
async fn lengths_stand_before_protobuf_and_zstd() {
    let directory = TempDir::new().unwrap();
    let bytes = request("abc").parts.concat();
    for (format, plain) in [
        (Format::Proto, bytes.clone()),
        (
            Format::Json,
            br#"{"resourceSpans":[{"schemaUrl":"abc"}]}"#.to_vec(),
        ),
    ] {
        let config = FileConfig {
            format,
            compression: FileCompression::Zstd,
            ..config(&directory, "packed")
        };
        write_all(&config, &[request("abc")]).await;
        let file = fs::read(&config.path).unwrap();
        let (len, body) = file.split_first_chunk().unwrap();
        assert_eq!(u32::from_be_bytes(*len) as usize, body.len());
        assert_eq!(zstd::decode_all(body).unwrap(), plain);
    }
    let config = FileConfig {
        format: Format::Proto,
        ..config(&directory, "plain")
    };
    write_all(&config, &[request("abc"), request("abc")]).await;
    let one = [
        &u32::try_from(bytes.len()).unwrap().to_be_bytes(),
        bytes.as_slice(),
    ]
    .concat();
    assert_eq!(fs::read(&config.path).unwrap(), [one.clone(), one].concat());
}

#[tokio::test]
async fn a_full_file_is_put_aside_and_old_ones_go() {
    let directory = TempDir::new().unwrap();
    let rotation = RotationConfig {
        max_megabytes: 1,
        max_days: 2,
        max_backups: 3,
    };
    let config = FileConfig {
        rotation: Some(rotation),
        ..config(&directory, "spans.json")
    };
    let touch = |name: &str| fs::write(directory.path().join(name), "old").unwrap();
    touch("spans-2026-09-11T05-02-14.000.json"); // three days old
    touch("spans-2026-09-13T05-02-14.000.json"); // one day old
    touch("spans-2026-09-11T05-02-14.000.json.bak"); // not ours, nor are these
    touch("spans-2026-9-11T05-02-14.000.json");
    touch("spans-of-2026.json");
    touch("other-2026-09-11T05-02-14.000.json");

    let half = "x".repeat(600 << 10);
    let big = "y".repeat(2 << 20);
    write_all(
        &config,
        &[
            request(&half),
            request("small"),
            request(&half),
            request(&big),
            request("last"),
        ],
    )
    .await;

    let sizes: Vec<(String, usize)> = found(directory.path())
        .into_iter()
        .map(|(name, content)| (name, content.len()))
        .collect();
    let around = r#"{"resourceSpans":[{"schemaUrl":""}]}"#.len() + 1;
    let expected = [
        ("other-2026-09-11T05-02-14.000.json", 3),
        ("spans-2026-09-11T05-02-14.000.json.bak", 3),
        // the file of a day ago gave way to three newer ones; of one moment, each has its own millisecond
        (
            "spans-2026-09-14T05-02-14.173.json",
            half.len() + 5 + 2 * around,
        ),
        ("spans-2026-09-14T05-02-14.174.json", half.len() + around),
        ("spans-2026-09-14T05-02-14.175.json", big.len() + around),
        ("spans-2026-9-11T05-02-14.000.json", 3),
        ("spans-of-2026.json", 3),
        ("spans.json", 4 + around),
    ];
    assert_eq!(sizes, expected.map(|(name, len)| (name.to_owned(), len)));

    // a file that rotates is continued at the next start
    write_all(&config, &[request("more")]).await;
    assert_eq!(fs::read_to_string(&config.path).unwrap().lines().count(), 2);
}

#[tokio::test]
async fn a_file_without_extension_rotates_too() {
    let directory = TempDir::new().unwrap();
    let rotation = RotationConfig {
        max_megabytes: 1,
        ..RotationConfig::default()
    };
    let config = FileConfig {
        rotation: Some(rotation),
        ..config(&directory, "spans")
    };
    let big = request(&"y".repeat(1 << 20));
    write_all(&config, &[big.clone(), big]).await;
    let names: Vec<String> = found(directory.path()).into_keys().collect();
    assert_eq!(names, ["spans", "spans-2026-09-14T05-02-14.173"]);
}

#[tokio::test]
async fn directories_are_made_when_asked() {
    let directory = TempDir::new().unwrap();
    let mut config = config(&directory, "a/b/spans.json");
    let exporter = FileExporter::new(config.clone(), noon);
    let error = exporter.start().await.unwrap_err();
    assert!(
        error.to_string().starts_with("cannot write file `"),
        "{error}"
    );
    let refused = exporter.export(request("a")).await.unwrap_err();
    assert!(
        matches!(refused, Verdict::Retry { after: None, .. }),
        "{refused}"
    );

    config.create_directory = true;
    config.directory_permissions = Some("0700".to_owned());
    write_all(&config, &[request("a")]).await;
    assert!(fs::exists(&config.path).unwrap());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(directory.path().join("a"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

/// A device that is always full: the request stays with the queue.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_a_retry() {
    let config = FileConfig {
        path: "/dev/full".to_owned(),
        append: true,
        ..FileConfig::default()
    };
    let exporter = FileExporter::new(config, noon);
    exporter.start().await.unwrap();
    let refused = exporter.export(request("a")).await.unwrap_err();
    let text = refused.to_string();
    assert!(
        text.starts_with("retryable: cannot write file `/dev/full`: No space left on device"),
        "{text}"
    );
}

/// What was written of a request before the disk filled up is taken back.
#[test]
fn half_a_request_is_taken_back() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("spans.json");
    let mut output = Output::open(&path, false).unwrap();
    output.append(b"whole\n").unwrap();
    let failed = output.append_by(5, |file| {
        file.write_all(b"ha")?;
        Err(io::ErrorKind::StorageFull.into())
    });
    assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
    output.append(b"next\n").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"whole\nnext\n");
}

#[test]
fn sections_are_read_as_the_collector_reads_them() {
    let read = |text: &str| serde_json::from_str::<FileConfig>(text);
    let config =
        read(r#"{"path":"a","rotation":null,"compression":"zstd","format":"proto"}"#).unwrap();
    assert_eq!(config.rotation, Some(RotationConfig::default()));
    assert_eq!(config.mistakes(), []);
    assert_eq!(
        read(r#"{"path":"a","compression":""}"#).unwrap().rotation,
        None
    );
    let error = read(r#"{"compression":"gzip"}"#).unwrap_err().to_string();
    assert!(
        error.contains("unknown variant `gzip`, expected one of ``, `none`, `zstd`"),
        "{error}"
    );
    assert!(read(r#"{"rotation":{"max_size":1}}"#).is_err());
}

#[test]
fn every_mistake_is_named() {
    let keys = |config: FileConfig| -> Vec<&str> {
        config.mistakes().into_iter().map(|(key, ..)| key).collect()
    };
    let good = FileConfig {
        path: "a".to_owned(),
        ..FileConfig::default()
    };
    assert_eq!(keys(good.clone()), [""; 0]);
    let bad = FileConfig {
        path: " ".to_owned(),
        append: true,
        rotation: Some(RotationConfig {
            max_megabytes: 0,
            ..RotationConfig::default()
        }),
        format: Format::Capture,
        compression: FileCompression::Zstd,
        create_directory: false,
        directory_permissions: Some("rwx".to_owned()),
    };
    assert_eq!(
        keys(bad),
        [
            "path",
            "compression",
            "append",
            "rotation",
            "directory_permissions",
            "directory_permissions"
        ]
    );
    for (mode, is_mode) in [
        ("755", true),
        ("0755", true),
        ("1777", false),
        ("0o7", false),
        ("-1", false),
    ] {
        let config = FileConfig {
            create_directory: true,
            directory_permissions: Some(mode.to_owned()),
            ..good.clone()
        };
        assert_eq!(config.mistakes().is_empty(), is_mode, "{mode}");
    }
}
