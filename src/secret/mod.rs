//! Randomness, secrets that do not print, hashes and encryption. Only this module and `jose` use the cryptography
//! crate.
//!
//! Secrets are random, hashed or encrypted ("sealed"), and never printed.

mod ring;
mod sealer;
mod sealing_key;

use std::fmt::{self, Debug};

use aws_lc_rs::{constant_time, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::Error as _};
use zeroize::Zeroizing;

pub use self::{
    ring::{KeyRing, RingError},
    sealer::{Installed, Sealer},
    sealing_key::{KeyId, SealingKey},
};

/// Source of unpredictable bytes.
pub trait Random: Debug + Send + Sync + 'static {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// The operating system's generator, through the cryptography library.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    /// # Panics
    ///
    /// When the operating system has no randomness, because nothing would be safe.
    #[expect(clippy::expect_used, reason = "no answer is safe without randomness")]
    fn fill(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).expect("the operating system gives no randomness");
    }
}

/// 32 random bytes as 43 characters of `[A-Za-z0-9_-]` (256 bits; RFC 6749 section 10.10 requires 128).
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

/// SHA-256 (FIPS 180-4).
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    fixed(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// Whether both are equal. The time depends only on their lengths.
#[must_use]
pub fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(left, right).is_ok()
}

fn fixed(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(&bytes[..32]);
    out
}

/// A value that is never printed. `Debug` shows its name, and its memory is overwritten on drop.
#[derive(Clone)]
pub struct Secret {
    name: &'static str,
    value: Zeroizing<String>,
}

impl Secret {
    /// Wraps a secret. Logs and errors may show `name`.
    #[must_use]
    pub fn new(name: &'static str, value: String) -> Self {
        Self { name, value: Zeroizing::new(value) }
    }

    /// The secret itself.
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

/// SHA-256 of a token, code or client secret. Repositories only see the hash.
///
/// There is no `==`. [`TokenHash::matches`] compares in constant time.
#[derive(Clone)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Length of the stored text.
    const TEXT: usize = 43;

    /// Hashes a token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(sha256(token.as_bytes()))
    }

    /// Whether this is the hash of `token`, in constant time.
    #[must_use]
    pub fn matches(&self, token: &str) -> bool {
        self.same(&Self::of(token))
    }

    /// Whether both hashes are equal, in constant time.
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
        let mut text = [0; Self::TEXT];
        let written = URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).map_err(S::Error::custom)?;
        serializer.serialize_str(str::from_utf8(&text[..written]).map_err(S::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(HashVisitor)
    }
}

/// Decodes without an allocation: a grant holds dozens of hashes, and each request reads them all.
struct HashVisitor;

impl de::Visitor<'_> for HashVisitor {
    type Value = TokenHash;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SHA-256 hash in base64url")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TokenHash, E> {
        // One byte more than a hash: the decoder asks for room before it counts exactly.
        let mut bytes = [0; 33];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(32) => Ok(TokenHash(fixed(&bytes))),
            _ => Err(E::custom("not a SHA-256 hash")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

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
        let shown = format!(
            "{secret:?} {key:?} {:?} {:?} {:?}",
            KeyRing::from(key.clone()),
            Sealer::new(&key, Arc::new(SystemRandom)),
            TokenHash::of("canary")
        );
        assert!(!shown.contains("canary") && !shown.contains(&*key.to_text()));
    }

    #[test]
    fn a_stored_hash_is_read_as_it_was_written_and_nothing_else_is() {
        let hash = TokenHash::of("token");
        let stored = serde_json::to_string(&hash).unwrap();
        assert_eq!(stored, format!("\"{}\"", encode(&sha256(b"token"))));
        assert!(serde_json::from_str::<TokenHash>(&stored).unwrap().matches("token"));
        assert!(serde_json::from_slice::<TokenHash>(stored.as_bytes()).unwrap().matches("token"));
        assert!(
            serde_json::from_value::<TokenHash>(stored.trim_matches('"').into()).unwrap().matches("token")
        );
        let long = "A".repeat(10_000);
        for text in ["", "A", &stored[1..43], &format!("{}A", &stored[1..44]), "not base64url", &long] {
            assert!(serde_json::from_value::<TokenHash>(text.into()).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<TokenHash>("7").is_err());
    }

    proptest! {
        #[test]
        fn hashes_match_their_token_alone(token: String, other: String) {
            prop_assert!(TokenHash::of(&token).matches(&token));
            prop_assert_eq!(TokenHash::of(&token).matches(&other), token == other);
        }
    }
}
