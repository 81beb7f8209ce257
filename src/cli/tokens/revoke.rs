//! `tokens revoke`: revokes grants and tokens by ID, in bulk, or by a leaked token.

use std::io::{self, IsTerminal, Read};

use clap_complete::engine::ArgValueCompleter;

use super::of::Of;
use crate::{
    cli::{
        completions,
        connection::Connection,
        failure::{Exit, Failure},
        lookup::{grant, not_found},
        output::{Output, tell_all},
        revocations::{Failed, Report, confirm, grants, interrupted_by},
        unreadable,
    },
    config::Config,
    flow::administration::{Administration, Leak, Revocation, Tally, TokenRevocation, tokens_in},
    oauth::{
        grant::Grant,
        token::{GrantId, TokenId},
    },
    repository::{Access, RepositoryError},
};

/// Maximum size of standard input, in bytes.
const LONGEST_TEXT: u64 = 64 * 1024;

/// Revoke grants, or single access tokens.
///
/// Revoking a grant also revokes its refresh token and access tokens. Revoking one access token keeps the
/// grant. Revoking something twice succeeds.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch on the command line")]
#[command(after_help = "Examples:
  pangea-mcp-auth tokens revoke d5k9c3a0m6r0
  pangea-mcp-auth tokens revoke d5k9c3a0m6r0r5o8k8q7j0c2a4s6u8v0.3
  pangea-mcp-auth tokens revoke --user ada@example.com --dry-run
  pangea-mcp-auth tokens revoke --client mcp_q7Zx --yes
  pangea-mcp-auth tokens revoke --token-stdin < leaked-token.txt")]
#[command(override_usage = "pangea-mcp-auth tokens revoke [OPTIONS] <ID>...
       pangea-mcp-auth tokens revoke [OPTIONS] --client <ID>
       pangea-mcp-auth tokens revoke [OPTIONS] --user <USER>
       pangea-mcp-auth tokens revoke [OPTIONS] --resource <URL>
       pangea-mcp-auth tokens revoke [OPTIONS] --all
       pangea-mcp-auth tokens revoke [OPTIONS] --token-stdin")]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true)
    .args(["ids", "client", "user", "resource", "all", "token_stdin"])))]
pub(crate) struct Revoke {
    /// ID of a grant or of an access token (its jti), or the beginning of one.
    #[arg(value_name = "ID", conflicts_with_all = ["client", "user", "resource", "all", "token_stdin"],
        add = ArgValueCompleter::new(completions::grants))]
    ids: Vec<String>,
    #[command(flatten)]
    of: Of,
    /// Revoke every grant.
    #[arg(long, conflicts_with_all = ["client", "user", "resource", "token_stdin"])]
    all: bool,
    /// Read an access token, refresh token or code from standard input and revoke its grant. The input may be a
    /// log line that contains it.
    #[arg(long, conflicts_with_all = ["client", "user", "resource"])]
    token_stdin: bool,
    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,
    /// Show what would be done, without changing anything.
    #[arg(long)]
    dry_run: bool,
}

impl Revoke {
    pub(super) const fn access(&self) -> Access {
        if self.dry_run { Access::ReadOnly } else { Access::ReadWrite }
    }

    pub(super) async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        let administration = connection.administration();
        let ending = Ending {
            administration: &administration,
            config: connection.config.as_ref().ok(),
            output,
            dry_run: self.dry_run,
        };
        if self.token_stdin {
            return ending.leaked().await;
        }
        if !self.ids.is_empty() {
            return ending.named(&self.ids).await;
        }
        ending.all_of(&self.of, self.yes).await
    }
}

struct Ending<'a> {
    administration: &'a Administration,
    config: Option<&'a Config>,
    output: &'a Output,
    dry_run: bool,
}

