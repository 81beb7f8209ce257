//! Writes the secrets, then the configuration. A failure undoes everything.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::fs::Access;
use zeroize::Zeroizing;

use super::{
    answers::SecretStore,
    draft::{Draft, SEALING_KEY},
    interruption::Interruption,
    keyring,
};
use crate::{
    cli::failure::{Exit, Failure},
    config::{self, Existing, SystemEnvironment, create_private_folder, write_private_file},
    secret::{SealingKey, Secret, SystemRandom},
};

pub(super) struct Written {
    pub(super) store: SecretStore,
    /// Keyring entries or paths.
    pub(super) secrets: Vec<String>,
    /// Whether the sealing key existed already.
    pub(super) kept_sealing_key: bool,
    /// Why files are used instead of the keyring.
    pub(super) no_keyring: Option<String>,
}

/// Writes everything, or nothing.
pub(super) fn write(draft: &Draft, force: bool, interruption: &Interruption) -> Result<Written, Failure> {
    let (store, no_keyring) = choose(draft.store)?;
    let mut is_written = interruption.writing();
    let mut place = Place { store, folder: folder_of(&draft.file), force, undo: Vec::new() };
    let written = place.write_all(draft, interruption);
    match written {
        Ok((secrets, kept_sealing_key)) => {
            *is_written = true;
            Ok(Written { store, secrets, kept_sealing_key, no_keyring })
        }
        Err(failure) => {
            place.undo();
            Err(failure)
        }
    }
}

/// A dangling link is not a configuration, and nothing can be written through it.
pub(super) fn refuse_dangling_link(file: &Path) -> Result<(), Failure> {
    let Ok(target) = fs::read_link(file) else { return Ok(()) };
    if file.exists() {
        return Ok(());
    }
    let message =
        format!("{} is a symbolic link to {}, which does not exist", file.display(), target.display());
    Err(Failure::new(Exit::Failed, message)
        .hint("create the directory of that file and run init with --config FILE, or remove the link"))
}

/// Fails before the first question if the configuration cannot be written.
pub(super) fn expect_writable(file: &Path) -> Result<(), Failure> {
    let folder = folder_of(file);
    let there = folder.ancestors().find(|folder| folder.exists()).map(|found| match found.as_os_str() {
        empty if empty.is_empty() => Path::new("."),
        _ => found,
    });
    let Some(there) = there else { return Ok(()) };
    if !there.is_dir() {
        return Err(refused(file, &io::ErrorKind::NotADirectory.into()));
    }
    rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| refused(file, &error.into()))
}

