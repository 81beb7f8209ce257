//! Randomness, hashes and sealing: the one door to the cryptography crate (the signing keys in `keys.rs` aside).
//!
//! A secret is random, hashed or sealed; nothing here prints one.

use std::{
    fmt::{self, Debug},
    sync::Arc,
};

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    constant_time, digest, hkdf, hmac,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::{Zeroize, Zeroizing};

/// Where random bytes come from. Everything that must be unguessable is drawn from here.
pub trait Random: Debug + Send + Sync + 'static {
    /// Fills the buffer with unpredictable bytes.
    fn fill(&self, buffer: &mut [u8]);
}

/// The operating system's generator, by way of the cryptography library.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    /// # Panics
    ///
    /// When the operating system gives no randomness, nothing that follows could be safe.
    #[expect(clippy::expect_used, reason = "no answer is safe without randomness")]
    fn fill(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).expect("the operating system gives no randomness");
    }
}

/// 32 random bytes as 43 characters of `[A-Za-z0-9_-]` (256 bits; RFC 6749 section 10.10 asks for 128).
#[must_use]
pub fn random_token(random: &dyn Random) -> String {
    let mut bytes = [0_u8; 32];
    random.fill(&mut bytes);
    encode(&bytes)
}

/// Base64url without padding (RFC 4648 section 5).
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads what [`encode`] wrote; `None` for anything else.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// SHA-256 of the bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    fixed(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// Whether both are equal, in a time that depends on their lengths alone.
#[must_use]
pub fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(left, right).is_ok()
}

fn fixed(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(&bytes[..32]);
    out
}

/// A value that must not be printed: it shows its name, and its memory is overwritten when it goes.
#[derive(Clone)]
pub struct Secret {
    name: &'static str,
    value: Zeroizing<String>,
}

impl Secret {
    /// Wraps a secret; `name` is what logs and errors may say of it.
    #[must_use]
    pub fn new(name: &'static str, value: String) -> Self {
        Self { name, value: Zeroizing::new(value) }
    }

    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }
}

impl Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.name)
    }
}

/// SHA-256 of a token, code or client secret: all that a repository ever sees of one.
///
/// There is no `==`: comparing is [`TokenHash::matches`], in constant time.
#[derive(Clone)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a presented or freshly made token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(sha256(token.as_bytes()))
    }

    /// Whether `token` is the one that was hashed, in constant time.
    #[must_use]
    pub fn matches(&self, token: &str) -> bool {
        self.same(&Self::of(token))
    }

    /// Whether both are hashes of the same token, in constant time.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        constant_time_eq(&self.0, &other.0)
    }
}

impl Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({}…)", &encode(&self.0)[..6])
    }
}

impl Serialize for TokenHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = decode(&text).filter(|bytes| bytes.len() == 32);
        bytes.map(|bytes| Self(fixed(&bytes))).ok_or_else(|| D::Error::custom("not a SHA-256 hash"))
    }
}

/// The 32-byte key from which every sealing and derivation key is made.
#[derive(Clone)]
pub struct SealingKey(Zeroizing<[u8; 32]>);

impl SealingKey {
    /// A new key.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        let key = Self(Zeroizing::new(bytes));
        bytes.zeroize();
        key
    }

    /// Reads 32 bytes in base64, standard or URL alphabet, with or without padding; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain: Zeroizing<String> =
            Zeroizing::new(text.trim().trim_end_matches('=').replace('+', "-").replace('/', "_"));
        let bytes = Zeroizing::new(decode(&plain)?);
        (bytes.len() == 32).then(|| Self(Zeroizing::new(fixed(&bytes))))
    }

    /// The key in base64, as a file or the keyring holds it.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(encode(&self.0[..]))
    }
}

impl Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<sealing key>")
    }
}

/// Length of the key id at the front of a sealed value.
const KEY_ID_LEN: usize = 4;

/// Seals and opens values (AES-256-GCM-SIV, which random nonces cannot wear out), and derives
/// unguessable values that can be made again.
#[derive(Clone)]
pub struct Sealer {
    keys: Arc<SealerKeys>,
    random: Arc<dyn Random>,
}

struct SealerKeys {
    id: [u8; KEY_ID_LEN],
    sealing: LessSafeKey,
    deriving: hmac::Key,
}