impl Ending<'_> {
    /// Revokes one ID after another; a failure does not stop the others.
    async fn named(&self, ids: &[String]) -> Result<(), Failure> {
        let (mut tally, mut failures) = (Tally::default(), Vec::new());
        for text in ids {
            let Err(failure) = self.one(text, &mut tally).await else { continue };
            let is_unreachable = failure.exit == Exit::Unreachable;
            failures.push((text, failure));
            if is_unreachable {
                break;
            }
        }
        let is_done = tally.revoked + tally.already_revoked + tally.untracked > 0;
        if is_done {
            let failed = failures.iter().map(|(text, failure)| Failed::of(text, failure));
            self.tell(&tally, failed.collect());
        }
        tell_all(failures.into_iter().map(|(_, failure)| failure).collect(), is_done)
    }

    async fn one(&self, text: &str, tally: &mut Tally) -> Result<(), Failure> {
        let (grant, number) = grant(self.administration, text).await?;
        match number {
            Some(number) => self.one_token(text, grant, number, tally).await,
            None => self.one_grant(text, grant, tally).await,
        }
    }

    async fn one_token(
        &self,
        text: &str,
        grant: Box<Grant>,
        number: u64,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let id = TokenId { grant: grant.id().clone(), number };
        let (grant, revocation) = if self.dry_run {
            let revocation = self.administration.look_at_token(&grant, number);
            (grant, revocation)
        } else {
            let ended = self.administration.revoke_token(&id).await?;
            ended.ok_or_else(|| not_found("token", text))?
        };
        tally.add_token(&grant, revocation);
        if matches!(revocation, TokenRevocation::Done(_)) {
            self.output.done(&id.to_string());
        }
        Ok(())
    }

    async fn one_grant(&self, text: &str, grant: Box<Grant>, tally: &mut Tally) -> Result<(), Failure> {
        let revocation = self.end(grant).await?;
        match &revocation {
            Revocation::Done(grant) => self.output.done(grant.id().as_str()),
            Revocation::Already(_) => {}
            Revocation::Absent => return Err(not_found("grant", text)),
        }
        tally.add(&revocation, self.administration.now());
        Ok(())
    }

    async fn end(&self, grant: Box<Grant>) -> Result<Revocation, RepositoryError> {
        if !self.dry_run {
            return self.administration.revoke_grant(grant.id()).await;
        }
        Ok(match grant.revocation() {
            Some(_) => Revocation::Already(grant),
            None => Revocation::Done(grant),
        })
    }

    async fn leaked(&self) -> Result<(), Failure> {
        let text = self.pasted()?;
        let (mut found, mut failures): (Vec<Grant>, Vec<Failure>) = (Vec::new(), Vec::new());
        for token in tokens_in(&text) {
            match self.administration.trace(token).await? {
                Leak::Of(grant) | Leak::OfRevoked(grant)
                    if found.iter().any(|known| known.id() == grant.id()) => {}
                Leak::Of(grant) | Leak::OfRevoked(grant) => found.push(*grant),
                Leak::Unproven(id) => {
                    let message = format!(
                        "the token names grant {id}, but is not valid: it has expired, or that grant never issued it"
                    );
                    let hint = format!("to revoke that grant anyway: pangea-mcp-auth tokens revoke {id}");
                    failures.push(Failure::new(Exit::NotFound, message).hint(hint));
                }
                Leak::Unknown => failures.push(unknown()),
            }
        }
        if found.is_empty() && failures.is_empty() {
            return Err(unknown());
        }
        let mut tally = Tally::default();
        let ids: Vec<_> = found.iter().map(|grant| grant.id().clone()).collect();
        for grant in found {
            self.one_grant(grant.id().clone().as_str(), Box::new(grant), &mut tally).await?;
        }
        if !ids.is_empty() {
            self.tell(&tally, Vec::new());
        }
        for id in &ids {
            self.output.remark(&format!("For its history: pangea-mcp-auth tokens show {id}"));
        }
        tell_all(failures, !ids.is_empty())
    }

    /// Reads standard input.
    fn pasted(&self) -> Result<String, Failure> {
        if io::stdin().is_terminal() {
            self.output.say("Paste the token and press Enter, then Ctrl-D.");
        }
        let mut bytes = Vec::new();
        let read = io::stdin().take(LONGEST_TEXT + 1).read_to_end(&mut bytes);
        read.map_err(|error| Failure::new(Exit::Failed, format!("cannot read standard input: {error}")))?;
        if bytes.len() as u64 > LONGEST_TEXT {
            let failure = Failure::new(Exit::Usage, "standard input is longer than 64 KiB");
            return Err(failure.hint("pass only the token, or the log line that contains it"));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn all_of(&self, of: &Of, yes: bool) -> Result<(), Failure> {
        let filter = of.filter(self.administration, self.config).await?;
        if self.dry_run {
            let expected = self.administration.count(&filter, &|id| self.output.done(id.as_str())).await?;
            self.tell(&expected, Vec::new());
            return unreadable::judge(&expected.unreadable, expected.revoked > 0);
        }
        let expected = self.administration.count(&filter, &|_| {}).await?;
        if expected.revoked > 0 {
            confirm(&format!("Revoke {}?", grants(expected.revoked)), &expected.whose, yes, self.output)?;
        }
        let bar = self.output.progress("revoking", Some(expected.revoked));
        let mut tally = Tally::default();
        let seen = |id: &GrantId| {
            bar.inc(1);
            self.output.done(id.as_str());
        };
        let outcome = self.administration.revoke_all(&filter, &mut tally, &seen).await;
        bar.finish_and_clear();
        self.tell(&tally, Vec::new());
        outcome.map_err(|error| interrupted_by(error, tally.revoked))?;
        unreadable::judge(&tally.unreadable, tally.revoked > 0)
    }

    fn tell(&self, tally: &Tally, failed: Vec<Failed>) {
        let report = Report::of(tally, self.dry_run, self.config).with_failed(failed);
        self.output.outcome(&report, &report.words());
    }
}

fn unknown() -> Failure {
    Failure::new(
        Exit::NotFound,
        "no grant in this repository matches the token: it may have expired, be incomplete, or come from another server",
    )
}
