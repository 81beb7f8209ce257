//! The write lease of a single-writer repository: a record that names its holder and expires unless it is
//! renewed. A second daemon finds it and stays read-only until the lease is free.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{one_writer::OneWriter, tenure::Tenure};
use crate::{
    clock::{SKEW, UnixTime},
    repository::{Collection, Entity, Kind, Repository, RepositoryError, Stored, WRITER_LEASE},
};

/// Lifetime of the lease: 90 seconds, plus the allowed difference between two clocks.
const LASTS: Duration = SKEW.saturating_add(Duration::from_secs(90));
/// How often to renew it. Each renewal costs two requests, which may be billed.
const RENEWED: Duration = Duration::from_secs(30);
/// When to try again after a failure, or while another daemon holds the lease.
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

/// A write lease that this process holds or waits for.
#[derive(Debug)]
pub struct Lease {
    writer: Arc<OneWriter>,
    holders: Collection<Holder>,
    tenure: Arc<Tenure>,
    /// The record as this process last wrote it; `None` if it is unknown, or was changed.
    held: Option<Stored<Holder>>,
    /// Whether this process held the lease when it last checked.
    is_held: bool,
}

impl Lease {
    /// Takes the lease of each repository if it is free.
    ///
    /// # Errors
    ///
    /// If a repository does not answer; then all leases are released.
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

    /// Renews each lease in turn. If another process holds one, the leases after it are released: two daemons
    /// with a part of the leases each would wait for each other forever.
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

    /// Whether this process held the lease when it last checked.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.is_held
    }

    /// When the lease of a repository expires; `None` if no process holds it.
    ///
    /// # Errors
    ///
    /// If the repository does not answer.
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

    /// Renews these leases until `stop`, then releases them. Without them, the repositories are read-only: while
    /// another process holds a lease, or after the repository was unreachable for too long.
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
                        tracing::info!("this daemon now holds the write lease");
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
                    tracing::warn!(%error, "cannot renew the write lease; this daemon becomes read-only a minute after the last renewal");
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

    /// Renews the lease, or takes it if it is free. Returns when the lease of another process expires.
    ///
    /// # Errors
    ///
    /// If the repository does not answer; the lease then keeps its expiry.
    pub async fn renew(&mut self) -> Result<Option<UnixTime>, RepositoryError> {
        let ends = self.writer.now().plus(LASTS);
        let mut taken = self.claim(ends).await?;
        if taken.is_none() && !self.is_held {
            // If the repository does not keep names unique, two processes may both store a lease at the same
            // moment: check again before anything is written.
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

    /// Releases the lease, so that another daemon can take it at once.
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
            tracing::warn!(%error, "cannot release the write lease; it expires on its own");
        }
    }

    /// Stores a lease of this process until `ends`. Returns when the lease of another process expires.
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
            _ => Err(RepositoryError::Unavailable("the record of the write lease keeps changing".to_owned())),
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
