//! A document of the upstream, fetched by one task at a time and read by all others without waiting.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{Mutex, MutexGuard};

use crate::clock::UnixTime;

/// What the last fetch left.
#[derive(Debug)]
struct Held<T> {
    /// The last good document; a failed fetch leaves it.
    document: Option<Arc<T>>,
    /// No fetch is due before.
    until: UnixTime,
}

/// A document, and the turn to fetch it. The lock on the document is never held across a fetch.
#[derive(Debug)]
pub(super) struct Kept<T> {
    held: RwLock<Held<T>>,
    turn: Mutex<()>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        let held = Held { document: None, until: UnixTime::from_secs(0) };
        Self { held: RwLock::new(held), turn: Mutex::new(()) }
    }
}

impl<T> Kept<T> {
    /// The last good document, however old.
    pub(super) fn document(&self) -> Option<Arc<T>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).document.clone()
    }

    /// Whether a fetch is due.
    pub(super) fn is_due(&self, now: UnixTime) -> bool {
        now >= self.held.read().unwrap_or_else(PoisonError::into_inner).until
    }

    /// Waits for the turn to fetch. Whoever gets it asks again whether a fetch is still due.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// The turn to fetch, unless another task has it.
    pub(super) fn turn_now(&self) -> Option<MutexGuard<'_, ()>> {
        self.turn.try_lock().ok()
    }

    /// Notes what a fetch brought: `None` keeps the last good document.
    pub(super) fn note(&self, document: Option<Arc<T>>, until: UnixTime) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.until = until;
        if document.is_some() {
            held.document = document;
        }
    }
}
