//! Shows that the suite finds errors: repositories with one flaw each.

use std::{
    collections::BTreeSet,
    num::NonZeroU64,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use tokio::task::yield_now;

use super::{races, rules, verify};
use crate::{
    clock::UnixTime,
    repository::{
        Kind, MemoryRepository, Order, Page, Record, Repository, RepositoryError, Result, Version, Versioned,
        Write,
    },
};

/// The flaw of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    NeverAnswersPing,
    FoldsCase,
    LosesParent,
    LosesExpiry,
    CutsLongValues,
    FindsWhatIsNot,
    MixesKinds,
    InsertOverwrites,
    InsertLooksThenWrites,
    InsertCountsExpired,
    ReplaceIgnoresVersion,
    ReplaceLooksThenWrites,
    ReplaceStoresWhatIsAbsent,
    ReplaceGivesTheOldVersion,
    ReplaceKeepsParent,
    ReplaceKeepsExpiry,
    VersionsCountFromOne,
    TakeLeavesTheRecord,
    TakeLooksThenRemoves,
    LivesASecondTooLong,
    ListHoldsExpired,
    ListIgnoresOrder,
    ListComparesLetters,
    ListRepeatsLast,
    ListIgnoresParent,
    ListIgnoresLimit,
    LimitCountsExpired,
    PurgeDoesNothing,
    PurgeMiscounts,
    PurgeTakesTheLiving,
}

use Flaw::*;

