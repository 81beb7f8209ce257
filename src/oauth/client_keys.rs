//! Public keys of clients (RFC 7517), with which they prove who they are (`private_key_jwt`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::secret::{decode, encode};

/// Most keys of one client. An assertion that names no key is tried with each.
const MOST_KEYS: usize = 10;
/// Longest `kid`, in bytes.
const LONGEST_KID: usize = 255;
/// Sizes of the RSA moduli that are accepted, in bytes: 2048 to 8192 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// Longest RSA exponent, in bytes.
const LONGEST_EXPONENT: usize = 8;
/// Length of a coordinate on P-256, and of an Ed25519 key, in bytes.
const COORDINATE: usize = 32;

/// Signature algorithms of assertions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AssertionAlgorithm {
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// RSA PKCS#1 v1.5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
}

impl AssertionAlgorithm {
    /// All of them are asymmetric: a public key must not be able to sign (RFC 8725 section 2.1).
    pub const ALL: [Self; 4] = [Self::Es256, Self::EdDsa, Self::Ps256, Self::Rs256];

    /// As in `alg` and metadata.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
        }
    }

    /// `None` for every other algorithm.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text)
    }
}

/// A public key in binary form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyMaterial {
    /// An uncompressed point on P-256: 0x04, x, y.
    P256(Vec<u8>),
    /// 32 bytes.
    Ed25519(Vec<u8>),
    /// Big-endian, without leading zeros.
    Rsa {
        /// 256 to 1024 bytes.
        modulus: Vec<u8>,
        /// 1 to 8 bytes.
        exponent: Vec<u8>,
    },
}

/// A public key of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Jwk", into = "Jwk")]
pub struct ClientKey {
    kid: Option<String>,
    /// The only algorithm that the key is for, if it says so.
    algorithm: Option<AssertionAlgorithm>,
    material: KeyMaterial,
}

impl ClientKey {
    /// Whether the key may have made a signature of this algorithm.
    #[must_use]
    pub fn fits(&self, algorithm: AssertionAlgorithm) -> bool {
        use AssertionAlgorithm::{EdDsa, Es256, Ps256, Rs256};
        let of_its_type = match self.material {
            KeyMaterial::P256(_) => algorithm == Es256,
            KeyMaterial::Ed25519(_) => algorithm == EdDsa,
            KeyMaterial::Rsa { .. } => matches!(algorithm, Ps256 | Rs256),
        };
        of_its_type && self.algorithm.is_none_or(|only| only == algorithm)
    }

    /// What signatures are verified with.
    #[must_use]
    pub const fn material(&self) -> &KeyMaterial {
        &self.material
    }
}

/// The public keys of a client: at least one, at most ten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredKeys", into = "StoredKeys")]
pub struct ClientKeys(Vec<ClientKey>);

/// Why a key set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableKeys {
    /// It has no member `keys`, or is not JSON.
    #[error("it is not a JSON Web Key Set, which looks like {{\"keys\": […]}}")]
    NotASet,
    /// A private key was given away.
    #[error("it holds a private or symmetric key; give only public keys")]
    Private,
    /// No key has a supported type.
    #[error("it has no key for ES256, EdDSA, PS256 or RS256 (RSA keys need 2048 to 8192 bits)")]
    NoneUsable,
    /// There are too many.
    #[error("it has more than {MOST_KEYS} usable keys")]
    TooMany,
}

impl ClientKeys {
    /// Reads a JSON Web Key Set. Keys for another purpose, and of types that are not supported, are left out (RFC
    /// 7517 section 5).
    ///
    /// # Errors
    ///
    /// When no key is left, there are too many, or a key is private.
    pub fn parse(json: &[u8]) -> Result<Self, UnusableKeys> {
        Self::of_set(&serde_json::from_slice(json).map_err(|_| UnusableKeys::NotASet)?)
    }

    /// Like [`ClientKeys::parse`], with a value.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn of_set(set: &Value) -> Result<Self, UnusableKeys> {
        let keys = set.get("keys").and_then(Value::as_array).ok_or(UnusableKeys::NotASet)?;
        if keys.iter().any(is_private_key) {
            return Err(UnusableKeys::Private);
        }
        Self::of(keys.iter().filter_map(|key| Jwk::deserialize(key).ok()?.try_into().ok()).collect())
    }

    fn of(keys: Vec<ClientKey>) -> Result<Self, UnusableKeys> {
        match keys.len() {
            0 => Err(UnusableKeys::NoneUsable),
            1..=MOST_KEYS => Ok(Self(keys)),
            _ => Err(UnusableKeys::TooMany),
        }
    }

    /// The keys that may have made a signature: those with the `kid` that it names, or all, and of these the
    /// ones that fit the algorithm.
    pub fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: AssertionAlgorithm,
    ) -> impl Iterator<Item = &ClientKey> {
        let is_named = move |key: &&ClientKey| kid.is_none_or(|kid| key.kid.as_deref() == Some(kid));
        self.0.iter().filter(is_named).filter(move |key| key.fits(algorithm))
    }

    /// Their number.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// Whether a JSON Web Key has a member that no one but its owner may know (RFC 7518 section 6).
