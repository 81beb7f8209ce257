//! `keys rotate --sealing`: adds a sealing key, and removes the old one.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    audit::Event,
    cli::{
        Global,
        connection::{self, Connection},
        failure::{Exit, Failure},
        output::Output,
        times,
    },
    clock::{Clock, SystemClock},
    config::{Config, SecretPlace, SystemEnvironment},
    repository::Access,
    sealing::{Addition, Rotation, RotationError, SEALS_AFTER},
    secret::SystemRandom,
};

/// The options of `keys rotate` for the sealing key.
#[derive(Debug, clap::Args)]
pub(super) struct SealingRotation {
    /// Create a sealing key and add it to the configured ones.
    #[arg(long)]
    sealing: bool,
    /// When the new sealing key becomes active; by then every daemon must have it [default: 2m].
    #[arg(long, value_name = "DURATION", value_parser = times::duration, requires = "sealing",
        conflicts_with = "revoke_all")]
    after: Option<Duration>,
    /// Remove the sealing keys that no record needs any more.
    #[arg(long, requires = "sealing", conflicts_with_all = ["after", "revoke_all"])]
    forget_old: bool,
}

impl SealingRotation {
    pub(super) const fn is_wanted(&self) -> bool {
        self.sealing
    }

    pub(super) async fn run(&self, global: &Global, output: &Output, dry_run: bool) -> Result<(), Failure> {
        if self.forget_old {
            forget(global, output, dry_run).await
        } else {
            self.add(global, output, dry_run)
        }
    }

    fn add(&self, global: &Global, output: &Output, dry_run: bool) -> Result<(), Failure> {
        let config = connection::load(global)
            .map_err(|problems| Failure::new(Exit::Configuration, problems.to_string()))?;
        connection::start_log(global, Some(&config));
        let rotation = rotation(&config);
        let addition = rotation.addition(rotation.now.plus(self.after.unwrap_or(SEALS_AFTER)))?;
        if dry_run {
            let rotated = Rotated { key: None, ..Rotated::of(&addition, dry_run) };
            let Rotated { place, seals_from, .. } = &rotated;
            output.outcome(
                &rotated,
                &format!("a new key would be added to {place} and become active at {seals_from}"),
            );
            return Ok(());
        }
        addition.store(&SystemEnvironment)?;
        connection::audit(Event::SealingKeyAdded { key: &addition.key.to_string() });
        output.outcome(&Rotated::of(&addition, dry_run), &words(&addition));
        Ok(())
    }
}

fn rotation(config: &Config) -> Rotation<'_> {
    let random = Arc::new(SystemRandom);
    Rotation { config, environment: &SystemEnvironment, random, now: SystemClock.now() }
}

async fn forget(global: &Global, output: &Output, dry_run: bool) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Forgotten {
        dry_run: bool,
        forgotten: Vec<String>,
    }
    let connection = Connection::open(global, output, Access::ReadOnly).await?;
    let repository = Arc::clone(&connection.repository);
    let removal = rotation(connection.config()?).removal(repository).await?;
    let forgotten: Vec<String> = removal.forgotten.iter().map(ToString::to_string).collect();
    if dry_run {
        let words = format!("would be removed: {}", forgotten.join(", "));
        output.outcome(&Forgotten { dry_run, forgotten }, &words);
        return Ok(());
    }
    removal.store(&SystemEnvironment)?;
    for key in &forgotten {
        connection::audit(Event::SealingKeyForgotten { key });
    }
    let words = format!(
        "Removed: {}. Copy the changed secret to every machine; daemons read it again within 30 seconds.",
        forgotten.join(", ")
    );
    output.outcome(&Forgotten { dry_run, forgotten }, &words);
    Ok(())
}

/// The result for `--output json`, without the key itself.
#[derive(Debug, Serialize)]
struct Rotated {
    dry_run: bool,
    /// ID of the key; null in a dry run.
    key: Option<String>,
    place: String,
    seals_from: String,
    old_needed_until: String,
}

impl Rotated {
    fn of(added: &Addition, dry_run: bool) -> Self {
        Self {
            dry_run,
            key: Some(added.key.to_string()),
            place: place(&added.place),
            seals_from: times::rfc3339(added.seals_from),
            old_needed_until: times::rfc3339(added.old_needed_until),
        }
    }
}

fn words(added: &Addition) -> String {
    let key = added.key;
    let Rotated { place, seals_from, old_needed_until, .. } = Rotated::of(added, false);
    format!(
        "Added the sealing key {key} to {place}.

  now             daemons read it within 30 seconds; copy it to every other machine at once
  {seals_from}  it becomes active; the daemons re-encrypt records in the background
  {old_needed_until}  the old key can be removed at the latest

`pangea-mcp-auth keys rotate --sealing --forget-old` removes the old key once no record needs it. Keep the old key
as long as you keep older backups."
    )
}

fn place(place: &SecretPlace) -> String {
    match place {
        SecretPlace::File(path) => path.display().to_string(),
        SecretPlace::Keyring(name) => format!("the entry {name:?} of the keyring"),
        SecretPlace::Variable(name) => format!("the environment variable {name}"),
    }
}

impl From<RotationError> for Failure {
    fn from(error: RotationError) -> Self {
        let exit = match error {
            RotationError::Variable { .. } | RotationError::Place(_) => Exit::Configuration,
            RotationError::Waits(_)
            | RotationError::NothingOld
            | RotationError::TooEarly(_)
            | RotationError::StillNeeded { .. } => Exit::Failed,
            RotationError::Repository(_) => Exit::Unreachable,
        };
        Self::new(exit, error.to_string())
    }
}
