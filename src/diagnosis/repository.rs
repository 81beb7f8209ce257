//! The repository: writes, replaces and deletes a test record, decrypts the keys, and checks durability.

use std::{fs, path::Path, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Finding, Part, Topic,
    finding::{Fix, Question},
};
use crate::{
    clock::{Clock, UnixTime},
    config::{self, Keys as KeyConfig, Repositories, RepositoryConfig},
    daemon::{self, StartError},
    keys::Keys,
    repository::{Access, Atomicity, Kind, Record, Repository, RepositoryError, Write},
    secret::{Random, Sealer, random_token},
};

/// A longer write noticeably delays every sign-in.
const SLOW: Duration = Duration::from_millis(500);
/// When the test record expires if it was not deleted.
const RECORD_LIFE: Duration = Duration::from_mins(1);

pub(super) struct Place {
    /// Its section in the configuration.
    section: &'static str,
    config: RepositoryConfig,
    /// Decrypts the signing keys, if they are stored here.
    sealer: Option<Sealer>,
    /// The key of the test record.
    record: String,
}

pub(super) fn places(
    repositories: &Repositories,
    keys: Option<&KeyConfig>,
    now: UnixTime,
    random: &Arc<dyn Random>,
) -> Vec<Place> {
    let Repositories { main, elsewhere } = repositories;
    let place = |section, config: &RepositoryConfig, has_keys| Place {
        section,
        config: config.clone(),
        sealer: keys.filter(|_| has_keys).map(|keys| Sealer::with(&keys.sealing, now, Arc::clone(random))),
        record: format!("check-{}", random_token(&**random)),
    };
    let main = place("repository", main, !elsewhere.contains_key(&Kind::Key));
    let elsewhere =
        elsewhere.iter().map(|(kind, config)| place(config::section_of(*kind), config, *kind == Kind::Key));
    std::iter::once(main).chain(elsewhere).collect()
}

impl Place {
    /// What to report if it hangs.
    pub(super) fn question(&self) -> Question {
        self.about(Topic::Repository, format!("open {}", self.engine()))
    }

    fn about(&self, topic: Topic, tried: impl Into<String>) -> Question {
        Question::of_section(topic, self.section, tried)
    }

    pub(super) async fn findings(self, clock: Arc<dyn Clock>) -> Part {
        let question = self.question();
        if let RepositoryConfig::Sqlite { path } = &self.config
            && !path.exists()
        {
            return Part::from(vec![self.not_there_yet(question, path)]);
        }
        let alone = Repositories::from(self.config.clone());
        let repository = match daemon::open_repository_for(&alone, Access::ReadWrite).await {
            Ok(repository) => repository,
            Err(StartError::Repository(error @ RepositoryError::Absent(_))) => {
                return Part::from(vec![question.skip(error.to_string())]);
            }
            Err(error) => {
                let cause = "the database is down, has another address, or refuses the credentials";
                return Part::from(vec![question.fail(error.to_string(), cause, self.fix())]);
            }
        };
        let mut part = Part::from(vec![question.pass("open")]);
        part.findings.push(self.round_trip(&*repository, &*clock).await);
        part.findings.push(self.settings(&*repository).await);
        if repository.atomicity() == Atomicity::SingleProcess {
            part.findings.push(self.writer(&repository, clock.now()).await);
        }
        if let Some(sealer) = self.sealer {
            let opened = Keys::names(Arc::clone(&repository), sealer, clock.now()).await;
            let question = Question::new(Topic::Keys, "decrypt the stored signing keys with keys.sealing");
            match opened {
                Ok(names) if names.is_empty() => {
                    part.findings.push(question.pass("no keys yet: `serve` creates the first one"));
                }
                Ok(names) => {
                    part.findings.push(question.pass(format!("{} decrypted", names.len())));
                    part.stored_keys = Some(names);
                }
                Err(error) => part.findings.push(question.fail(
                    error.to_string(),
                    "keys.sealing does not contain the key that encrypted this repository",
                    Fix::pasting(
                        "Restore that key from your copy. If it is lost, stop every daemon and replace the signing keys; \
                         all users sign in again (docs/sealing-keys.md):",
                        "pangea-mcp-auth keys rotate --revoke-all",
                    ),
                )),
            }
        }
        part
    }

    /// Whether `serve` can create the file, tested with another file in the nearest existing directory.
    fn not_there_yet(&self, question: Question, path: &Path) -> Finding {
        let folder = path.ancestors().skip(1).find(|folder| folder.symlink_metadata().is_ok());
        let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let probe = folder.join(format!(".{}", self.record));
        match fs::File::create_new(&probe).and_then(|_| fs::remove_file(&probe)) {
            Ok(()) => question.pass(format!("{} does not exist yet: `serve` creates it", path.display())),
            Err(error) => {
                let found = format!(
                    "{} does not exist, and {} is not writable ({error})",
                    path.display(),
                    folder.display()
                );
                question.fail(
                    found,
                    "the path is mistyped, or this user may not write to the directory",
                    self.fix(),
                )
            }
        }
    }

    fn engine(&self) -> String {
        match &self.config {
            RepositoryConfig::Memory => "a repository in memory".to_owned(),
            RepositoryConfig::Sqlite { path } => path.display().to_string(),
            RepositoryConfig::Postgres(_) => "the PostgreSQL database".to_owned(),
            RepositoryConfig::Redis(_) => "the Redis server".to_owned(),
            RepositoryConfig::Vault(vault) => format!("Pangea Vault at {}", vault.api_url),
        }
    }

