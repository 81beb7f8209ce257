//! The command line: words in, an exit code out.

mod output;
mod serve;

use std::{path::PathBuf, process::ExitCode};

use clap::{ArgAction, Parser, Subcommand};

/// OAuth 2.1 authorization server that puts Pangea AuthN sign-in in front of MCP servers.
#[derive(Debug, Parser)]
#[command(name = "pangea-mcp-auth", version, about, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
struct Global {
    /// Configuration file; else the one that the environment variable names, else the usual place.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Development: loopback only, a stand-in for Pangea, no configuration needed.
    #[arg(long, global = true)]
    dev: bool,
    /// Say more: -v for debugging, -vv for everything.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
}

/// How a command ended badly.
#[derive(Debug)]
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// Something that has no code of its own.
    const FAILED: u8 = 1;
    /// The command line contradicts itself.
    const USAGE: u8 = 2;
    /// A needed service is unreachable (`EX_UNAVAILABLE`).
    const UNREACHABLE: u8 = 69;
    /// The configuration cannot be used (`EX_CONFIG`).
    const CONFIGURATION: u8 = 78;

    fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Runs the command of this process.
#[must_use]
pub fn main() -> ExitCode {
    let Arguments { global, command } = Arguments::parse();
    let outcome = match command {
        Command::Serve(serve) => serve.run(&global),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure.message);
            ExitCode::from(failure.code)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
