//! Records as values of a type. The rest of the program stores nothing in any other way.

use std::{marker::PhantomData, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::{Kind, Page, Record, Repository, RepositoryError, Result, Version, Write};
use crate::clock::UnixTime;

/// A value that is stored as one record.
pub trait Entity: Serialize + DeserializeOwned + Send + Sync {
    /// Its kind of record.
    const KIND: Kind;

    /// Its key, unique within the kind.
    fn key(&self) -> &str;

    /// What [`Page::parent`] finds it under.
    fn parent(&self) -> Option<&str> {
        None
    }

    /// From this second on the record does not exist; `None` keeps it for good.
    fn expires_at(&self) -> Option<UnixTime>;
}

/// How often a record is written again after another process has changed it first. No process waits in
/// between, and of several writers one succeeds each time.
pub const ATTEMPTS: usize = 64;

/// A value with the version of its record. [`Collection::replace`] consumes it.
#[derive(Debug, Clone)]
pub struct Stored<T> {
    /// The record's JSON, parsed. Boxed, because many futures on the way to an answer hold it.
    pub value: Box<T>,
    /// Length of the record's JSON.
    pub bytes: usize,
    version: Version,
}

/// What an update does to the value that it has read, and what it tells its caller.
#[derive(Debug)]
pub enum Change<T, R> {
    /// Store this value instead.
    Write(T, R),
    /// Leave the record as it is.
    Leave(R),
}

/// The outcome of an update.
#[derive(Debug)]
pub struct Updated<T, R> {
    /// The record after the update, changed or not.
    pub stored: Stored<T>,
    /// What the last call of the update's function told.
    pub outcome: R,
}

/// A record that exists but cannot be parsed: damaged, or of a later release.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{} {key} cannot be read: {reason}", .kind.as_str())]
pub struct Unreadable {
    kind: Kind,
    /// See [`is_key`](super::is_key).
    pub key: String,
    reason: String,
}

impl From<Unreadable> for RepositoryError {
    fn from(Unreadable { kind, key, reason }: Unreadable) -> Self {
        Self::Corrupt(format!("{} {key}: {reason}", kind.as_str()))
    }
}

/// A page of a list. A record that cannot be parsed does not hide the others.
#[derive(Debug)]
pub struct Listed<T> {
    /// The values, in key order.
    pub values: Vec<T>,
    /// Records of the page that cannot be parsed.
    pub unreadable: Vec<Unreadable>,
    /// The last key of the page, for [`Page::after`] of the next one; `None` for an empty page.
    pub last: Option<String>,
}

impl<T> Listed<T> {
    /// Records on the page, unreadable ones included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len() + self.unreadable.len()
    }
}

/// All values of one type in a repository.
#[derive(Debug)]
pub struct Collection<T> {
    repository: Arc<dyn Repository>,
    entity: PhantomData<fn() -> T>,
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        Self { repository: Arc::clone(&self.repository), entity: PhantomData }
    }
}

impl<T: Entity> Collection<T> {
    /// The values of this type in `repository`.
    #[must_use]
    pub fn new(repository: Arc<dyn Repository>) -> Self {
        Self { repository, entity: PhantomData }
    }

    /// The value as it is given to the backend.
    ///
    /// # Errors
    ///
    /// When the value cannot be written as JSON.
    pub fn record(value: &T) -> Result<Record> {
        Ok(Record {
            key: value.key().to_owned(),
            value: serde_json::to_string(value)
                .map_err(|error| RepositoryError::Corrupt(error.to_string()))?,
            parent: value.parent().map(str::to_owned),
            expires_at: value.expires_at(),
        })
    }

    /// The live value under `key`.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable or the value cannot be read.
    pub async fn get(&self, key: &str, now: UnixTime) -> Result<Option<Stored<T>>> {
        Ok(self.look(key, now).await?.transpose()?)
    }

