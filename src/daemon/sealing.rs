//! The sealing keys while the daemon runs: read again, installed when their time comes, and what is
//! sealed under old ones sealed anew.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    config::{self, SecretPlace, SystemEnvironment},
    flow::{AuthorizationServer, Resealed},
    secret::{Installed, KeyRing},
};

/// Between two pages, so that nobody waits for us.
const PAUSE: Duration = Duration::from_millis(20);
/// Until a repository that did not answer is asked again.
const RETRY: Duration = Duration::from_secs(30);

/// Knows where the sealing keys are kept.
#[derive(Debug, Clone)]
pub struct SealingWatch {
    place: SecretPlace,
    /// As they were when they could be read last.
    ring: Arc<Mutex<KeyRing>>,
}

impl SealingWatch {
    pub(super) fn new(keys: &config::Keys) -> Self {
        Self { place: keys.sealing_place.clone(), ring: Arc::new(Mutex::new(keys.sealing.clone())) }
    }

    /// Reads the keys again and installs them for the present time. Whether another one seals now.
    pub async fn look(&self, server: &AuthorizationServer) -> bool {
        let ring = self.read().await;
        match server.sealer().install(&ring, server.now()) {
            Installed::AsBefore => {
                *self.last() = ring;
                false
            }
            Installed::SealsUnder(key) => {
                *self.last() = ring;
                tracing::info!(%key, "another key seals from now on");
                true
            }
            Installed::Foreign => {
                tracing::warn!(
                    "keys.sealing holds none of the keys that it held before: it is not used, and a restart would \
                     fail. Put the old key back, beside the new one"
                );
                false
            }
        }
    }

    /// A variable stays as it is; a file or keyring that cannot be read counts as unchanged.
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

/// Seals everything at rest under the present key, gently.
pub async fn reseal(server: Arc<AuthorizationServer>) {
    let keys = loop {
        match server.keys().reseal(server.now()).await {
            Ok(keys) => break keys,
            Err(error) => tracing::warn!(%error, "the signing keys cannot be sealed anew yet"),
        }
        tokio::time::sleep(RETRY).await;
    };
    let sessions = server.sealed_sessions();
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
                tracing::warn!(%error, "the upstream sessions cannot be sealed anew yet");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
    let Resealed { resealed, unreadable, .. } = all;
    tracing::info!(keys, sessions = resealed, "everything is sealed under the present key");
    if unreadable > 0 {
        tracing::warn!(
            sessions = unreadable,
            "upstream sessions stay as they are: they are sealed under keys that keys.sealing does not hold, or their \
             grants cannot be read"
        );
    }
}
