//! Records as values of a type: the only way in which the rest of the program stores anything.

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

    /// The key of the record that it belongs to.
    fn parent(&self) -> Option<&str> {
        None
    }

    /// When it ceases to exist.
    fn expires_at(&self) -> Option<UnixTime>;
}

/// A value as it was read. Replacing it consumes this.
#[derive(Debug, Clone)]
pub struct Stored<T> {
    /// The value.
    pub value: T,
    version: Version,
}

/// A record that is there and says nothing to this program: damaged, or of another version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{} {key} cannot be read: {reason}", .kind.as_str())]
pub struct Unreadable {
    kind: Kind,
    /// Its key.
    pub key: String,
    reason: String,
}

impl From<Unreadable> for RepositoryError {
    fn from(Unreadable { kind, key, reason }: Unreadable) -> Self {
        Self::Corrupt(format!("{} {key}: {reason}", kind.as_str()))
    }
}

/// A page as it was read. One record that cannot be read does not hide the others.
#[derive(Debug)]
pub struct Listed<T> {
    /// The values, in key order.
    pub values: Vec<T>,
    /// The records that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// The last key of the page, behind which the next one begins; `None` if there was nothing.
    pub last: Option<String>,
}

impl<T> Listed<T> {
    /// How many records the page had.
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

    /// The record of a value.
    ///
    /// # Errors
    ///
    /// When the value has no JSON.
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

    /// The same for whoever can go on without being able to read it.
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
        Ok(Some(parse(&found.record).map(|value| Stored { value, version: found.version })))
    }

    /// Stores a new value; `None` if its key is taken.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable.
    pub async fn insert(&self, value: T, now: UnixTime) -> Result<Option<Stored<T>>> {
        let write = self.repository.insert(T::KIND, &Self::record(&value)?, now).await?;
        tracing::trace!(kind = ?T::KIND, key = value.key(), outcome = ?write, "inserted");
        Ok(done(write, value))
    }

    /// Puts `value` in the place of the one that was read; `None` if somebody else was faster.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable.
    pub async fn replace(&self, read: Stored<T>, value: T, now: UnixTime) -> Result<Option<Stored<T>>> {
        let write = self.repository.replace(T::KIND, &Self::record(&value)?, read.version, now).await?;
        tracing::trace!(kind = ?T::KIND, key = value.key(), outcome = ?write, "replaced");
        Ok(done(write, value))
    }

    /// Removes a value; of many callers at most one gets it.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable or the value cannot be read.
    pub async fn take(&self, key: &str, now: UnixTime) -> Result<Option<T>> {
        let taken = self.repository.take(T::KIND, key, now).await?;
        Ok(taken.as_ref().map(parse).transpose()?)
    }

    /// Removes a record, whether or not it can be read; whether it was there.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable.
    pub async fn remove(&self, key: &str, now: UnixTime) -> Result<bool> {
        Ok(self.repository.take(T::KIND, key, now).await?.is_some())
    }

    /// A page of live values in key order, for whoever needs every one of them.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable or a value cannot be read.
    pub async fn list(&self, page: &Page, now: UnixTime) -> Result<Vec<T>> {
        let records = self.repository.list(T::KIND, page, now).await?;
        Ok(records.iter().map(parse).collect::<std::result::Result<_, _>>()?)
    }

    /// A page of live values in key order, and what of it cannot be read.
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
                Ok(value) => listed.values.push(value),
                Err(unreadable) => listed.unreadable.push(unreadable),
            }
        }
        Ok(listed)
    }
}

fn done<T>(write: Write, value: T) -> Option<Stored<T>> {
    match write {
        Write::Done(version) => Some(Stored { value, version }),
        Write::Conflict => None,
    }
}

fn parse<T: Entity>(record: &Record) -> std::result::Result<T, Unreadable> {
    serde_json::from_str(&record.value).map_err(|error| Unreadable {
        kind: T::KIND,
        key: record.key.clone(),
        reason: error.to_string(),
    })
}