    /// Like [`Collection::get`], for callers that can deal with a record that cannot be parsed.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable.
    pub async fn look(
        &self,
        key: &str,
        now: UnixTime,
    ) -> Result<Option<std::result::Result<Stored<T>, Unreadable>>> {
        let found = self.repository.get(T::KIND, key, now).await?;
        tracing::trace!(kind = ?T::KIND, key, found = found.is_some(), "read");
        let Some(found) = found else { return Ok(None) };
        Ok(Some(parse(&found.record).map(|value| Stored {
            value,
            bytes: found.record.value.len(),
            version: found.version,
        })))
    }

    /// Stores a new value; `None` if its key is taken.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable.
    pub fn insert(
        &self,
        value: impl Into<Box<T>>,
        now: UnixTime,
    ) -> impl Future<Output = Result<Option<Stored<T>>>> + Send {
        let value = value.into();
        async move {
            let record = Self::record(&value)?;
            let write = self.repository.insert(T::KIND, &record, now).await?;
            tracing::trace!(kind = ?T::KIND, key = value.key(), outcome = ?write, "inserted");
            Ok(done(write, value, &record))
        }
    }

    /// Stores `value` in place of the one that was read; `None` if the record has changed since.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable.
    #[expect(clippy::needless_pass_by_value, reason = "what was read is replaced once")]
    pub fn replace(
        &self,
        read: Stored<T>,
        value: impl Into<Box<T>>,
        now: UnixTime,
    ) -> impl Future<Output = Result<Option<Stored<T>>>> + Send {
        self.write(read.version, value.into(), now)
    }

    /// Reads the value under `key` and lets `change` decide about it, again after each conflict with
    /// another writer. `None` if there is no such record.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable, the value cannot be read, or each of [`ATTEMPTS`] conflicts.
    pub async fn update<R>(
        &self,
        key: &str,
        now: UnixTime,
        mut change: impl FnMut(&T) -> Change<T, R>,
    ) -> Result<Option<Updated<T, R>>> {
        let Some(read) = self.get(key, now).await? else { return Ok(None) };
        self.update_from(read, now, |value| Ok(change(value))).await
    }

    /// Like [`Collection::update`], with a value that has been read already and a `change` that can fail.
    ///
    /// # Errors
    ///
    /// As for [`Collection::update`], and when `change` fails.
    pub async fn update_from<R, E: From<RepositoryError>>(
        &self,
        mut read: Stored<T>,
        now: UnixTime,
        mut change: impl FnMut(&T) -> std::result::Result<Change<T, R>, E>,
    ) -> std::result::Result<Option<Updated<T, R>>, E> {
        for _ in 0..ATTEMPTS {
            let (value, outcome) = match change(&read.value)? {
                Change::Write(value, outcome) => (Box::new(value), outcome),
                Change::Leave(outcome) => return Ok(Some(Updated { stored: read, outcome })),
            };
            if let Some(stored) = self.write(read.version, value, now).await? {
                return Ok(Some(Updated { stored, outcome }));
            }
            let Some(again) = self.get(read.value.key(), now).await? else { return Ok(None) };
            read = again;
        }
        let record = format!("{} {}", T::KIND.as_str(), read.value.key());
        let reason = format!("{record} is being changed by too many requests at once; try again");
        Err(RepositoryError::Unavailable(reason).into())
    }

    async fn write(&self, read: Version, value: Box<T>, now: UnixTime) -> Result<Option<Stored<T>>> {
        let record = Self::record(&value)?;
        let write = self.repository.replace(T::KIND, &record, read, now).await?;
        tracing::trace!(kind = ?T::KIND, key = value.key(), outcome = ?write, "replaced");
        Ok(done(write, value, &record))
    }

    /// Removes a value; of many callers at most one gets it.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable or the value cannot be read.
    pub async fn take(&self, key: &str, now: UnixTime) -> Result<Option<T>> {
        let taken = self.repository.take(T::KIND, key, now).await?;
        Ok(taken.as_ref().map(parse).transpose()?.map(|value| *value))
    }

