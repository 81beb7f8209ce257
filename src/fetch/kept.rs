//! A cached document: one task at a time fetches it, and all others read it without waiting.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{Mutex, MutexGuard};

use crate::clock::UnixTime;

#[derive(Debug)]
struct Held<T> {
    /// The last good document; a failed fetch leaves it.
    document: Option<Arc<T>>,
    /// When the next fetch is due.
    until: UnixTime,
}

/// A document and the turn to fetch it. The lock on the document is never held during a fetch.
#[derive(Debug)]
pub struct Kept<T> {
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
    /// The last good document, of any age.
    #[must_use]
    pub fn document(&self) -> Option<Arc<T>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).document.clone()
    }

    #[must_use]
    pub fn is_due(&self, now: UnixTime) -> bool {
        now >= self.held.read().unwrap_or_else(PoisonError::into_inner).until
    }

    /// Waits for the turn to fetch. Check [`Kept::is_due`] again afterwards: the previous holder may have
    /// fetched.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// The turn to fetch; `None` while another task has it.
    #[must_use]
    pub fn turn_now(&self) -> Option<MutexGuard<'_, ()>> {
        self.turn.try_lock().ok()
    }

    /// Notes the outcome of a fetch (`None` keeps the last good document) and when the next one is due.
    pub fn note(&self, document: Option<Arc<T>>, until: UnixTime) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.until = until;
        if document.is_some() {
            held.document = document;
        }
    }
}
