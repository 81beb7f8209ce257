//! The server's signing keys: created at first start, stored sealed in the repository, and published before
//! they sign.

mod resealing;
mod rotation;

use std::{
    fmt::{self, Debug},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::resealing::sealed_elsewhere;
pub use self::rotation::{KeyInfo, KeyState, Turns, list};
use crate::{
    clock::UnixTime,
    jose::{ProtectedHeader, SigningKey, SigningRefused},
    oauth::token::{Claims, SigningAlgorithm},
    repository::{Collection, Entity, Kind, Page, RepositoryError},
    secret::Sealer,
};

/// `max-age` of the published keys, shorter than a new key is published before it signs.
pub const PUBLISHED_MAX_AGE: Duration = Duration::from_mins(5);
/// How long an old key is still published after its last token has expired.
const PUBLISHED_AFTER: Duration = Duration::from_hours(1);

/// Length of a `kid`: the beginning of the key's thumbprint, which is enough to tell keys apart.
const KID_LENGTH: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The stored key is encrypted with another sealing key, or damaged.
    #[error(
        "the signing key {0} in the repository cannot be decrypted: keys.sealing does not contain its sealing key"
    )]
    Sealed(String),
    /// There is no key that signs, or the cryptography library refused.
    #[error("a signing key cannot be created or used")]
    Unmakable(#[from] SigningRefused),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredKey {
    /// 8 digits: the key of the record.
    number: String,
    kid: String,
    algorithm: SigningAlgorithm,
    sealed: String,
    created_at: UnixTime,
    signs_from: UnixTime,
    /// `None` until the key has a successor.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    expires_at: Option<UnixTime>,
}

impl Entity for StoredKey {
    const KIND: Kind = Kind::Key;

    fn key(&self) -> &str {
        &self.number
    }

    fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at
    }
}

/// A stored key, decrypted.
struct OpenedKey {
    number: String,
    kid: String,
    header: ProtectedHeader,
    signs_from: UnixTime,
    private: SigningKey,
}

/// A snapshot of the keys.
struct KeySet {
    /// Oldest first.
    keys: Vec<OpenedKey>,
    published: Bytes,
}

impl KeySet {
    /// The newest key that is active, otherwise the oldest.
    fn signing(&self, now: UnixTime) -> Option<&OpenedKey> {
        self.keys.iter().rev().find(|key| key.signs_from <= now).or(self.keys.first())
    }
}

/// The server's signing keys.
pub struct Keys {
    stored: Collection<StoredKey>,
    sealer: Sealer,
    algorithm: SigningAlgorithm,
    set: RwLock<Arc<KeySet>>,
    /// The `kid` of a key that could not be decrypted at the last reload.
    unopened: Mutex<Option<String>>,
    /// The second in which [`Keys::refresh`] last asked the repository.
    asked_at: AtomicU64,
}

impl Keys {
    /// Loads the keys, or creates the first one in an empty repository. If several processes start at once, one creates
    /// the key and the others load it.
    pub async fn load(
        stored: Arc<dyn crate::repository::Repository>,
        sealer: Sealer,
        algorithm: SigningAlgorithm,
        now: UnixTime,
    ) -> Result<Self, KeyError> {
        let keys = Self::unopened(stored, sealer, algorithm);
        keys.reload(now).await?;
        keys.make_first(now).await?;
        Ok(keys)
    }

    /// Creates the first key if there was none at the last reload.
    pub async fn make_first(&self, now: UnixTime) -> Result<(), KeyError> {
        if !self.set().keys.is_empty() {
            return Ok(());
        }
        let first = self.make(1, now, now)?;
        // After a conflict, another process's key is used.
        let _ = self.stored.insert(first, now).await?;
        self.reload(now).await
    }

    /// The stored keys without decrypting them, for [`Keys::rotate_at_once`].
    #[must_use]
    pub fn unopened(
        stored: Arc<dyn crate::repository::Repository>,
        sealer: Sealer,
        algorithm: SigningAlgorithm,
    ) -> Self {
        let set = RwLock::new(Arc::new(KeySet { keys: Vec::new(), published: Bytes::new() }));
        Self {
            stored: Collection::new(stored),
            sealer,
            algorithm,
            set,
            unopened: Mutex::default(),
            asked_at: AtomicU64::new(0),
        }
    }

