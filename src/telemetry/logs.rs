//! Our own log: `tracing` events to stderr, as text or JSON.
//!
//! The level of the configuration holds for this program; the libraries beneath it speak from `warn` on, since their
//! `info` and `debug` say nothing to who runs this. A panic is one more event (`task` adds the task's name).
//!
//! **Bounds.** Lines are written as they come, on the task that logs: nothing is buffered, so nothing is lost by a crash,
//! and nothing on the request clock logs.
//! **Not here.** Rate limits ([`RateLimited`](crate::telemetry::RateLimited)).

use crate::telemetry::config::{LogConfig, LogEncoding, LogLevel};
use std::io::IsTerminal;
use tracing::{Subscriber, error};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Something of this process has already set a log up.
    #[error("a log is already set up")]
    AlreadySet(#[source] tracing_subscriber::util::TryInitError),
}

/// Changes the level of a log that is set up, for a reload of the configuration.
#[derive(Clone, Debug)]
pub struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl LogControl {
    /// Logs from this level on.
    pub fn set_level(&self, level: LogLevel) {
        if let Err(error) = self.filter.reload(filter(level)) {
            error!(%error, "log level not changed");
        }
    }
}

/// Sets up the process's log, once; `format` is the command line's and goes before the configuration's.
///
/// # Errors
/// When the process has a log already.
pub fn init(config: &LogConfig, format: Option<LogEncoding>) -> Result<LogControl, LogError> {
    let (filter, control) = reload::Layer::new(filter(config.level));
    let lines = lines(
        format.unwrap_or(config.encoding),
        std::io::stderr,
        std::io::stderr().is_terminal(),
    );
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .map_err(LogError::AlreadySet)?;
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message");
        error!(at, message, "panicked");
    }));
    Ok(LogControl { filter: control })
}

fn filter(level: LogLevel) -> EnvFilter {
    let (own, others) = match level {
        LogLevel::Debug => ("debug", "warn"),
        LogLevel::Info => ("info", "warn"),
        LogLevel::Warn => ("warn", "warn"),
        LogLevel::Error => ("error", "error"),
    };
    EnvFilter::new(format!("{others},agentguard={own}"))
}

/// What turns events into lines.
fn lines<S, W>(encoding: LogEncoding, writer: W, colours: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match encoding {
        LogEncoding::Console => layer.with_ansi(colours).boxed(),
        LogEncoding::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use serde_json::Value;
    use std::io::{self, Write};
    use std::sync::Arc;
    use tracing::{debug, info, subscriber, warn};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: LogLevel, encoding: LogEncoding, say: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let log = tracing_subscriber::registry()
            .with(filter(level))
            .with(lines(encoding, move || writer.clone(), false));
        subscriber::with_default(log, say);
        String::from_utf8(buffer.0.lock().clone()).unwrap()
    }

    #[test]
    fn json_lines_hold_the_event_and_its_fields() {
        let text = logged(LogLevel::Info, LogEncoding::Json, || {
            warn!(exporter = "otlp/\"a\"", attempt = 3, "delivery refused");
            debug!("not at this level");
        });
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["message"], "delivery refused");
        assert_eq!(lines[0]["level"], "WARN");
        assert_eq!(lines[0]["exporter"], "otlp/\"a\"");
        assert_eq!(lines[0]["attempt"], 3);
        assert!(lines[0]["timestamp"].is_string());
    }

    #[test]
    fn libraries_speak_from_warn_on() {
        let text = logged(LogLevel::Debug, LogEncoding::Console, || {
            debug!("ours");
            info!(target: "hyper::proto", "theirs");
            warn!(target: "hyper::proto", "their warning");
        });
        assert!(text.contains("ours") && text.contains("their warning"));
        assert!(
            !text.contains("theirs") && !text.contains('\u{1b}'),
            "{text}"
        );
    }
}
