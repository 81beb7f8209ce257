//! Copies one repository into another while a daemon uses the first.
//!
//! Both sides are read in key order, a page at a time, and existing records are skipped. An interrupted copy can
//! simply be run again, and a second run copies what has changed in the meantime.

mod check;
mod judge;
mod original;
mod purge;
mod walk;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};

pub use self::{
    check::Checked,
    original::{Found, OriginalImport},
    purge::purge,
};
use self::{
    judge::{Verdict, judge, may_be_gone},
    walk::{Side, Walk},
};
use crate::{
    clock::{Clock, UnixTime},
    repository::{ATTEMPTS, Kind, Order, Page, Record, Repository, RepositoryError, Write},
};

/// The order of the copy. Keys come first, because they identify the installation. Grants come last, so that each
/// finds its client.
const KINDS: [Kind; Kind::ALL.len()] = [Kind::Key, Kind::Client, Kind::Replay, Kind::Grant];
/// Concurrent writes, so that a backend can commit several together.
const AT_ONCE: usize = 64;

/// Why a copy failed.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The source does not answer.
    #[error("the source: {0}")]
    Source(RepositoryError),
    /// The target does not answer.
    #[error("the target: {0}")]
    Target(RepositoryError),
    /// No daemon has ever used the source.
    #[error(
        "the source has no signing key: no daemon has ever used it; name the repository that your daemon uses"
    )]
    NoInstallation,
    /// The target has records of another installation.
    #[error(
        "the target has the signing keys of another installation; copy into an empty repository, or empty it first"
    )]
    AnotherInstallation,
    /// A daemon keeps changing one record of the target.
    #[error("the {0} {1} keeps changing in the target; stop the daemon that uses the target")]
    Contention(&'static str, String),
    /// A task failed.
    #[error("a write was interrupted: {0}")]
    Cut(#[from] JoinError),
}

type Result<T> = std::result::Result<T, MigrationError>;

/// A copy from one repository to another.
#[derive(Debug, Clone)]
pub struct Migration {
    /// The source, which is never written.
    pub from: Arc<dyn Repository>,
    pub to: Arc<dyn Repository>,
    /// Decides which records have expired.
    pub clock: Arc<dyn Clock>,
}

/// Counts of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub kind: &'static str,
    /// Records read from the source.
    pub read: u64,
    /// Records that were missing in the target.
    pub added: u64,
    /// Records that were outdated in the target.
    pub replaced: u64,
    /// Records that are newer in the target, or were created there.
    pub kept: u64,
    /// Records that were removed from the source.
    pub removed: u64,
}

/// The outcome for one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    Same,
    Added,
    Replaced,
    Kept,
    Removed,
}

impl Tally {
    fn count(&mut self, settled: Settled) {
        match settled {
            Settled::Same => {}
            Settled::Added => self.added += 1,
            Settled::Replaced => self.replaced += 1,
            Settled::Kept => self.kept += 1,
            Settled::Removed => self.removed += 1,
        }
    }
}

impl Migration {
    /// Number of records in the source.
    pub async fn size(&self) -> Result<u64> {
        let (now, mut all) = (self.clock.now(), 0);
        for kind in KINDS {
            let mut walk = Walk::new(&*self.from, Side::Source, kind, now);
            while walk.next().await?.is_some() {
                all += 1;
            }
        }
        Ok(all)
    }

    /// Makes the target equal to the source, and returns counts for each kind. Without `write`, nothing changes and the
    /// counts are a forecast. `progress` is called for each record.
    ///
    /// # Errors
    ///
    /// When a side does not answer, or both are not one installation. Written records stay, and another run continues.
    pub async fn copy(&self, write: bool, mut progress: impl FnMut()) -> Result<Vec<Tally>> {
        self.require_one_installation().await?;
        let mut tallies = Vec::new();
        for kind in KINDS {
            tallies.push(self.copy_kind(kind, write, &mut progress).await?);
        }
        Ok(tallies)
    }

    /// A target that is not empty must share a signing key with the source.
    async fn require_one_installation(&self) -> Result<()> {
        let now = self.clock.now();
        let page = Page { limit: 100, ..Page::default() };
        let ours = self.from.list(Kind::Key, &page, now).await.map_err(MigrationError::Source)?;
        if ours.is_empty() {
            return Err(MigrationError::NoInstallation);
        }
        let theirs = self.to.list(Kind::Key, &page, now).await.map_err(MigrationError::Target)?;
        let is_ours = |key: &Record| ours.iter().any(|own| judge::is_same_key(own, key));
        if theirs.iter().any(is_ours) {
            return Ok(());
        }
        let one = Page { limit: 1, ..Page::default() };
        for kind in [Kind::Key, Kind::Client, Kind::Grant] {
            if !self.to.list(kind, &one, now).await.map_err(MigrationError::Target)?.is_empty() {
                return Err(MigrationError::AnotherInstallation);
            }
        }
        Ok(())
    }

