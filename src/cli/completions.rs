//! `completions`: scripts for shells, and the live values that they ask this program for.
//!
//! A script names no flag: it asks the program that is installed, so it fits every version of it. A
//! shell that completes must never wait for long, see an error or find a new file: what cannot be had
//! quickly and quietly is not offered.

use std::{env, ffi::OsStr, process::ExitCode, sync::mpsc, thread, time::Duration};

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
    daemon,
    oauth::{
        client::Client,
        grant::{Grant, Person},
    },
    repository::{Access, Collection, Entity, Order, Page},
};

/// The variable by which a script asks for values. It does not begin like those of the configuration.
const VARIABLE: &str = "_PANGEA_MCP_AUTH_COMPLETE";
pub(super) const PROGRAM: &str = "pangea-mcp-auth";
/// A shell waits no longer than this.
const PATIENCE: Duration = Duration::from_millis(300);
/// What the scripts of some shells lack to be silent when the program is not there, or is one that
/// does not know them.
const SILENCE: [(&str, &str, &str); 3] = [
    ("bash", "-- \"${words[@]}\" \\", "-- \"${words[@]}\" 2>/dev/null \\"),
    ("fish", "--arguments \"(", "--arguments \"(command -q pangea-mcp-auth; and "),
    ("fish", "--current-token))", "--current-token) 2>/dev/null)"),
];
/// More values help nobody.
const MOST_VALUES: usize = 100;

/// Print the completion script of a shell.
///
/// Ids of clients and grants are completed, too, from the configured repository. The script asks the
/// program on the PATH; it is written once and stays good when that is replaced.
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
    /// The shell that is to complete.
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
        let failed = || Failure::new(Exit::Failed, "the script cannot be made");
        output::print(&script(self.shell.name()).ok_or_else(failed)?);
        Ok(())
    }
}

/// The script that registers this program with a shell.
fn script(shell: &str) -> Option<String> {
    let mut text = Vec::new();
    let shells = Shells::builtins();
    shells.completer(shell)?.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut text).ok()?;
    let lacking = SILENCE.iter().filter(|(name, ..)| *name == shell);
    let text = String::from_utf8(text).ok()?;
    Some(lacking.fold(text, |text, (_, loud, silent)| text.replace(loud, silent)))
}

/// Answers a shell that asks for values; `None` when this is any other process. Nothing is said,
/// whatever the shell asks.
pub(super) fn answer_shell() -> Option<ExitCode> {
    let asked = CompleteEnv::with_factory(Arguments::command as fn() -> Command).var(VARIABLE);
    match asked.try_complete(env::args_os(), env::current_dir().ok().as_deref()) {
        Ok(false) => None,
        Ok(true) => Some(ExitCode::SUCCESS),
        Err(_) => Some(ExitCode::FAILURE),
    }
}

/// Ids of clients that begin like this, with their names.
pub(super) fn clients(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, Order::Ascending, |client: &Client| client.metadata.client_name.clone())
}

/// Ids of grants that begin like this, the newest first, with their people.
pub(super) fn grants(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, Order::Descending, |grant: &Grant| {
        let subject = &grant.terms().subject;
        Some(subject.person().and_then(Person::known_email).unwrap_or(subject.id()).to_owned())
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

/// `None` when anything is in the way.
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

/// Behind which key those begin that begin like this.
fn range_start(beginning: &str, order: Order) -> Option<String> {
    let start = match order {
        Order::Ascending => beginning.to_owned(),
        // `z` stands behind all of which grant ids are made.
        Order::Descending => format!("{beginning}z"),
    };
    Some(start).filter(|_| !beginning.is_empty())
}

/// What the command line says that is being completed, as far as it matters here.
fn global() -> Global {
    let mut words = env::args_os().map(|word| word.to_string_lossy().into_owned());
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
