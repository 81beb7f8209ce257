//! The repository: one record goes in, changes and comes out again; keys open; durability is as it should be.

use std::{fs, path::Path, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Finding, Part, Topic,
    finding::{Fix, Question},
};
use crate::{
    clock::{Clock, UnixTime},
    config::{Keys as KeyConfig, Repositories, RepositoryConfig},
    daemon::{self, StartError},
    keys::Keys,
    repository::{Access, Atomicity, Kind, Record, Repository, RepositoryError, Write},
    secret::{Random, Sealer, random_token},
};

/// A write that takes longer is felt at every sign-in.
const SLOW: Duration = Duration::from_millis(500);
/// After this time the record of the round trip is gone by itself.
const RECORD_LIFE: Duration = Duration::from_mins(1);

/// One storage engine.
pub(super) struct Place {
    /// Its table in the configuration.
    section: &'static str,
    config: RepositoryConfig,
    /// Opens the signing keys, if they live here.
    sealer: Option<Sealer>,
    /// The key of the record of the round trip.
    record: String,
}

/// Every engine that is configured.
pub(super) fn places(
    repositories: &Repositories,
    keys: Option<&KeyConfig>,
    now: UnixTime,
    random: &Arc<dyn Random>,
) -> Vec<Place> {
    let Repositories { main, clients, grants, keys: elsewhere, replays } = repositories;
    let sections = [
        ("repository", Some(main)),
        ("repository.clients", clients.as_ref()),
        ("repository.grants", grants.as_ref()),
        ("repository.keys", elsewhere.as_ref()),
        ("repository.replays", replays.as_ref()),
    ];
    let keys_at = if elsewhere.is_some() { "repository.keys" } else { "repository" };
    let place = |(section, config): (&'static str, Option<&RepositoryConfig>)| {
        let here = keys.filter(|_| section == keys_at);
        Some(Place {
            section,
            config: config?.clone(),
            sealer: here.map(|keys| Sealer::with(&keys.sealing, now, Arc::clone(random))),
            record: format!("check-{}", random_token(&**random)),
        })
    };
    sections.into_iter().filter_map(place).collect()
}

