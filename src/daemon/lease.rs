//! The right to write to a repository that bears one writing process: a record that says who has it,
//! which expires unless it is renewed. A second daemon finds it and does not start.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::one_writer::OneWriter;
use crate::{
    clock::{SKEW, UnixTime},
    repository::{Collection, Entity, Kind, Repository, RepositoryError, Stored, WRITER_LEASE},
    secret::{Random, random_token},
};

/// How long the right lasts without being renewed: a minute and a half, also in the eyes of a daemon
/// whose clock is ahead.
const LASTS: Duration = SKEW.saturating_add(Duration::from_secs(90));
/// How often it is renewed. Each time costs two calls where calls are paid for.
const RENEWED: Duration = Duration::from_secs(30);
/// After so long it is tried again when the repository did not answer.
const TRIED_AGAIN: Duration = Duration::from_secs(5);

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
    writer: Arc<OneWriter>,
    holders: Collection<Holder>,
    instance: String,
    /// What this process wrote last, and nobody has changed since; `None` when that is not known.
    held: Option<Stored<Holder>>,
}

impl Lease {
    /// Takes the right to write to each of these repositories.
    ///
    /// # Errors
    ///
    /// When somebody else has one of them, or a repository does not answer; then none is kept.
    pub async fn take_all(
        writers: Vec<Arc<OneWriter>>,
        random: &dyn Random,
    ) -> Result<Vec<Self>, LeaseError> {
        let instance = random_token(random);
        let mut leases: Vec<Self> = Vec::new();
        for writer in writers {
            let mut lease = Self::on(writer, instance.clone());
            let refused = lease.take().await.err();
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

    /// Until when a process has the right to write to a repository, if one has.
    ///
    /// # Errors
    ///
    /// When the repository does not answer.
    pub async fn taken_until(
        repository: Arc<dyn Repository>,
        now: UnixTime,
    ) -> Result<Option<UnixTime>, RepositoryError> {
        let found = Collection::<Holder>::new(repository).get(WRITER_LEASE, now).await?;
        Ok(found.map(|found| found.value.expires_at))
    }

    fn on(writer: Arc<OneWriter>, instance: String) -> Self {
        let holders = Collection::new(Arc::clone(writer.unguarded()));
        Self { writer, holders, instance, held: None }
    }

    /// Takes the right, and looks once more: where nothing keeps names unique, two processes that
    /// come at one moment both find nobody, and both store.
    async fn take(&mut self) -> Result<(), LeaseError> {
        for _ in 0..2 {
            if let Some(ends) = self.renew().await? {
                return Err(LeaseError::Taken { seconds: ends.since(self.writer.now()).as_secs() });
            }
        }
        Ok(())
    }

    /// Renews the right until `stop`, then gives it back. Without it nothing is written: when the
    /// repository is away for too long, and while another process has it.
    pub async fn keep(mut self, stop: CancellationToken) {
        loop {
            let renewed = tokio::select! {
                () = stop.cancelled() => break,
                renewed = self.renew() => renewed,
            };
            let pause = match renewed {
                Ok(None) => RENEWED,
                Ok(Some(_)) => {
                    tracing::error!(
                        "another daemon writes to the repository, which bears only one: this one writes nothing any \
                         more, until that one stops"
                    );
                    RENEWED
                }
                Err(error) => {
                    tracing::warn!(%error, "the right to write cannot be renewed; it lapses a minute after it last was");
                    TRIED_AGAIN
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.give_back().await;
    }

    /// Renews the right, or takes it if it is free; until when somebody else has it.
    ///
    /// # Errors
    ///
    /// When the repository does not answer; the right lasts as long as before.
    pub async fn renew(&mut self) -> Result<Option<UnixTime>, RepositoryError> {
        let ends = self.writer.now().plus(LASTS);
        let taken = self.claim(ends).await?;
        if taken.is_some() {
            self.writer.may_write_no_more();
        } else {
            self.writer.may_write_until(ends);
        }
        Ok(taken)
    }

    /// Gives the right back, so that another daemon may start at once.
    pub async fn give_back(self) {
        self.writer.may_write_no_more();
        let now = self.writer.now();
        let given = match self.holders.get(WRITER_LEASE, now).await {
            Ok(Some(found)) if self.is_mine(&found) => self.holders.take(WRITER_LEASE, now).await.map(|_| ()),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = given {
            tracing::warn!(%error, "the right to write cannot be given back; it ends by itself");
        }
    }

    /// Writes that the right is ours until `ends`; until when it is somebody else's.
    async fn claim(&mut self, ends: UnixTime) -> Result<Option<UnixTime>, RepositoryError> {
        let now = self.writer.now();
        let ours = Holder { key: WRITER_LEASE.to_owned(), instance: self.instance.clone(), expires_at: ends };
        if let Some(held) = self.held.take() {
            self.held = self.holders.replace(held, ours.clone(), now).await?;
        }
        if self.held.is_none() {
            self.held = match self.holders.get(WRITER_LEASE, now).await? {
                None => self.holders.insert(ours, now).await?,
                Some(found) if self.is_mine(&found) => self.holders.replace(found, ours, now).await?,
                Some(found) => return Ok(Some(found.value.expires_at)),
            };
        }
        if self.held.is_some() {
            return Ok(None);
        }
        match self.holders.get(WRITER_LEASE, now).await? {
            Some(faster) if !self.is_mine(&faster) => Ok(Some(faster.value.expires_at)),
            _ => Err(RepositoryError::Unavailable(
                "the record of who may write changes all the time".to_owned(),
            )),
        }
    }

    fn is_mine(&self, found: &Stored<Holder>) -> bool {
        found.value.instance == self.instance
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn the_page_about_repositories_of_ones_own_says_how_long_a_lease_lasts() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/custom-repository.md");
        let sentence = format!("(a lease of {} seconds)", LASTS.as_secs());
        assert!(fs::read_to_string(page).unwrap().contains(&sentence), "{sentence}");
    }
}
