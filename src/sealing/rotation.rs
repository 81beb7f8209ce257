//! A sealing key is added ahead of its time, and the old one is removed when nothing needs it any more.

use std::{sync::Arc, time::Duration};

use super::sessions::{AFTERGLOW, InNeed, SealedSessions};
use crate::{
    clock::UnixTime,
    config::{self, Config, Environment, SecretPlace},
    flow::{PATIENCE, UPSTREAM_PATIENCE},
    keys,
    repository::{Repository, RepositoryError},
    secret::{KeyId, KeyRing, Random, Sealer, SealingKey},
};

/// Default delay before a new sealing key becomes active. Daemons read the ring every 30 seconds.
pub const SEALS_AFTER: Duration = Duration::from_mins(2);

/// Why a sealing key is not added or not removed.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The environment of another process cannot be changed.
    #[error(
        "keys.sealing comes from the environment variable `{name}`, which only you can change: append a space, a key \
         made with `openssl rand -base64 32`, and `@{from}`; give every daemon the new value and restart it before then"
    )]
    Variable {
        name: String,
        /// When the new key may become active.
        from: UnixTime,
    },
    #[error("{0}")]
    Place(String),
    /// The previous new key is not active yet.
    #[error("a new sealing key is already waiting and becomes active at {0}; rotate again after that")]
    Waits(UnixTime),
    /// The ring has no key from before the current one.
    #[error("there is no old sealing key; nothing was changed")]
    NothingOld,
    /// Sign-ins may be in progress that began under the old key.
    #[error("the current key became active recently; the old one can be removed after {0}")]
    TooEarly(UnixTime),
    #[error(
        "the old sealing key is still needed (signing keys: {keys}, grants: {grants}); a running daemon re-encrypts \
         signing keys and sessions, and refresh tokens follow when clients use them; the old key can be removed after \
         {until} at the latest"
    )]
    StillNeeded {
        /// Signing keys that are encrypted with it.
        keys: usize,
        /// Grants with a session or a refresh token that needs it.
        grants: usize,
        /// When the last refresh token that needs it has expired.
        until: UnixTime,
    },
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

/// A new key next to the old one. Nothing is stored before [`Addition::store`].
#[derive(Debug)]
pub struct Addition {
    pub key: KeyId,
    /// Where the ring is kept.
    pub place: SecretPlace,
    /// When the key becomes active. Every daemon must have read the new ring by then.
    pub seals_from: UnixTime,
    /// When the old key can be removed at the latest.
    pub old_needed_until: UnixTime,
    ring: KeyRing,
}

impl Addition {
    /// Writes the ring to its source.
    ///
    /// # Errors
    ///
    /// When the source cannot be written. It is then unchanged.
    pub fn store(&self, environment: &dyn Environment) -> Result<(), RotationError> {
        config::store_sealing_keys(&self.place, &self.ring, environment).map_err(RotationError::Place)
    }
}

/// The ring without the keys that nothing needs. Nothing is stored before [`Removal::store`].
#[derive(Debug)]
pub struct Removal {
    /// The IDs of the removed keys.
    pub forgotten: Vec<KeyId>,
    place: SecretPlace,
    kept: KeyRing,
}

impl Removal {
    /// Writes the ring to its source.
    ///
    /// # Errors
    ///
    /// When the source cannot be written. It is then unchanged.
    pub fn store(&self, environment: &dyn Environment) -> Result<(), RotationError> {
        config::store_sealing_keys(&self.place, &self.kept, environment).map_err(RotationError::Place)
    }
}

/// Plans changes to the configured ring at one moment.
pub struct Rotation<'a> {
    /// Names the source of the ring, and the lifetimes that old keys must outlast.
    pub config: &'a Config,
    pub environment: &'a dyn Environment,
    pub random: Arc<dyn Random>,
    /// The time of the plan.
    pub now: UnixTime,
}

impl Rotation<'_> {
    /// Makes a key that becomes active at `seals_from`.
    ///
    /// # Errors
    ///
    /// When a new key is already waiting, or the ring cannot be read or is in an environment variable.
    pub fn addition(&self, seals_from: UnixTime) -> Result<Addition, RotationError> {
        let place = self.config.keys.sealing_place.clone();
        if let SecretPlace::Variable(name) = &place {
            return Err(RotationError::Variable { name: name.clone(), from: seals_from });
        }
        let ring = self.ring()?;
        if let Some(from) = ring.next_change(self.now) {
            return Err(RotationError::Waits(from));
        }
        let new = SealingKey::generate(&*self.random);
        let key = KeyId::of(&new);
        let ring = ring.with(new, seals_from);
        Ok(Addition { key, place, seals_from, old_needed_until: self.needed_until(seals_from), ring })
    }

    /// Leaves out the keys from before the current one, if nothing in the repository needs them.
    ///
    /// # Errors
    ///
    /// When something needs them, or the ring cannot be read or is in an environment variable.
    pub async fn removal(&self, repository: Arc<dyn Repository>) -> Result<Removal, RotationError> {
        let place = &self.config.keys.sealing_place;
        if let SecretPlace::Variable(name) = place {
            let what = format!(
                "keys.sealing comes from the environment variable `{name}`, which only you can change: remove all but \
                 its last key, give every daemon the new value and restart it"
            );
            return Err(RotationError::Place(what));
        }
        let ring = self.ring()?;
        let kept = ring.without_old(self.now).ok_or(RotationError::NothingOld)?;
        let switched = ring.sealing_since(self.now).unwrap_or(self.now);
        let logins_over = switched.plus(PATIENCE + UPSTREAM_PATIENCE + PATIENCE).plus(AFTERGLOW);
        if self.now < logins_over {
            return Err(RotationError::TooEarly(logins_over));
        }
        let keys = keys::sealed_elsewhere(Arc::clone(&repository), &kept, self.now).await?;
        let grants = self.grants_in_need(repository, &kept, switched).await?;
        if keys > 0 || grants > 0 {
            return Err(RotationError::StillNeeded { keys, grants, until: self.needed_until(switched) });
        }
        let forgotten = ring.ids().filter(|id| !kept.holds(*id)).collect();
        Ok(Removal { forgotten, place: place.clone(), kept })
    }

    fn ring(&self) -> Result<KeyRing, RotationError> {
        config::read_sealing_keys(&self.config.keys.sealing_place, self.environment)
            .map_err(RotationError::Place)
    }

    async fn grants_in_need(
        &self,
        repository: Arc<dyn Repository>,
        kept: &KeyRing,
        switched: UnixTime,
    ) -> Result<usize, RepositoryError> {
        let sealer = Sealer::with(kept, self.now, Arc::clone(&self.random));
        let sessions = SealedSessions::new(repository, sealer);
        let mut all = 0;
        let mut after = None;
        loop {
            let InNeed { grants, next } = sessions.in_need_of_others(after, switched, self.now).await?;
            all += grants;
            if next.is_none() {
                return Ok(all);
            }
            after = next;
        }
    }

    /// A refresh token may be used at the end of its life, and the answer with its successor be lost for as
    /// long again. Both end with the grant.
    fn needed_until(&self, switched: UnixTime) -> UnixTime {
        let lifetimes = &self.config.lifetimes;
        switched.plus((lifetimes.refresh * 2).min(lifetimes.grant)).plus(AFTERGLOW)
    }
}