fn folder_of(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

/// The given store, or the keyring if it works, otherwise files with the reason.
fn choose(chosen: Option<SecretStore>) -> Result<(SecretStore, Option<String>), Failure> {
    if chosen == Some(SecretStore::Files) {
        return Ok((SecretStore::Files, None));
    }
    match (chosen, keyring::read(SEALING_KEY)) {
        (_, Ok(_)) => Ok((SecretStore::Keyring, None)),
        (None, Err(error)) => Ok((SecretStore::Files, Some(error.to_string()))),
        (Some(_), Err(error @ config::KeyringError::NotBuiltIn)) => {
            Err(Failure::new(Exit::Configuration, error.to_string())
                .hint("keep secrets in files with --secrets files"))
        }
        (Some(_), Err(error)) => {
            let failure = Failure::new(Exit::Unreachable, error.to_string());
            Err(failure.hint("unlock it, or keep secrets in files with --secrets files"))
        }
    }
}

struct Place {
    store: SecretStore,
    folder: PathBuf,
    force: bool,
    /// How to undo what was written, in order.
    undo: Vec<Undo>,
}

enum Undo {
    Folder(PathBuf),
    NewFile(PathBuf),
    Replaced(PathBuf, Zeroizing<String>),
    Entry(&'static str, Option<Secret>),
}

impl Place {
    /// Returns where the secrets are, and whether the sealing key existed already.
    fn write_all(
        &mut self,
        draft: &Draft,
        interruption: &Interruption,
    ) -> Result<(Vec<String>, bool), Failure> {
        self.make_folder()?;
        let mut secrets = Vec::new();
        for secret in &draft.secrets {
            interruption.stop_if_wanted()?;
            secrets.push(self.store_secret(secret.name, &secret.value)?);
        }
        interruption.stop_if_wanted()?;
        let (sealing_key, kept_sealing_key) = self.sealing_key()?;
        secrets.push(sealing_key);
        let text = draft.text(self.store);
        config::parse(&text, &draft.file, &SystemEnvironment).map_err(|problems| {
            Failure::new(Exit::Configuration, format!("the answers contradict each other:\n{problems}"))
        })?;
        interruption.stop_if_wanted()?;
        let existing = if self.force { Existing::Replaced } else { Existing::Stays };
        self.write_file(&draft.file, &text, existing)?;
        Ok((secrets, kept_sealing_key))
    }

    fn make_folder(&mut self) -> Result<(), Failure> {
        let missing: Vec<_> = self.folder.ancestors().take_while(|folder| !folder.exists()).collect();
        self.undo.extend(missing.into_iter().rev().map(|folder| Undo::Folder(folder.to_owned())));
        create_private_folder(&self.folder).map_err(|error| refused(&self.folder, &error))
    }

    fn store_secret(&mut self, name: &'static str, secret: &Secret) -> Result<String, Failure> {
        match (self.read(name)?, self.store) {
            (Some(there), _) if there.expose() == secret.expose() => {}
            (Some(_), _) if !self.force => {
                let failure =
                    Failure::new(Exit::Failed, format!("{} contains a different secret", self.shown(name)));
                return Err(failure.hint("replace it with --force, or choose another store with --secrets"));
            }
            (there, SecretStore::Keyring) => self.store_entry(name, secret, there)?,
            (_, SecretStore::Files) => {
                self.write_file(&self.folder.join(name), secret.expose(), Existing::Replaced)?;
            }
        }
        Ok(self.shown(name))
    }

    /// Creates the sealing key. An existing one stays, because records are encrypted with it.
    fn sealing_key(&mut self) -> Result<(String, bool), Failure> {
        let shown = self.shown(SEALING_KEY);
        if let Some(there) = self.read(SEALING_KEY)? {
            if SealingKey::parse(there.expose()).is_some() {
                return Ok((shown, true));
            }
            let failure = Failure::new(Exit::Failed, format!("{shown} does not contain a sealing key"));
            return Err(failure.hint("move it away; init never overwrites it"));
        }
        let key = SealingKey::generate(&SystemRandom).to_text();
        let key = Secret::new("sealing key", key.to_string());
        match self.store {
            SecretStore::Keyring => self.store_entry(SEALING_KEY, &key, None)?,
            SecretStore::Files => {
                self.write_file(&self.folder.join(SEALING_KEY), key.expose(), Existing::Stays)?;
            }
        }
        Ok((shown, false))
    }

    fn read(&self, name: &'static str) -> Result<Option<Secret>, Failure> {
        let unusable = |why: String| Failure::new(Exit::Failed, why);
        match self.store {
            SecretStore::Keyring => {
                let found = keyring::read(name).map_err(|error| locked(&error))?;
                Ok(found.map(|text| Secret::new("stored secret", text)))
            }
            SecretStore::Files => {
                let path = self.folder.join(name);
                let there = path.symlink_metadata().is_ok();
                there.then(|| config::read_secret_file(&path, "stored secret")).transpose().map_err(unusable)
            }
        }
    }

    fn store_entry(
        &mut self,
        name: &'static str,
        secret: &Secret,
        there: Option<Secret>,
    ) -> Result<(), Failure> {
        // Recorded first: a store that reports a failure may still have kept the secret.
        self.undo.push(Undo::Entry(name, there));
        keyring::store(name, secret.expose().to_owned()).map_err(|error| locked(&error))
    }

    fn write_file(&mut self, path: &Path, text: &str, existing: Existing) -> Result<(), Failure> {
        // The target of a link is replaced, and the link stays.
        let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let before = path.symlink_metadata().is_ok().then(|| fs::read_to_string(path).ok());
        if existing == Existing::Stays && before.is_some() {
            // Another process wrote it meanwhile, with other answers.
            return Err(refused(path, &io::ErrorKind::AlreadyExists.into()));
        }
        write_private_file(path, text, existing, &SystemRandom).map_err(|error| refused(path, &error))?;
        match before {
            None => self.undo.push(Undo::NewFile(path.to_owned())),
            Some(Some(before)) => self.undo.push(Undo::Replaced(path.to_owned(), before.into())),
            Some(None) => {}
        }
        Ok(())
    }

    /// Failures here are ignored: there is nothing left to try.
    fn undo(&mut self) {
        for step in self.undo.drain(..).rev() {
            match step {
                Undo::Folder(path) => _ = fs::remove_dir(path),
                Undo::NewFile(path) => _ = fs::remove_file(path),
                Undo::Replaced(path, before) => {
                    _ = write_private_file(&path, &before, Existing::Replaced, &SystemRandom);
                }
                Undo::Entry(name, None) => _ = keyring::remove(name),
                Undo::Entry(name, Some(before)) => _ = keyring::store(name, before.expose().to_owned()),
            }
        }
    }

    fn shown(&self, name: &str) -> String {
        match self.store {
            SecretStore::Keyring => name.to_owned(),
            SecretStore::Files => self.folder.join(name).display().to_string(),
        }
    }
}

fn locked(error: &config::KeyringError) -> Failure {
    Failure::new(Exit::Unreachable, error.to_string()).hint("keep secrets in files with --secrets files")
}

fn refused(path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot write {}: {error}", path.display());
    Failure::new(Exit::Failed, message).hint("make its directory writable, or use --config with another file")
}
