//! Kinds of records in separate repositories, as configured.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;

use super::{Atomicity, Kind, Page, Record, Repository, Result, Version, Versioned, Write};
use crate::clock::UnixTime;

/// Routes each kind of record to its repository.
#[derive(Debug)]
pub struct RoutedRepository {
    main: Arc<dyn Repository>,
    elsewhere: BTreeMap<Kind, Arc<dyn Repository>>,
}

impl RoutedRepository {
    /// Kinds that are not in `elsewhere` go to `main`.
    #[must_use]
    pub fn new(main: Arc<dyn Repository>, elsewhere: BTreeMap<Kind, Arc<dyn Repository>>) -> Self {
        Self { main, elsewhere }
    }

    fn of(&self, kind: Kind) -> &dyn Repository {
        &**self.elsewhere.get(&kind).unwrap_or(&self.main)
    }

    fn all(&self) -> impl Iterator<Item = &dyn Repository> {
        std::iter::once(&self.main).chain(self.elsewhere.values()).map(|repository| &**repository)
    }
}

#[async_trait]
impl Repository for RoutedRepository {
    async fn get(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Versioned>> {
        self.of(kind).get(kind, key, now).await
    }

    async fn insert(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write> {
        self.of(kind).insert(kind, record, now).await
    }

    async fn replace(&self, kind: Kind, record: &Record, read: Version, now: UnixTime) -> Result<Write> {
        self.of(kind).replace(kind, record, read, now).await
    }

    async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>> {
        self.of(kind).take(kind, key, now).await
    }

    async fn list(&self, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>> {
        self.of(kind).list(kind, page, now).await
    }

    async fn purge_expired(&self, now: UnixTime) -> Result<u64> {
        let mut purged = 0;
        for repository in self.all() {
            purged += repository.purge_expired(now).await?;
        }
        Ok(purged)
    }

    async fn ping(&self) -> Result<()> {
        for repository in self.all() {
            repository.ping().await?;
        }
        Ok(())
    }

    fn atomicity(&self) -> Atomicity {
        let single = self.all().any(|repository| repository.atomicity() == Atomicity::SingleProcess);
        if single { Atomicity::SingleProcess } else { Atomicity::Shared }
    }

    async fn warnings(&self) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        for repository in self.all() {
            warnings.extend(repository.warnings().await?);
        }
        Ok(warnings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::{MemoryRepository, conformance};

    fn memory() -> Arc<dyn Repository> {
        Arc::new(MemoryRepository::default())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn keeps_every_rule() {
        let broken = conformance::verify(async || {
            let elsewhere = BTreeMap::from([(Kind::Client, memory()), (Kind::Key, memory())]);
            let routed: Arc<dyn Repository> = Arc::new(RoutedRepository::new(memory(), elsewhere));
            [Arc::clone(&routed), routed]
        });
        assert_eq!(broken.await, Ok(()));
    }

    #[tokio::test]
    async fn each_kind_goes_to_its_place() {
        let (main, clients) = (memory(), memory());
        let elsewhere = BTreeMap::from([(Kind::Client, Arc::clone(&clients))]);
        let routed = RoutedRepository::new(Arc::clone(&main), elsewhere);
        let record = Record { key: "k".into(), value: "{}".into(), parent: None, expires_at: None };
        let now = UnixTime::from_secs(1);
        for (kind, at) in [(Kind::Client, &clients), (Kind::Grant, &main), (Kind::Key, &main)] {
            assert!(matches!(routed.insert(kind, &record, now).await, Ok(Write::Done(_))));
            assert!(at.get(kind, "k", now).await.unwrap().is_some(), "{kind:?}");
        }
        assert!(main.get(Kind::Client, "k", now).await.unwrap().is_none());
    }
}
