//! A sealing key and its ID.

use std::fmt::{self, Debug};

use aws_lc_rs::hkdf;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::{Zeroize, Zeroizing};

use super::{Random, decode, encode, fixed};

/// A 32-byte key, from which the keys for encryption and derivation are derived.
#[derive(Clone)]
pub struct SealingKey(Zeroizing<[u8; 32]>);

impl SealingKey {
    /// Makes a random key.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        let key = Self(Zeroizing::new(bytes));
        bytes.zeroize();
        key
    }

    /// Reads 32 bytes in base64: standard or URL alphabet, with or without padding. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain: Zeroizing<String> =
            Zeroizing::new(text.trim().trim_end_matches('=').replace('+', "-").replace('/', "_"));
        let bytes = Zeroizing::new(decode(&plain)?);
        (bytes.len() == 32).then(|| Self(Zeroizing::new(fixed(&bytes))))
    }

    /// Whether it is one repeated byte, which no generator makes.
    pub(super) fn is_weak(&self) -> bool {
        self.0.iter().all(|byte| *byte == self.0[0])
    }

    /// The key in base64, as it is stored in a file or keyring.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(encode(&self.0[..]))
    }

    /// Derives a key for one purpose with HKDF-SHA256 (RFC 5869).
    pub(super) fn expand(&self, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut out = Zeroizing::new([0; 32]);
        let info = [b"pangea-mcp-auth ".as_slice(), purpose];
        #[expect(clippy::expect_used, reason = "HKDF fails only beyond 8160 bytes")]
        hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
            .extract(&self.0[..])
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut out[..]))
            .expect("32 bytes of key material");
        out
    }
}

impl Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<sealing key>")
    }
}

/// Length of the key ID at the start of a sealed value.
pub(super) const KEY_ID_LEN: usize = 4;

/// The ID of a sealing key, which reveals nothing about it. Sealed values begin with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; KEY_ID_LEN]);

impl KeyId {
    /// The ID of this key.
    #[must_use]
    pub fn of(key: &SealingKey) -> Self {
        let id = key.expand(b"key id");
        Self([id[0], id[1], id[2], id[3]])
    }

    /// The ID at the start of a sealed value.
    #[must_use]
    pub fn of_sealed(sealed: &str) -> Option<Self> {
        // Eight characters hold six bytes.
        let bytes = decode(sealed.get(..8)?)?;
        Some(Self(*bytes.first_chunk()?))
    }

    pub(super) const fn bytes(&self) -> &[u8; KEY_ID_LEN] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(&self.0))
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let id = decode(&text).and_then(|bytes| bytes.try_into().ok());
        id.map(Self).ok_or_else(|| D::Error::custom("not the name of a key"))
    }
}
