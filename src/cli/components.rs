//! `agentguard components`: what this binary can be configured with.

use super::Exit;
use crate::pipeline::Described;
use crate::service::{CONNECTORS, EXPORTERS, EXTENSIONS, PROCESSORS, RECEIVERS};
use clap::{Args, ValueEnum};
use serde_json::json;

/// Written from the code, and compared with it by a test.
const REFERENCE: &str = include_str!("../../config/REFERENCE.md");

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// The reference: every key with its default, every metric.
    Markdown,
}

/// `agentguard components`
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  agentguard components
  agentguard components --output json | jq -r '.exporters[].type'
  agentguard components --output markdown              every key with its default, every metric")]
pub struct ComponentsCommand {
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl ComponentsCommand {
    #[expect(clippy::unnecessary_wraps, reason = "all commands answer alike")]
    pub(super) fn execute(&self) -> anyhow::Result<Exit> {
        let sections: [(&str, Vec<&Described>); 5] = [
            (
                "receivers",
                RECEIVERS.iter().map(|f| &f.described).collect(),
            ),
            (
                "processors",
                PROCESSORS.iter().map(|f| &f.described).collect(),
            ),
            (
                "connectors",
                CONNECTORS.iter().map(|f| &f.described).collect(),
            ),
            (
                "exporters",
                EXPORTERS.iter().map(|f| &f.described).collect(),
            ),
            (
                "extensions",
                EXTENSIONS.iter().map(|f| &f.described).collect(),
            ),
        ];
        match self.output {
            Output::Table => print_table(&sections),
            Output::Json => print_json(&sections),
            Output::Markdown => print!("{REFERENCE}"),
        }
        Ok(Exit::Done)
    }
}

fn print_table(sections: &[(&str, Vec<&Described>)]) {
    for (section, all) in sections {
        println!("{section}");
        for described in all {
            let signals: Vec<&str> = described.signals.iter().map(|s| s.as_str()).collect();
            println!(
                "  {:<26} {:<22} {}",
                described.types.join(", "),
                signals.join(", "),
                described.summary
            );
        }
    }
}

fn print_json(sections: &[(&str, Vec<&Described>)]) {
    let mut whole = serde_json::Map::new();
    for (section, all) in sections {
        let list: Vec<_> = all
            .iter()
            .map(|described| {
                let signals: Vec<&str> = described.signals.iter().map(|s| s.as_str()).collect();
                json!({
                    "type": described.types.first(), "aliases": described.types.get(1..).unwrap_or_default(),
                    "signals": signals, "summary": described.summary,
                })
            })
            .collect();
        whole.insert((*section).to_owned(), list.into());
    }
    println!("{}", serde_json::Value::Object(whole));
}
