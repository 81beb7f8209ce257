//! `keys rotate`: creates the next signing key, or replaces all keys at once after one was stolen.

use std::sync::Arc;

use serde::Serialize;

use super::sealing::SealingRotation;
use crate::{
    audit::Event,
    cli::{
        connection::{Connection, audit},
        failure::{Exit, Failure},
        output::Output,
        revocations::{Report, confirm, grants},
        times::{Moment, rfc3339},
        unreadable,
    },
    clock::{Clock, SystemClock},
    config::Config,
    flow::administration::{GrantFilter, Tally},
    keys::{self, KeyInfo, KeyState, Keys as SigningKeys, Turns},
    secret::{Sealer, SystemRandom},
};

/// Create the next signing key.
///
/// Daemons do this on their own when the newest key is as old as `keys.rotation`. The new key is published
/// at once and signs a day later, or after a quarter of `keys.rotation` if that is shorter, when every
/// MCP server knows it. The old key stays published until the last token that it signed has expired.
///
/// Use --revoke-all when a signing key was stolen or the sealing key was lost. The new key signs at once,
/// the old keys are removed, and every grant is revoked. All users sign in again; clients stay registered.
///
/// With --sealing, rotate the sealing key, which encrypts records at rest.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch on the command line")]
#[command(after_help = "Examples:
  pangea-mcp-auth keys rotate --dry-run
  pangea-mcp-auth keys rotate
  pangea-mcp-auth keys rotate --revoke-all --dry-run
  pangea-mcp-auth keys rotate --revoke-all --yes
  pangea-mcp-auth keys rotate --sealing
  pangea-mcp-auth keys rotate --sealing --after 1h
  pangea-mcp-auth keys rotate --sealing --forget-old")]
pub(crate) struct Rotate {
    #[command(flatten)]
    pub(super) sealing: SealingRotation,
    /// Remove the old keys at once and revoke every grant.
    #[arg(long, conflicts_with = "sealing")]
    revoke_all: bool,
    /// Create another key even if one is waiting to sign.
    #[arg(long, conflicts_with_all = ["sealing", "revoke_all"])]
    force: bool,
    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,
    /// Show what would be done, without changing anything.
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// The result for `--output json`.
#[derive(Debug, Serialize)]
struct Rotated {
    dry_run: bool,
    /// The new key; null in a dry run.
    kid: Option<String>,
    signs_from: Moment,
    /// Keys that are still published for the tokens that they signed.
    retiring: Vec<String>,
    /// The revoked grants; null without `--revoke-all`.
    grants: Option<Report>,
}

impl Rotate {
    pub(super) async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        if self.revoke_all {
            return self.replace_all(connection, output).await;
        }
        let (config, now) = (connection.config()?, SystemClock.now());
        let turns =
            Turns { lifetime: config.lifetimes.signing_key, access_lifetime: config.lifetimes.access };
        let present = keys::list(&connection.repository, now).await?;
        let waiting = present.iter().find(|key| key.state == KeyState::Next);
        if let Some(waiting) = waiting.filter(|_| !self.force) {
            let (kid, from) = (&waiting.kid, rfc3339(waiting.signs_from));
            let failure =
                Failure::new(Exit::Failed, format!("key {kid} is already waiting: it signs from {from}"));
            return Err(failure.hint("rotate again after that, or use --force to create another key now"));
        }
        if self.dry_run {
            let signs_from = now.plus(turns.published_before());
            let retiring = present.into_iter().map(|key| key.kid).collect();
            let rotated =
                Rotated { dry_run: true, kid: None, signs_from: signs_from.into(), retiring, grants: None };
            let words = format!("a new key would be published now and sign from {}", rfc3339(signs_from));
            output.outcome(&rotated, &words);
            return Ok(());
        }
        let repository = Arc::clone(&connection.repository);
        let signing = SigningKeys::load(repository, sealer(config), config.keys.algorithm, now).await;
        signing.map_err(failed)?.rotate(turns, now).await.map_err(failed)?;
        audit(Event::KeyRotation { at_once: false });
        tell(keys::list(&connection.repository, now).await?, None, output);
        Ok(())
    }

