//! `init`: from nothing to a configuration that works.

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

/// Sets everything up: walks through the Pangea console, tests each answer, writes the configuration.
///
/// Secrets go into the keyring or, where there is none, into files of mode 600; never into the
/// configuration. What is finished stays as it is: nothing is overwritten without --force.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth init
  pangea-mcp-auth init --non-interactive --client-secret-file secret.txt \\
    --issuer-url https://pdn-xxxxxxxx.login.aws.us.pangea.cloud \\
    --client-id psa_xxxxxxxx")]
pub(super) struct Init {
    /// Ask nothing: every answer is a flag or has a default.
    #[arg(long)]
    non_interactive: bool,
    /// Replace a configuration that is there. The sealing key always stays.
    #[arg(long)]
    force: bool,
    /// Test no answer, where Pangea cannot be reached from here.
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
                Failure::new(Exit::Usage, "init sets up a real Pangea project; --dev needs no set-up");
            return Err(failure.hint("pangea-mcp-auth serve --dev"));
        }
        let survey = config::survey(&source(global));
        let file = survey.file.clone().ok_or_else(|| {
            let failure = Failure::new(Exit::Configuration, "there is no usual place for the configuration");
            failure.hint("name a file with --config, or set HOME")
        })?;
        store::refuse_dangling_link(&file)?;
        if file.exists() && !self.force {
            return self.already_there(&output, &file, survey.whole.as_ref().ok());
        }
        if !self.non_interactive && !output::is_attended() {
            let failure = Failure::new(Exit::Usage, "init asks questions, and nobody can be asked here");
            return Err(failure.hint("add --non-interactive, with a flag for each answer"));
        }
        let runtime = Runtime::new()
            .map_err(|error| Failure::new(Exit::Failed, format!("the runtime cannot start: {error}")))?;
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

    /// A finished set-up stays; the same answers are no contradiction.
    fn already_there(&self, output: &Output, file: &Path, config: Option<&Config>) -> Result<(), Failure> {
        let shown = file.display();
        let Some(config) = config else {
            let failure = Failure::new(Exit::Configuration, format!("{shown} is there and cannot be used"));
            return Err(failure.hint("`pangea-mcp-auth check` says why; --force writes a new one"));
        };
        let different = self.flags.answers()?.differences(config);
        if !different.is_empty() {
            let message = format!("{shown} is there and says otherwise: {}", different.join(", "));
            return Err(Failure::new(Exit::Failed, message).hint("edit it, or write a new one with --force"));
        }
        output.document(&closing::unchanged_json(file), |_| closing::unchanged(file, config));
        Ok(())
    }
}
