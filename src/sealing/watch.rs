//! The sealing keys while a daemon runs: the ring is read again, and what old keys encrypted is re-encrypted
//! when another key becomes active.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{Resealed, SealedSessions};
use crate::{
    config::{self, SecretPlace, SystemEnvironment},
    flow::AuthorizationServer,
    secret::{Installed, KeyRing},
};

/// Pause between two pages, so that requests do not wait for this work.
const PAUSE: Duration = Duration::from_millis(20);
/// Pause after the repository did not answer.
const RETRY: Duration = Duration::from_secs(30);

/// Reads the ring again from its source.
#[derive(Debug, Clone)]
pub struct SealingWatch {
    place: SecretPlace,
    /// The ring as it was last read.
    ring: Arc<Mutex<KeyRing>>,
}

impl SealingWatch {
    /// Watches the configured source, starting with the ring that was read at startup.
    #[must_use]
    pub fn new(keys: &config::Keys) -> Self {
        Self { place: keys.sealing_place.clone(), ring: Arc::new(Mutex::new(keys.sealing.clone())) }
    }

    /// Reads the ring again and installs it. True if another key became active.
    pub async fn look(&self, server: &AuthorizationServer) -> bool {
        let ring = self.read().await;
        match server.sealer().install(&ring, server.now()) {
            Installed::AsBefore => {
                *self.last() = ring;
                false
            }
            Installed::SealsUnder(key) => {
                *self.last() = ring;
                tracing::info!(%key, "another sealing key became active");
                true
            }
            Installed::Foreign => {
                tracing::warn!(
                    "keys.sealing no longer contains any of the previous keys. The daemon keeps using the previous \
                     keys, but would fail to restart. Put the old key back, next to the new one"
                );
                false
            }
        }
    }

    /// The environment of a process does not change. A file or keyring entry that cannot be read counts as
    /// unchanged.
    async fn read(&self) -> KeyRing {
        let last = self.last().clone();
        if matches!(self.place, SecretPlace::Variable(_)) {
            return last;
        }
        let place = self.place.clone();
        let read = move || config::read_sealing_keys(&place, &SystemEnvironment);
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(ring)) => ring,
            Ok(Err(reason)) => {
                tracing::warn!(reason, "keys.sealing cannot be read again");
                last
            }
            Err(error) => {
                tracing::warn!(%error, "keys.sealing cannot be read again");
                last
            }
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, KeyRing> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Re-encrypts the signing keys and all upstream sessions with the current key, a page at a time.
pub async fn reseal(server: Arc<AuthorizationServer>) {
    let keys = loop {
        match server.keys().reseal(server.now()).await {
            Ok(keys) => break keys,
            Err(error) => tracing::warn!(%error, "the signing keys cannot be re-encrypted yet"),
        }
        tokio::time::sleep(RETRY).await;
    };
    let sessions = SealedSessions::of(&server);
    let mut all = Resealed::default();
    loop {
        match sessions.reseal(all.next.clone(), server.now()).await {
            Ok(Resealed { resealed, unreadable, next }) => {
                all.resealed += resealed;
                all.unreadable += unreadable;
                all.next = next;
                if all.next.is_none() {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                tracing::warn!(%error, "the upstream sessions cannot be re-encrypted yet");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
    let Resealed { resealed, unreadable, .. } = all;
    tracing::info!(keys, sessions = resealed, "everything is encrypted with the current sealing key");
    if unreadable > 0 {
        tracing::warn!(
            sessions = unreadable,
            "some upstream sessions were not re-encrypted: keys.sealing does not contain their key, or their grants \
             cannot be read"
        );
    }
}
