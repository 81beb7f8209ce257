//! `init`: sets up a configuration that works.

mod answers;
mod closing;
mod draft;
mod interruption;
mod keyring;
mod live;
mod prompt;
mod server;
mod store;
mod typed;
mod walk;

use std::path::Path;

use tokio::runtime::Runtime;

use self::{answers::Flags, draft::Draft, interruption::Interruption, live::Live};
use super::{
    Global,
    connection::source,
    failure::{Exit, Failure},
    output::{self, Output},
};
use crate::config::{self, Config};

/// Set up a configuration, with a guide to the Pangea console.
///
/// It asks a few questions, tests each answer and writes the configuration. Secrets go into the keyring or,
/// without one, into files of mode 600, never into the configuration. It overwrites nothing without
/// --force.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth init
  pangea-mcp-auth init --non-interactive --client-secret-file secret.txt \\
    --issuer-url https://pdn-xxxxxxxx.login.aws.us.pangea.cloud \\
    --client-id psa_xxxxxxxx")]
pub(super) struct Init {
    /// Ask no questions: every answer is an option or has a default.
    #[arg(long)]
    non_interactive: bool,
    /// Replace an existing configuration. The sealing key always stays.
    #[arg(long)]
    force: bool,
    /// Do not test the answers; use it if this machine cannot reach Pangea.
    #[arg(long)]
    no_check: bool,
    #[command(flatten)]
    flags: Flags,
}

impl Init {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let output = global.output();
        if global.dev {
            let failure =
                Failure::new(Exit::Usage, "init sets up a real Pangea project; --dev needs no configuration");
            return Err(failure.hint("pangea-mcp-auth serve --dev"));
        }
        let survey = config::survey(&source(global));
        let file = survey.file.clone().ok_or_else(|| {
            let failure =
                Failure::new(Exit::Configuration, "the default location of the configuration is unknown");
            failure.hint("use --config FILE, or set HOME")
        })?;
        store::refuse_dangling_link(&file)?;
        if file.exists() && !self.force {
            return self.already_there(&output, &file, survey.whole.as_ref().ok());
        }
        if !self.non_interactive && !output::is_attended() {
            let failure = Failure::new(Exit::Usage, "init asks questions, and stdin is not a terminal");
            return Err(failure.hint("use --non-interactive, with an option for each answer"));
        }
        let runtime = Runtime::new().map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot start the async runtime: {error}"))
        })?;
        store::expect_writable(&file)?;
        let interruption = Interruption::default();
        interruption.listen(&runtime)?;
        let live = if self.no_check { None } else { Some(Live::new(&runtime)?) };
        let mut answers = self.flags.answers()?;
        if let Some(words) = self.flags.changes() {
            output.say(&words);
        }
        if self.non_interactive {
            answers.complete()?;
            if answers.shares_its_host() {
                output.warn(walk::SHARED_HOST);
            }
            if let Some(live) = &live {
                live.judge(&answers, &output)?;
            }
        } else {
            walk::walk(&mut answers, live.as_ref(), &output)?;
        }
        let draft = Draft::new(&answers, file)?;
        let written = store::write(&draft, self.force, &interruption)?;
        output.document(&closing::json(&draft, &answers, &written), |_| {
            closing::text(&draft, &answers, &written, global)
        });
        Ok(())
    }

    /// An existing configuration stays. Options that agree with it are not an error.
    fn already_there(&self, output: &Output, file: &Path, config: Option<&Config>) -> Result<(), Failure> {
        let shown = file.display();
        let Some(config) = config else {
            let failure = Failure::new(Exit::Configuration, format!("{shown} exists and is invalid"));
            return Err(failure.hint("run `pangea-mcp-auth check` to see why, or replace it with --force"));
        };
        let different = self.flags.answers()?.differences(config);
        if !different.is_empty() {
            let message = format!("these options differ from {shown}: {}", different.join(", "));
            return Err(Failure::new(Exit::Failed, message).hint("edit the file, or replace it with --force"));
        }
        output.document(&closing::unchanged_json(file), |_| closing::unchanged(file, config));
        Ok(())
    }
}