impl Sealer {
    /// A sealer under `key`.
    ///
    /// # Panics
    ///
    /// Never: the key has the length that the algorithm asks for.
    #[must_use]
    pub fn new(key: &SealingKey, random: Arc<dyn Random>) -> Self {
        let id = fixed(&expand(&key.0, b"key id")[..]);
        #[expect(clippy::expect_used, reason = "the key has the length that the algorithm asks for")]
        let sealing =
            UnboundKey::new(&AES_256_GCM_SIV, &expand(&key.0, b"sealing")[..]).expect("a 32-byte key");
        let keys = SealerKeys {
            id: [id[0], id[1], id[2], id[3]],
            sealing: LessSafeKey::new(sealing),
            deriving: hmac::Key::new(hmac::HMAC_SHA256, &expand(&key.0, b"deriving")[..]),
        };
        Self { keys: Arc::new(keys), random }
    }

    /// Encrypts `plain`; only the same key and the same `context` open it again.
    ///
    /// # Panics
    ///
    /// Beyond 64 GiB.
    #[must_use]
    pub fn seal(&self, context: &[&str], plain: &[u8]) -> String {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce);
        let mut sealed = plain.to_vec();
        #[expect(clippy::expect_used, reason = "fails only beyond 64 GiB")]
        self.keys
            .sealing
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(joined(context)),
                &mut sealed,
            )
            .expect("sealing");
        let mut bytes = Vec::with_capacity(KEY_ID_LEN + NONCE_LEN + sealed.len());
        bytes.extend_from_slice(&self.keys.id);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        encode(&bytes)
    }

    /// Decrypts what [`Sealer::seal`] made under the same context; `None` for anything else.
    #[must_use]
    pub fn open(&self, context: &[&str], sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(decode(sealed)?);
        let (id, rest) = bytes.split_at_mut_checked(KEY_ID_LEN)?;
        let (nonce, rest) = rest.split_at_mut_checked(NONCE_LEN)?;
        if id != self.keys.id {
            return None;
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = self.keys.sealing.open_in_place(nonce, Aad::from(joined(context)), rest).ok()?;
        Some(Zeroizing::new(plain.to_vec()))
    }

    /// 32 bytes as 43 characters that nobody without the key can tell from random ones, the same
    /// for the same context (HMAC-SHA256).
    #[must_use]
    pub fn derive(&self, context: &[&str]) -> String {
        encode(hmac::sign(&self.keys.deriving, &joined(context)).as_ref())
    }
}

impl Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<sealer>")
    }
}

/// The parts with their lengths before them, so that no two lists of parts give the same bytes.
fn joined(parts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

/// HKDF-SHA256 of the key for one purpose (RFC 5869).
fn expand(key: &[u8; 32], purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    let info = [b"pangea-mcp-auth ".as_slice(), purpose];
    #[expect(clippy::expect_used, reason = "HKDF fails only beyond 8160 bytes")]
    hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
        .extract(key)
        .expand(&info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut out[..]))
        .expect("32 bytes of key material");
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sealer() -> Sealer {
        Sealer::new(&SealingKey::generate(&SystemRandom), Arc::new(SystemRandom))
    }

    #[test]
    fn tokens_have_256_bits_and_the_safe_alphabet() {
        let (one, two) = (random_token(&SystemRandom), random_token(&SystemRandom));
        assert_ne!(one, two);
        assert_eq!(one.len(), 43);
        assert!(one.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    }

    #[test]
    fn nothing_prints_a_secret() {
        let key = SealingKey::generate(&SystemRandom);
        let secret = Secret::new("client secret", "canary".to_owned());
        let shown = format!("{secret:?} {key:?} {:?} {:?}", sealer(), TokenHash::of("canary"));
        assert!(!shown.contains("canary") && !shown.contains(&*key.to_text()));
    }

    #[test]
    fn a_key_is_read_as_it_was_written_in_either_alphabet() {
        let key = SealingKey::generate(&SystemRandom);
        let standard = key.to_text().replace('-', "+").replace('_', "/") + "=";
        for text in [key.to_text().to_string(), standard, format!("{}\n", &*key.to_text())] {
            assert_eq!(SealingKey::parse(&text).map(|k| k.to_text()), Some(key.to_text()));
        }
        assert!(SealingKey::parse("c2hvcnQ").is_none());
        assert!(SealingKey::parse("not base64!").is_none());
    }

    #[test]
    fn another_key_opens_nothing() {
        let sealed = sealer().seal(&["a"], b"value");
        assert!(sealer().open(&["a"], &sealed).is_none());
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

        #[test]
        fn hashes_match_their_token_alone(token: String, other: String) {
            prop_assert!(TokenHash::of(&token).matches(&token));
            prop_assert_eq!(TokenHash::of(&token).matches(&other), token == other);
        }
    }
}
