//! The keyring, which may wait for somebody to unlock it: longer than anybody here wants to.

use std::{sync::mpsc, thread, time::Duration};

use crate::config::{Environment, KeyringError, SystemEnvironment};

/// How long somebody may take to unlock it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The secret under a name, if there is one.
pub(super) fn read(name: &'static str) -> Result<Option<String>, KeyringError> {
    match patiently(move || SystemEnvironment.keyring(name)) {
        Ok(secret) => Ok(Some(secret)),
        Err(KeyringError::NoEntry) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Keeps a secret under a name, in place of the one there.
pub(super) fn store(name: &'static str, secret: String) -> Result<(), KeyringError> {
    patiently(move || SystemEnvironment.store_in_keyring(name, &secret))
}

/// Takes a secret out.
pub(super) fn remove(name: &'static str) -> Result<(), KeyringError> {
    patiently(move || SystemEnvironment.remove_from_keyring(name))
}

/// A thread that the keyring holds for ever is left to it.
fn patiently<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, KeyringError> + Send + 'static,
) -> Result<T, KeyringError> {
    let (sender, answer) = mpsc::sync_channel(1);
    thread::spawn(move || sender.send(ask()));
    let silent = || KeyringError::Refused("it is locked, and nobody unlocked it in time".to_owned());
    answer.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(silent()))
}
