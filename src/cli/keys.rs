//! `keys`: the keys that sign access tokens.

use std::{collections::BTreeSet, sync::Arc};

use serde::Serialize;

use super::{
    Global,
    connection::{Connection, audit},
    failure::{Exit, Failure},
    output::{Output, Row, Style},
    revocations::{Report, grants},
    run,
    sealing::SealingRotation,
    table::Column,
    times::{Moment, rfc3339},
    unreadable,
};
use crate::{
    audit::Event,
    clock::{Clock, SystemClock},
    config::Config,
    flow::administration::{GrantFilter, Tally},
    keys::{self, KeyInfo, KeyState, Keys as SigningKeys},
    secret::{Sealer, SystemRandom},
};

const COLUMNS: [Column; 6] = [
    Column::new("KID", 0),
    Column::new("ALGORITHM", 1),
    Column::new("STATE", 0),
    Column::new("CREATED", 2),
    Column::new("SIGNS FROM", 0),
    Column::new("PUBLISHED UNTIL", 0),
];

/// The keys that sign access tokens.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Examples:
  pangea-mcp-auth keys list
  pangea-mcp-auth keys rotate")]
pub(super) enum Keys {
    List(List),
    Rotate(Rotate),
}

impl Keys {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let output = global.output();
        run(async {
            if let Self::Rotate(rotate) = self
                && rotate.sealing.is_wanted()
            {
                return rotate.sealing.run(global, &output).await;
            }
            let connection = Connection::open(global, &output).await?;
            match self {
                Self::List(_) => list(&connection, &output).await,
                Self::Rotate(rotate) => rotate.run(&connection, &output).await,
            }
        })
    }
}

/// List signing keys, newest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth keys list
  pangea-mcp-auth keys list -o json")]
pub(super) struct List {}

/// A signing key in a list.
#[derive(Debug, Serialize)]
struct KeyRow {
    kid: String,
    algorithm: &'static str,
    state: &'static str,
    created_at: Moment,
    signs_from: Moment,
    /// When it is published no more; null until it has a successor.
    expires_at: Option<Moment>,
}

impl From<KeyInfo> for KeyRow {
    fn from(key: KeyInfo) -> Self {
        Self {
            kid: key.kid,
            algorithm: key.algorithm.as_str(),
            state: key.state.as_str(),
            created_at: key.created_at.into(),
            signs_from: key.signs_from.into(),
            expires_at: key.expires_at.map(Moment::from),
        }
    }
}

impl Row for KeyRow {
    fn id(&self) -> String {
        self.kid.clone()
    }

    fn cells(&self, style: Style) -> Vec<String> {
        vec![
            self.kid.clone(),
            self.algorithm.to_owned(),
            self.state.to_owned(),
            style.time(self.created_at.time()),
            style.time(self.signs_from.time()),
            self.expires_at.map(|at| style.time(at.time())).unwrap_or_default(),
        ]
    }
}

async fn list(connection: &Connection, output: &Output) -> Result<(), Failure> {
    let mut list = output.list(&COLUMNS);
    for key in keys::list(&connection.repository, SystemClock.now()).await? {
        list.push(&KeyRow::from(key));
    }
    list.finish();
    Ok(())
}

/// Make the next signing key.
///
/// Daemons do so by themselves, when the newest key is as old as `keys.rotation`. The new key is
/// published at once and signs ten minutes later, when everybody knows it; the old one is published
/// until the last token that it signed has expired. Daemons that run learn of it within 30 seconds.
///
/// With --revoke-all, for the day on which a key was stolen, or the sealing key lost: the new key
/// signs at once, the old ones are removed, whether or not they can be opened, and every grant is
/// revoked, so that everybody signs in again. Clients stay registered.
///
/// With --sealing it is the key under which everything at rest is sealed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth keys rotate
  pangea-mcp-auth keys rotate --revoke-all --dry-run
  pangea-mcp-auth keys rotate --revoke-all --yes
  pangea-mcp-auth keys rotate --sealing
  pangea-mcp-auth keys rotate --sealing --after 1h
  pangea-mcp-auth keys rotate --sealing --forget-old")]
