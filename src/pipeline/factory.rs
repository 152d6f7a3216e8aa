//! How a component comes from its configuration: one factory a type, one typed config a component.
//!
//! A factory's `configure` reads a section and notes every mistake; what it returns is complete and checked, so building
//! fails only on what a file cannot know (a port in use, a path that cannot be written).

use crate::base::Problems;
use crate::config::Section;
use crate::otlp::Signal;
use crate::pipeline::delivery::BatchSettings;
use crate::pipeline::{
    Component, Consumer, DeliverySettings, Exporter, QueueSettings, Shared, SourceOffer,
};
use crate::telemetry::Telemetry;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A component's name: its type, and after a slash a name where there are several.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentId {
    /// The type, as written.
    pub kind: String,
    /// What follows the slash; empty for the only one.
    pub name: String,
}

impl FromStr for ComponentId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once('/').unwrap_or((text, ""));
        let is_named = !text.contains('/') || !name.trim().is_empty();
        if kind.trim().is_empty() || !is_named {
            return Err(format!(
                "`{text}` is not a component id; write `type` or `type/name`"
            ));
        }
        Ok(ComponentId {
            kind: kind.trim().to_owned(),
            name: name.trim().to_owned(),
        })
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if self.name.is_empty() {
            Ok(())
        } else {
            write!(f, "/{}", self.name)
        }
    }
}

/// What every component is built with.
#[derive(Clone)]
pub struct BuildContext {
    /// The component's id, for logs and labels.
    pub id: ComponentId,
    /// Where it counts, logs and reports its health.
    pub telemetry: Arc<Telemetry>,
    /// What components offer to one another.
    pub shared: Arc<Shared>,
}

/// Where a component's output goes, indexed as [`Signal::ALL`]; `None` where no pipeline takes the signal.
pub type Outputs = [Option<Arc<dyn Consumer>>; 3];

/// What all factories say of themselves.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// Its type's names; the first is the one we print, the others are accepted.
    pub types: &'static [&'static str],
    /// One line for `agentguard components`.
    pub summary: &'static str,
    /// The signals that it takes.
    pub signals: &'static [Signal],
}

/// A receiver's checked configuration.
pub trait ReceiverConfig: Send + Sync {
    /// Makes the receiver.
    ///
    /// # Errors
    /// What only the machine could tell.
    fn build(&self, context: &BuildContext, outputs: Outputs)
    -> anyhow::Result<Arc<dyn Component>>;
}

/// A processor in one pipeline: what takes batches, and what starts and stops if it has a life of its own.
pub struct BuiltProcessor {
    /// Takes the batches.
    pub consumer: Arc<dyn Consumer>,
    /// Its life, if any.
    pub component: Option<Arc<dyn Component>>,
}

/// A processor's checked configuration.
pub trait ProcessorConfig: Send + Sync {
    /// Makes an instance for one pipeline.
    ///
    /// # Errors
    /// What only the machine could tell.
    fn build(
        &self,
        context: &BuildContext,
        signal: Signal,
        next: Arc<dyn Consumer>,
    ) -> anyhow::Result<BuiltProcessor>;

    /// Settings that the exporters' queues of the pipeline take over (D6: nothing acknowledged waits in a processor).
    fn batch(&self) -> Option<BatchSettings> {
        None
    }
}

/// An exporter's checked configuration.
pub trait ExporterConfig: Send + Sync {
    /// The bounds of its queue.
    fn queue(&self) -> QueueSettings;
    /// How its queue is emptied.
    fn delivery(&self) -> DeliverySettings;
    /// Whether it asks the connectors' metrics sources instead of being sent batches; it then has no queue.
    fn pulls(&self) -> bool {
        false
    }
    /// Makes the exporter; its queues, one a signal, are made by the service.
    ///
    /// # Errors
    /// What only the machine could tell.
    fn build(&self, context: &BuildContext) -> anyhow::Result<Arc<dyn Exporter>>;
}

/// A connector: an exporter to the pipelines before it, a receiver to those after it.
pub trait Connector: Component {
    /// What takes batches of a signal.
    fn consumer(&self, signal: Signal) -> Option<Arc<dyn Consumer>>;

    /// The metrics that it lets be asked for, where they are one of its outputs (D5).
    fn metrics(&self) -> Option<SourceOffer> {
        None
    }
}

/// A connector's checked configuration.
pub trait ConnectorConfig: Send + Sync {
    /// Makes the connector.
    ///
    /// # Errors
    /// What only the machine could tell.
    fn build(&self, context: &BuildContext, outputs: Outputs)
    -> anyhow::Result<Arc<dyn Connector>>;
}

/// An extension's checked configuration.
pub trait ExtensionConfig: Send + Sync {
    /// Makes the extension.
    ///
    /// # Errors
    /// What only the machine could tell.
    fn build(&self, context: &BuildContext) -> anyhow::Result<Arc<dyn Component>>;
}

/// Reads a section into a checked configuration, noting all mistakes.
pub type Configure<T> = fn(&Section<'_>, &mut Problems) -> Option<Box<T>>;

/// A type of receiver.
pub struct ReceiverFactory {
    /// What it says of itself.
    pub described: Described,
    /// Reads its section.
    pub configure: Configure<dyn ReceiverConfig>,
}

/// A type of processor.
pub struct ProcessorFactory {
    /// What it says of itself.
    pub described: Described,
    /// Reads its section.
    pub configure: Configure<dyn ProcessorConfig>,
}

/// A type of exporter.
pub struct ExporterFactory {
    /// What it says of itself.
    pub described: Described,
    /// Reads its section.
    pub configure: Configure<dyn ExporterConfig>,
}

/// A type of connector.
pub struct ConnectorFactory {
    /// What it says of itself; the signals are those that it takes.
    pub described: Described,
    /// The signals that it gives.
    pub outputs: &'static [Signal],
    /// Reads its section.
    pub configure: Configure<dyn ConnectorConfig>,
}

/// A type of extension.
pub struct ExtensionFactory {
    /// What it says of itself; it takes no signals.
    pub described: Described,
    /// Reads its section.
    pub configure: Configure<dyn ExtensionConfig>,
}
