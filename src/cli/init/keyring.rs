//! The keyring with a timeout: a locked keyring waits until the user unlocks it.

use std::{sync::mpsc, thread, time::Duration};

use crate::config::{Environment, KeyringError, SystemEnvironment};

/// How long the user may take to unlock it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The secret under a name, if there is one.
pub(super) fn read(name: &'static str) -> Result<Option<String>, KeyringError> {
    match patiently(move || SystemEnvironment.keyring(name)) {
        Ok(secret) => Ok(Some(secret)),
        Err(KeyringError::NoEntry) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Stores a secret under a name, and replaces an existing one.
pub(super) fn store(name: &'static str, secret: String) -> Result<(), KeyringError> {
    patiently(move || SystemEnvironment.store_in_keyring(name, &secret))
}

pub(super) fn remove(name: &'static str) -> Result<(), KeyringError> {
    patiently(move || SystemEnvironment.remove_from_keyring(name))
}

/// Runs `ask` on a thread of its own; a thread that hangs is abandoned.
fn patiently<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, KeyringError> + Send + 'static,
) -> Result<T, KeyringError> {
    let (sender, answer) = mpsc::sync_channel(1);
    thread::spawn(move || sender.send(ask()));
    let silent = || KeyringError::Refused("it is locked and was not unlocked in time".to_owned());
    answer.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(silent()))
}
