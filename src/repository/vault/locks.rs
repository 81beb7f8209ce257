//! Vault writes whatever it is sent; that writes of one key follow each other is seen to here.

use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::{Mutex, MutexGuard};

use crate::repository::Kind;

/// How many writes go on at once at most. Two keys may share a lock; they wait, and that is all.
const LOCKS: usize = 256;

/// One lock for each key, or nearly so.
#[derive(Debug)]
pub(super) struct Locks(Box<[Mutex<()>]>);

impl Default for Locks {
    fn default() -> Self {
        Self((0..LOCKS).map(|_| Mutex::default()).collect())
    }
}

impl Locks {
    /// Waits until nobody writes this key.
    pub(super) async fn of(&self, kind: Kind, key: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        (kind, key).hash(&mut hasher);
        let at = hasher.finish() % self.0.len() as u64;
        self.0[usize::try_from(at).unwrap_or_default()].lock().await
    }
}
