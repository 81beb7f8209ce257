//! `tokens revoke`: ends grants and tokens, by name, in bulk, or by the leaked token itself.

use std::io::{self, IsTerminal, Read};

use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;

use super::{
    completions,
    connection::Connection,
    failure::{Exit, Failure},
    output::Output,
    times::{Moment, rfc3339},
    tokens::{Of, grant, not_found},
};
use crate::{
    clock::UnixTime,
    config::Config,
    flow::administration::{Administration, GrantFilter, Leak, Revocation, Tally},
    oauth::token::TokenId,
    repository::RepositoryError,
};

/// Longer texts are no tokens.
const LONGEST_TOKEN: u64 = 64 * 1024;

/// Revoke grants, or single access tokens.
///
/// A grant goes with its refresh token and all its access tokens, an access token alone leaves its
/// grant. What is over already counts as done.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch on the command line")]
#[command(after_help = "Examples:
  pangea-mcp-auth tokens revoke d5k9c3a0m6r0
  pangea-mcp-auth tokens revoke d5k9c3a0m6r0r5o8k8q7j0c2a4s6u8v0.3
  pangea-mcp-auth tokens revoke --user ada@example.com --dry-run
  pangea-mcp-auth tokens revoke --client mcp_q7Zx --yes
  pangea-mcp-auth tokens revoke --token-stdin < leaked-token.txt")]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true)
    .args(["ids", "client", "user", "resource", "all", "token_stdin"])))]
pub(super) struct Revoke {
    /// A grant, an access token (its jti), or the beginning of either.
    #[arg(value_name = "ID", conflicts_with_all = ["client", "user", "resource", "all", "token_stdin"],
        add = ArgValueCompleter::new(completions::grants))]
    ids: Vec<String>,
    #[command(flatten)]
    of: Of,
    /// Every grant there is.
    #[arg(long, conflicts_with_all = ["client", "user", "resource", "token_stdin"])]
    all: bool,
    /// The grant of the access token, refresh token or code that is read from standard input.
    #[arg(long, conflicts_with_all = ["client", "user", "resource"])]
    token_stdin: bool,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What came of it, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    revoked: u64,
    already_revoked: u64,
    not_found: Vec<String>,
    dry_run: bool,
    /// Until when somebody who does not ask may still accept a token that was revoked.
    accepted_until: Option<Moment>,
    resources: Vec<ResourceReport>,
}

#[derive(Debug, Serialize)]
struct ResourceReport {
    resource: String,
    /// Whether it has a credential with which it may ask about each token.
    introspection: bool,
    accepted_until: Option<Moment>,
}

