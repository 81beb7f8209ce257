//! Records in Pangea Vault: an item for each record, a folder for each kind.
//!
//! Vault has no conditional writes. This process therefore orders the writes of one key, and each write first reads the
//! item and compares its version. Only one process may write, which a lease ensures (`daemon::lease`).

mod api;
mod foreign;
mod item;
mod listing;
mod locks;
mod recent;
mod status;
mod stored;
mod sweep;
#[cfg(test)]
mod tests;
mod write;

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

pub use self::foreign::ForeignSecret;
use self::{
    api::{Api, Repeat},
    item::{Held, Items, Place, in_folder},
    listing::Cursors,
    locks::Locks,
    recent::Recent,
    status::Failed,
    sweep::Almanac,
    write::{Looked, Spot},
};
use super::{Atomicity, Kind, Page, Record, Repository, Result, Version, Versioned, Write};
use crate::{
    clock::UnixTime,
    fetch::Fetch,
    secret::{Random, Secret},
};

/// How long one good answer proves that Vault is reachable.
const AWAKE: Duration = Duration::from_secs(5);

/// Source of the Vault token, which may be rotated at any time.
pub trait TokenSource: Debug + Send + Sync + 'static {
    /// Reads the token.
    ///
    /// # Errors
    ///
    /// Why it cannot be read. The message contains no secret.
    fn token(&self) -> std::result::Result<Secret, String>;
}

/// How to use Vault.
#[derive(Debug)]
pub struct VaultSettings {
    /// The service, such as `https://vault.aws.us.pangea.cloud`. It may have a path.
    pub api_url: Url,
    /// The token. It is read again when Vault refuses it.
    pub token: Box<dyn TokenSource>,
    /// The folder for our items, `/a/b` without a trailing slash; empty for the root.
    pub folder: String,
    /// How long values are cached; zero reads from Vault each time.
    pub cache: Duration,
    /// For the versions of records.
    pub random: Arc<dyn Random>,
}

/// A single-writer repository in Pangea Vault.
#[derive(Debug)]
pub struct VaultRepository {
    api: Api,
    place: Place,
    cache: Duration,
    random: Arc<dyn Random>,
    locks: Locks,
    recent: Mutex<Recent>,
    cursors: Mutex<Cursors>,
    almanac: Mutex<Almanac>,
    answered: Mutex<Option<Instant>>,
}

impl VaultRepository {
    /// Checks that Vault answers and accepts the token.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`](super::RepositoryError::Unavailable) when Vault cannot be reached,
    /// [`RepositoryError::Unusable`](super::RepositoryError::Unusable) when it refuses. Both messages say what to change.
    pub async fn connect(settings: VaultSettings, fetch: Fetch) -> Result<Self> {
        let (place, cache) = (Place::new(&settings.folder), settings.cache);
        let random = Arc::clone(&settings.random);
        let repository = Self {
            api: Api::new(settings, fetch)?,
            place,
            cache,
            random,
            locks: Locks::default(),
            recent: Mutex::default(),
            cursors: Mutex::default(),
            almanac: Mutex::default(),
            answered: Mutex::default(),
        };
        repository.ping().await?;
        Ok(repository)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        action: &str,
        body: &Value,
        repeat: Repeat,
        deadline: Instant,
    ) -> std::result::Result<T, Failed> {
        let answer = self.api.call(action, body, repeat, deadline).await;
        if answer.is_ok() {
            *lock(&self.answered) = Some(Instant::now());
        }
        answer
    }

    fn spot<'a>(&self, kind: Kind, key: &'a str, name: &'a str, now: UnixTime) -> Spot<'a> {
        Spot { kind, key, name, now, deadline: self.api.deadline() }
    }

    fn versioned(&self, record: &Record) -> Versioned {
        Versioned { record: record.clone(), version: stored::new_version(&*self.random) }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        lock(&self.recent)
    }

    fn cursors(&self) -> MutexGuard<'_, Cursors> {
        lock(&self.cursors)
    }

    fn almanac(&self) -> MutexGuard<'_, Almanac> {
        lock(&self.almanac)
    }
}

/// A poisoned lock is harmless: nothing is left half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn living(held: Option<&Held>, now: UnixTime) -> Option<Versioned> {
    held.map(|held| &held.stored).filter(|stored| stored.record.is_live(now)).cloned()
}

