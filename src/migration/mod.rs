//! From one repository into another, while a daemon serves from the first.
//!
//! Every kind of record is walked through in the order of keys on both sides at once, a page at a
//! time. What is there already is skipped, so a copy that was cut short is simply run again, and a
//! second run brings what has changed meanwhile.

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

/// In this order: the keys first, by which the two sides are known as one installation, and grants
/// last, so that none is ever there without its client.
const KINDS: [Kind; 4] = [Kind::Key, Kind::Client, Kind::Replay, Kind::Grant];
/// Writes under way at once: a backend that commits together has something to put together.
const AT_ONCE: usize = 64;

/// Why a copy came to no end.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The source does not answer.
    #[error("the source: {0}")]
    Source(RepositoryError),
    /// The target does not answer.
    #[error("the target: {0}")]
    Target(RepositoryError),
    /// No daemon has ever run on the source.
    #[error(
        "the source holds no signing key: no daemon has ever run on it; name the repository that one runs on"
    )]
    NoInstallation,
    /// The target holds records that are not of this installation.
    #[error(
        "the target holds the signing keys of another installation; copy into an empty repository, or empty it first"
    )]
    AnotherInstallation,
    /// Others change one record again and again.
    #[error("the {0} {1} is changed in the target all the time; stop what writes there")]
    Contention(&'static str, String),
    /// A task of ours died.
    #[error("a write was cut short: {0}")]
    Cut(#[from] JoinError),
}

type Result<T> = std::result::Result<T, MigrationError>;

/// From where to where.
#[derive(Debug, Clone)]
pub struct Migration {
    /// What is read, and never written.
    pub from: Arc<dyn Repository>,
    /// What is written.
    pub to: Arc<dyn Repository>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What was done with the records of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// The kind.
    pub kind: &'static str,
    /// Records of the source.
    pub read: u64,
    /// Those which the target did not have.
    pub added: u64,
    /// Those which the target had otherwise.
    pub replaced: u64,
    /// Those which the target has newer, or only the target has because they were made there.
    pub kept: u64,
    /// Those which the source has no more.
    pub removed: u64,
}

/// What became of a record.
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
    /// How many records there are to copy.
    ///
    /// # Errors
    ///
    /// When the source does not answer.
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

    /// Makes the target what the source is, and says for each kind what was done. Without `write`
    /// it only says what would be. `progress` hears of each record.
    ///
    /// # Errors
    ///
    /// When a side does not answer, or the two are not one installation. What was written stays,
    /// and another run goes on.
    pub async fn copy(&self, write: bool, mut progress: impl FnMut()) -> Result<Vec<Tally>> {
        self.require_one_installation().await?;
        let mut tallies = Vec::new();
        for kind in KINDS {
            tallies.push(self.copy_kind(kind, write, &mut progress).await?);
        }
        Ok(tallies)
    }

    /// A target that holds anything must share a signing key with the source.
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

    /// When the youngest record of the source was made. What only the target has and is younger was
    /// made there, after the switch.
    async fn newest(&self, kind: Kind, now: UnixTime) -> Result<Option<UnixTime>> {
        if kind == Kind::Grant {
            // Their keys begin with their time.
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

    /// Writes a record unless the target has it newer, whatever a daemon does there meanwhile.
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

    /// Removes what the source has no more. What was made in the target stays.
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
        // It may have come into the source behind our back.
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

/// What there is to do about one key.
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

    /// What would become of it.
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