    /// Replaces every key at once and revokes every grant.
    async fn replace_all(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        let administration = connection.administration();
        let everything = GrantFilter::default();
        if self.dry_run {
            if let Ok(config) = &connection.config {
                warn_if_lost(connection, config, output).await?;
            }
            let expected = administration.count(&everything, &|_| {}).await?;
            let report = Report::of(&expected, true, connection.config.as_ref().ok());
            output.outcome(&report, &report.words());
            return unreadable::judge(&expected.unreadable, expected.revoked > 0);
        }
        let config = connection.config()?;
        warn_if_lost(connection, config, output).await?;
        let expected = administration.count(&everything, &|_| {}).await?;
        let question = format!("Remove all signing keys and revoke {}?", grants(expected.revoked));
        confirm(&question, &expected.whose, self.yes, output)?;
        let (repository, now) = (Arc::clone(&connection.repository), SystemClock.now());
        // The keys first: from then on MCP servers soon refuse tokens that were forged with an old key.
        let signing = SigningKeys::unopened(repository, sealer(config), config.keys.algorithm);
        signing.rotate_at_once(now).await.map_err(failed)?;
        audit(Event::KeyRotation { at_once: true });
        let mut tally = Tally::default();
        let bar = output.progress("revoking", None);
        let outcome = administration.revoke_all(&everything, &mut tally, &|_| bar.inc(1)).await;
        bar.finish_and_clear();
        outcome.map_err(|error| {
            let message =
                format!("the keys were changed and {} revoked, then: {error}", grants(tally.revoked));
            Failure::new(Exit::Partly, message)
                .hint("to revoke the rest: pangea-mcp-auth tokens revoke --all")
        })?;
        let revoked = Report::of(&tally, false, Some(config));
        tell(keys::list(&connection.repository, now).await?, Some(revoked), output);
        unreadable::judge(&tally.unreadable, true)
    }
}

fn sealer(config: &Config) -> Sealer {
    Sealer::with(&config.keys.sealing, SystemClock.now(), Arc::new(SystemRandom))
}

/// Warns if signing keys are encrypted with a missing sealing key: with that key, no user had to sign in again.
async fn warn_if_lost(connection: &Connection, config: &Config, output: &Output) -> Result<(), Failure> {
    let (repository, now) = (Arc::clone(&connection.repository), SystemClock.now());
    let lost = keys::sealed_elsewhere(repository, &config.keys.sealing, now).await?;
    if lost > 0 {
        output.warn(&format!(
            "keys.sealing cannot decrypt {lost} signing keys. If you still have their sealing key, put it back instead: \
             then no user has to sign in again"
        ));
    }
    Ok(())
}

fn tell(keys: Vec<KeyInfo>, revoked: Option<Report>, output: &Output) {
    let mut keys = keys.into_iter();
    let Some(newest) = keys.next() else { return };
    let (kid, from) = (&newest.kid, rfc3339(newest.signs_from));
    let words = match &revoked {
        None => format!("key {kid} is published and signs from {from}"),
        Some(grants) => format!(
            "key {kid} signs now, the old keys are removed\n  daemons sign with it within a second; MCP servers that \
             verify tokens themselves trust the old keys until they fetch the key set again, which can take an \
             hour\ngrants: {}",
            grants.words()
        ),
    };
    output.done(kid);
    let retiring = keys.filter(|key| key.state != KeyState::Next).map(|key| key.kid).collect();
    let rotated = Rotated {
        dry_run: false,
        kid: Some(newest.kid),
        signs_from: newest.signs_from.into(),
        retiring,
        grants: revoked,
    };
    output.outcome(&rotated, &words);
}

fn failed(error: keys::KeyError) -> Failure {
    crate::daemon::StartError::from(error).into()
}