/// Each flaw, and the start of the name of a rule that it must break.
const FLAWS: &[(Flaw, &str)] = &[
    (NeverAnswersPing, "the storage engine answers"),
    (FoldsCase, "a record comes back"),
    (LosesParent, "a record comes back"),
    (LosesExpiry, "a record comes back"),
    (CutsLongValues, "what is too large"),
    (FindsWhatIsNot, "what was never stored"),
    (MixesKinds, "every kind has keys"),
    (InsertOverwrites, "an insert conflicts"),
    (InsertLooksThenWrites, "of many inserts of one key"),
    (InsertLooksThenWrites, "of many inserts over one expired"),
    (InsertCountsExpired, "an insert takes the place"),
    (ReplaceIgnoresVersion, "a replace by a stale version"),
    (ReplaceIgnoresVersion, "of many replaces"),
    (ReplaceIgnoresVersion, "no update is lost"),
    (ReplaceLooksThenWrites, "of many replaces"),
    (ReplaceLooksThenWrites, "no update is lost"),
    (ReplaceLooksThenWrites, "a record that was taken is not brought back"),
    (ReplaceStoresWhatIsAbsent, "a replace of what is absent"),
    (ReplaceGivesTheOldVersion, "a replace by the present version"),
    (ReplaceKeepsParent, "a replace may change"),
    (ReplaceKeepsExpiry, "a replace may change"),
    (VersionsCountFromOne, "a version is never used again"),
    (TakeLeavesTheRecord, "a take gives the record once"),
    (TakeLooksThenRemoves, "of many takes"),
    (LivesASecondTooLong, "a record ceases to exist"),
    (ListHoldsExpired, "a record ceases to exist"),
    (ListIgnoresOrder, "a list is in the byte order"),
    (ListComparesLetters, "a list is in the byte order"),
    (ListRepeatsLast, "pages that continue"),
    (ListIgnoresParent, "a list of a parent"),
    (ListIgnoresLimit, "a list is as long"),
    (LimitCountsExpired, "a list is as long"),
    (PurgeDoesNothing, "a purge removes"),
    (PurgeMiscounts, "a purge removes"),
    (PurgeTakesTheLiving, "a purge removes"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_flaw_is_caught_by_its_rule() {
    for (flaw, rule) in FLAWS {
        let verdict = verify(async || {
            let broken: Arc<dyn Repository> = Arc::new(Broken::new(*flaw));
            [Arc::clone(&broken), broken]
        });
        let violations = verdict.await.expect_err(&format!("{flaw:?} goes unnoticed"));
        let caught = violations.iter().any(|violation| violation.rule.starts_with(rule));
        assert!(caught, "{flaw:?} does not break {rule:?}, but {violations:#?}");
    }
}

#[test]
fn every_rule_has_a_flaw_that_breaks_it() {
    let all: BTreeSet<_> = rules::RULES.iter().chain(races::RULES).map(|(rule, _)| *rule).collect();
    let untried: Vec<_> =
        all.iter().filter(|rule| !FLAWS.iter().any(|(_, start)| rule.starts_with(start))).collect();
    assert!(untried.is_empty(), "{untried:#?}");
}

/// A memory repository with one flaw.
#[derive(Debug)]
struct Broken {
    sound: MemoryRepository,
    flaw: Flaw,
    /// Held during the steps of a flawed method, unless its flaw is a race.
    whole: tokio::sync::Mutex<()>,
    /// Replaces the correct versions.
    counted: Mutex<Vec<(Kind, String, Version, u64)>>,
}

impl Broken {
    fn new(flaw: Flaw) -> Self {
        Self {
            sound: MemoryRepository::default(),
            flaw,
            whole: tokio::sync::Mutex::default(),
            counted: Mutex::default(),
        }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn kind(&self, kind: Kind) -> Kind {
        if self.has(MixesKinds) { Kind::Client } else { kind }
    }

    fn key(&self, key: &str) -> String {
        if self.has(FoldsCase) { key.to_ascii_lowercase() } else { key.to_owned() }
    }

    fn now(&self, now: UnixTime) -> UnixTime {
        if self.has(LivesASecondTooLong) { UnixTime::from_secs(now.as_secs() - 1) } else { now }
    }

    fn record(&self, record: &Record) -> Record {
        let mut stored = Record { key: self.key(&record.key), ..record.clone() };
        if self.has(LosesParent) {
            stored.parent = None;
        }
        if self.has(LosesExpiry) {
            stored.expires_at = None;
        }
        if self.has(CutsLongValues) {
            stored.value.truncate(65_535);
        }
        stored
    }

    /// Removes a record even if it has expired.
    async fn remove(&self, kind: Kind, key: &str) -> Result<Option<Record>> {
        self.sound.take(kind, key, UnixTime::from_secs(0)).await
    }

    /// Stores a record unconditionally.
    async fn overwrite(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write> {
        loop {
            self.remove(kind, &record.key).await?;
            if let done @ Write::Done(_) = self.sound.insert(kind, record, now).await? {
                return Ok(done);
            }
        }
    }

    /// The version that callers see: the real one, or the number of replacements.
    fn outside(&self, kind: Kind, key: &str, version: Version) -> Version {
        if !self.has(VersionsCountFromOne) {
            return version;
        }
        let counted = self.counted.lock().expect("no panic");
        let found = counted.iter().find(|(k, name, own, _)| *k == kind && name == key && *own == version);
        found.and_then(|(.., count)| NonZeroU64::new(*count)).map_or(version, Version)
    }

    fn count(&self, kind: Kind, key: &str, write: Write, count: u64) -> Write {
        let Write::Done(version) = write else { return write };
        self.counted.lock().expect("no panic").push((kind, key.to_owned(), version, count));
        Write::Done(self.outside(kind, key, version))
    }
}

#[async_trait]
impl Repository for Broken {
    async fn get(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Versioned>> {
        let found = self.sound.get(self.kind(kind), &self.key(key), self.now(now)).await?;
        if found.is_none() && self.has(FindsWhatIsNot) {
            let record = Record { key: key.to_owned(), value: String::new(), parent: None, expires_at: None };
            return Ok(Some(Versioned { record, version: Version(NonZeroU64::MIN) }));
        }
        Ok(found.map(|found| Versioned { version: self.outside(kind, key, found.version), ..found }))
    }

    async fn insert(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write> {
        let (kind, record) = (self.kind(kind), self.record(record));
        match self.flaw {
            InsertOverwrites => self.overwrite(kind, &record, now).await,
            InsertLooksThenWrites => {
                if self.sound.get(kind, &record.key, now).await?.is_some() {
                    return Ok(Write::Conflict);
                }
                yield_now().await;
                self.overwrite(kind, &record, now).await
            }
            InsertCountsExpired => self.sound.insert(kind, &record, UnixTime::from_secs(0)).await,
            _ => {
                let write = self.sound.insert(kind, &record, self.now(now)).await?;
                Ok(self.count(kind, &record.key, write, 1))
            }
        }
    }

    async fn replace(&self, kind: Kind, record: &Record, read: Version, now: UnixTime) -> Result<Write> {
        let (kind, mut record, now) = (self.kind(kind), self.record(record), self.now(now));
        let racing = self.has(ReplaceLooksThenWrites);
        let _whole = if racing { None } else { Some(self.whole.lock().await) };
        let Some(found) = self.sound.get(kind, &record.key, now).await? else {
            return match self.flaw {
                ReplaceStoresWhatIsAbsent => self.overwrite(kind, &record, now).await,
                _ => Ok(Write::Conflict),
            };
        };
        let present = self.outside(kind, &record.key, found.version);
        if present != read && !self.has(ReplaceIgnoresVersion) {
            return Ok(Write::Conflict);
        }
        match self.flaw {
            ReplaceLooksThenWrites => {
                yield_now().await;
                return self.overwrite(kind, &record, now).await;
            }
            ReplaceKeepsParent => record.parent = found.record.parent,
            ReplaceKeepsExpiry => record.expires_at = found.record.expires_at,
            _ => {}
        }
        let write = self.sound.replace(kind, &record, found.version, now).await?;
        match self.flaw {
            ReplaceGivesTheOldVersion => Ok(Write::Done(read)),
            _ => Ok(self.count(kind, &record.key, write, present.0.get() + 1)),
        }
    }

    async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>> {
        let (kind, key, now) = (self.kind(kind), self.key(key), self.now(now));
        match self.flaw {
            TakeLeavesTheRecord => Ok(self.sound.get(kind, &key, now).await?.map(|found| found.record)),
            TakeLooksThenRemoves => {
                let found = self.sound.get(kind, &key, now).await?;
                yield_now().await;
                self.remove(kind, &key).await?;
                Ok(found.map(|found| found.record))
            }
            _ => self.sound.take(kind, &key, now).await,
        }
    }

    async fn list(&self, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>> {
        let (kind, now) = (self.kind(kind), self.now(now));
        let ascending = Page { parent: page.parent.clone(), limit: usize::MAX, ..Page::default() };
        match self.flaw {
            ListHoldsExpired => self.sound.list(kind, page, UnixTime::from_secs(0)).await,
            ListIgnoresOrder => {
                self.sound.list(kind, &Page { order: Order::Ascending, ..page.clone() }, now).await
            }
            ListComparesLetters => {
                let mut all = self.sound.list(kind, page, now).await?;
                all.sort_by_key(|record| record.key.to_ascii_lowercase());
                if page.order == Order::Descending {
                    all.reverse();
                }
                Ok(all)
            }
            ListRepeatsLast => {
                let mut listed = self.sound.list(kind, page, now).await?;
                let all = self.sound.list(kind, &ascending, now).await?;
                let last = all.into_iter().find(|record| page.after.as_ref() == Some(&record.key));
                if let Some(last) = last {
                    listed.insert(0, last);
                    listed.truncate(page.limit);
                }
                Ok(listed)
            }
            ListIgnoresParent => self.sound.list(kind, &Page { parent: None, ..page.clone() }, now).await,
            ListIgnoresLimit => self.sound.list(kind, &Page { limit: usize::MAX, ..page.clone() }, now).await,
            LimitCountsExpired => {
                let mut listed = self.sound.list(kind, page, UnixTime::from_secs(0)).await?;
                listed.retain(|record| record.is_live(now));
                Ok(listed)
            }
            _ => self.sound.list(kind, page, now).await,
        }
    }

    async fn purge_expired(&self, now: UnixTime) -> Result<u64> {
        match self.flaw {
            PurgeDoesNothing => Ok(0),
            PurgeMiscounts => Ok(self.sound.purge_expired(now).await?.min(1)),
            PurgeTakesTheLiving => self.sound.purge_expired(UnixTime::from_secs(now.as_secs() + 1)).await,
            _ => self.sound.purge_expired(self.now(now)).await,
        }
    }

    async fn ping(&self) -> Result<()> {
        match self.flaw {
            NeverAnswersPing => Err(RepositoryError::Unavailable("as it should be".to_owned())),
            _ => self.sound.ping().await,
        }
    }
}