    /// Removes a record, even one that cannot be parsed. Whether it existed.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable.
    pub async fn remove(&self, key: &str, now: UnixTime) -> Result<bool> {
        Ok(self.repository.take(T::KIND, key, now).await?.is_some())
    }

    /// A page of live values in key order. One that cannot be parsed is an error.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable or a value cannot be read.
    pub async fn list(&self, page: &Page, now: UnixTime) -> Result<Vec<T>> {
        let records = self.repository.list(T::KIND, page, now).await?;
        let values = records.iter().map(|record| parse(record).map(|value| *value));
        Ok(values.collect::<std::result::Result<_, _>>()?)
    }

    /// A page of live values in key order. Records that cannot be parsed are listed separately.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable.
    pub async fn page(&self, page: &Page, now: UnixTime) -> Result<Listed<T>> {
        let records = self.repository.list(T::KIND, page, now).await?;
        let last = records.last().map(|record| record.key.clone());
        let mut listed = Listed { values: Vec::with_capacity(records.len()), unreadable: Vec::new(), last };
        for record in &records {
            match parse(record) {
                Ok(value) => listed.values.push(*value),
                Err(unreadable) => listed.unreadable.push(unreadable),
            }
        }
        Ok(listed)
    }
}

fn done<T>(write: Write, value: Box<T>, record: &Record) -> Option<Stored<T>> {
    match write {
        Write::Done(version) => Some(Stored { value, bytes: record.value.len(), version }),
        Write::Conflict => None,
    }
}

/// Boxed where it is made: a value is large, and results on its way would each hold it.
fn parse<T: Entity>(record: &Record) -> std::result::Result<Box<T>, Unreadable> {
    serde_json::from_str(&record.value).map_err(|error| Unreadable {
        kind: T::KIND,
        key: record.key.clone(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::repository::MemoryRepository;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    #[derive(Debug, Serialize, Deserialize)]
    struct Counter {
        name: String,
        count: u64,
    }

    impl Entity for Counter {
        const KIND: Kind = Kind::Replay;

        fn key(&self) -> &str {
            &self.name
        }

        fn expires_at(&self) -> Option<UnixTime> {
            None
        }
    }

    fn one_more(counter: &Counter) -> Change<Counter, u64> {
        let count = counter.count + 1;
        Change::Write(Counter { name: counter.name.clone(), count }, count)
    }

    async fn counters() -> Collection<Counter> {
        let counters = Collection::new(Arc::new(MemoryRepository::default()));
        counters.insert(Counter { name: "counter".to_owned(), count: 0 }, NOW).await.unwrap();
        counters
    }

    #[tokio::test]
    async fn an_update_stores_what_its_function_made_and_tells_what_it_told() {
        let counters = counters().await;
        let updated = counters.update("counter", NOW, one_more).await.unwrap().unwrap();
        assert_eq!((updated.stored.value.count, updated.outcome), (1, 1));
        let left = counters.update("counter", NOW, |counter| Change::Leave(counter.count)).await.unwrap();
        assert_eq!(left.unwrap().outcome, 1);
        assert!(counters.update("absent", NOW, one_more).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_update_that_meets_another_writer_decides_again() {
        let counters = counters().await;
        let read = counters.get("counter", NOW).await.unwrap().unwrap();
        counters.update("counter", NOW, one_more).await.unwrap();
        let updated =
            counters.update_from(read, NOW, |counter| Ok::<_, RepositoryError>(one_more(counter))).await;
        assert_eq!(updated.unwrap().unwrap().outcome, 2);
        let read = counters.get("counter", NOW).await.unwrap().unwrap();
        counters.remove("counter", NOW).await.unwrap();
        let gone =
            counters.update_from(read, NOW, |counter| Ok::<_, RepositoryError>(one_more(counter))).await;
        assert!(gone.unwrap().is_none());
    }
}
