//! The contents of URLs, fetched when they are needed, one fetch at a time for each URL.

use std::{
    future::Future,
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::timeout;

use super::{
    DocumentError,
    known::{Kept, Known, Need},
    table::{Entry, Table},
};
use crate::clock::UnixTime;

/// How long a request waits for another that fetches the same URL: its turn, and the fetch.
const PATIENCE: Duration = Duration::from_secs(8);

/// What this process knows about URLs of one kind.
#[derive(Debug)]
pub(super) struct Cache<T>(Table<T>);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(Table::default())
    }
}

impl<T> Cache<T> {
    /// The newest content that can be used, of any age.
    pub(super) fn known(&self, url: &str, stored: Option<&Arc<Kept<T>>>) -> Option<Arc<Kept<T>>> {
        match self.0.existing(url) {
            Some(entry) => entry.known().usable(stored),
            None => Known::default().usable(stored),
        }
    }

    /// The known content if it meets the need, otherwise what `fetch` brings. If the fetch fails, the last good content.
    /// `stored` is what the repository has.
    pub(super) async fn current(
        &self,
        url: &str,
        stored: Option<&Arc<Kept<T>>>,
        need: Need,
        now: UnixTime,
        fetch: impl Future<Output = Result<Kept<T>, DocumentError>>,
    ) -> Result<Arc<Kept<T>>, DocumentError> {
        if let Some(enough) = self.known(url, stored).filter(|known| need.is_met_by(known.state, now)) {
            return Ok(enough);
        }
        let busy = || self.known(url, stored).ok_or(DocumentError::Busy);
        let Some(entry) = self.0.entry(url) else { return busy() };
        let Ok(_turn) = timeout(PATIENCE, entry.turn.lock()).await else { return busy() };
        // The previous holder of the turn may have fetched it.
        if let Some(settled) = entry.known().settled(stored, need, now) {
            return settled;
        }
        let outcome = fetch.await;
        if let Err(refused @ (DocumentError::TooMany(_) | DocumentError::Busy)) = outcome {
            // Nothing was fetched, so nothing is noted.
            return entry.known().usable(stored).ok_or(refused);
        }
        let error = outcome.as_ref().err().map(tracing::field::display);
        tracing::debug!(url, error, "client document fetched");
        let mut known = entry.known();
        known.note(outcome, stored, now);
        known.settled(stored, need, now).unwrap_or(Err(DocumentError::Busy))
    }
}

impl<T> Entry<T> {
    fn known(&self) -> MutexGuard<'_, Known<T>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
