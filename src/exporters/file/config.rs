//! What the user writes for `file`.

use super::FileExporter;
use crate::base::Problems;
use crate::config::Section;
use crate::exporters::delivery::DeliveryConfig;
use crate::otlp::Signal;
use crate::pipeline::{BuildContext, DeliverySettings, Exporter, ExporterConfig, QueueSettings};
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How requests stand in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// OTLP/JSON, one request a line, as the Collector's file exporter writes.
    #[default]
    Json,
    /// Protobuf, each request behind its length in four bytes, big endian, as the Collector's file exporter writes.
    Proto,
    /// Protobuf with time of arrival and length: a capture that `replay` and `scan` read. Holds traces only.
    Capture,
}

/// How each request is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileCompression {
    /// Not at all.
    #[default]
    #[serde(alias = "")]
    None,
    /// Each request on its own, behind its length in four bytes, big endian, also in JSON, as in the Collector.
    Zstd,
}

/// When a file is put aside and another begun, and how many stay.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RotationConfig {
    /// Size in MiB beyond which a file does not grow; a single larger request has a file to itself.
    pub max_megabytes: u64,
    /// Days after which a file put aside is removed; 0 keeps them.
    pub max_days: u64,
    /// Files put aside that are kept; 0 keeps all.
    pub max_backups: usize,
}

impl Default for RotationConfig {
    fn default() -> Self {
        RotationConfig {
            max_megabytes: 100,
            max_days: 0,
            max_backups: 100,
        }
    }
}

/// The section of a `file` exporter; keys and defaults as in the Collector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileConfig {
    /// The file to write; relative to the working directory. Required.
    pub path: String,
    /// Whether to write behind what the file holds at the start, instead of emptying it.
    pub append: bool,
    /// When to begin another file; without this key, never. The key alone takes its defaults.
    #[serde(deserialize_with = "present")]
    pub rotation: Option<RotationConfig>,
    /// How requests stand in the file: `json`, `proto` or `capture`.
    pub format: Format,
    /// How each request is compressed: `none` or `zstd`.
    pub compression: FileCompression,
    /// Whether to make the directories above the file at the start.
    pub create_directory: bool,
    /// Permissions of directories made, in octal, less the process's umask; `0755` unless given.
    pub directory_permissions: Option<String>,
}

/// `rotation:` without a value is a rotation.
fn present<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<RotationConfig>, D::Error> {
    Option::deserialize(reader).map(|rotation| Some(rotation.unwrap_or_default()))
}

/// A mistake: the key, what is wrong, what to do.
pub type Mistake = (&'static str, &'static str, &'static str);

impl FileConfig {
    /// Keys of the Collector's section that have no meaning here, with the reason.
    pub const IGNORED: &[(&str, &str)] = &[
        (
            "flush_interval",
            "each request is handed to the operating system at once, so nothing waits to be flushed",
        ),
        ("rotation.localtime", "files put aside are named in UTC"),
    ];

    /// What the types cannot say.
    #[must_use]
    pub fn mistakes(&self) -> Vec<Mistake> {
        let is_capture = self.format == Format::Capture;
        let is_compressed = self.compression != FileCompression::None;
        let has_mode = self.directory_permissions.is_some();
        let is_tiny = self.rotation.as_ref().is_some_and(|r| r.max_megabytes == 0);
        [
            (
                self.path.trim().is_empty(),
                ("path", "is required", "name the file to write"),
            ),
            (
                is_capture && is_compressed,
                (
                    "compression",
                    "a capture is not compressed request by request",
                    "compress the whole file with gzip afterwards",
                ),
            ),
            (
                self.append && self.rotation.is_some(),
                (
                    "append",
                    "has no meaning with `rotation`",
                    "leave it out: a file that rotates is always continued",
                ),
            ),
            (
                is_tiny,
                ("rotation", "`max_megabytes` must be at least 1", ""),
            ),
            (
                has_mode && !self.create_directory,
                (
                    "directory_permissions",
                    "needs `create_directory: true`",
                    "",
                ),
            ),
            (
                has_mode && self.directory_mode().is_none(),
                (
                    "directory_permissions",
                    "is not an octal number up to 0777",
                    "write it in quotes, such as \"0755\"",
                ),
            ),
        ]
        .into_iter()
        .filter_map(|(is_wrong, mistake)| is_wrong.then_some(mistake))
        .collect()
    }

    /// Permissions of directories made; `None` if they are no permissions.
    pub(super) fn directory_mode(&self) -> Option<u32> {
        let Some(octal) = &self.directory_permissions else {
            return Some(0o755);
        };
        u32::from_str_radix(octal, 8)
            .ok()
            .filter(|mode| *mode <= 0o777)
    }
}

impl Format {
    /// Whether requests of a signal can stand in the file.
    #[must_use]
    pub fn takes(self, signal: Signal) -> bool {
        self != Format::Capture || signal == Signal::Traces
    }
}

/// Reads and checks the section.
pub fn configure(
    section: &Section<'_>,
    problems: &mut Problems,
) -> Option<Box<dyn ExporterConfig>> {
    let config: FileConfig = section.parse(FileConfig::IGNORED, problems)?;
    let mistakes = config.mistakes();
    for (key, message, help) in &mistakes {
        problems.error(section.place_of(key), *message, *help);
    }
    mistakes.is_empty().then(|| Box::new(config) as _)
}

impl ExporterConfig for FileConfig {
    fn queue(&self) -> QueueSettings {
        DeliveryConfig::default().queue()
    }

    fn delivery(&self) -> DeliverySettings {
        // one after the other: requests stand in the file in the order in which they came
        DeliverySettings {
            num_consumers: 1,
            ..DeliveryConfig::default().settings(Duration::ZERO)
        }
    }

    fn build(&self, context: &BuildContext) -> anyhow::Result<Arc<dyn Exporter>> {
        let clock = context.telemetry.clock().clone();
        Ok(Arc::new(FileExporter::new(self.clone(), move || {
            clock.now()
        })))
    }
}
