//! Encryption and derivation with a ring of keys.

use std::{
    fmt::{self, Debug},
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use zeroize::Zeroizing;

use super::{
    KeyRing, Random, SealingKey, decode, encode,
    sealing_key::{KEY_ID_LEN, KeyId},
};
use crate::clock::UnixTime;

/// Encrypts and decrypts values with AES-256-GCM-SIV, which tolerates repeated nonces, and derives unguessable values
/// that can be derived again. Clones share their keys.
#[derive(Clone)]
pub struct Sealer {
    /// The current key first.
    keys: Arc<RwLock<Arc<[SealerKey]>>>,
    random: Arc<dyn Random>,
}

struct SealerKey {
    id: KeyId,
    sealing: LessSafeKey,
    deriving: hmac::Key,
}

/// The outcome of [`Sealer::install`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Installed {
    /// The current key is the same as before.
    AsBefore,
    /// This key became the current one.
    SealsUnder(KeyId),
    /// The ring was not installed, because it has none of the previous keys: nothing stored could be decrypted.
    Foreign,
}

impl Sealer {
    /// A sealer with one key.
    #[must_use]
    pub fn new(key: &SealingKey, random: Arc<dyn Random>) -> Self {
        Self::with(&KeyRing::from(key.clone()), UnixTime::from_secs(0), random)
    }

    /// A sealer with the keys of a ring. `now` decides which one is current.
    #[must_use]
    pub fn with(ring: &KeyRing, now: UnixTime, random: Arc<dyn Random>) -> Self {
        Self { keys: Arc::new(RwLock::new(keys(ring, now))), random }
    }

    /// Installs the keys of a ring in all clones. `now` decides which one is current.
    pub fn install(&self, ring: &KeyRing, now: UnixTime) -> Installed {
        let held = self.keys();
        if !held.iter().any(|key| ring.holds(key.id)) {
            return Installed::Foreign;
        }
        let taken = keys(ring, now);
        let installed =
            if taken[0].id == held[0].id { Installed::AsBefore } else { Installed::SealsUnder(taken[0].id) };
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = taken;
        installed
    }

    /// The ID of the current key.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.keys()[0].id
    }

    /// Whether values with this key ID can be decrypted.
    #[must_use]
    pub fn holds(&self, id: KeyId) -> bool {
        self.keys().iter().any(|key| key.id == id)
    }

    /// Whether there are keys besides the current one.
    #[must_use]
    pub fn has_others(&self) -> bool {
        self.keys().len() > 1
    }

    /// Whether a value is encrypted with another key than the current one.
    #[must_use]
    pub fn is_outdated(&self, sealed: &str) -> bool {
        KeyId::of_sealed(sealed) != Some(self.key_id())
    }

    /// Encrypts `plain`. Only the same key with the same `context` decrypts it.
    ///
    /// # Panics
    ///
    /// Beyond 64 GiB.
    #[must_use]
    pub fn seal(&self, context: &[&str], plain: &[u8]) -> String {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce);
        let mut sealed = plain.to_vec();
        let key = &self.keys()[0];
        #[expect(clippy::expect_used, reason = "fails only beyond 64 GiB")]
        key.sealing
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(joined(context)),
                &mut sealed,
            )
            .expect("sealing");
        let mut bytes = Vec::with_capacity(KEY_ID_LEN + NONCE_LEN + sealed.len());
        bytes.extend_from_slice(key.id.bytes());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        encode(&bytes)
    }

    /// Decrypts the result of [`Sealer::seal`] with the same context and any key of the ring; `None` for anything else.
    #[must_use]
    pub fn open(&self, context: &[&str], sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(decode(sealed)?);
        let (id, rest) = bytes.split_at_mut_checked(KEY_ID_LEN)?;
        let (nonce, rest) = rest.split_at_mut_checked(NONCE_LEN)?;
        let keys = self.keys();
        let key = keys.iter().find(|key| id == key.id.bytes())?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = key.sealing.open_in_place(nonce, Aad::from(joined(context)), rest).ok()?;
        Some(Zeroizing::new(plain.to_vec()))
    }

    /// Derives 32 bytes (43 characters) from `context` with the current key (HMAC-SHA256). Without the key, they look
    /// random.
    #[must_use]
    pub fn derive(&self, context: &[&str]) -> String {
        self.keys()[0].derive(&joined(context))
    }

    /// Derives with the key of this ID, if the ring has it.
    #[must_use]
    pub fn derive_under(&self, id: KeyId, context: &[&str]) -> Option<String> {
        self.keys().iter().find(|key| key.id == id).map(|key| key.derive(&joined(context)))
    }

    /// Derives with every key of the ring, the current one first. One of the results equals an earlier derivation.
    pub fn derivations(&self, context: &[&str]) -> impl Iterator<Item = String> + use<> {
        let (keys, context) = (self.keys(), joined(context));
        (0..keys.len()).map(move |at| keys[at].derive(&context))
    }

    fn keys(&self) -> Arc<[SealerKey]> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<sealer>")
    }
}

fn keys(ring: &KeyRing, now: UnixTime) -> Arc<[SealerKey]> {
    ring.sealing_first(now).map(SealerKey::of).collect()
}

impl SealerKey {
    #[expect(clippy::expect_used, reason = "the key has the length that the algorithm asks for")]
    fn of(key: &SealingKey) -> Self {
        let sealing = UnboundKey::new(&AES_256_GCM_SIV, &key.expand(b"sealing")[..]);
        Self {
            id: KeyId::of(key),
            sealing: LessSafeKey::new(sealing.expect("a 32-byte key")),
            deriving: hmac::Key::new(hmac::HMAC_SHA256, &key.expand(b"deriving")[..]),
        }
    }

