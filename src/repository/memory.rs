//! Records in the memory of this process, for development and tests.

use std::{
    collections::BTreeMap,
    num::NonZeroU64,
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{Kind, Order, Page, Record, Repository, Result, Version, Versioned, Write};
use crate::clock::UnixTime;

/// Most expired records that one call removes.
const PURGE_BATCH: usize = 500;

/// A volatile repository: its records are lost when the process ends.
#[derive(Debug, Default)]
pub struct MemoryRepository(Mutex<Records>);

#[derive(Debug, Default)]
struct Records {
    kinds: BTreeMap<Kind, BTreeMap<String, Versioned>>,
    writes: u64,
}

impl MemoryRepository {
    /// A poisoned lock is harmless: no method leaves a record half-changed.
    fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    fn live(&self, kind: Kind, key: &str, now: UnixTime) -> Option<&Versioned> {
        self.kinds.get(&kind)?.get(key).filter(|found| found.record.is_live(now))
    }

    fn store(&mut self, kind: Kind, record: &Record) -> Write {
        let version = Version(NonZeroU64::MIN.saturating_add(self.writes));
        self.writes += 1;
        let stored = Versioned { record: record.clone(), version };
        self.kinds.entry(kind).or_default().insert(record.key.clone(), stored);
        Write::Done(version)
    }
}

#[async_trait]
impl Repository for MemoryRepository {
    async fn get(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Versioned>> {
        Ok(self.records().live(kind, key, now).cloned())
    }

    async fn insert(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write> {
        let mut records = self.records();
        Ok(match records.live(kind, &record.key, now) {
            Some(_) => Write::Conflict,
            None => records.store(kind, record),
        })
    }

    async fn replace(&self, kind: Kind, record: &Record, read: Version, now: UnixTime) -> Result<Write> {
        let mut records = self.records();
        Ok(match records.live(kind, &record.key, now) {
            Some(found) if found.version == read => records.store(kind, record),
            _ => Write::Conflict,
        })
    }

    async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>> {
        let mut records = self.records();
        if records.live(kind, key, now).is_none() {
            return Ok(None);
        }
        let taken = records.kinds.get_mut(&kind).and_then(|records| records.remove(key));
        Ok(taken.map(|taken| taken.record))
    }

    async fn list(&self, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>> {
        let records = self.records();
        let Some(records) = records.kinds.get(&kind) else { return Ok(Vec::new()) };
        let behind = page.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let in_order: Box<dyn Iterator<Item = _>> = match page.order {
            Order::Ascending => Box::new(records.range::<str, _>((behind, Bound::Unbounded))),
            Order::Descending => Box::new(records.range::<str, _>((Bound::Unbounded, behind)).rev()),
        };
        Ok(in_order
            .map(|(_, found)| &found.record)
            .filter(|record| record.is_live(now))
            .filter(|record| page.parent.is_none() || page.parent == record.parent)
            .take(page.limit)
            .cloned()
            .collect())
    }

    async fn purge_expired(&self, now: UnixTime) -> Result<u64> {
        let mut purged = 0;
        for records in self.records().kinds.values_mut() {
            let expired: Vec<String> = records
                .iter()
                .filter(|(_, found)| !found.record.is_live(now))
                .map(|(key, _)| key.clone())
                .take(PURGE_BATCH)
                .collect();
            purged += expired.len() as u64;
            for key in expired {
                records.remove(&key);
            }
        }
        Ok(purged)
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::repository::conformance;

    #[tokio::test(flavor = "multi_thread")]
    async fn keeps_every_rule() {
        let broken = conformance::verify(async || {
            let repository: Arc<dyn Repository> = Arc::new(MemoryRepository::default());
            [Arc::clone(&repository), repository]
        });
        assert_eq!(broken.await, Ok(()));
    }
}
