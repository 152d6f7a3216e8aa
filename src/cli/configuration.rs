//! Where the configuration comes from, and the two commands that only look at it.

use super::{Exit, terminal};
use crate::base::Problems;
use crate::config::{Document, Env};
use crate::service::Plan;
use clap::Args;

/// The configuration that is used when none is named.
pub(super) const DEFAULT: &str = include_str!("../../config/default.yaml");

/// Which configuration.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ConfigArguments {
    /// A file, `yaml:TEXT` or `env:NAME`; later ones are merged over earlier ones [default: the built-in configuration].
    #[arg(long, short, value_name = "SOURCE")]
    pub(super) config: Vec<String>,
    /// Sets one key: `--set receivers.otlp.protocols.grpc.endpoint=0.0.0.0:4317`.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Accepted as the Collector's operator passes it; no feature here depends on a gate.
    #[arg(long, value_name = "GATES", hide = true, allow_hyphen_values = true)]
    feature_gates: Vec<String>,
    /// Sources merged over all others; a command's own.
    #[arg(skip)]
    over: Vec<String>,
}

impl ConfigArguments {
    /// The same with sources merged over the others.
    pub(super) fn with<const N: usize>(mut self, sources: [&str; N]) -> Self {
        self.over.extend(sources.map(str::to_owned));
        self
    }

    /// Loads, merges and expands.
    pub(super) fn load(&self) -> (Document, Problems) {
        let mut sources = self.config.clone();
        if sources.is_empty() {
            sources.push(format!("yaml:{DEFAULT}"));
        }
        sources.extend(
            self.set
                .iter()
                .map(|set| format!("yaml:{}", set_as_yaml(set))),
        );
        sources.extend(self.over.iter().cloned());
        Document::load(&sources, &Env::process())
    }

    /// Loads and reads whole; mistakes and warnings are printed.
    pub(super) fn plan(&self) -> Result<(Document, Plan), Exit> {
        let (document, mut problems) = self.load();
        let plan = Plan::read(&document, &mut problems);
        if !problems.is_empty() {
            terminal::say(problems.to_string().trim_end());
        }
        if problems.has_errors() {
            Err(Exit::Config)
        } else {
            Ok((document, plan))
        }
    }
}

/// `a.b.c=value` as nested YAML in one line.
fn set_as_yaml(set: &str) -> String {
    let (path, value) = set.split_once('=').unwrap_or((set, ""));
    let keys: Vec<&str> = path.split('.').collect();
    let open: String = keys.iter().map(|key| format!("{{\"{key}\": ")).collect();
    format!("{open}{value}{}", "}".repeat(keys.len()))
}

/// `agentguard validate`
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  agentguard validate --config agentguard.yaml
  agentguard validate --config base.yaml --config site.yaml --set service.telemetry.logs.level=debug

Warnings leave the exit code 0; mistakes make it 78.")]
pub struct ValidateCommand {
    #[command(flatten)]
    config: ConfigArguments,
}

impl ValidateCommand {
    pub(super) fn execute(&self) -> anyhow::Result<Exit> {
        match self.config.plan() {
            Ok(_) => {
                println!("the configuration is valid");
                Ok(Exit::Done)
            }
            Err(exit) => Ok(exit),
        }
    }
}

/// `agentguard print-config`
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  agentguard print-config                              the built-in configuration
  agentguard print-config --config agentguard.yaml     your own, as it is after merging and expanding")]
pub struct PrintConfigCommand {
    #[command(flatten)]
    config: ConfigArguments,
    /// Prints secrets as they are.
    #[arg(long)]
    unmasked: bool,
}

impl PrintConfigCommand {
    pub(super) fn execute(&self) -> anyhow::Result<Exit> {
        let (document, problems) = self.config.load();
        if problems.has_errors() {
            terminal::say(problems.to_string().trim_end());
            return Ok(Exit::Config);
        }
        print!("{}", document.to_yaml(!self.unmasked));
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_key_is_nested_yaml() {
        assert_eq!(set_as_yaml("a.b=1"), r#"{"a": {"b": 1}}"#);
    }
}
