//! Signing keys change the sealing key under which they lie.

use std::sync::Arc;

use super::{KeyError, Keys, StoredKey};
use crate::{
    clock::UnixTime,
    repository::{Collection, Entity, Page, Repository, RepositoryError},
    secret::{KeyId, KeyRing},
};

/// Far more keys than there ever are at once.
const ALL: usize = 100;

impl Keys {
    /// Seals every key under the present sealing key and says how many were not. A key that somebody
    /// else changes meanwhile is left to the next call.
    ///
    /// # Errors
    ///
    /// When the repository does not answer or a key cannot be opened.
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

/// How many signing keys are sealed under a key that is not in `ring`, or cannot be read.
///
/// # Errors
///
/// When the repository does not answer.
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
