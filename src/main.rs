//! Arguments → command → exit code. All logic is in the library.

use agentguard::cli::{self, Exit};
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(command) => cli::execute(command).into(),
        Err(exit) => Exit::into(exit),
    }
}
