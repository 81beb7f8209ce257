//! Re-encrypts signing keys when another sealing key becomes active.

use std::sync::Arc;

use super::{KeyError, Keys, StoredKey};
use crate::{
    clock::UnixTime,
    repository::{Collection, Entity, Page, Repository, RepositoryError},
    secret::{KeyId, KeyRing},
};

/// Far more signing keys than ever exist at once.
const ALL: usize = 100;

impl Keys {
    /// Re-encrypts outdated keys with the current sealing key, and returns how many. A key that another process changes
    /// in the meantime is left to the next call.
    pub async fn reseal(&self, now: UnixTime) -> Result<u64, KeyError> {
        let mut resealed = 0;
        for listed in self.stored.list(&Page { limit: ALL, ..Page::default() }, now).await? {
            let Some(read) = self.stored.get(listed.key(), now).await? else { continue };
            if !self.sealer.is_outdated(&read.value.sealed) {
                continue;
            }
            let mut key = read.value.clone();
            key.sealed = self.sealer.seal(&["signing key", &key.kid], &self.private(&key)?);
            resealed += u64::from(self.stored.replace(read, key, now).await?.is_some());
        }
        Ok(resealed)
    }
}

/// Number of signing keys whose sealing key is not in `ring`, or which cannot be read.
pub async fn sealed_elsewhere(
    repository: Arc<dyn Repository>,
    ring: &KeyRing,
    now: UnixTime,
) -> Result<usize, RepositoryError> {
    let keys = Collection::<StoredKey>::new(repository);
    let page = keys.page(&Page { limit: ALL, ..Page::default() }, now).await?;
    let is_elsewhere = |key: &&StoredKey| KeyId::of_sealed(&key.sealed).is_none_or(|id| !ring.holds(id));
    Ok(page.values.iter().filter(is_elsewhere).count() + page.unreadable.len())
}
