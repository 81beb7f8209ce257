//! Replaces signing keys, regularly or at once.

use std::{sync::Arc, time::Duration};

use super::{KeyError, Keys, PUBLISHED_AFTER, StoredKey};
use crate::{
    clock::UnixTime,
    oauth::token::SigningAlgorithm,
    repository::{ATTEMPTS, Change, Collection, Listed, Page, Repository, RepositoryError, Stored},
};

/// More signing keys than ever exist at once.
const ALL: usize = 100;

/// How long a new key is published before it signs; at most a quarter of the key lifetime. Some verifiers cache the
/// key set for a day and do not fetch it again for an unknown key.
const PUBLISHED_BEFORE: Duration = Duration::from_hours(24);

/// The schedule of signing keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turns {
    /// Age of a key at which the next one is created.
    pub lifetime: Duration,
    pub access_lifetime: Duration,
}

impl Turns {
    /// How long a new key is published before it signs.
    #[must_use]
    pub fn published_before(&self) -> Duration {
        PUBLISHED_BEFORE.min(self.lifetime / 4)
    }
}

/// The use of a key at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Published, but not signing yet.
    Next,
    Signing,
    /// Published until its last token has expired.
    Retiring,
}

impl KeyState {
    /// The name in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Signing => "signing",
            Self::Retiring => "retiring",
        }
    }
}

/// The public facts about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// `kid` in token headers.
    pub kid: String,
    pub algorithm: SigningAlgorithm,
    pub state: KeyState,
    pub created_at: UnixTime,
    pub signs_from: UnixTime,
    /// End of publication; `None` until it has a successor.
    pub expires_at: Option<UnixTime>,
}

/// Lists the signing keys of a repository, newest first, without decrypting them.
pub async fn list(repository: &Arc<dyn Repository>, now: UnixTime) -> Result<Vec<KeyInfo>, RepositoryError> {
    let stored = Collection::<StoredKey>::new(Arc::clone(repository)).list(&all(), now).await?;
    // As in `KeySet::signing`.
    let signing = stored.iter().rposition(|key| key.signs_from <= now).unwrap_or(0);
    let known = stored.into_iter().enumerate().map(|(at, key)| KeyInfo {
        state: match at {
            at if at == signing => KeyState::Signing,
            at if at > signing => KeyState::Next,
            _ => KeyState::Retiring,
        },
        kid: key.kid,
        algorithm: key.algorithm,
        created_at: key.created_at,
        signs_from: key.signs_from,
        expires_at: key.expires_at,
    });
    Ok(known.rev().collect())
}

impl Keys {
    /// Creates the next key. It is published at once and signs after [`Turns::published_before`]. The current key stays
    /// published until an hour after its last token has expired.
    pub async fn rotate(&self, turns: Turns, now: UnixTime) -> Result<(), KeyError> {
        let stored = self.stored.list(&all(), now).await?;
        // After a conflict, another process's key is used.
        let last = stored.last().map(|key| &*key.number);
        let _ = self.insert_behind(last, now, now.plus(turns.published_before())).await?;
        self.retire_old(turns.access_lifetime, now).await?;
        self.reload(now).await
    }

    /// Replaces keys that may have been stolen or cannot be decrypted: the new key signs at once, and the others are no
    /// longer published. Other processes follow when they read the keys again.
    ///
    /// # Errors
    ///
    /// When the repository does not answer, or other processes keep creating keys.
    pub async fn rotate_at_once(&self, now: UnixTime) -> Result<(), KeyError> {
        for _ in 0..ATTEMPTS {
            let Listed { values, unreadable, last } = self.stored.page(&all(), now).await?;
            if self.insert_behind(last.as_deref(), now, now).await?.is_none() {
                continue;
            }
            let readable = values.into_iter().map(|key| key.number);
            for old in readable.chain(unreadable.into_iter().map(|record| record.key)) {
                self.stored.remove(&old, now).await?;
            }
            return self.reload(now).await;
        }
        Err(RepositoryError::Unavailable("other processes keep creating signing keys".to_owned()).into())
    }

    /// Creates the next key if the newest one is [`Turns::lifetime`] old, or signs with another algorithm than configured.
    /// If several processes try at once, one succeeds. While processes are configured differently, each key that starts
    /// to sign gets a successor.
    pub async fn rotate_when_due(&self, turns: Turns, now: UnixTime) -> Result<bool, KeyError> {
        let newest = self.stored.list(&all(), now).await?.pop();
        let due = newest.is_some_and(|key| {
            key.algorithm != self.algorithm && key.signs_from <= now
                || now.since(key.created_at) >= turns.lifetime
        });
        if due {
            self.rotate(turns, now).await?;
        } else {
            // The process that created the newest key may have stopped before this.
            self.retire_old(turns.access_lifetime, now).await?;
        }
        Ok(due)
    }

    /// Sets the end of publication of each key that has a successor.
    async fn retire_old(&self, access_lifetime: Duration, now: UnixTime) -> Result<(), KeyError> {
        let stored = self.stored.list(&all(), now).await?;
        for (old, successor) in stored.iter().zip(stored.iter().skip(1)) {
            if old.expires_at.is_none() {
                let until = successor.signs_from.plus(access_lifetime).plus(PUBLISHED_AFTER);
                self.retire(&old.number, until, now).await?;
            }
        }
        Ok(())
    }

    async fn retire(&self, number: &str, until: UnixTime, now: UnixTime) -> Result<(), KeyError> {
        let retiring = |key: &StoredKey| StoredKey { expires_at: Some(until), ..key.clone() };
        self.stored.update(number, now, |key| Change::Write(retiring(key), ())).await?;
        Ok(())
    }

    /// Creates the key after number `last`; `None` if another process was faster.
    async fn insert_behind(
        &self,
        last: Option<&str>,
        now: UnixTime,
        signs_from: UnixTime,
    ) -> Result<Option<Stored<StoredKey>>, KeyError> {
        let last: u64 = last.and_then(|number| number.parse().ok()).unwrap_or(0);
        Ok(self.stored.insert(self.make(last + 1, now, signs_from)?, now).await?)
    }
}

fn all() -> Page {
    Page { limit: ALL, ..Page::default() }
}
