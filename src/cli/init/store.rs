//! Writing: secrets first, the configuration last, and on a failure nothing new stays.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    super::failure::{Exit, Failure},
    answers::SecretStore,
    draft::{Draft, SEALING_KEY},
};
use crate::{
    config::{
        self, Environment, Existing, KeyringError, SystemEnvironment, create_private_folder,
        write_private_file,
    },
    secret::{SealingKey, Secret, SystemRandom},
};

/// What was written.
pub(super) struct Written {
    pub(super) store: SecretStore,
    /// Names of keyring entries, or paths.
    pub(super) secrets: Vec<String>,
    /// Whether the sealing key was there already.
    pub(super) kept_sealing_key: bool,
}

/// Writes everything, or nothing.
pub(super) fn write(draft: &Draft, force: bool) -> Result<Written, Failure> {
    let store = choose(draft.store)?;
    let folder = draft.file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    create_private_folder(folder).map_err(|error| refused(folder, &error))?;
    let mut place = Place { store, folder: folder.to_owned(), force, made: Vec::new() };
    let written = place.write_all(draft);
    if written.is_err() {
        for path in &place.made {
            let _ = fs::remove_file(path);
        }
    }
    written
}

/// The keyring where there is one, unless somebody chose.
fn choose(chosen: Option<SecretStore>) -> Result<SecretStore, Failure> {
    let keyring = match SystemEnvironment.keyring(SEALING_KEY) {
        Ok(_) | Err(KeyringError::NoEntry) => Ok(SecretStore::Keyring),
        Err(error) => Err(error),
    };
    match (chosen, keyring) {
        (Some(SecretStore::Files), _) | (None, Err(_)) => Ok(SecretStore::Files),
        (_, Ok(keyring)) => Ok(keyring),
        (Some(SecretStore::Keyring), Err(error)) => {
            let failure = Failure::new(Exit::Unreachable, error.to_string());
            Err(failure.hint("unlock it, or keep secrets in files with --secrets files"))
        }
    }
}

/// Where secrets and the configuration go.
struct Place {
    store: SecretStore,
    folder: PathBuf,
    force: bool,
    /// Files that were not there before.
    made: Vec<PathBuf>,
}

impl Place {
    fn write_all(&mut self, draft: &Draft) -> Result<Written, Failure> {
        let mut secrets = Vec::new();
        for secret in &draft.secrets {
            secrets.push(self.store_secret(secret.name, &secret.value)?);
        }
        let (sealing_key, kept_sealing_key) = self.sealing_key()?;
        secrets.push(sealing_key);
        let text = draft.text(self.store);
        config::parse(&text, &draft.file, &SystemEnvironment).map_err(|problems| {
            Failure::new(Exit::Configuration, format!("the answers do not fit together:\n{problems}"))
        })?;
        let existing = if self.force { Existing::Replaced } else { Existing::Stays };
        self.write_file(&draft.file, &text, existing)?;
        Ok(Written { store: self.store, secrets, kept_sealing_key })
    }

    fn store_secret(&mut self, name: &str, secret: &Secret) -> Result<String, Failure> {
        match (self.read(name)?, self.store) {
            (Some(there), _) if there.expose() == secret.expose() => {}
            (Some(_), _) if !self.force => {
                let failure =
                    Failure::new(Exit::Failed, format!("{} holds another secret", self.shown(name)));
                return Err(failure.hint("replace it with --force, or choose another place with --secrets"));
            }
            (_, SecretStore::Keyring) => keyring(name, secret)?,
            (_, SecretStore::Files) => {
                self.write_file(&self.folder.join(name), secret.expose(), Existing::Replaced)?;
            }
        }
        Ok(self.shown(name))
    }

    /// Makes the sealing key; one that is there stays, for it opens what is stored.
    fn sealing_key(&mut self) -> Result<(String, bool), Failure> {
        let shown = self.shown(SEALING_KEY);
        if let Some(there) = self.read(SEALING_KEY)? {
            if SealingKey::parse(there.expose()).is_some() {
                return Ok((shown, true));
            }
            let failure = Failure::new(Exit::Failed, format!("{shown} does not hold a sealing key"));
            return Err(failure.hint("move it away; it is never overwritten"));
        }
        let key = SealingKey::generate(&SystemRandom).to_text();
        let key = Secret::new("sealing key", key.to_string());
        match self.store {
            SecretStore::Keyring => keyring(SEALING_KEY, &key)?,
            SecretStore::Files => {
                self.write_file(&self.folder.join(SEALING_KEY), key.expose(), Existing::Stays)?;
            }
        }
        Ok((shown, false))
    }

    fn read(&self, name: &str) -> Result<Option<Secret>, Failure> {
        let unusable = |why: String| Failure::new(Exit::Failed, why);
        match self.store {
            SecretStore::Keyring => match SystemEnvironment.keyring(name) {
                Ok(text) => Ok(Some(Secret::new("stored secret", text))),
                Err(KeyringError::NoEntry) => Ok(None),
                Err(error) => Err(unusable(error.to_string())),
            },
            SecretStore::Files => {
                let path = self.folder.join(name);
                let there = path.symlink_metadata().is_ok();
                there.then(|| config::read_secret_file(&path, "stored secret")).transpose().map_err(unusable)
            }
        }
    }

    fn write_file(&mut self, path: &Path, text: &str, existing: Existing) -> Result<(), Failure> {
        let is_new = path.symlink_metadata().is_err();
        write_private_file(path, text, existing, &SystemRandom).map_err(|error| refused(path, &error))?;
        if is_new {
            self.made.push(path.to_owned());
        }
        Ok(())
    }

    fn shown(&self, name: &str) -> String {
        match self.store {
            SecretStore::Keyring => name.to_owned(),
            SecretStore::Files => self.folder.join(name).display().to_string(),
        }
    }
}

fn keyring(name: &str, secret: &Secret) -> Result<(), Failure> {
    SystemEnvironment.store_in_keyring(name, secret.expose()).map_err(|error| {
        let failure = Failure::new(Exit::Unreachable, error.to_string());
        failure.hint("keep secrets in files with --secrets files")
    })
}

fn refused(path: &Path, error: &io::Error) -> Failure {
    let message = format!("{} cannot be written: {error}", path.display());
    Failure::new(Exit::Failed, message).hint("make its folder writable, or name another file with --config")
}
