//! The right to write to a repository that bears one writing process: a record that says who has it,
//! which expires unless it is renewed. A second daemon finds it and writes nothing until it is free.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{one_writer::OneWriter, tenure::Tenure};
use crate::{
    clock::{SKEW, UnixTime},
    repository::{Collection, Entity, Kind, Repository, RepositoryError, Stored, WRITER_LEASE},
};

/// How long the right lasts without being renewed: a minute and a half, also in the eyes of a daemon
/// whose clock is ahead.
const LASTS: Duration = SKEW.saturating_add(Duration::from_secs(90));
/// How often it is renewed. Each time costs two calls where calls are paid for.
const RENEWED: Duration = Duration::from_secs(30);
/// After so long it is tried again when the repository did not answer.
const TRIED_AGAIN: Duration = Duration::from_secs(5);

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

/// The right to write, held by this process or waited for.
#[derive(Debug)]
pub struct Lease {
    writer: Arc<OneWriter>,
    holders: Collection<Holder>,
    tenure: Arc<Tenure>,
    /// What this process wrote last, and nobody has changed since; `None` when that is not known.
    held: Option<Stored<Holder>>,
    /// Whether this process had the right when it last looked.
    is_held: bool,
}

impl Lease {
    /// Takes the right to write to each of these repositories, where it is free.
    ///
    /// # Errors
    ///
    /// When a repository does not answer; then none is kept.
    pub async fn take_all(
        writers: Vec<Arc<OneWriter>>,
        tenure: Tenure,
    ) -> Result<Vec<Self>, RepositoryError> {
        let tenure = Arc::new(tenure);
        let mut leases: Vec<Self> =
            writers.into_iter().map(|writer| Self::on(writer, Arc::clone(&tenure))).collect();
        if let Err(failed) = Self::renew_all(&mut leases).await {
            for lease in leases {
                lease.give_back().await;
            }
            return Err(failed);
        }
        Ok(leases)
    }

    /// Renews each right in turn. Those behind one that another process has are given back: two daemons
    /// that have a part each would wait for one another for good.
    async fn renew_all(leases: &mut [Self]) -> Result<(), RepositoryError> {
        let mut is_free = true;
        for lease in leases {
            if is_free {
                is_free = lease.renew().await?.is_none();
            } else if lease.is_held {
                lease.release().await;
            }
        }
        Ok(())
    }

    /// Whether this process had the right when it last looked.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.is_held
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

    fn on(writer: Arc<OneWriter>, tenure: Arc<Tenure>) -> Self {
        let holders = Collection::new(Arc::clone(writer.unguarded()));
        Self { writer, holders, tenure, held: None, is_held: false }
    }

    /// Renews these rights until `stop`, then gives them back. Without them nothing is written: while
    /// another process has them, and when the repository is away for too long.
    pub async fn keep_all(mut leases: Vec<Self>, stop: CancellationToken) {
        let all_held = |leases: &[Self]| leases.iter().all(Self::is_held);
        loop {
            let had = all_held(&leases);
            let renewed = tokio::select! {
                () = stop.cancelled() => break,
                renewed = Self::renew_all(&mut leases) => renewed,
            };
            let pause = match (renewed, all_held(&leases)) {
                (Ok(()), true) => {
                    if !had {
                        tracing::info!("this daemon holds the write lease now");
                    }
                    RENEWED
                }
                (Ok(()), false) => {
                    if had {
                        tracing::error!(
                            "another daemon holds the write lease; this daemon is read-only until it is released"
                        );
                    }
                    TRIED_AGAIN
                }
                (Err(error), _) => {
                    tracing::warn!(%error, "the write lease cannot be renewed; it lapses a minute after it last was");
                    TRIED_AGAIN
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        for lease in leases {
            lease.give_back().await;
        }
    }

    /// Renews the right, or takes it if it is free; until when somebody else has it.
    ///
    /// # Errors
    ///
    /// When the repository does not answer; the right lasts as long as before.
    pub async fn renew(&mut self) -> Result<Option<UnixTime>, RepositoryError> {
        let ends = self.writer.now().plus(LASTS);
        let mut taken = self.claim(ends).await?;
        if taken.is_none() && !self.is_held {
            // Where nothing keeps names unique, two processes that come at one moment both find nobody, and
            // both store: look once more before anything is written.
            taken = self.claim(ends).await?;
        }
        self.is_held = taken.is_none();
        if self.is_held {
            self.writer.may_write_until(ends);
        } else {
            self.writer.may_write_no_more();
        }
        Ok(taken)
    }

    /// Gives the right back, so that another daemon may write at once.
    pub async fn give_back(mut self) {
        self.release().await;
    }

    async fn release(&mut self) {
        self.writer.may_write_no_more();
        (self.held, self.is_held) = (None, false);
        let now = self.writer.now();
        let given = match self.holders.get(WRITER_LEASE, now).await {
            Ok(Some(found)) if self.is_mine(&found) => self.holders.take(WRITER_LEASE, now).await.map(|_| ()),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = given {
            tracing::warn!(%error, "the write lease cannot be given back; it expires on its own");
        }
    }

    /// Writes that the right is ours until `ends`; until when it is somebody else's.
    async fn claim(&mut self, ends: UnixTime) -> Result<Option<UnixTime>, RepositoryError> {
        let now = self.writer.now();
        let ours = Holder {
            key: WRITER_LEASE.to_owned(),
            instance: self.tenure.instance().to_owned(),
            expires_at: ends,
        };
        if let Some(held) = self.held.take() {
            self.held = self.holders.replace(held, ours.clone(), now).await?;
        }
        if self.held.is_none() {
            self.held = match self.holders.get(WRITER_LEASE, now).await? {
                None => self.holders.insert(ours, now).await?,
                Some(found) if self.tenure.may_take_from(&found.value.instance) => {
                    self.holders.replace(found, ours, now).await?
                }
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
        found.value.instance == self.tenure.instance()
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
