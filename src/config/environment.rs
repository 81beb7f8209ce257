//! The environment of the process: variables, arguments, keyring and directories.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use directories::ProjectDirs;

use super::keyring::{self, APPLICATION, KeyringError};

/// The environment of the process. Tests pass their own.
pub trait Environment: Sync {
    /// Every environment variable.
    fn variables(&self) -> BTreeMap<String, String>;

    /// The secret that the keyring holds for [`APPLICATION`] under `name`.
    ///
    /// # Errors
    ///
    /// If there is no entry, or no keyring.
    fn keyring(&self, name: &str) -> Result<String, KeyringError>;

    /// Stores a secret in the keyring for [`APPLICATION`] under `name`, and replaces an existing one.
    ///
    /// # Errors
    ///
    /// If there is no keyring, or it refuses.
    fn store_in_keyring(&self, name: &str, secret: &str) -> Result<(), KeyringError> {
        let _ = (name, secret);
        Err(KeyringError::Unavailable("this environment is read-only".to_owned()))
    }

    /// Removes a secret from the keyring. It succeeds if there is no such entry.
    ///
    /// # Errors
    ///
    /// If there is no keyring, or it refuses.
    fn remove_from_keyring(&self, name: &str) -> Result<(), KeyringError> {
        let _ = name;
        Err(KeyringError::Unavailable("this environment is read-only".to_owned()))
    }

    /// The directories for configuration and state; `None` without a home directory.
    fn directories(&self) -> Option<Directories>;
}

/// The arguments of this process; the first is the name of the program.
pub(crate) fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os()
}

/// The working directory of this process, if it exists.
pub(crate) fn working_directory() -> Option<PathBuf> {
    std::env::current_dir().ok()
}

/// The directories for configuration and state on this platform.
#[derive(Debug, Clone)]
pub struct Directories {
    /// Contains `config.toml`.
    pub config: PathBuf,
    /// Contains the database.
    pub state: PathBuf,
}

/// The real environment. Nothing else reads environment variables or the keyring.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEnvironment;

impl Environment for SystemEnvironment {
    fn variables(&self) -> BTreeMap<String, String> {
        std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect()
    }

    fn keyring(&self, name: &str) -> Result<String, KeyringError> {
        keyring::read(name)
    }

    fn store_in_keyring(&self, name: &str, secret: &str) -> Result<(), KeyringError> {
        keyring::store(name, secret)
    }

    fn remove_from_keyring(&self, name: &str) -> Result<(), KeyringError> {
        keyring::remove(name)
    }

    fn directories(&self) -> Option<Directories> {
        let project = ProjectDirs::from("", "", APPLICATION)?;
        Some(Directories {
            config: project.config_dir().to_owned(),
            state: project.state_dir().unwrap_or_else(|| project.data_local_dir()).to_owned(),
        })
    }
}

#[cfg(test)]
pub(super) mod fake {
    use super::*;

    /// Surroundings made of maps.
    #[derive(Default)]
    pub(in crate::config) struct FakeEnvironment {
        pub(in crate::config) variables: BTreeMap<String, String>,
        pub(in crate::config) keyring: BTreeMap<String, Result<String, KeyringError>>,
        pub(in crate::config) directories: Option<Directories>,
    }

    impl FakeEnvironment {
        pub(in crate::config) fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
            Self::default().with(variables)
        }

        pub(in crate::config) fn with<const N: usize>(mut self, variables: [(&str, &str); N]) -> Self {
            let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
            self.variables.extend(variables);
            self
        }
    }

    impl Environment for FakeEnvironment {
        fn variables(&self) -> BTreeMap<String, String> {
            self.variables.clone()
        }

        fn keyring(&self, name: &str) -> Result<String, KeyringError> {
            self.keyring.get(name).cloned().unwrap_or(Err(KeyringError::NoEntry))
        }

        fn directories(&self) -> Option<Directories> {
            self.directories.clone()
        }
    }
}
