//! Guards a single-writer repository: writes are allowed only while this process holds the lease. A process that
//! lost contact may have been replaced and must not overwrite its successor's data.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::timeout;

use crate::{
    clock::{Clock, SKEW, UnixTime},
    repository::{Kind, Record, Repository, RepositoryError, Result, Version, Write, forward_to_repository},
};

/// No write begins this long before the lease expires, so that every write has ended by then.
const SPARE: Duration = Duration::from_secs(30);

/// A repository that refuses writes without a lease.
#[derive(Debug)]
pub struct OneWriter {
    repository: Arc<dyn Repository>,
    clock: Arc<dyn Clock>,
    /// When the lease expires, in seconds, for a successor whose clock is ahead.
    until: AtomicU64,
}

impl OneWriter {
    /// Read-only until [`Lease::take_all`](super::Lease::take_all) gets the lease.
    #[must_use]
    pub fn new(repository: Arc<dyn Repository>, clock: Arc<dyn Clock>) -> Self {
        Self { repository, clock, until: AtomicU64::new(0) }
    }

    /// The repository itself, for the record of the lease.
    pub(super) const fn unguarded(&self) -> &Arc<dyn Repository> {
        &self.repository
    }

    pub(super) fn now(&self) -> UnixTime {
        self.clock.now()
    }

    pub(super) fn may_write_until(&self, until: UnixTime) {
        self.until.store(until.minus(SKEW).as_secs(), Ordering::Release);
    }

    pub(super) fn may_write_no_more(&self) {
        self.until.store(0, Ordering::Release);
    }

    /// How long a write that begins now may take.
    fn time_left(&self) -> Result<Duration> {
        let until = UnixTime::from_secs(self.until.load(Ordering::Acquire));
        Some(until.since(self.now())).filter(|left| *left > SPARE).ok_or_else(lapsed)
    }

    async fn write<T>(&self, write: impl Future<Output = Result<T>> + Send) -> Result<T> {
        timeout(self.time_left()?, write).await.unwrap_or_else(|_| Err(lapsed()))
    }
}

fn lapsed() -> RepositoryError {
    let sentence = "this process does not hold the write lease of this single-writer repository";
    RepositoryError::Unavailable(sentence.to_owned())
}

#[async_trait]
impl Repository for OneWriter {
    forward_to_repository!(repository: get, list, atomicity, warnings);

    async fn insert(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write> {
        self.write(self.repository.insert(kind, record, now)).await
    }

    async fn replace(&self, kind: Kind, record: &Record, read: Version, now: UnixTime) -> Result<Write> {
        self.write(self.repository.replace(kind, record, read, now)).await
    }

    async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>> {
        self.write(self.repository.take(kind, key, now)).await
    }

    async fn purge_expired(&self, now: UnixTime) -> Result<u64> {
        self.write(self.repository.purge_expired(now)).await
    }

    /// A process without the lease is not ready.
    async fn ping(&self) -> Result<()> {
        self.time_left()?;
        self.repository.ping().await
    }
}
