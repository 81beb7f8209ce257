//! Records in Redis or Valkey.

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;

use super::{Kind, Page, Record, Repository, RepositoryError, Result, Version, Versioned, Write};
use crate::{clock::UnixTime, secret::Secret};

/// Where the engine is and how to reach it.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// `redis://…`, `rediss://…`, `redis+sentinel://h1,h2/service`, `redis+cluster://h1,h2`; may hold a password.
    pub url: Secret,
    /// The password, if it stands apart.
    pub password: Option<Secret>,
    /// A PEM file with the authorities to trust in place of the usual ones.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
}

/// A repository in Redis or Valkey.
#[derive(Debug)]
pub struct RedisRepository {}

impl RedisRepository {
    /// Connects, and brings the schema up to date where there is one.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`] when the server cannot be reached,
    /// [`RepositoryError::Unusable`] when it can, but not like this; either says what to change.
    pub async fn connect(settings: &RedisSettings) -> Result<Self> {
        Err(RepositoryError::Unusable(format!("not built yet: {settings:?}")))
    }
}

#[async_trait]
impl Repository for RedisRepository {
    async fn get(&self, _kind: Kind, _key: &str, _now: UnixTime) -> Result<Option<Versioned>> {
        unreachable!()
    }

    async fn insert(&self, _kind: Kind, _record: &Record, _now: UnixTime) -> Result<Write> {
        unreachable!()
    }

    async fn replace(&self, _kind: Kind, _record: &Record, _read: Version, _now: UnixTime) -> Result<Write> {
        unreachable!()
    }

    async fn take(&self, _kind: Kind, _key: &str, _now: UnixTime) -> Result<Option<Record>> {
        unreachable!()
    }

    async fn list(&self, _kind: Kind, _page: &Page, _now: UnixTime) -> Result<Vec<Record>> {
        unreachable!()
    }

    async fn purge_expired(&self, _now: UnixTime) -> Result<u64> {
        unreachable!()
    }

    async fn ping(&self) -> Result<()> {
        unreachable!()
    }
}
