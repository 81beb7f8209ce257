//! The right to write to a repository that bears one writing process: a record that says who has it,
//! which expires unless it is renewed. A second daemon finds it and does not start.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::house::every;
use crate::{
    clock::{Clock, UnixTime},
    repository::{Atomicity, Collection, Entity, Kind, Repository, RepositoryError, Stored},
    secret::{Random, random_token},
};

/// The key of the record.
const KEY: &str = "writer.lease";
/// How long the right lasts without being renewed.
const LASTS: Duration = Duration::from_mins(1);
/// How often it is renewed.
const RENEWED: Duration = Duration::from_secs(15);

/// Why the right cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else has it.
    #[error(
        "another daemon writes to this repository, which bears only one: stop it; if it is gone already, its \
         place is free {seconds} seconds from now"
    )]
    Taken {
        /// When it ends, unless it is renewed.
        seconds: u64,
    },
    /// The repository cannot be used.
    #[error("{0}")]
    Repository(#[from] RepositoryError),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Holder {
    key: String,
    instance: String,
    since: UnixTime,
    expires_at: UnixTime,
}

impl Entity for Holder {
    const KIND: Kind = Kind::Replay;

    fn key(&self) -> &str {
        &self.key
    }

    fn expires_at(&self) -> Option<UnixTime> {
        Some(self.expires_at)
    }
}

/// The right to write, held by this process.
#[derive(Debug)]
pub struct Lease {
    holders: Collection<Holder>,
    clock: Arc<dyn Clock>,
    mine: Holder,
}

impl Lease {
    /// Takes the right to write to each of the repositories that bear only one writer.
    ///
    /// # Errors
    ///
    /// When somebody else has one of them, or a repository does not answer; then none is kept.
    pub async fn take_all(
        repositories: Vec<Arc<dyn Repository>>,
        clock: &Arc<dyn Clock>,
        random: &dyn Random,
    ) -> Result<Vec<Self>, LeaseError> {
        let instance = random_token(random);
        let mut leases: Vec<Self> = Vec::new();
        for repository in repositories.into_iter().filter(|r| r.atomicity() == Atomicity::SingleProcess) {
            match Self::take(repository, Arc::clone(clock), &instance).await {
                Ok(lease) => leases.push(lease),
                Err(error) => {
                    for lease in leases {
                        lease.give_back().await;
                    }
                    return Err(error);
                }
            }
        }
        Ok(leases)
    }

    async fn take(
        repository: Arc<dyn Repository>,
        clock: Arc<dyn Clock>,
        instance: &str,
    ) -> Result<Self, LeaseError> {
        let now = clock.now();
        let mine = Holder {
            key: KEY.to_owned(),
            instance: instance.to_owned(),
            since: now,
            expires_at: now.plus(LASTS),
        };
        let lease = Self { holders: Collection::new(repository), clock, mine };
        match lease.claim(now).await? {
            None => Ok(lease),
            Some(other) => Err(LeaseError::Taken { seconds: other.expires_at.since(now).as_secs() }),
        }
    }

    /// Renews the right until `stop`, then gives it back.
    pub async fn keep(self, stop: CancellationToken) {
        let mut renewal = every(RENEWED);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = renewal.tick() => match self.claim(self.clock.now()).await {
                    Ok(None) => {}
                    Ok(Some(_)) => tracing::error!(
                        "another daemon writes to the repository, which bears only one: stop one of them, or \
                         what was revoked may come back"
                    ),
                    Err(error) => tracing::warn!(%error, "the right to write cannot be renewed"),
                },
            }
        }
        self.give_back().await;
    }

    /// Gives the right back, so that another daemon may start at once.
    pub async fn give_back(self) {
        let now = self.clock.now();
        let given = match self.holders.get(KEY, now).await {
            Ok(Some(found)) if self.is_mine(&found) => self.holders.take(KEY, now).await.map(|_| ()),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = given {
            tracing::warn!(%error, "the right to write cannot be given back; it ends by itself");
        }
    }

    /// Takes or renews the right; whoever else has it.
    async fn claim(&self, now: UnixTime) -> Result<Option<Holder>, RepositoryError> {
        let renewed = Holder { expires_at: now.plus(LASTS), ..self.mine.clone() };
        let written = match self.holders.get(KEY, now).await? {
            None => self.holders.insert(renewed, now).await?,
            Some(found) if self.is_mine(&found) => self.holders.replace(found, renewed, now).await?,
            Some(found) => return Ok(Some(found.value)),
        };
        if written.is_some() {
            return Ok(None);
        }
        let faster = self.holders.get(KEY, now).await?;
        Ok(faster.filter(|found| !self.is_mine(found)).map(|found| found.value))
    }

    fn is_mine(&self, found: &Stored<Holder>) -> bool {
        found.value.instance == self.mine.instance
    }
}