    fn fix(&self) -> Fix {
        let section = self.section;
        match &self.config {
            RepositoryConfig::Memory => Fix::pasting(format!("Set under [{section}]"), "kind = \"sqlite\""),
            RepositoryConfig::Sqlite { path } => Fix::pasting(
                format!(
                    "Make the file and its directory writable for the user of the daemon, or change {section}.path. To see the permissions:"
                ),
                format!("ls -ld {} {}", path.parent().unwrap_or(path).display(), path.display()),
            ),
            RepositoryConfig::Postgres(_) | RepositoryConfig::Redis(_) => {
                format!("Start it, or correct {section}.url and {section}.password").into()
            }
            RepositoryConfig::Vault(_) => format!("Correct {section}.token and {section}.api_url").into(),
        }
    }

    async fn round_trip(&self, repository: &dyn Repository, clock: &dyn Clock) -> Finding {
        let tried = "write, replace and delete a test record".to_owned();
        let question = self.about(Topic::RepositoryRoundTrip, tried);
        let started = Instant::now();
        match self.travel(repository, clock).await {
            Ok(true) => {}
            Ok(false) => {
                let cause =
                    "another program overwrites our records, or the database answers from a stale replica";
                return question.fail(
                    "the record that was read differs from the one that was written",
                    cause,
                    self.fix(),
                );
            }
            Err(error) => return question.fail(error.to_string(), "the database refuses writes", self.fix()),
        }
        let taken = started.elapsed();
        let found = format!("three writes in {} ms", taken.as_millis());
        if taken > SLOW * 3 {
            let fix = "Move the daemon closer to the database, or use a faster disk";
            return question.warn(found, "every sign-in and refresh waits for a durable write", fix);
        }
        question.pass(found)
    }

    async fn travel(&self, repository: &dyn Repository, clock: &dyn Clock) -> Result<bool, RepositoryError> {
        let now = clock.now();
        let record = |value: &str| Record {
            key: self.record.clone(),
            value: format!("{{\"check\":\"{value}\"}}"),
            parent: None,
            expires_at: Some(now.plus(RECORD_LIFE)),
        };
        let Write::Done(version) = repository.insert(Kind::Replay, &record("first"), now).await? else {
            return Ok(false);
        };
        let replaced = repository.replace(Kind::Replay, &record("second"), version, now).await;
        let taken = repository.take(Kind::Replay, &self.record, now).await?;
        Ok(matches!(replaced?, Write::Done(_))
            && taken.is_some_and(|taken| taken.value == record("second").value))
    }

    /// Whether acknowledged writes are durable, and how many daemons may share the repository.
    async fn settings(&self, repository: &dyn Repository) -> Finding {
        let question = self.about(Topic::RepositorySettings, "read the settings of the database");
        if matches!(self.config, RepositoryConfig::Memory) {
            let cause = "all clients, grants and signing keys are lost when the daemon stops";
            return question.warn("records are only in memory", cause, self.fix());
        }
        match repository.warnings().await {
            Err(error) => question.warn(error.to_string(), "the database does not answer", self.fix()),
            Ok(warnings) if warnings.is_empty() => question.pass(match repository.atomicity() {
                Atomicity::Shared => "durable; several daemons may share it",
                Atomicity::SingleProcess => "durable; one daemon at a time may use it",
            }),
            Ok(warnings) => question.warn(
                warnings.join(" "),
                "a crash may lose acknowledged writes",
                "Change this setting, and restart the database",
            ),
        }
    }

    /// Who holds the write lease of a single-writer repository.
    async fn writer(&self, repository: &Arc<dyn Repository>, now: UnixTime) -> Finding {
        let question = self.about(Topic::RepositoryWriter, "read the write lease");
        match daemon::Lease::taken_until(Arc::clone(repository), now).await {
            Ok(None) => question.pass("not held: a daemon can start"),
            Ok(Some(until)) => question.pass(format!(
                "held by a daemon for another {} seconds, unless it renews the lease: a second daemon is read-only; \
                 commands can still change single records",
                until.since(now).as_secs()
            )),
            Err(error) => question.fail(error.to_string(), "the database does not answer", self.fix()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use async_trait::async_trait;

    use super::*;
    use crate::{
        clock::ManualClock,
        repository::{MemoryRepository, Result, Version, forward_to_repository},
        secret::SystemRandom,
    };

    /// A repository that takes a record and then hangs.
    #[derive(Debug, Default)]
    struct Hanging(MemoryRepository);

    #[async_trait]
    impl Repository for Hanging {
        forward_to_repository!(0: get, insert, take, list, purge_expired, ping);

        async fn replace(&self, _: Kind, _: &Record, _: Version, _: UnixTime) -> Result<Write> {
            pending().await
        }
    }

    #[tokio::test]
    async fn a_round_trip_that_is_broken_off_leaves_a_record_that_ends_by_itself() {
        let (repository, clock) = (Hanging::default(), ManualClock::at(UnixTime::from_secs(1_800_000_000)));
        let alone = Repositories::from(RepositoryConfig::Memory);
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let place = places(&alone, None, clock.now(), &random).remove(0);
        let broken_off =
            tokio::time::timeout(Duration::from_millis(1), place.round_trip(&repository, &clock));
        assert!(broken_off.await.is_err());
        let left = repository.get(Kind::Replay, &place.record, clock.now()).await.unwrap();
        assert!(left.is_some(), "it was broken off before anything was written");
        clock.advance(RECORD_LIFE);
        assert_eq!(repository.get(Kind::Replay, &place.record, clock.now()).await.unwrap(), None);
    }
}
