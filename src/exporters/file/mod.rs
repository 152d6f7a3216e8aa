//! `file`: appends requests to a file, as the Collector's exporter of that name does, or as a capture to replay.
//!
//! ```text
//! request ─▶ frame (JSON line, length and protobuf, or record) ─▶ one write at the file's end ─▶ rotate by size
//! ```
//!
//! **Bounds.** A request and its frame are in memory while it is written. With `rotation`, files put aside are bounded
//! by number, and by age if asked; without it the file grows.
//! **Invariants.** A file holds whole requests only: what a full disk cut short is taken back, so that a retry does not
//! follow half a line. When `export` returns, the operating system has the request: the process may be killed, the
//! machine not (`shutdown` waits for the disk).
//! **Not here.** Reading ([`crate::otlp::capture`]).

mod config;
mod frame;
mod rotation;
#[cfg(test)]
mod tests;

pub use config::{FileCompression, FileConfig, Format, Mistake, RotationConfig, configure};

use crate::base::Nanos;
use crate::pipeline::{BoxFuture, Cause, Component, Exporter, Outgoing, Verdict};
use anyhow::Context as _;
use parking_lot::Mutex;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

/// Reads the clock that the shell handed down.
type Now = Box<dyn Fn() -> Nanos + Send + Sync>;

/// The exporter.
pub struct FileExporter {
    shared: Arc<Shared>,
    clock: Now,
}

struct Shared {
    config: FileConfig,
    path: PathBuf,
    /// The open file; locked for one write or rotation, by blocking threads only. `None` before start and after
    /// shutdown.
    output: Mutex<Option<Output>>,
}

struct Output {
    file: File,
    /// Bytes in the file.
    len: u64,
}

impl FileExporter {
    /// An exporter that opens its file at the start. The clock stamps a capture's records and files put aside.
    #[must_use]
    pub fn new(config: FileConfig, clock: impl Fn() -> Nanos + Send + Sync + 'static) -> Self {
        FileExporter {
            shared: Arc::new(Shared {
                path: PathBuf::from(&config.path),
                config,
                output: Mutex::new(None),
            }),
            clock: Box::new(clock),
        }
    }
}

impl Output {
    /// Opens the file to append to it; empties it if asked.
    fn open(path: &Path, is_emptied: bool) -> io::Result<Output> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        if is_emptied {
            file.set_len(0)?;
        }
        let len = file.metadata()?.len();
        Ok(Output { file, len })
    }

    /// Appends all of the bytes, or none.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.append_by(bytes.len() as u64, |file| file.write_all(bytes))
    }

    /// Grows the file by a write of a known length; what a failing one leaves is taken back.
    fn append_by(
        &mut self,
        len: u64,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        match write(&mut self.file) {
            Ok(()) => {
                self.len += len;
                Ok(())
            }
            Err(error) => {
                if let Err(stuck) = self.file.set_len(self.len) {
                    warn!(%error, %stuck, "part of a request stays in the file");
                }
                Err(error)
            }
        }
    }
}

impl Shared {
    fn open(&self, now: Nanos) -> anyhow::Result<()> {
        if self.config.create_directory
            && let Some(directory) = self.path.parent()
        {
            make_directory(directory, self.config.directory_mode().unwrap_or(0o755))
                .with_context(|| format!("cannot make directory `{}`", directory.display()))?;
        }
        let is_emptied = !self.config.append && self.config.rotation.is_none();
        let output = Output::open(&self.path, is_emptied)
            .with_context(|| format!("cannot write file `{}`", self.path.display()))?;
        *self.output.lock() = Some(output);
        self.clean(now);
        Ok(())
    }

    fn write(&self, request: &Outgoing, now: Nanos) -> Result<(), Verdict> {
        let (format, compression) = (self.config.format, self.config.compression);
        let frame = frame::frame(request, format, compression, now)?;
        let mut output = self.output.lock();
        let Some(output) = output.as_mut() else {
            return Err(self.retry(&"the file is not open"));
        };
        self.rotate(output, frame.len() as u64, now)
            .and_then(|()| output.append(&frame))
            .map_err(|error| self.retry(&error))
    }

    /// Begins another file if this one would grow beyond its bound.
    fn rotate(&self, output: &mut Output, more: u64, now: Nanos) -> io::Result<()> {
        let Some(rotation) = &self.config.rotation else {
            return Ok(());
        };
        let bound = rotation.max_megabytes.saturating_mul(1 << 20);
        if output.len == 0 || output.len.saturating_add(more) <= bound {
            return Ok(());
        }
        // a file renamed or removed by others is no reason not to begin one
        match rotation::put_aside(&self.path, now) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        *output = Output::open(&self.path, false)?;
        self.clean(now);
        Ok(())
    }

    /// Removes files put aside; what cannot be removed is tried again at the next rotation.
    fn clean(&self, now: Nanos) {
        if let Some(rotation) = &self.config.rotation
            && let Err(error) = rotation::clean(&self.path, rotation, now)
        {
            warn!(path = %self.path.display(), %error, "old files were not removed");
        }
    }

    fn close(&self) {
        if let Some(output) = self.output.lock().take()
            && let Err(error) = output.file.sync_all()
        {
            warn!(path = %self.path.display(), %error, "file was not synchronized");
        }
    }

    fn retry(&self, why: &dyn std::fmt::Display) -> Verdict {
        let path = self.path.display();
        Verdict::Retry {
            after: None,
            source: Cause::new(format!("cannot write file `{path}`: {why}")),
        }
    }
}

/// Makes a directory and those above it.
fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    if path.as_os_str().is_empty() || fs::exists(path)? {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    set_mode(&mut builder, mode);
    builder.create(path)
}

#[cfg(unix)]
fn set_mode(builder: &mut DirBuilder, mode: u32) {
    std::os::unix::fs::DirBuilderExt::mode(builder, mode);
}

#[cfg(not(unix))]
fn set_mode(_builder: &mut DirBuilder, _mode: u32) {}

impl Component for FileExporter {
    fn start(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        let (shared, now) = (Arc::clone(&self.shared), (self.clock)());
        Box::pin(async move { tokio::task::spawn_blocking(move || shared.open(now)).await? })
    }

    fn shutdown(&self, deadline: Duration) -> BoxFuture<'_, ()> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let closed = tokio::task::spawn_blocking(move || shared.close());
            if tokio::time::timeout(deadline, closed).await.is_err() {
                warn!(path = %self.shared.path.display(), "file is still being synchronized");
            }
        })
    }
}

impl Exporter for FileExporter {
    fn export(&self, request: Outgoing) -> BoxFuture<'_, Result<(), Verdict>> {
        let (shared, now) = (Arc::clone(&self.shared), (self.clock)());
        Box::pin(async move {
            let written = tokio::task::spawn_blocking(move || shared.write(&request, now));
            match written.await {
                Ok(outcome) => outcome,
                Err(error) => Err(self.shared.retry(&error)),
            }
        })
    }
}