fn is_private_key(key: &Value) -> bool {
    ["d", "p", "q", "k", "dp", "dq", "qi", "oth"].iter().any(|name| key.get(name).is_some())
}

/// The members of a JSON Web Key that count here.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Jwk {
    kty: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    alg: Option<String>,
    #[serde(rename = "use", skip_serializing, default)]
    purpose: Option<String>,
    #[serde(skip_serializing, default)]
    key_ops: Option<Vec<String>>,
}

/// The key is of another type or for another purpose.
#[derive(Debug, thiserror::Error)]
#[error("the key cannot verify assertions")]
struct Unsuitable;

impl TryFrom<Jwk> for ClientKey {
    type Error = Unsuitable;

    fn try_from(jwk: Jwk) -> Result<Self, Unsuitable> {
        let is_for_signatures = jwk.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && jwk.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|name| name == "verify"));
        if !is_for_signatures || jwk.kid.as_ref().is_some_and(|kid| kid.len() > LONGEST_KID) {
            return Err(Unsuitable);
        }
        let bytes = |text: &Option<String>| text.as_deref().and_then(decode);
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("EC", Some("P-256")) => point(bytes(&jwk.x), bytes(&jwk.y)),
            ("OKP", Some("Ed25519")) => {
                bytes(&jwk.x).filter(|x| x.len() == COORDINATE).map(KeyMaterial::Ed25519)
            }
            ("RSA", None) => rsa(bytes(&jwk.n), bytes(&jwk.e)),
            _ => None,
        };
        let material = material.ok_or(Unsuitable)?;
        let algorithm = match jwk.alg.as_deref() {
            None => None,
            Some(text) => Some(AssertionAlgorithm::parse(text).ok_or(Unsuitable)?),
        };
        let key = Self { kid: jwk.kid, algorithm, material };
        let is_consistent = AssertionAlgorithm::ALL.into_iter().any(|algorithm| key.fits(algorithm));
        is_consistent.then_some(key).ok_or(Unsuitable)
    }
}

fn point(x: Option<Vec<u8>>, y: Option<Vec<u8>>) -> Option<KeyMaterial> {
    let (x, y) = (x?, y?);
    let fits = x.len() == COORDINATE && y.len() == COORDINATE;
    fits.then(|| KeyMaterial::P256([&[4], &*x, &*y].concat()))
}

fn rsa(modulus: Option<Vec<u8>>, exponent: Option<Vec<u8>>) -> Option<KeyMaterial> {
    let without_zeros = |bytes: Vec<u8>| bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
    let (modulus, exponent) = (without_zeros(modulus?), without_zeros(exponent?));
    let fits = RSA_BYTES.contains(&modulus.len()) && (1..=LONGEST_EXPONENT).contains(&exponent.len());
    fits.then_some(KeyMaterial::Rsa { modulus, exponent })
}

impl From<ClientKey> for Jwk {
    fn from(key: ClientKey) -> Self {
        let alg = key.algorithm.map(|algorithm| algorithm.as_str().to_owned());
        let named = Self { kid: key.kid, alg, ..Self::default() };
        match key.material {
            KeyMaterial::P256(point) => Self {
                kty: "EC".to_owned(),
                crv: Some("P-256".to_owned()),
                x: Some(encode(&point[1..=COORDINATE])),
                y: Some(encode(&point[COORDINATE + 1..])),
                ..named
            },
            KeyMaterial::Ed25519(x) => {
                Self { kty: "OKP".to_owned(), crv: Some("Ed25519".to_owned()), x: Some(encode(&x)), ..named }
            }
            KeyMaterial::Rsa { modulus, exponent } => {
                Self { kty: "RSA".to_owned(), n: Some(encode(&modulus)), e: Some(encode(&exponent)), ..named }
            }
        }
    }
}

/// The form in records: a JSON Web Key Set.
#[derive(Serialize, Deserialize)]
struct StoredKeys {
    keys: Vec<ClientKey>,
}

impl TryFrom<StoredKeys> for ClientKeys {
    type Error = UnusableKeys;

    fn try_from(stored: StoredKeys) -> Result<Self, UnusableKeys> {
        Self::of(stored.keys)
    }
}