    /// The `kid` of each stored key, after checking that it can be decrypted. An empty repository stays empty.
    pub async fn names(
        stored: Arc<dyn crate::repository::Repository>,
        sealer: Sealer,
        now: UnixTime,
    ) -> Result<Vec<String>, KeyError> {
        let keys = Self::unopened(stored, sealer, SigningAlgorithm::Es256);
        keys.reload(now).await?;
        Ok(keys.set().keys.iter().map(|key| key.kid.clone()).collect())
    }

    /// Reads the keys again, so that this process also publishes the keys of other processes.
    pub async fn reload(&self, now: UnixTime) -> Result<(), KeyError> {
        let stored = self.stored.list(&Page { limit: 100, ..Page::default() }, now).await?;
        let keys = stored.iter().map(|key| self.open(key)).collect::<Result<Vec<_>, _>>();
        let unopened = match &keys {
            Err(KeyError::Sealed(kid)) => Some(kid.clone()),
            _ => None,
        };
        *self.unopened.lock().unwrap_or_else(PoisonError::into_inner) = unopened;
        let keys = keys?;
        let public: Vec<Value> = keys.iter().map(|key| key.private.public(&key.kid)).collect();
        let published = Bytes::from(json!({ "keys": public }).to_string());
        *self.set.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(KeySet { keys, published });
        Ok(())
    }

    /// Whether [`Keys::refresh`] would read from the repository now.
    #[must_use]
    pub fn are_due(&self, now: UnixTime) -> bool {
        self.asked_at.load(Ordering::Relaxed) != now.as_secs()
    }

    /// Reloads if the signing key has been removed, because a stolen key must not be used until the next regular
    /// [`Keys::reload`]. Costs at most one read of one record per second.
    ///
    /// # Errors
    ///
    /// When the repository does not answer or a key cannot be decrypted. The next call tries again.
    pub async fn refresh(&self, now: UnixTime) -> Result<(), KeyError> {
        if self.asked_at.swap(now.as_secs(), Ordering::Relaxed) == now.as_secs() {
            return Ok(());
        }
        // Boxed, so that the futures of requests that do not read stay small.
        let outcome = Box::pin(self.reload_if_removed(now)).await;
        if outcome.is_err() {
            self.asked_at.store(0, Ordering::Relaxed);
        }
        outcome
    }

    async fn reload_if_removed(&self, now: UnixTime) -> Result<(), KeyError> {
        let set = self.set();
        let Some(key) = set.signing(now) else { return Ok(()) };
        let found = self.stored.look(&key.number, now).await?;
        let is_there = match found {
            Some(Ok(read)) => read.value.kid == key.kid,
            // The regular reload reports the problem.
            Some(Err(_)) => true,
            None => false,
        };
        if is_there { Ok(()) } else { self.reload(now).await }
    }

    /// The public keys as a JSON Web Key Set (RFC 7517 section 5).
    #[must_use]
    pub fn published(&self) -> Bytes {
        self.set().published.clone()
    }