#[async_trait]
impl Repository for VaultRepository {
    async fn get(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Versioned>> {
        let Some(name) = self.place.name(kind, key) else { return Ok(None) };
        let known = self.recent().known(kind, key).cloned();
        if let Some(known) = known.filter(|known| known.is_fresh(self.cache, now)) {
            return Ok(living(known.held(), now));
        }
        let looked = self.look(self.spot(kind, key, &name, now)).await?;
        Ok(living(looked.held.as_ref(), now))
    }

    async fn insert(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write> {
        let Some(name) = self.place.name(kind, &record.key) else { return Err(unsafe_key()) };
        let stored = self.versioned(record);
        stored::text(&stored)?;
        let _alone = self.locks.of(kind, &record.key).await;
        let spot = self.spot(kind, &record.key, &name, now);
        let Looked { held, duplicates, switched_off } = self.look(spot).await?;
        if switched_off || held.as_ref().is_some_and(|held| held.stored.record.is_live(now)) {
            return Ok(Write::Conflict);
        }
        self.delete_all(spot, &duplicates).await?;
        if let Some(expired) = held {
            self.delete(spot, &expired.id).await?;
            self.almanac().forget(kind, &record.key, expired.stored.record.expires_at);
        }
        self.store(spot, stored).await
    }

    async fn replace(&self, kind: Kind, record: &Record, read: Version, now: UnixTime) -> Result<Write> {
        let Some(name) = self.place.name(kind, &record.key) else { return Ok(Write::Conflict) };
        let stored = self.versioned(record);
        stored::text(&stored)?;
        let _alone = self.locks.of(kind, &record.key).await;
        let spot = self.spot(kind, &record.key, &name, now);
        let Looked { held: Some(held), duplicates, .. } = self.look(spot).await? else {
            return Ok(Write::Conflict);
        };
        if held.stored.version != read || !held.stored.record.is_live(now) {
            return Ok(Write::Conflict);
        }
        self.delete_all(spot, &duplicates).await?;
        let (id, beside) = (held.id.clone(), held.metadata.clone());
        let write = self.rotate(spot, held, stored).await?;
        if write != Write::Conflict && is_misleading(&beside, record) {
            self.describe(spot, &id, &stored::metadata(record)).await?;
        }
        Ok(write)
    }

    async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>> {
        let Some(name) = self.place.name(kind, key) else { return Ok(None) };
        let _alone = self.locks.of(kind, key).await;
        let spot = self.spot(kind, key, &name, now);
        let Looked { held: Some(held), duplicates, .. } = self.look(spot).await? else { return Ok(None) };
        // The record itself is deleted last: until then it has not been taken.
        self.delete_all(spot, &duplicates).await?;
        self.delete(spot, &held.id).await?;
        self.almanac().forget(kind, key, held.stored.record.expires_at);
        Ok(living(Some(&held), now).map(|living| living.record))
    }

    async fn list(&self, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>> {
        self.page(kind, page, now).await
    }

    async fn purge_expired(&self, now: UnixTime) -> Result<u64> {
        self.sweep(now).await
    }

    async fn ping(&self) -> Result<()> {
        if lock(&self.answered).is_some_and(|at| at.elapsed() < AWAKE) {
            return Ok(());
        }
        let body = json!({ "filter": in_folder(&self.place.folder_of(Kind::Key)), "size": 1 });
        let _: Items = self.call("list", &body, Repeat::Freely, self.api.deadline()).await?;
        Ok(())
    }

    fn atomicity(&self) -> Atomicity {
        Atomicity::SingleProcess
    }
}

/// Whether a list or a sweep would miss the record because of its outdated metadata. A sweep that comes too early reads
/// the value and corrects the metadata, so that a record whose life is often extended does not need two writes each
/// time.
fn is_misleading(beside: &serde_json::Map<String, Value>, record: &Record) -> bool {
    let metadata = stored::metadata(record);
    let (beside_expiry, expiry) = (stored::expiry(beside), record.expires_at);
    metadata.get("parent") != beside.get("parent")
        || expiry.is_some_and(|expiry| beside_expiry.is_none_or(|beside| expiry < beside))
}

fn unsafe_key() -> super::RepositoryError {
    super::RepositoryError::Corrupt("a key has characters that no key may have".to_owned())
}
