//! Recorded requests: files of records, and what the Collector's file exporter writes.

use std::path::{Path, PathBuf};

use bytes::Bytes;

/// The requests of a capture file in order: `[u64 LE unix nanoseconds][u32 LE length][request]` …
///
/// # Panics
/// When the file is cut off in the middle of a record.
#[must_use]
pub fn records(path: &Path) -> Vec<Bytes> {
    let file = Bytes::from(read(path));
    let mut requests = Vec::new();
    let mut at = 0;
    while at < file.len() {
        let length = u32::from_le_bytes(file[at + 8..at + 12].try_into().expect("four bytes"));
        let end = at + 12 + usize::try_from(length).expect("64-bit sizes");
        requests.push(file.slice(at + 12..end));
        at = end;
    }
    requests
}

/// A capture file of these requests, as [`records`] reads it.
///
/// # Panics
/// When a request is over 4 GiB.
#[must_use]
pub fn file_of(requests: &[Bytes]) -> Vec<u8> {
    let mut file = Vec::new();
    for request in requests {
        let length = u32::try_from(request.len()).expect("a request under 4 GiB");
        file.extend(0u64.to_le_bytes());
        file.extend(length.to_le_bytes());
        file.extend(request);
    }
    file
}

/// The requests that the Collector's `file` exporter wrote with `format: proto`: `[u32 BE length][request]` …
/// A last message that is not whole yet is left out.
#[must_use]
pub fn collector_file(path: &Path) -> Vec<Bytes> {
    let file = Bytes::from(std::fs::read(path).unwrap_or_default());
    let mut requests = Vec::new();
    let mut at = 0;
    while at + 4 <= file.len() {
        let length = u32::from_be_bytes(file[at..at + 4].try_into().expect("four bytes"));
        let end = at + 4 + usize::try_from(length).expect("64-bit sizes");
        if end > file.len() {
            break;
        }
        requests.push(file.slice(at + 4..end));
        at = end;
    }
    requests
}

/// The captures to send through: those shipped with the project, and those below `AGENTGUARD_CAPTURES`.
#[must_use]
pub fn all() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/captures");
    collect(&shipped, &mut found);
    if let Some(more) = std::env::var_os("AGENTGUARD_CAPTURES").filter(|dir| !dir.is_empty()) {
        collect(Path::new(&more), &mut found);
    }
    found.sort();
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "otlp")
        {
            found.push(path);
        }
    }
}

/// The file, decompressed if its name says so.
fn read(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if path.extension().is_some_and(|extension| extension == "zst") {
        zstd::decode_all(&bytes[..]).expect("a file that zstd wrote")
    } else {
        bytes
    }
}
