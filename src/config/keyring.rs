//! The platform's keyring. A build without the cargo feature `keyring` refuses every use of it.

#[cfg(feature = "keyring")]
pub(super) use self::platform::{read, remove, store};

#[cfg(not(feature = "keyring"))]
pub(super) use self::absent::{read, remove, store};

/// The name of this program in the keyring and in directories.
pub const APPLICATION: &str = "pangea-mcp-auth";

/// Why a secret cannot be read from the keyring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// There is no such entry.
    #[error("the keyring has no such entry")]
    NoEntry,
    /// The keyring is locked or refuses access.
    #[error("the keyring refuses access: {0}")]
    Refused(String),
    /// There is no keyring, as on a Linux server without a Secret Service.
    #[error("no keyring can be reached: {0}")]
    Unavailable(String),
    /// The program was built without the cargo feature `keyring`.
    #[error("this build has no keyring support")]
    NotBuiltIn,
}

#[cfg(feature = "keyring")]
mod platform {
    use keyring::v1::{Entry, Error};

    use super::{APPLICATION, KeyringError};

    pub(in crate::config) fn read(name: &str) -> Result<String, KeyringError> {
        Entry::new(APPLICATION, name).and_then(|entry| entry.get_password()).map_err(understood)
    }

    pub(in crate::config) fn store(name: &str, secret: &str) -> Result<(), KeyringError> {
        Entry::new(APPLICATION, name).and_then(|entry| entry.set_password(secret)).map_err(understood)
    }

    pub(in crate::config) fn remove(name: &str) -> Result<(), KeyringError> {
        match Entry::new(APPLICATION, name).and_then(|entry| entry.delete_credential()) {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(understood(error)),
        }
    }

    fn understood(error: Error) -> KeyringError {
        match error {
            Error::NoEntry => KeyringError::NoEntry,
            Error::NoStorageAccess(reason) => KeyringError::Refused(reason.to_string()),
            Error::NoDefaultStore => KeyringError::Unavailable(store_failure()),
            other => KeyringError::Unavailable(other.to_string()),
        }
    }

    /// Why the platform's store could not be opened.
    fn store_failure() -> String {
        match Entry::store_status() {
            Ok(()) => "there is no store".to_owned(),
            Err(error) => error.to_string(),
        }
    }
}

#[cfg(not(feature = "keyring"))]
mod absent {
    use super::KeyringError;

    pub(in crate::config) fn read(_name: &str) -> Result<String, KeyringError> {
        Err(KeyringError::NotBuiltIn)
    }

    pub(in crate::config) fn store(_name: &str, _secret: &str) -> Result<(), KeyringError> {
        Err(KeyringError::NotBuiltIn)
    }

    pub(in crate::config) fn remove(_name: &str) -> Result<(), KeyringError> {
        Err(KeyringError::NotBuiltIn)
    }
}