    /// The `kid` of a stored key that cannot be published, because it is encrypted with another sealing key or damaged.
    #[must_use]
    pub fn unopened_key(&self) -> Option<String> {
        self.unopened.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Signs an access token (RFC 9068 section 2).
    pub fn sign(&self, claims: &Claims<'_>, now: UnixTime) -> Result<String, KeyError> {
        let set = self.set();
        let key = set.signing(now).ok_or(SigningRefused)?;
        Ok(key.private.sign(&key.header, claims)?)
    }

    fn set(&self) -> Arc<KeySet> {
        Arc::clone(&self.set.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn make(&self, number: u64, created_at: UnixTime, signs_from: UnixTime) -> Result<StoredKey, KeyError> {
        let key = SigningKey::generate(self.algorithm)?;
        let mut kid = key.thumbprint();
        kid.truncate(KID_LENGTH);
        let sealed = self.sealer.seal(&["signing key", &kid], &key.to_pkcs8()?);
        let algorithm = self.algorithm;
        let number = format!("{number:08}");
        Ok(StoredKey { number, kid, algorithm, sealed, created_at, signs_from, expires_at: None })
    }

    fn private(&self, stored: &StoredKey) -> Result<zeroize::Zeroizing<Vec<u8>>, KeyError> {
        let private = self.sealer.open(&["signing key", &stored.kid], &stored.sealed);
        private.ok_or_else(|| KeyError::Sealed(stored.kid.clone()))
    }

    fn open(&self, stored: &StoredKey) -> Result<OpenedKey, KeyError> {
        let private = SigningKey::from_pkcs8(stored.algorithm, &self.private(stored)?);
        let header = json!({ "typ": "at+jwt", "alg": stored.algorithm.as_str(), "kid": stored.kid });
        Ok(OpenedKey {
            number: stored.number.clone(),
            kid: stored.kid.clone(),
            header: ProtectedHeader::new(&header),
            signs_from: stored.signs_from,
            private: private.map_err(|_| KeyError::Sealed(stored.kid.clone()))?,
        })
    }
}

impl Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kids: Vec<String> = self.set().keys.iter().map(|key| key.kid.clone()).collect();
        f.debug_struct("Keys").field("kids", &kids).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};

    use super::*;
    use crate::{
        oauth::{issuer::Issuer, resource::Resource, scope::Scope, token::PersonClaims},
        repository::{Kind, MemoryRepository, Record, Repository, Write},
        secret::{KeyRing, SealingKey, SystemRandom as Random},
    };

    const HOUR: Duration = Duration::from_hours(1);

    fn sealer() -> Sealer {
        Sealer::new(&SealingKey::generate(&Random), Arc::new(Random))
    }

    async fn load(repository: &Arc<dyn Repository>, sealer: &Sealer, algorithm: SigningAlgorithm) -> Keys {
        Keys::load(Arc::clone(repository), sealer.clone(), algorithm, now()).await.unwrap()
    }

    const fn now() -> UnixTime {
        UnixTime::from_secs(1_800_000_000)
    }

    fn signed(keys: &Keys, now: UnixTime) -> String {
        let (iss, aud, scope) = (
            Issuer::parse("https://a").unwrap(),
            Resource::parse("https://r").unwrap(),
            Scope::parse("user").unwrap(),
        );
        let claims = Claims {
            iss: &iss,
            sub: "pui_x",
            aud: &aud,
            client_id: "c",
            scope: &scope,
            iat: now,
            exp: now.plus(HOUR),
            jti: "j.1".to_owned(),
            person: PersonClaims::default(),
        };
        keys.sign(&claims, now).unwrap()
    }

    fn verifies(token: &str, keys: &Keys) -> bool {
        let set: JwkSet = serde_json::from_slice(&keys.published()).unwrap();
        let header = jsonwebtoken::decode_header(token).unwrap();
        let Some(key) = set.find(&header.kid.unwrap()) else { return false };
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&["https://r"]);
        (validation.validate_exp, validation.leeway) = (false, 0);
        assert!(matches!(header.alg, Algorithm::ES256 | Algorithm::RS256));
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
        jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation).is_ok()
    }

    #[tokio::test]
    async fn jwks_1_and_jwt_1_only_public_halves_are_published_and_they_verify() {
        for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Rs256] {
            let repository: Arc<dyn Repository> = Arc::new(MemoryRepository::default());
            let keys = load(&repository, &sealer(), algorithm).await;
            assert!(verifies(&signed(&keys, now()), &keys));
            let set: Value = serde_json::from_slice(&keys.published()).unwrap();
            for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert!(set["keys"][0].get(private).is_none());
            }
            assert_eq!(
                (set["keys"][0]["use"].as_str(), set["keys"][0]["alg"].as_str()),
                (Some("sig"), Some(algorithm.as_str()))
            );
        }
    }

    #[tokio::test]
    async fn jwks_3_keys_are_the_same_after_a_restart_and_in_every_process() {
        let (repository, sealer): (Arc<dyn Repository>, _) =
            (Arc::new(MemoryRepository::default()), sealer());
        let es = SigningAlgorithm::Es256;
        let (one, two) = tokio::join!(load(&repository, &sealer, es), load(&repository, &sealer, es));
        assert_eq!(one.published(), two.published());
        assert!(verifies(&signed(&one, now()), &load(&repository, &sealer, es).await));
    }

    #[tokio::test]
    async fn jwks_2_a_new_key_is_published_before_it_signs_and_the_old_one_after() {
        let (repository, sealer): (Arc<dyn Repository>, _) =
            (Arc::new(MemoryRepository::default()), sealer());
        let keys = load(&repository, &sealer, SigningAlgorithm::Es256).await;
        let other = load(&repository, &sealer, SigningAlgorithm::Es256).await;
        let kid = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
        let old = signed(&keys, now());
        let turns = Turns { lifetime: 48 * HOUR, access_lifetime: HOUR };
        keys.rotate(turns, now()).await.unwrap();
        let before = now().plus(turns.published_before()).minus(Duration::from_secs(1));
        assert_eq!(kid(&signed(&keys, before)), kid(&old), "the new key waits until everybody knows it");
        let from = now().plus(turns.published_before());
        let new = signed(&keys, from);
        assert_ne!(kid(&new), kid(&old));
        other.reload(from).await.unwrap();
        assert!(verifies(&new, &other) && verifies(&old, &other));
        let last_old_token_ends = from.plus(HOUR);
        other.reload(last_old_token_ends).await.unwrap();
        assert!(verifies(&old, &other));
        other.reload(last_old_token_ends.plus(PUBLISHED_AFTER)).await.unwrap();
        assert!(!verifies(&old, &other) && verifies(&new, &other));
    }

    #[tokio::test]
    async fn signing_keys_move_to_the_sealing_key_that_became_active() {
        let repository: Arc<dyn Repository> = Arc::new(MemoryRepository::default());
        let (old, new) = (SealingKey::generate(&Random), SealingKey::generate(&Random));
        let (before, after) = (KeyRing::from(old.clone()), KeyRing::from(new.clone()));
        let elsewhere = async |ring| sealed_elsewhere(Arc::clone(&repository), ring, now()).await.unwrap();
        let sealer = Sealer::new(&old, Arc::new(Random));
        let keys = load(&repository, &sealer, SigningAlgorithm::Es256).await;
        keys.rotate(Turns { lifetime: 48 * HOUR, access_lifetime: HOUR }, now()).await.unwrap();
        assert_eq!(keys.reseal(now()).await.unwrap(), 0);
        assert_eq!((elsewhere(&before).await, elsewhere(&after).await), (0, 2));

        let _ = sealer.install(&before.clone().with(new, now()), now());
        assert_eq!(keys.reseal(now()).await.unwrap(), 2);
        assert_eq!((elsewhere(&before).await, elsewhere(&after).await), (2, 0));
        assert_eq!(keys.reseal(now()).await.unwrap(), 0);

        for key in ["damaged-1", "damaged-2"] {
            let damaged =
                Record { key: key.to_owned(), value: "{}".to_owned(), parent: None, expires_at: None };
            assert!(matches!(repository.insert(Kind::Key, &damaged, now()).await.unwrap(), Write::Done(_)));
        }
        assert_eq!((elsewhere(&before).await, elsewhere(&after).await), (4, 2));
    }

    #[test]
    fn each_state_of_a_key_has_its_word() {
        let words = [KeyState::Next, KeyState::Signing, KeyState::Retiring].map(KeyState::as_str);
        assert_eq!(words, ["next", "signing", "retiring"]);
    }

    #[tokio::test]
    async fn another_sealing_key_is_said_to_be_the_wrong_one() {
        let repository: Arc<dyn Repository> = Arc::new(MemoryRepository::default());
        load(&repository, &sealer(), SigningAlgorithm::Es256).await;
        let error = Keys::load(repository, sealer(), SigningAlgorithm::Es256, now()).await.unwrap_err();
        assert!(matches!(error, KeyError::Sealed(_)), "{error}");
    }
}
