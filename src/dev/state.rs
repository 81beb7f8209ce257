//! What the stand-in remembers, and the file that keeps it over a restart.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::{clients::Client, expiring::Expiring, people::Person};
use crate::{
    clock::UnixTime,
    secret::{encode, sha256},
};

/// People, clients and tokens. Tokens are kept as hashes; codes do not survive a restart.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    /// By email.
    pub(super) people: BTreeMap<String, Person>,
    /// Who signed in last.
    pub(super) last_email: Option<String>,
    /// Clients that were registered, by client id.
    pub(super) clients: BTreeMap<String, Client>,
    /// By `pmt_` id. The tokens of a session end with it.
    pub(super) sessions: Expiring<Session>,
    /// By hash.
    pub(super) access_tokens: Expiring<AccessToken>,
    /// Session id by hash.
    pub(super) refresh_tokens: Expiring<String>,
    /// By code.
    #[serde(skip)]
    pub(super) codes: Expiring<Code>,
}

/// What a code stands for.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) email: String,
    pub(super) scope: String,
}

/// One sign-in of a person at a client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) client_id: String,
    pub(super) email: String,
    pub(super) scope: String,
}

/// An access token that was issued.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AccessToken {
    pub(super) session_id: String,
    pub(super) scope: String,
    pub(super) issued_at: UnixTime,
    pub(super) expires_at: UnixTime,
}

impl State {
    /// The person, from now on known.
    pub(super) fn person(&mut self, email: &str, now: UnixTime) -> &mut Person {
        self.people.entry(email.to_owned()).or_insert_with(|| Person::new(now))
    }

    /// An access token that has not expired, of a session that has not.
    pub(super) fn access_token(&self, token: &str, now: UnixTime) -> Option<(&AccessToken, &Session)> {
        let access = self.access_tokens.get(&hash(token), now)?;
        Some((access, self.sessions.get(&access.session_id, now)?))
    }
}

/// The key under which a token is kept.
pub(super) fn hash(token: &str) -> String {
    encode(&sha256(token.as_bytes()))
}

/// Why the state file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read.
    #[error("the stand-in cannot read {0}: {1}")]
    Unreadable(PathBuf, #[source] io::Error),
    /// It is not what this program wrote.
    #[error("the stand-in cannot understand {0}, which may be deleted: {1}")]
    Corrupt(PathBuf, #[source] serde_json::Error),
}

/// The state behind its lock. With a file, every change writes the whole of it: made for
/// development, not for load.
#[derive(Debug)]
pub(super) struct Store {
    state: Mutex<State>,
    file: Option<PathBuf>,
}

impl Store {
    /// The state of the file, or an empty one.
    pub(super) fn open(file: Option<PathBuf>) -> Result<Self, StateError> {
        let state = file.as_deref().map(load).transpose()?.unwrap_or_default();
        Ok(Self { state: Mutex::new(state), file })
    }

    /// Looks at the state.
    pub(super) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the state and keeps it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let outcome = change(&mut state);
        if let Some(file) = &self.file
            && let Err(error) = save(file, &state)
        {
            tracing::warn!(file = %file.display(), %error, "the stand-in cannot keep its state");
        }
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(file: &Path) -> Result<State, StateError> {
    match fs::read(file) {
        Ok(text) => {
            serde_json::from_slice(&text).map_err(|error| StateError::Corrupt(file.to_owned(), error))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::default()),
        Err(error) => Err(StateError::Unreadable(file.to_owned(), error)),
    }
}

/// Writes a second file and renames it, so that the file is always complete.
fn save(file: &Path, state: &State) -> io::Result<()> {
    let unfinished = file.with_extension("new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut new = create_private(&unfinished)?;
    new.write_all(&serde_json::to_vec(state)?)?;
    new.sync_all()?;
    fs::rename(unfinished, file)
}

/// Creates a file that only its owner can read.
fn create_private(file: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_an_earlier_release_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stand-in.json");
        let ada = r#"{"created_at":1,"last_login_at":2,"login_count":3,"disabled":false,"groups":["staff"]}"#;
        let text = format!(
            r#"{{"people":{{"ada@example.com":{ada}}},"last_email":"ada@example.com","vault":{{}}}}"#
        );
        fs::write(&file, text).unwrap();
        let store = Store::open(Some(file)).unwrap();
        assert_eq!(store.read(|state| state.people["ada@example.com"].login_count), 3);
        assert_eq!(store.read(|state| state.last_email.clone()).as_deref(), Some("ada@example.com"));
    }
}
