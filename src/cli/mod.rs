//! The command line: one command a file, and the exit codes that scripts can use.
//!
//! | code | means |
//! |---|---|
//! | 0 | done |
//! | 1 | failed |
//! | 64 | the arguments are wrong (`EX_USAGE`) |
//! | 78 | the configuration is wrong (`EX_CONFIG`) |
#![expect(clippy::print_stdout, reason = "commands answer on standard output")]

mod components;
mod configuration;
mod demo;
mod health;
mod replay;
mod run;
mod scan;
mod terminal;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Failed; the reason was printed.
    Failed,
    /// The arguments are wrong.
    Usage,
    /// The configuration is wrong.
    Config,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 64,
            Exit::Config => 78,
        })
    }
}

/// A streaming OpenTelemetry sidecar that maps, scores and guards systems made of many AI agents.
#[derive(Debug, Parser)]
#[command(name = "agentguard", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// `agentguard --config FILE` is `agentguard run --config FILE`, as the Collector's binary is called.
    #[command(flatten)]
    run: run::RunCommand,
}

const EXAMPLES: &str = "Examples:
  agentguard demo                                  a system of agents to look at, in a daemon
  agentguard run                                   the built-in configuration: OTLP on 4317 and 4318
  agentguard run --config agentguard.yaml          your own, as you would write it for a Collector
  agentguard validate --config agentguard.yaml     every mistake in it, with file and line
  agentguard scan capture.otlp                     the agents, tools and models in recorded traces";

/// A command with its arguments.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the daemon until it is asked to stop.
    Run(run::RunCommand),
    /// Runs the daemon beside a system of agents that breaks and recovers, and shows what it finds.
    Demo(demo::DemoCommand),
    /// Checks a configuration and lists every mistake in it.
    Validate(configuration::ValidateCommand),
    /// Prints the configuration as merged and expanded, with secrets masked.
    PrintConfig(configuration::PrintConfigCommand),
    /// Lists the components that this binary has.
    Components(components::ComponentsCommand),
    /// Finds the agents, tools and models in recorded traces, and who depends on whom.
    Scan(scan::ScanCommand),
    /// Sends recorded traces to an OTLP endpoint.
    Replay(replay::ReplayCommand),
    /// Asks a running daemon how it is; for containers.
    Health(health::HealthCommand),
}

/// Reads the arguments; help and mistakes are printed here.
///
/// # Errors
/// The exit code of what was printed: [`Exit::Done`] for help and version, [`Exit::Usage`] for a mistake.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Exit> {
    match Arguments::try_parse_from(arguments) {
        Ok(Arguments {
            command: Some(command),
            ..
        }) => Ok(command),
        Ok(Arguments { command: None, run }) => Ok(Command::Run(run)),
        Err(error) => {
            let exit = match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
                _ => Exit::Usage,
            };
            // a closed terminal is no reason for another error
            drop(error.print());
            Err(exit)
        }
    }
}

/// Does what was asked.
#[must_use]
pub fn execute(command: Command) -> Exit {
    let done = match command {
        Command::Run(command) => command.execute(),
        Command::Demo(command) => command.execute(),
        Command::Validate(command) => command.execute(),
        Command::PrintConfig(command) => command.execute(),
        Command::Components(command) => command.execute(),
        Command::Scan(command) => command.execute(),
        Command::Replay(command) => command.execute(),
        Command::Health(command) => command.execute(),
    };
    done.unwrap_or_else(|error| {
        terminal::complain(&error);
        Exit::Failed
    })
}
