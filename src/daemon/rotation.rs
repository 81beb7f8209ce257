//! Another sealing key takes over: added ahead of its time, and the old one forgotten when nothing
//! needs it any more.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::UnixTime,
    config::{self, Environment, SecretPlace},
    flow::{AFTERGLOW, PATIENCE, SealedSessions, UPSTREAM_PATIENCE},
    keys,
    repository::{Repository, RepositoryError},
    secret::{KeyId, KeyRing, Random, Sealer, SealingKey},
};

/// How long a new sealing key lies beside the old one before it seals, unless told otherwise:
/// daemons look every 30 seconds.
pub const SEALS_AFTER: Duration = Duration::from_mins(2);

/// Why a sealing key is not added or not forgotten.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The place can only be changed by the operator.
    #[error(
        "keys.sealing comes from the environment variable `{name}`, which only you can change: append a space, a key \
         made with `openssl rand -base64 32`, and `@{from}`; give every daemon the new value and restart it before then"
    )]
    Variable {
        /// The variable.
        name: String,
        /// From when on the new key may seal.
        from: UnixTime,
    },
    /// The place cannot be read or written.
    #[error("{0}")]
    Place(String),
    /// A key was added that does not seal yet.
    #[error("a new sealing key waits already and seals from {0} on; rotate again after that")]
    Waits(UnixTime),
    /// There is but one key.
    #[error("there is no old sealing key; nothing was changed")]
    NothingOld,
    /// Logins may be under way that began under the old key.
    #[error("the present key seals only since a short time; the old one can go after {0}")]
    TooEarly(UnixTime),
    /// Records need the old key.
    #[error(
        "the old sealing key is still needed (signing keys: {keys}, grants: {grants}); a running daemon seals them \
         anew, and refresh tokens follow when they are used; at the latest it can go after {until}"
    )]
    StillNeeded {
        /// Signing keys that are sealed under it.
        keys: usize,
        /// Grants with a session or a refresh token under it.
        grants: usize,
        /// When the last refresh token under it has ended.
        until: UnixTime,
    },
    /// The repository does not answer.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

/// A new key next to the old one, not stored yet.
#[derive(Debug)]
pub struct Addition {
    /// The new key's name.
    pub key: KeyId,
    /// Where the keys are kept.
    pub place: SecretPlace,
    /// When it begins to seal. Until then every daemon must have the new ring.
    pub seals_from: UnixTime,
    /// Until when the old key must stay at the latest.
    pub old_needed_until: UnixTime,
    ring: KeyRing,
}

impl Addition {
    /// Stores the new key.
    ///
    /// # Errors
    ///
    /// When the place cannot be written; what is there stays.
    pub fn store(&self, environment: &dyn Environment) -> Result<(), RotationError> {
        config::store_sealing_keys(&self.place, &self.ring, environment).map_err(RotationError::Place)
    }
}

/// The keys without those that nothing needs any more, not stored yet.
#[derive(Debug)]
pub struct Removal {
    /// The names of the keys that go.
    pub forgotten: Vec<KeyId>,
    place: SecretPlace,
    kept: KeyRing,
}

impl Removal {
    /// Stores the keys that stay.
    ///
    /// # Errors
    ///
    /// When the place cannot be written; what is there stays.
    pub fn store(&self, environment: &dyn Environment) -> Result<(), RotationError> {
        config::store_sealing_keys(&self.place, &self.kept, environment).map_err(RotationError::Place)
    }
}

/// Makes a new key next to the configured ones, which seals from `seals_from` on. Nothing is stored.
///
/// # Errors
///
/// When a new key waits already or the place cannot be read.
pub fn plan_sealing_key(
    keys: &config::Keys,
    tokens: &config::Tokens,
    environment: &dyn Environment,
    random: &dyn Random,
    (now, seals_from): (UnixTime, UnixTime),
) -> Result<Addition, RotationError> {
    let place = keys.sealing_place.clone();
    if let SecretPlace::Variable(name) = &place {
        return Err(RotationError::Variable { name: name.clone(), from: seals_from });
    }
    let ring = config::read_sealing_keys(&place, environment).map_err(RotationError::Place)?;
    if let Some(from) = ring.next_change(now) {
        return Err(RotationError::Waits(from));
    }
    let new = SealingKey::generate(random);
    let key = KeyId::of(&new);
    let ring = ring.with(new, seals_from);
    Ok(Addition { key, place, seals_from, old_needed_until: needed_until(tokens, seals_from), ring })
}

/// The keys that sealed before the present one, if nothing needs them any more. Nothing is stored.
///
/// # Errors
///
/// When something needs them, or the place cannot be read.
pub async fn plan_sealing_removal(
    keys: &config::Keys,
    tokens: &config::Tokens,
    repository: Arc<dyn Repository>,
    environment: &dyn Environment,
    random: Arc<dyn Random>,
    now: UnixTime,
) -> Result<Removal, RotationError> {
    let place = &keys.sealing_place;
    if let SecretPlace::Variable(name) = place {
        let what = format!(
            "keys.sealing comes from the environment variable `{name}`, which only you can change: remove all but its \
             last key, give every daemon the new value and restart it"
        );
        return Err(RotationError::Place(what));
    }
    let ring = config::read_sealing_keys(place, environment).map_err(RotationError::Place)?;
    let kept = ring.without_old(now).ok_or(RotationError::NothingOld)?;
    let switched = ring.sealing_since(now).unwrap_or(now);
    let logins_over = switched.plus(PATIENCE + UPSTREAM_PATIENCE + PATIENCE).plus(AFTERGLOW);
    if now < logins_over {
        return Err(RotationError::TooEarly(logins_over));
    }
    let signing = keys::sealed_elsewhere(Arc::clone(&repository), &kept, now).await?;
    let grants = grants_in_need(repository, Sealer::with(&kept, now, random), switched, now).await?;
    if signing > 0 || grants > 0 {
        let until = needed_until(tokens, switched);
        return Err(RotationError::StillNeeded { keys: signing, grants, until });
    }
    Ok(Removal { forgotten: forgotten(&ring, &kept), place: place.clone(), kept })
}

async fn grants_in_need(
    repository: Arc<dyn Repository>,
    kept: Sealer,
    switched: UnixTime,
    now: UnixTime,
) -> Result<usize, RepositoryError> {
    let sessions = SealedSessions::new(repository, kept);
    let (mut all, mut after) = (0, None);
    loop {
        let (some, next) = sessions.in_need_of_others(after, switched, now).await?;
        all += some;
        match next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
}

fn forgotten(before: &KeyRing, after: &KeyRing) -> Vec<KeyId> {
    before.ids().filter(|id| !after.holds(*id)).collect()
}

/// A refresh token may be used at the end of its life, and its successor's answer be lost for as
/// long again; the grant's end is the end of both.
fn needed_until(tokens: &config::Tokens, switched: UnixTime) -> UnixTime {
    switched.plus((tokens.refresh_lifetime * 2).min(tokens.grant_lifetime)).plus(AFTERGLOW)
}