impl Place {
    /// What stays open while it hangs.
    pub(super) fn question(&self) -> Question {
        self.about(Topic::Repository, format!("opening {}", self.engine()))
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
        let alone = Repositories {
            main: self.config.clone(),
            clients: None,
            grants: None,
            keys: None,
            replays: None,
        };
        let repository = match daemon::open_repository_for(&alone, Access::ReadWrite).await {
            Ok(repository) => repository,
            Err(StartError::Repository(error @ RepositoryError::Absent(_))) => {
                return Part::from(vec![question.skip(error.to_string())]);
            }
            Err(error) => {
                let cause = "the storage engine is down, elsewhere, or does not let us in";
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
            let question = Question::new(Topic::Keys, "opening the stored signing keys with keys.sealing");
            match opened {
                Ok(names) if names.is_empty() => {
                    part.findings.push(question.pass("there are none yet: serve makes the first one"));
                }
                Ok(names) => {
                    part.findings.push(question.pass(format!("{} open", names.len())));
                    part.stored_keys = Some(names);
                }
                Err(error) => part.findings.push(question.fail(
                    error.to_string(),
                    "the sealing key is not the one under which this repository was written",
                    Fix::pasting(
                        "Restore that key from your copy to where keys.sealing says. If it is lost, stop every daemon \
                         and begin anew under the present key; everybody signs in again (docs/sealing-keys.md):",
                        "pangea-mcp-auth keys rotate --revoke-all",
                    ),
                )),
            }
        }
        part
    }

    /// Whether `serve` can make the file, tried with another one in the nearest folder that is there.
    fn not_there_yet(&self, question: Question, path: &Path) -> Finding {
        let folder = path.ancestors().skip(1).find(|folder| folder.symlink_metadata().is_ok());
        let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let probe = folder.join(format!(".{}", self.record));
        match fs::File::create_new(&probe).and_then(|_| fs::remove_file(&probe)) {
            Ok(()) => question.pass(format!("{} is not there yet: serve makes it", path.display())),
            Err(error) => {
                let found = format!(
                    "{} is not there, and {} cannot be written to ({error})",
                    path.display(),
                    folder.display()
                );
                question.fail(found, "the path is mistyped, or the folder is not for this user", self.fix())
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
            RepositoryConfig::Memory => Fix::pasting(format!("Write under [{section}]"), "kind = \"sqlite\""),
            RepositoryConfig::Sqlite { path } => Fix::pasting(
                format!(
                    "Let the file and its folder be writable for whom the daemon runs as, or set {section}.path; look:"
                ),
                format!("ls -ld {} {}", path.parent().unwrap_or(path).display(), path.display()),
            ),
            RepositoryConfig::Postgres(_) | RepositoryConfig::Redis(_) => {
                format!("Start it, or correct {section}.url and {section}.password").into()
            }
            RepositoryConfig::Vault(_) => format!("Correct {section}.token and {section}.api_url").into(),
        }
    }

    /// Inserts, replaces and takes one record.
    async fn round_trip(&self, repository: &dyn Repository, clock: &dyn Clock) -> Finding {
        let tried = "writing, replacing and removing one record".to_owned();
        let question = self.about(Topic::RepositoryRoundTrip, tried);
        let started = Instant::now();
        match self.travel(repository, clock).await {
            Ok(true) => {}
            Ok(false) => {
                let cause =
                    "another program writes over our records, or the engine answers from a stale copy";
                return question.fail("what came back is not what was written", cause, self.fix());
            }
            Err(error) => return question.fail(error.to_string(), "the engine refuses to write", self.fix()),
        }
        let taken = started.elapsed();
        let found = format!("three writes in {} ms", taken.as_millis());
        if taken > SLOW * 3 {
            let fix = "Move the daemon nearer to the engine, or give it a faster disk";
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

    /// Whether what it acknowledges stays, and how many daemons may share it.
    async fn settings(&self, repository: &dyn Repository) -> Finding {
        let question = self.about(Topic::RepositorySettings, "asking how the engine is set up");
        if matches!(self.config, RepositoryConfig::Memory) {
            let cause = "every client, grant and signing key is gone when the daemon ends";
            return question.warn("memory keeps nothing", cause, self.fix());
        }
        match repository.warnings().await {
            Err(error) => question.warn(error.to_string(), "the engine does not say", self.fix()),
            Ok(warnings) if warnings.is_empty() => question.pass(match repository.atomicity() {
                Atomicity::Shared => "durable; several daemons may share it",
                Atomicity::SingleProcess => "durable; for one daemon at a time",
            }),
            Ok(warnings) => question.warn(
                warnings.join(" "),
                "a crash may lose what clients were promised",
                "Do what the sentence says, and restart the engine",
            ),
        }
    }

    /// Who has the right to write where one process has it.
    async fn writer(&self, repository: &Arc<dyn Repository>, now: UnixTime) -> Finding {
        let question = self.about(Topic::RepositoryWriter, "asking who has the right to write");
        match daemon::Lease::taken_until(Arc::clone(repository), now).await {
            Ok(None) => question.pass("nobody: a daemon may start"),
            Ok(Some(until)) => question.pass(format!(
                "a daemon, for another {} seconds unless it renews the lease: a second one waits and writes nothing; \
                 commands may change single records beside it",
                until.since(now).as_secs()
            )),
            Err(error) => question.fail(error.to_string(), "the engine does not say", self.fix()),
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
        repository::{MemoryRepository, Page, Result, Version, Versioned},
        secret::SystemRandom,
    };

    /// A repository that takes a record and then hangs.
    #[derive(Debug, Default)]
    struct Hanging(MemoryRepository);

    #[async_trait]
    impl Repository for Hanging {
        async fn get(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Versioned>> {
            self.0.get(kind, key, now).await
        }

        async fn insert(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write> {
            self.0.insert(kind, record, now).await
        }

        async fn replace(&self, _: Kind, _: &Record, _: Version, _: UnixTime) -> Result<Write> {
            pending().await
        }

        async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>> {
            self.0.take(kind, key, now).await
        }

        async fn list(&self, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>> {
            self.0.list(kind, page, now).await
        }

        async fn purge_expired(&self, now: UnixTime) -> Result<u64> {
            self.0.purge_expired(now).await
        }

        async fn ping(&self) -> Result<()> {
            self.0.ping().await
        }
    }

    #[tokio::test]
    async fn a_round_trip_that_is_broken_off_leaves_a_record_that_ends_by_itself() {
        let (repository, clock) = (Hanging::default(), ManualClock::at(UnixTime::from_secs(1_800_000_000)));
        let alone = Repositories {
            main: RepositoryConfig::Memory,
            clients: None,
            grants: None,
            keys: None,
            replays: None,
        };
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