    async fn copy_kind(&self, kind: Kind, write: bool, progress: &mut impl FnMut()) -> Result<Tally> {
        let now = self.clock.now();
        let mut tally = Tally { kind: kind.as_str(), ..Tally::default() };
        let newest = self.newest(kind, now).await?;
        let mut source = Walk::new(&*self.from, Side::Source, kind, now);
        let mut target = Walk::new(&*self.to, Side::Target, kind, now);
        let mut writing = JoinSet::new();
        let (mut ours, mut theirs) = (source.next().await?, target.next().await?);
        loop {
            let work = match (&ours, &theirs) {
                (None, None) => break,
                (Some(own), None) => Work::Write(own.clone()),
                (None, Some(other)) => Work::Remove(other.clone()),
                (Some(own), Some(other)) if own.key < other.key => Work::Write(own.clone()),
                (Some(own), Some(other)) if own.key > other.key => Work::Remove(other.clone()),
                (Some(own), Some(other)) => Work::Settle(own.clone(), other.clone()),
            };
            if work.is_of_source() {
                tally.read += 1;
                progress();
                ours = source.next().await?;
            }
            if work.is_of_target() {
                theirs = target.next().await?;
            }
            if !write {
                tally.count(work.foreseen(kind, newest));
                continue;
            }
            if writing.len() >= AT_ONCE
                && let Some(settled) = writing.join_next().await
            {
                tally.count(settled??);
            }
            writing.spawn(self.clone().carry_out(kind, work, newest, now));
        }
        while let Some(settled) = writing.join_next().await {
            tally.count(settled??);
        }
        Ok(tally)
    }

    /// When the youngest record of the source was created. Younger records that only the target has were created there,
    /// after the switch.
    async fn newest(&self, kind: Kind, now: UnixTime) -> Result<Option<UnixTime>> {
        if kind == Kind::Grant {
            // Grant keys begin with their time.
            let last = Page { limit: 1, order: Order::Descending, ..Page::default() };
            let last = self.from.list(kind, &last, now).await.map_err(MigrationError::Source)?;
            return Ok(last.first().and_then(|last| judge::made_at(kind, last)));
        }
        let mut newest = None;
        let mut walk = Walk::new(&*self.from, Side::Source, kind, now);
        while let Some(record) = walk.next().await? {
            newest = newest.max(judge::made_at(kind, &record));
        }
        Ok(newest)
    }

    async fn carry_out(
        self,
        kind: Kind,
        work: Work,
        newest: Option<UnixTime>,
        now: UnixTime,
    ) -> Result<Settled> {
        match work {
            Work::Write(record) => self.settle(kind, &record, now).await,
            Work::Settle(own, other) if own == other => Ok(Settled::Same),
            Work::Settle(own, _) => self.settle(kind, &own, now).await,
            Work::Remove(other) => self.remove(kind, &other, newest, now).await,
        }
    }

    /// Writes a record unless the target's is newer, even if a daemon uses the target.
    async fn settle(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Settled> {
        for _ in 0..ATTEMPTS {
            let found = self.to.get(kind, &record.key, now).await.map_err(MigrationError::Target)?;
            let (write, done) = match found {
                None => (self.to.insert(kind, record, now).await, Settled::Added),
                Some(found) => match judge(kind, record, &found.record) {
                    Verdict::Same => return Ok(Settled::Same),
                    Verdict::Keep => return Ok(Settled::Kept),
                    Verdict::Replace => {
                        (self.to.replace(kind, record, found.version, now).await, Settled::Replaced)
                    }
                },
            };
            if let Write::Done(_) = write.map_err(MigrationError::Target)? {
                return Ok(done);
            }
        }
        Err(MigrationError::Contention(kind.as_str(), record.key.clone()))
    }

    /// Removes a record that is gone from the source. Records that were created in the target stay.
    async fn remove(
        &self,
        kind: Kind,
        record: &Record,
        newest: Option<UnixTime>,
        now: UnixTime,
    ) -> Result<Settled> {
        if !may_be_gone(kind, record, newest) {
            return Ok(Settled::Kept);
        }
        // The source may have got it after the walk passed its key.
        if self.from.get(kind, &record.key, now).await.map_err(MigrationError::Source)?.is_some() {
            return self.settle_again(kind, &record.key, now).await;
        }
        let taken = self.to.take(kind, &record.key, now).await.map_err(MigrationError::Target)?;
        Ok(if taken.is_some() { Settled::Removed } else { Settled::Same })
    }

    async fn settle_again(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Settled> {
        match self.from.get(kind, key, now).await.map_err(MigrationError::Source)? {
            Some(found) => self.settle(kind, &found.record, now).await,
            None => Ok(Settled::Same),
        }
    }
}

#[derive(Debug)]
enum Work {
    /// Only the source has it.
    Write(Record),
    /// Only the target has it.
    Remove(Record),
    /// Both have it.
    Settle(Record, Record),
}

impl Work {
    const fn is_of_source(&self) -> bool {
        matches!(self, Self::Write(_) | Self::Settle(..))
    }

    const fn is_of_target(&self) -> bool {
        matches!(self, Self::Remove(_) | Self::Settle(..))
    }

    /// The outcome without `write`.
    fn foreseen(&self, kind: Kind, newest: Option<UnixTime>) -> Settled {
        match self {
            Self::Write(_) => Settled::Added,
            Self::Remove(other) if may_be_gone(kind, other, newest) => Settled::Removed,
            Self::Remove(_) => Settled::Kept,
            Self::Settle(own, other) => match judge(kind, own, other) {
                Verdict::Same => Settled::Same,
                Verdict::Keep => Settled::Kept,
                Verdict::Replace => Settled::Replaced,
            },
        }
    }
}