pub(super) struct Rotate {
    #[command(flatten)]
    sealing: SealingRotation,
    /// Drop the old keys at once and revoke every grant.
    #[arg(long, conflicts_with = "sealing")]
    revoke_all: bool,
    /// Do not ask.
    #[arg(short, long, requires = "revoke_all")]
    yes: bool,
    /// Say what would be revoked, and do nothing.
    #[arg(long, requires = "revoke_all")]
    dry_run: bool,
}

/// What a rotation made, for programs.
#[derive(Debug, Serialize)]
struct Rotated {
    kid: String,
    signs_from: Moment,
    /// Keys that are still published for the tokens that they signed.
    retiring: Vec<String>,
    /// What became of the grants; null where they were to stay.
    grants: Option<Report>,
}

impl Rotate {
    async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
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
        if self.revoke_all {
            warn_if_lost(connection, config, output).await?;
            let expected = administration.count(&everything, &|_| {}).await?.revoked;
            let question = format!("Drop all signing keys and revoke {}?", grants(expected));
            output.confirm(&question, self.yes)?;
        }
        let (repository, now) = (Arc::clone(&connection.repository), SystemClock.now());
        let sealer = Sealer::with(&config.keys.sealing, now, Arc::new(SystemRandom));
        let (mut revoked, mut left) = (None, BTreeSet::new());
        if self.revoke_all {
            // The keys first: from then on nothing that is forged with an old one is accepted for long.
            let signing = SigningKeys::unopened(repository, sealer, config.keys.algorithm);
            signing.rotate_at_once(now).await.map_err(failed)?;
            audit(Event::KeyRotation { at_once: true });
            let mut tally = Tally::default();
            let bar = output.progress("revoking", None);
            let outcome = administration.revoke_all(&everything, &mut tally, &|_| bar.inc(1)).await;
            bar.finish_and_clear();
            outcome.map_err(|error| {
                let message =
                    format!("the keys were changed and {} revoked, then: {error}", grants(tally.revoked));
                Failure::new(Exit::Partly, message).hint("for the rest: pangea-mcp-auth tokens revoke --all")
            })?;
            revoked = Some(Report::of(&tally, false, Some(config)));
            left = tally.unreadable;
        } else {
            let signing = SigningKeys::load(repository, sealer, config.keys.algorithm, now).await;
            signing.map_err(failed)?.rotate(config.tokens.access_lifetime, now).await.map_err(failed)?;
            audit(Event::KeyRotation { at_once: false });
        }
        tell(keys::list(&connection.repository, now).await?, revoked, output);
        unreadable::judge(&left, true)
    }
}

/// With the sealing key that is missing, nobody would have to sign in again.
async fn warn_if_lost(connection: &Connection, config: &Config, output: &Output) -> Result<(), Failure> {
    let (repository, now) = (Arc::clone(&connection.repository), SystemClock.now());
    let lost = keys::sealed_elsewhere(repository, &config.keys.sealing, now).await?;
    if lost > 0 {
        output.warn(&format!(
            "signing keys that keys.sealing does not open: {lost}. If the sealing key is not lost but elsewhere, put \
             it back, and nobody has to sign in again"
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
            "key {kid} signs now, the old ones are gone\n  daemons take it up within 30 seconds; MCP servers that \
             verify by themselves trust the old keys until they fetch the published ones again, which is up to an \
             hour\ngrants: {}",
            grants.words()
        ),
    };
    output.done(kid);
    let retiring = keys.filter(|key| key.state != KeyState::Next).map(|key| key.kid).collect();
    let rotated =
        Rotated { kid: newest.kid, signs_from: newest.signs_from.into(), retiring, grants: revoked };
    output.outcome(&rotated, &words);
}

fn failed(error: keys::KeyError) -> Failure {
    crate::daemon::StartError::from(error).into()
}
