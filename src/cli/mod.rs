//! The command line: parses the arguments, runs a command, returns its exit code.

mod arguments;
mod check;
mod clients;
mod completions;
mod connection;
mod failure;
mod init;
mod keys;
mod lookup;
mod manual;
mod operator;
mod output;
mod repository;
mod revocations;
mod serve;
mod table;
mod times;
mod tokens;
mod unreadable;

use std::{path::PathBuf, process::ExitCode, sync::LazyLock};

use clap::{ArgAction, Parser, Subcommand};

use self::{
    failure::{EXIT_CODES, Exit, Failure},
    output::{Format, Output},
};
use crate::{
    clock::{Clock, SystemClock},
    config::{Environment, SystemEnvironment},
};

const EXAMPLES: &str = "Examples:
  pangea-mcp-auth serve --dev
  pangea-mcp-auth check
  pangea-mcp-auth tokens list --user ada@example.com";

/// OAuth 2.1 authorization server that puts Pangea AuthN sign-in in front of MCP servers.
#[derive(Debug, Parser)]
#[command(name = "pangea-mcp-auth", version = version(), about, max_term_width = 80)]
#[command(after_help = EXAMPLES, after_long_help = examples_and_exit_codes())]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// The version, with the commit if the build knows it.
fn version() -> &'static str {
    const COMMIT: Option<&str> = option_env!("PANGEA_MCP_AUTH_COMMIT");
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let version = env!("CARGO_PKG_VERSION");
        COMMIT.map_or_else(|| version.to_owned(), |commit| format!("{version} ({commit})"))
    });
    &VERSION
}

fn examples_and_exit_codes() -> String {
    let codes = EXIT_CODES.iter().map(|(code, meaning)| format!("\n  {code:>3}  {meaning}"));
    format!("{EXAMPLES}\n\nExit codes:{}", codes.collect::<String>())
}

/// Options of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    #[arg(long, global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    #[arg(
        help = "Configuration file [env: PANGEA_MCP_AUTH_CONFIG] [default: ~/.config/pangea-mcp-auth/config.toml]"
    )]
    config: Option<PathBuf>,
    /// Development mode: loopback only, a stand-in for Pangea, no configuration needed.
    #[arg(long, global = true)]
    dev: bool,
    /// Output format: a table (tab-separated when piped), or JSON.
    #[arg(short, long, global = true, value_name = "FORMAT", default_value = "table", value_enum)]
    output: Format,
    /// Print only IDs.
    #[arg(short, long, global = true)]
    quiet: bool,
    #[arg(long, global = true, help = "Disable colours [env: NO_COLOR]")]
    no_color: bool,
    /// Log more: -v for debug messages, -vv for everything.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
}

impl Global {
    /// The log filter that `-v` asks for.
    fn log_level(&self) -> Option<String> {
        match self.verbose {
            0 => None,
            1 => Some("info,pangea_mcp_auth=debug".to_owned()),
            _ => Some("trace".to_owned()),
        }
    }

    fn output(&self) -> Output {
        let variables = SystemEnvironment.variables();
        let is_set = |name: &str| variables.get(name).is_some_and(|value| !value.is_empty());
        let dumb = variables.get("TERM").is_some_and(|term| term == "dumb");
        let no_color = self.no_color || dumb || is_set("NO_COLOR");
        Output::new(self.output, self.quiet, no_color, SystemClock.now())
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Check),
    Init(Box<init::Init>),
    Serve(serve::Serve),
    Repository(repository::RepositoryArguments),
    #[command(subcommand)]
    Clients(clients::Clients),
    #[command(subcommand)]
    Tokens(tokens::Tokens),
    #[command(subcommand)]
    Keys(keys::Keys),
    Completions(completions::Completions),
    Man(manual::Man),
}

/// Runs the command of this process.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(answered) = completions::answer_shell() {
        return answered;
    }
    if let Err(failure) = arguments::refuse_secrets() {
        output::complain(&failure);
        return ExitCode::from(failure.exit as u8);
    }
    let Arguments { global, command } = Arguments::parse();
    let outcome = match command {
        Command::Check(check) => check.run(&global),
        Command::Init(init) => init.run(&global),
        Command::Serve(serve) => serve.run(&global),
        Command::Repository(repository) => repository.run(&global),
        Command::Clients(clients) => clients.run(&global),
        Command::Tokens(tokens) => tokens.run(&global),
        Command::Keys(keys) => keys.run(&global),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// Runs an asynchronous command until it finishes or the user presses Ctrl-C.
fn run(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start the async runtime: {error}")))?;
    runtime.block_on(async {
        tokio::select! {
            outcome = command => outcome,
            _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "interrupted")),
        }
    })
}

#[cfg(test)]
mod tests;
