//! Orders the writes of one key within this process, because Vault has no conditional writes.

use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::{Mutex, MutexGuard};

use crate::repository::Kind;

/// Most concurrent writes. If two keys share a lock, one write waits.
const LOCKS: usize = 256;

/// A lock for each key; few keys share one.
#[derive(Debug)]
pub(super) struct Locks(Box<[Mutex<()>]>);

impl Default for Locks {
    fn default() -> Self {
        Self((0..LOCKS).map(|_| Mutex::default()).collect())
    }
}

impl Locks {
    /// Waits for other writes of this key.
    pub(super) async fn of(&self, kind: Kind, key: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        (kind, key).hash(&mut hasher);
        let at = hasher.finish() % self.0.len() as u64;
        self.0[usize::try_from(at).unwrap_or_default()].lock().await
    }
}
