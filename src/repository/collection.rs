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

    /// The live value under `key`.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable or the value cannot be read.
    pub async fn get(&self, key: &str, now: UnixTime) -> Result<Option<Stored<T>>> {
        let Some(found) = self.repository.get(T::KIND, key, now).await? else { return Ok(None) };
        Ok(Some(Stored { value: parse(&found.record)?, version: found.version }))
    }

    /// Stores a new value; `None` if its key is taken.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable.
    pub async fn insert(&self, value: T, now: UnixTime) -> Result<Option<Stored<T>>> {
        let write = self.repository.insert(T::KIND, &record(&value)?, now).await?;
        Ok(done(write, value))
    }

    /// Puts `value` in the place of the one that was read; `None` if somebody else was faster.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable.
    pub async fn replace(&self, read: Stored<T>, value: T, now: UnixTime) -> Result<Option<Stored<T>>> {
        let write = self.repository.replace(T::KIND, &record(&value)?, read.version, now).await?;
        Ok(done(write, value))
    }

    /// Removes a value; of many callers at most one gets it.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable or the value cannot be read.
    pub async fn take(&self, key: &str, now: UnixTime) -> Result<Option<T>> {
        self.repository.take(T::KIND, key, now).await?.as_ref().map(parse).transpose()
    }

    /// A page of live values in key order.
    ///
    /// # Errors
    ///
    /// When the repository is unavailable or a value cannot be read.
    pub async fn list(&self, page: &Page, now: UnixTime) -> Result<Vec<T>> {
        self.repository.list(T::KIND, page, now).await?.iter().map(parse).collect()
    }
}

fn done<T>(write: Write, value: T) -> Option<Stored<T>> {
    match write {
        Write::Done(version) => Some(Stored { value, version }),
        Write::Conflict => None,
    }
}

fn record<T: Entity>(value: &T) -> Result<Record> {
    Ok(Record {
        key: value.key().to_owned(),
        value: serde_json::to_string(value).map_err(|error| RepositoryError::Corrupt(error.to_string()))?,
        parent: value.parent().map(str::to_owned),
        expires_at: value.expires_at(),
    })
}

fn parse<T: Entity>(record: &Record) -> Result<T> {
    serde_json::from_str(&record.value)
        .map_err(|error| RepositoryError::Corrupt(format!("{} {}: {error}", T::KIND.as_str(), record.key)))
}