impl From<ClientKeys> for StoredKeys {
    fn from(keys: ClientKeys) -> Self {
        Self { keys: keys.0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn p256() -> Value {
        json!({ "kty": "EC", "crv": "P-256", "x": encode(&[1; 32]), "y": encode(&[2; 32]) })
    }

    fn ed25519() -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&[3; 32]) })
    }

    fn rsa_of(bytes: usize) -> Value {
        json!({ "kty": "RSA", "n": encode(&vec![0xFF; bytes]), "e": "AQAB" })
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    fn parse(keys: &[Value]) -> Result<ClientKeys, UnusableKeys> {
        ClientKeys::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    /// Shows: CAUTH-10.
    #[test]
    fn a_key_fits_the_algorithms_of_its_type_alone() {
        use AssertionAlgorithm::{EdDsa, Es256, Ps256, Rs256};
        for (key, fitting) in [
            (p256(), &[Es256][..]),
            (ed25519(), &[EdDsa]),
            (rsa_of(256), &[Ps256, Rs256]),
            (with(rsa_of(256), "alg", json!("PS256")), &[Ps256]),
            (with(rsa_of(256), "alg", json!("RS256")), &[Rs256]),
            (with(p256(), "use", json!("sig")), &[Es256]),
            (with(p256(), "key_ops", json!(["verify"])), &[Es256]),
        ] {
            let keys = parse(std::slice::from_ref(&key)).unwrap();
            for algorithm in AssertionAlgorithm::ALL {
                let fits = keys.candidates(None, algorithm).count() == 1;
                assert_eq!(fits, fitting.contains(&algorithm), "{key} {algorithm:?}");
            }
        }
    }

    #[test]
    fn keys_for_another_purpose_are_left_out() {
        for key in [
            with(p256(), "use", json!("enc")),
            with(p256(), "key_ops", json!(["encrypt"])),
            with(p256(), "alg", json!("RS256")),
            with(p256(), "alg", json!("HS256")),
            with(p256(), "alg", json!("none")),
            with(p256(), "crv", json!("P-384")),
            with(p256(), "x", json!(encode(&[1; 31]))),
            with(p256(), "x", json!("!")),
            with(p256(), "kid", json!("k".repeat(256))),
            with(ed25519(), "crv", json!("Ed448")),
            rsa_of(255),
            rsa_of(1025),
            with(rsa_of(256), "e", json!("")),
            with(rsa_of(256), "e", json!(encode(&[1; 9]))),
            json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA" }),
            json!({ "kty": 7 }),
            json!("key"),
        ] {
            assert_eq!(parse(std::slice::from_ref(&key)), Err(UnusableKeys::NoneUsable), "{key}");
            assert_eq!(parse(&[key.clone(), ed25519()]).map(|keys| keys.count()), Ok(1), "{key}");
        }
    }

    /// Shows: DCR-14.
    #[test]
    fn a_key_that_is_not_public_is_refused_with_its_set() {
        for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            let private = with(rsa_of(256), member, json!("AA"));
            assert_eq!(parse(&[p256(), private]), Err(UnusableKeys::Private), "{member}");
        }
        let symmetric = json!({ "kty": "oct", "k": "c2VjcmV0" });
        assert_eq!(parse(&[symmetric]), Err(UnusableKeys::Private));
    }

    #[test]
    fn a_set_has_one_to_ten_keys() {
        assert_eq!(parse(&[]), Err(UnusableKeys::NoneUsable));
        assert_eq!(parse(&vec![p256(); 10]).map(|keys| keys.count()), Ok(10));
        assert_eq!(parse(&vec![p256(); 11]), Err(UnusableKeys::TooMany));
        for text in ["", "[]", "{}", "{\"keys\":{}}", "{\"kty\":\"EC\"}", "null"] {
            assert_eq!(ClientKeys::parse(text.as_bytes()), Err(UnusableKeys::NotASet), "{text}");
        }
    }

    #[test]
    fn a_kid_names_its_keys_and_without_one_all_are_tried() {
        let named = |kid: &str| with(p256(), "kid", json!(kid));
        let keys = parse(&[named("a"), named("b"), named("b"), p256()]).unwrap();
        for (kid, count) in [(Some("a"), 1), (Some("b"), 2), (Some("c"), 0), (Some(""), 0), (None, 4)] {
            assert_eq!(keys.candidates(kid, AssertionAlgorithm::Es256).count(), count, "{kid:?}");
        }
    }

    #[test]
    fn keys_are_stored_as_a_key_set() {
        let all = [with(p256(), "kid", json!("a")), with(ed25519(), "alg", json!("EdDSA")), rsa_of(256)];
        let keys = parse(&all).unwrap();
        let stored = serde_json::to_value(&keys).unwrap();
        assert_eq!(stored, json!({ "keys": all }));
        assert_eq!(serde_json::from_value::<ClientKeys>(stored).unwrap(), keys);
        assert!(serde_json::from_value::<ClientKeys>(json!({ "keys": [] })).is_err());
    }

    proptest! {
        #[test]
        fn no_set_makes_it_panic(text: String, member in "[a-z_]{1,8}", value: String) {
            let _ = ClientKeys::parse(text.as_bytes());
            let _ = parse(&[with(p256(), &member, json!(value))]);
        }
    }
}
