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
const LASTS: Duration = Duration::from_secs(90);
/// How often it is renewed. Each time costs two calls where calls are paid for.
const RENEWED: Duration = Duration::from_secs(30);

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
    instance: String,
    /// What this process wrote last, and nobody has changed since; `None` when that is not known.
    held: Option<Stored<Holder>>,
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
            let (holders, clock) = (Collection::new(repository), Arc::clone(clock));
            let mut lease = Self { holders, clock, instance: instance.clone(), held: None };
            let refused = match lease.claim().await {
                Ok(None) => None,
                Ok(Some(ends)) => {
                    Some(LeaseError::Taken { seconds: ends.since(lease.clock.now()).as_secs() })
                }
                Err(error) => Some(error.into()),
            };
            leases.push(lease);
            if let Some(refused) = refused {
                for lease in leases {
                    lease.give_back().await;
                }
                return Err(refused);
            }
        }
        Ok(leases)
    }

    /// Renews the right until `stop`, then gives it back.
    pub async fn keep(mut self, stop: CancellationToken) {
        let mut renewal = every(RENEWED);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = renewal.tick() => match self.claim().await {
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

    /// Takes or renews the right; until when somebody else has it.
    async fn claim(&mut self) -> Result<Option<UnixTime>, RepositoryError> {
        let now = self.clock.now();
        let renewed =
            Holder { key: KEY.to_owned(), instance: self.instance.clone(), expires_at: now.plus(LASTS) };
        if let Some(held) = self.held.take() {
            self.held = self.holders.replace(held, renewed.clone(), now).await?;
        }
        if self.held.is_none() {
            self.held = match self.holders.get(KEY, now).await? {
                None => self.holders.insert(renewed, now).await?,
                Some(found) if self.is_mine(&found) => self.holders.replace(found, renewed, now).await?,
                Some(found) => return Ok(Some(found.value.expires_at)),
            };
        }
        if self.held.is_some() {
            return Ok(None);
        }
        let faster = self.holders.get(KEY, now).await?.filter(|found| !self.is_mine(found));
        Ok(faster.map(|found| found.value.expires_at))
    }

    fn is_mine(&self, found: &Stored<Holder>) -> bool {
        found.value.instance == self.instance
    }
}
