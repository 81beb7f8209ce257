//! `completions`: shell scripts, and the values that they request from this program.
//!
//! A script lists no flags. It asks the installed program, so it works with every version. A completion
//! must be fast, silent and without side effects: values that take too long or fail are left out.

use std::{ffi::OsStr, process::ExitCode, sync::mpsc, thread, time::Duration};

use clap::{Command, CommandFactory};
use clap_complete::{CompleteEnv, engine::CompletionCandidate, env::Shells};

use super::{
    Arguments, Global,
    connection::load_repositories,
    failure::{Exit, Failure},
    output::{self, Format},
};
use crate::{
    clock::{Clock, SystemClock},
    config, daemon,
    oauth::{
        client::Client,
        grant::{Grant, Person},
    },
    repository::{Access, Collection, Entity, Order, Page},
};

/// The variable with which a script requests values. Its prefix differs from that of configuration variables.
const VARIABLE: &str = "_PANGEA_MCP_AUTH_COMPLETE";
pub(super) const PROGRAM: &str = "pangea-mcp-auth";
/// How long a shell waits for values.
const PATIENCE: Duration = Duration::from_millis(300);
/// Changes that keep a script silent when the program is missing, or too old to know completions.
const SILENCE: [(&str, &str, &str); 3] = [
    ("bash", "-- \"${words[@]}\" \\", "-- \"${words[@]}\" 2>/dev/null \\"),
    ("fish", "--arguments \"(", "--arguments \"(command -q pangea-mcp-auth; and "),
    ("fish", "--current-token))", "--current-token) 2>/dev/null)"),
];
/// Maximum number of values to offer.
const MOST_VALUES: usize = 100;

/// Print a shell completion script.
///
/// The script also completes IDs of clients and grants from the configured repository. It asks the program
/// on the PATH, so you need not write it again after an upgrade.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth completions bash > \\
    ~/.local/share/bash-completion/completions/pangea-mcp-auth
  pangea-mcp-auth completions zsh > ~/.zfunc/_pangea-mcp-auth
  pangea-mcp-auth completions fish > \\
    ~/.config/fish/completions/pangea-mcp-auth.fish
  pangea-mcp-auth completions elvish >> ~/.config/elvish/rc.elv
  pangea-mcp-auth completions powershell >> $PROFILE")]
pub(super) struct Completions {
    /// Shell to print the script for.
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
    Powershell,
}

impl Shell {
    const fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
            Self::Elvish => "elvish",
            Self::Powershell => "powershell",
        }
    }
}

impl Completions {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let failed = || Failure::new(Exit::Failed, "cannot generate the script");
        output::print(&script(self.shell.name()).ok_or_else(failed)?);
        Ok(())
    }
}

fn script(shell: &str) -> Option<String> {
    let mut text = Vec::new();
    let shells = Shells::builtins();
    shells.completer(shell)?.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut text).ok()?;
    let lacking = SILENCE.iter().filter(|(name, ..)| *name == shell);
    let text = String::from_utf8(text).ok()?;
    Some(lacking.fold(text, |text, (_, loud, silent)| text.replace(loud, silent)))
}

/// Answers a shell that requests values; `None` if this process was not started by a completion script.
/// It prints no errors.
pub(super) fn answer_shell() -> Option<ExitCode> {
    let asked = CompleteEnv::with_factory(Arguments::command as fn() -> Command).var(VARIABLE);
    match asked.try_complete(config::arguments(), config::working_directory().as_deref()) {
        Ok(false) => None,
        Ok(true) => Some(ExitCode::SUCCESS),
        Err(_) => Some(ExitCode::FAILURE),
    }
}

/// IDs of clients with this prefix, with the names of the clients.
pub(super) fn clients(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, Order::Ascending, |client: &Client| client.metadata.client_name.clone())
}

/// IDs of grants with this prefix, newest first, with their users.
pub(super) fn grants(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, Order::Descending, |grant: &Grant| {
        let terms = grant.terms();
        Some(terms.subject.person().and_then(Person::known_email).unwrap_or(terms.sub()).to_owned())
    })
}

fn candidates<T: Entity + 'static>(
    current: &OsStr,
    order: Order,
    about: fn(&T) -> Option<String>,
) -> Vec<CompletionCandidate> {
    let Some(beginning) = current.to_str().map(str::to_owned) else { return Vec::new() };
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(look_up(&beginning, order, about)));
    receiver.recv_timeout(PATIENCE).ok().flatten().unwrap_or_default()
}

/// `None` if anything fails.
fn look_up<T: Entity>(
    beginning: &str,
    order: Order,
    about: fn(&T) -> Option<String>,
) -> Option<Vec<CompletionCandidate>> {
    let global = global();
    let repositories = load_repositories(&global).ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        let all =
            Collection::<T>::new(daemon::open_repository_for(&repositories, Access::ReadOnly).await.ok()?);
        let after = range_start(beginning, order);
        let page = Page { after, order, limit: MOST_VALUES, parent: None };
        let found = all.page(&page, SystemClock.now()).await.ok()?;
        let fitting = found.values.iter().filter(|value| value.key().starts_with(beginning));
        let told = fitting.map(|value| {
            let about = about(value).map(|about| output::readable(&about).into());
            CompletionCandidate::new(value.key()).help(about)
        });
        Some(told.collect())
    })
}

/// The key after which the keys with this prefix begin.
fn range_start(beginning: &str, order: Order) -> Option<String> {
    let start = match order {
        Order::Ascending => beginning.to_owned(),
        // `z` sorts after every character of a grant ID.
        Order::Descending => format!("{beginning}z"),
    };
    Some(start).filter(|_| !beginning.is_empty())
}

/// The options of the command line that is being completed, as far as they select a repository.
fn global() -> Global {
    let mut words = config::arguments().map(|word| word.to_string_lossy().into_owned());
    let (mut config, mut dev) = (None, false);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--dev" => dev = true,
            "--config" => config = words.next(),
            _ => config = word.strip_prefix("--config=").map(str::to_owned).or(config),
        }
    }
    Global {
        config: config.map(Into::into),
        dev,
        output: Format::Table,
        quiet: true,
        no_color: true,
        verbose: 0,
    }
}
