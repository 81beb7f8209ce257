//! Records in Pangea Vault.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use url::Url;

use super::{Kind, Page, Record, Repository, RepositoryError, Result, Version, Versioned, Write};
use crate::{clock::UnixTime, fetch::Fetch, secret::Secret};

/// Where the token comes from. Vault tokens may be rotated at any time.
pub trait TokenSource: Debug + Send + Sync + 'static {
    /// The token as it is now.
    ///
    /// # Errors
    ///
    /// When it cannot be read; the sentence says why, and holds no secret.
    fn token(&self) -> std::result::Result<Secret, String>;
}

/// Where Vault is and how to use it.
#[derive(Debug)]
pub struct VaultSettings {
    /// The service, such as `https://vault.aws.us.pangea.cloud`; a path in it is kept.
    pub api_url: Url,
    /// The token, read again when Vault refuses it.
    pub token: Box<dyn TokenSource>,
    /// The folder for our items, `/a/b` without a slash at its end; empty for the root.
    pub folder: String,
    /// For how long a value once read is believed.
    pub cache: Duration,
}

/// A repository in Pangea Vault, for a single writing process.
#[derive(Debug)]
pub struct VaultRepository {}

impl VaultRepository {
    /// Makes sure that Vault answers and lets us in.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`] when Vault cannot be reached, [`RepositoryError::Unusable`]
    /// when it refuses us; either says what to change.
    pub async fn connect(settings: VaultSettings, _fetch: Fetch) -> Result<Self> {
        Err(RepositoryError::Unusable(format!("not built yet: {settings:?}")))
    }
}

#[async_trait]
impl Repository for VaultRepository {
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