impl Revoke {
    pub(super) async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        let administration = connection.administration();
        let config = connection.config.as_ref().ok();
        if self.token_stdin {
            return self.leaked(&administration, config, output).await;
        }
        if !self.ids.is_empty() {
            return self.named(&administration, config, output).await;
        }
        let filter = self.of.filter(&administration).await?;
        self.all_of(&administration, &filter, config, output).await
    }

    async fn named(
        &self,
        administration: &Administration,
        config: Option<&Config>,
        output: &Output,
    ) -> Result<(), Failure> {
        let (mut tally, mut missing) = (Tally::default(), Vec::new());
        for text in &self.ids {
            match self.one(administration, text, &mut tally).await {
                Ok(()) => {}
                Err(failure) if failure.exit == Exit::NotFound => missing.push((text, failure)),
                Err(failure) if tally == Tally::default() => return Err(failure),
                Err(failure) => {
                    report(&tally, Vec::new(), self.dry_run, config, output);
                    return Err(Failure { exit: Exit::Partly, ..failure });
                }
            }
        }
        let names = missing.iter().map(|(text, _)| (*text).clone()).collect();
        let nothing_found = missing.len() == self.ids.len();
        if !nothing_found {
            report(&tally, names, self.dry_run, config, output);
        }
        match missing.into_iter().next() {
            None => Ok(()),
            Some((_, failure)) if nothing_found => Err(failure),
            Some((_, failure)) => Err(Failure { exit: Exit::Partly, ..failure }),
        }
    }

    async fn one(
        &self,
        administration: &Administration,
        text: &str,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let (grant, number) = grant(administration, text).await?;
        let now = administration.now();
        match number {
            Some(number) if self.dry_run => {
                let live = grant.live_tokens(now).find(|token| token.number == number);
                tally.add_token(&grant, live.map(|token| token.expires_at));
            }
            Some(number) => {
                let id = TokenId { grant: grant.id, number };
                let ended = administration.revoke_token(&id).await?;
                let (grant, until) = ended.ok_or_else(|| not_found("token", text))?;
                tally.add_token(&grant, until);
            }
            None => {
                let revocation = self.end(administration, grant).await?;
                tally.add(&revocation, now);
            }
        }
        Ok(())
    }

    async fn end(
        &self,
        administration: &Administration,
        grant: crate::oauth::grant::Grant,
    ) -> Result<Revocation, RepositoryError> {
        if !self.dry_run {
            return administration.revoke_grant(&grant.id).await;
        }
        Ok(match grant.revocation() {
            Some(_) => Revocation::Already(Box::new(grant)),
            None => Revocation::Done(Box::new(grant)),
        })
    }

    async fn leaked(
        &self,
        administration: &Administration,
        config: Option<&Config>,
        output: &Output,
    ) -> Result<(), Failure> {
        if io::stdin().is_terminal() {
            output.say("Paste the token and press Enter, then Ctrl-D.");
        }
        let mut text = String::new();
        io::stdin()
            .take(LONGEST_TOKEN)
            .read_to_string(&mut text)
            .map_err(|_| Failure::new(Exit::Usage, "standard input is not a token"))?;
        // However it stood in the log: `Authorization: Bearer …`, or alone.
        let token = text.split_whitespace().last().unwrap_or_default();
        let grant = match administration.trace(token).await? {
            Leak::Of(grant) | Leak::OfRevoked(grant) => grant,
            Leak::Unproven(id) => {
                let message = format!(
                    "the token is none that is good now: it is over, or was never issued by grant {id}, which it names"
                );
                let failure = Failure::new(Exit::NotFound, message);
                return Err(failure
                    .hint(format!("to end that grant all the same: pangea-mcp-auth tokens revoke {id}")));
            }
            Leak::Unknown => {
                let failure = Failure::new(
                    Exit::NotFound,
                    "this is no token of a grant that is kept here: nothing can be done with it",
                );
                return Err(failure.hint("is it complete, and from this server?"));
            }
        };
        let mut tally = Tally::default();
        let id = grant.id.clone();
        tally.add(&self.end(administration, *grant).await?, administration.now());
        report(&tally, Vec::new(), self.dry_run, config, output);
        if output.is_quiet() {
            output.print_id(id.as_str());
        } else {
            output.remark(&format!("Its story: pangea-mcp-auth tokens show {id}"));
        }
        Ok(())
    }

    async fn all_of(
        &self,
        administration: &Administration,
        filter: &GrantFilter,
        config: Option<&Config>,
        output: &Output,
    ) -> Result<(), Failure> {
        let expected = administration.count(filter).await?;
        if self.dry_run {
            report(&expected, Vec::new(), true, config, output);
            return Ok(());
        }
        if expected.revoked > 0 {
            output.confirm(&format!("Revoke {}?", grants(expected.revoked)), self.yes)?;
        }
        let bar = output.progress("revoking", Some(expected.revoked));
        let mut tally = Tally::default();
        let outcome = administration.revoke_all(filter, &mut tally, &|| bar.inc(1)).await;
        bar.finish_and_clear();
        report(&tally, Vec::new(), false, config, output);
        outcome.map_err(|error| interrupted_by(error, tally.revoked))
    }
}

/// A failure after some of it was done is another one than before.
pub(super) fn interrupted_by(error: RepositoryError, done: u64) -> Failure {
    let failure = Failure::from(error);
    if done == 0 {
        return failure;
    }
    let message = format!("{} revoked, then: {}", grants(done), failure.message);
    Failure::new(Exit::Partly, message).hint("run the same command again for the rest")
}

/// Tells what came of it.
pub(super) fn report(
    tally: &Tally,
    not_found: Vec<String>,
    dry_run: bool,
    config: Option<&Config>,
    output: &Output,
) {
    let asks = |resource: &str| {
        config.is_some_and(|config| {
            let known = config.resources.iter().find(|known| known.url.as_str() == resource);
            known.is_some_and(|known| known.introspection.is_some())
        })
    };
    let words = words(tally, dry_run, asks);
    let resources = tally.accepted_until.iter().map(|(resource, until)| ResourceReport {
        introspection: asks(resource),
        resource: resource.clone(),
        accepted_until: until.map(Moment::from),
    });
    let report = Report {
        revoked: tally.revoked,
        already_revoked: tally.already_revoked,
        not_found,
        dry_run,
        accepted_until: tally.accepted_until.values().copied().max().flatten().map(Moment::from),
        resources: resources.collect(),
    };
    output.outcome(&report, &words);
}

fn words(tally: &Tally, dry_run: bool, asks: impl Fn(&str) -> bool) -> String {
    let done = if dry_run { "would be revoked" } else { "revoked" };
    let mut words = match (tally.revoked, tally.already_revoked) {
        (0, 0) => "nothing to revoke".to_owned(),
        (0, 1) => "already revoked".to_owned(),
        (0, already) => format!("all {already} already revoked"),
        (revoked, 0) => format!("{revoked} {done}"),
        (revoked, already) => format!("{revoked} {done}, {already} already revoked"),
    };
    for (resource, until) in &tally.accepted_until {
        words += &match until {
            Some(until) => told(resource, *until, asks(resource)),
            None => String::new(),
        };
    }
    words
}

fn told(resource: &str, until: UnixTime, asks: bool) -> String {
    let until = rfc3339(until);
    if asks {
        format!(
            "\n  {resource} can ask about each token: refused from now on; if it verifies tokens by itself, accepted until {until}"
        )
    } else {
        format!("\n  {resource} verifies tokens by itself and may accept them until {until}")
    }
}

fn grants(count: u64) -> String {
    if count == 1 { "1 grant".to_owned() } else { format!("{count} grants") }
}