    fn derive(&self, context: &[u8]) -> String {
        encode(hmac::sign(&self.deriving, context).as_ref())
    }
}

/// The parts with their lengths, so that different lists give different bytes.
fn joined(parts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::SystemRandom, *};

    const START: UnixTime = UnixTime::from_secs(100);

    fn key() -> SealingKey {
        SealingKey::generate(&SystemRandom)
    }

    fn sealer() -> Sealer {
        Sealer::new(&key(), Arc::new(SystemRandom))
    }

    #[test]
    fn a_sealer_does_not_show_its_keys() {
        assert_eq!(format!("{:?}", sealer()), "<sealer>");
    }

    #[test]
    fn another_key_opens_nothing() {
        let sealed = sealer().seal(&["a"], b"value");
        assert!(sealer().open(&["a"], &sealed).is_none());
    }

    #[test]
    fn what_was_sealed_and_derived_before_a_rotation_is_known_after_it() {
        let (old, new) = (key(), key());
        let sealer = Sealer::new(&old, Arc::new(SystemRandom));
        let clone = sealer.clone();
        let (sealed, derived, id) = (sealer.seal(&["a"], b"value"), sealer.derive(&["a"]), sealer.key_id());
        let ring = KeyRing::from(old.clone()).with(new.clone(), START);
        assert_eq!(sealer.install(&ring, UnixTime::from_secs(99)), Installed::AsBefore);
        assert!(!sealer.is_outdated(&sealed));
        assert!(sealer.has_others() && sealer.holds(KeyId::of(&new)));
        assert_eq!(sealer.install(&ring, START), Installed::SealsUnder(KeyId::of(&new)));
        assert!(sealer.is_outdated(&sealed) && !sealer.is_outdated(&clone.seal(&["a"], b"value")));
        assert_eq!(clone.open(&["a"], &sealed).as_deref().map(Vec::as_slice), Some(&b"value"[..]));
        assert_ne!(sealer.derive(&["a"]), derived);
        assert!(clone.derivations(&["a"]).any(|other| other == derived));
        assert_eq!(sealer.derive_under(id, &["a"]), Some(derived));
        assert_eq!(sealer.install(&KeyRing::from(new), START), Installed::AsBefore);
        assert!(clone.open(&["a"], &sealed).is_none() && clone.derive_under(id, &["a"]).is_none());
        assert!(!clone.has_others() && !clone.holds(id));
    }

    #[test]
    fn who_has_the_ring_before_its_time_is_understood_by_who_has_not() {
        let (old, new) = (key(), key());
        let one = Sealer::new(&old, Arc::new(SystemRandom));
        let ring = KeyRing::from(old).with(new, START);
        let other = Sealer::with(&ring, UnixTime::from_secs(99), Arc::new(SystemRandom));
        assert!(one.open(&["a"], &other.seal(&["a"], b"value")).is_some());
        assert!(other.open(&["a"], &one.seal(&["a"], b"value")).is_some());
        assert_eq!(one.derive(&["a"]), other.derive(&["a"]));
    }

    #[test]
    fn a_ring_with_no_key_of_ours_is_not_installed() {
        let sealer = sealer();
        let sealed = sealer.seal(&["a"], b"value");
        assert_eq!(sealer.install(&KeyRing::from(key()), START), Installed::Foreign);
        assert!(sealer.open(&["a"], &sealed).is_some());
    }

    #[test]
    fn the_name_of_a_key_stands_before_what_it_sealed() {
        let sealer = sealer();
        assert_eq!(KeyId::of_sealed(&sealer.seal(&[], b"")), Some(sealer.key_id()));
        let text = serde_json::to_string(&sealer.key_id()).unwrap();
        assert_eq!(serde_json::from_str::<KeyId>(&text).unwrap(), sealer.key_id());
        assert_eq!(KeyId::of_sealed(""), None);
    }

    proptest! {
        #[test]
        fn sealed_values_open_under_their_own_context_alone(plain: Vec<u8>, a: String, b: String) {
            let sealer = sealer();
            let sealed = sealer.seal(&[&a, &b], &plain);
            prop_assert_eq!(sealer.open(&[&a, &b], &sealed).map(|p| p.to_vec()), Some(plain));
            let other = format!("{a}x");
            prop_assert!(sealer.open(&[&other, &b], &sealed).is_none());
            let glued = format!("{a}{b}");
            prop_assert!(sealer.open(&[&glued], &sealed).is_none());
        }

        #[test]
        fn a_changed_character_spoils_a_sealed_value(plain: Vec<u8>, at: prop::sample::Index, by in 1_u8..63) {
            const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let sealer = sealer();
            let mut sealed = sealer.seal(&["c"], &plain).into_bytes();
            let at = at.index(sealed.len());
            let position = ALPHABET.iter().position(|&c| c == sealed[at]).unwrap_or_default();
            sealed[at] = ALPHABET[(position + usize::from(by)) % 64];
            let changed = String::from_utf8(sealed).unwrap_or_default();
            prop_assert!(sealer.open(&["c"], &changed).is_none());
        }

        #[test]
        fn opening_garbage_is_none(text: String) {
            prop_assert!(sealer().open(&["c"], &text).is_none());
        }
    }
}
