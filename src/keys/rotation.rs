//! One signing key after another.

use std::{sync::Arc, time::Duration};

use super::{KeyError, Keys, PUBLISHED_AFTER, StoredKey};
use crate::{
    clock::UnixTime,
    oauth::token::SigningAlgorithm,
    repository::{ATTEMPTS, Change, Collection, Listed, Page, Repository, RepositoryError, Stored},
};

/// More keys than there ever are at once.
const ALL: usize = 100;
/// A new key is published for so long before it signs, or for a quarter of the time between two keys if
/// that is shorter: there are verifiers that keep the key set for a day and do not look again when they
/// meet an unknown key.
const PUBLISHED_BEFORE: Duration = Duration::from_hours(24);

/// How signing keys take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turns {
    /// How old a key becomes before the next one is made.
    pub lifetime: Duration,
    /// How long an access token lives that a key has signed.
    pub access_lifetime: Duration,
}

impl Turns {
    /// How long a new key is published before it signs.
    #[must_use]
    pub fn published_before(&self) -> Duration {
        PUBLISHED_BEFORE.min(self.lifetime / 4)
    }
}

/// What a key does at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It is published, and will sign once everybody knows it.
    Next,
    /// It signs.
    Signing,
    /// It is published for the tokens that it signed.
    Retiring,
}

impl KeyState {
    /// The word for operators.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Signing => "signing",
            Self::Retiring => "retiring",
        }
    }
}

/// What is known of a key without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its name in the headers of tokens.
    pub kid: String,
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// What it does now.
    pub state: KeyState,
    /// When it was made.
    pub created_at: UnixTime,
    /// From when on it signs.
    pub signs_from: UnixTime,
    /// When it is published no more; `None` until it has a successor.
    pub expires_at: Option<UnixTime>,
}

/// The signing keys of a repository, newest first. They stay sealed.
///
/// # Errors
///
/// When the repository does not answer.
pub async fn list(repository: &Arc<dyn Repository>, now: UnixTime) -> Result<Vec<KeyInfo>, RepositoryError> {
    let stored = Collection::<StoredKey>::new(Arc::clone(repository)).list(&all(), now).await?;
    // As in signing: the newest whose time has come, else the oldest.
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
    /// Makes the next key. It is published at once and signs after [`Turns::published_before`]; the present
    /// one stays published until an hour after the last token that it signed has expired.
    ///
    /// # Errors
    ///
    /// When the repository does not answer.
    pub async fn rotate(&self, turns: Turns, now: UnixTime) -> Result<(), KeyError> {
        let stored = self.stored.list(&all(), now).await?;
        // Somebody else's next key is as good as ours.
        let last = stored.last().map(|key| &*key.number);
        let _ = self.insert_behind(last, now, now.plus(turns.published_before())).await?;
        self.retire_old(turns.access_lifetime, now).await?;
        self.reload(now).await
    }

    /// The same for a key that somebody else may have, or that nobody can open any more: the new one signs
    /// at once, and no other is published any more. Every process does so when it reads the keys again.
    ///
    /// # Errors
    ///
    /// When the repository does not answer, or others make keys all the time.
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
        Err(RepositoryError::Unavailable("other processes make signing keys all the time".to_owned()).into())
    }

    /// Makes the next key when the newest one is as old as [`Turns::lifetime`], or has begun to sign with
    /// another algorithm than is configured. Of several processes that find so at once, one makes it; while
    /// some are configured otherwise than others, each key that begins to sign gets a successor.
    ///
    /// # Errors
    ///
    /// When the repository does not answer.
    pub async fn rotate_when_due(&self, turns: Turns, now: UnixTime) -> Result<bool, KeyError> {
        let newest = self.stored.list(&all(), now).await?.pop();
        let due = newest.is_some_and(|key| {
            key.algorithm != self.algorithm && key.signs_from <= now
                || now.since(key.created_at) >= turns.lifetime
        });
        if due {
            self.rotate(turns, now).await?;
        } else {
            // Whoever made the newest may have died before it came to the others.
            self.retire_old(turns.access_lifetime, now).await?;
        }
        Ok(due)
    }

    /// Gives each key that has a successor the end of its publication.
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

    /// Ends the publication of a key at a time, whatever happens to its record meanwhile.
    async fn retire(&self, number: &str, until: UnixTime, now: UnixTime) -> Result<(), KeyError> {
        let retiring = |key: &StoredKey| StoredKey { expires_at: Some(until), ..key.clone() };
        self.stored.update(number, now, |key| Change::Write(retiring(key), ())).await?;
        Ok(())
    }

    /// The next key after the one of the number `last`; `None` if somebody else was faster.
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
