//! Private keys and the signatures that they make.

use std::fmt::{self, Debug};

use aws_lc_rs::{
    encoding::AsDer,
    error::{KeyRejected, Unspecified},
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256},
};
use serde::Serialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    oauth::token::SigningAlgorithm,
    secret::{encode, sha256},
};

/// The cryptography library refused a key or a signature. It gives no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptography library refused a key or a signature")]
pub struct SigningRefused;

impl From<Unspecified> for SigningRefused {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

impl From<KeyRejected> for SigningRefused {
    fn from(_: KeyRejected) -> Self {
        Self
    }
}

/// The first part of a JWS, encoded once for all the tokens that share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedHeader(String);

impl ProtectedHeader {
    /// Encodes a JOSE header (RFC 7515 section 4).
    #[must_use]
    pub fn new(header: &Value) -> Self {
        Self(encode(header.to_string().as_bytes()))
    }
}

/// A private key that signs in JWS compact serialization.
pub struct SigningKey(Pair);

enum Pair {
    Es256(Box<EcdsaKeyPair>),
    Rs256(Box<RsaKeyPair>),
}

impl SigningKey {
    /// Makes a key. RSA keys have 2048 bits and take tens of milliseconds.
    pub fn generate(algorithm: SigningAlgorithm) -> Result<Self, SigningRefused> {
        Ok(Self(match algorithm {
            SigningAlgorithm::Es256 => {
                Pair::Es256(Box::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?))
            }
            SigningAlgorithm::Rs256 => Pair::Rs256(Box::new(RsaKeyPair::generate(KeySize::Rsa2048)?)),
        }))
    }

    /// Reads a private key in PKCS#8 (RFC 5958).
    ///
    /// # Errors
    ///
    /// When the bytes are not a key of this algorithm.
    pub fn from_pkcs8(algorithm: SigningAlgorithm, private: &[u8]) -> Result<Self, SigningRefused> {
        Ok(Self(match algorithm {
            SigningAlgorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private)?;
                Pair::Es256(Box::new(pair))
            }
            SigningAlgorithm::Rs256 => Pair::Rs256(Box::new(RsaKeyPair::from_pkcs8(private)?)),
        }))
    }

    /// The private key in PKCS#8.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SigningRefused> {
        let private = match &self.0 {
            Pair::Es256(pair) => pair.to_pkcs8v1()?.as_ref().to_vec(),
            Pair::Rs256(pair) => pair.as_der()?.as_ref().to_vec(),
        };
        Ok(Zeroizing::new(private))
    }

    /// The SHA-256 thumbprint of the public half (RFC 7638): 43 characters.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        // The required members, in alphabetical order, without white space.
        let members = match &self.0 {
            Pair::Es256(pair) => {
                let (x, y) = coordinates(pair);
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Pair::Rs256(pair) => {
                let (n, e) = modulus_and_exponent(pair);
                format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)
            }
        };
        encode(&sha256(members.as_bytes()))
    }

    /// A JWS over these claims.
    ///
    /// # Errors
    ///
    /// When the claims are not JSON, or the library refuses.
    pub fn sign(&self, header: &ProtectedHeader, claims: &impl Serialize) -> Result<String, SigningRefused> {
        let claims = serde_json::to_vec(claims).map_err(|_| SigningRefused)?;
        let mut token = format!("{}.{}", header.0, encode(&claims));
        let random = SystemRandom::new();
        let signature = match &self.0 {
            Pair::Es256(pair) => encode(pair.sign(&random, token.as_bytes())?.as_ref()),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, token.as_bytes(), &mut signature)?;
                encode(&signature)
            }
        };
        token.push('.');
        token.push_str(&signature);
        Ok(token)
    }

    /// The public half as a JWK (RFC 7517, RFC 7518 section 6) of this `kid`.
    #[must_use]
    pub fn public(&self, kid: &str) -> Value {
        match &self.0 {
            Pair::Es256(pair) => {
                let (x, y) = coordinates(pair);
                json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": x, "y": y })
            }
            Pair::Rs256(pair) => {
                let (n, e) = modulus_and_exponent(pair);
                json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e })
            }
        }
    }
}

/// `x` and `y` of a JWK (RFC 7518 section 6.2.1).
fn coordinates(pair: &EcdsaKeyPair) -> (String, String) {
    // An uncompressed point: 0x04, x, y.
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    (encode(x), encode(y))
}

/// `n` and `e` of a JWK (RFC 7518 section 6.3.1).
fn modulus_and_exponent(pair: &RsaKeyPair) -> (String, String) {
    let public = pair.public_key();
    let modulus = public.modulus().big_endian_without_leading_zero();
    (encode(modulus), encode(public.exponent().big_endian_without_leading_zero()))
}

impl Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<signing key>")
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::{Jwk, ThumbprintHash};

    use super::{super::Jws, *};

    fn signed(key: &SigningKey, algorithm: SigningAlgorithm) -> String {
        let header = ProtectedHeader::new(&json!({ "alg": algorithm.as_str(), "kid": "k" }));
        key.sign(&header, &json!({ "sub": "ada" })).unwrap()
    }

    #[test]
    fn the_public_half_verifies_what_the_private_half_signed() {
        for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Rs256] {
            let key = SigningKey::generate(algorithm).unwrap();
            let read = SigningKey::from_pkcs8(algorithm, &key.to_pkcs8().unwrap()).unwrap();
            assert_eq!(key.thumbprint(), read.thumbprint());
            let public: Jwk = serde_json::from_value(key.public("k")).unwrap();
            assert_eq!(key.thumbprint(), public.thumbprint(ThumbprintHash::SHA256).unwrap());
            let token = signed(&read, algorithm);
            let jws = Jws::parse(&token).unwrap();
            assert_eq!(jws.kid(), Some("k"));
            assert_eq!(jws.verified(&public).unwrap()["sub"], "ada");
            let other = SigningKey::generate(algorithm).unwrap();
            assert_ne!(key.thumbprint(), other.thumbprint());
            assert!(Jws::parse(&signed(&other, algorithm)).unwrap().verified(&public).is_err());
        }
    }

    #[test]
    fn bytes_that_are_no_key_of_the_algorithm_are_refused() {
        let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap().to_pkcs8().unwrap();
        assert!(SigningKey::from_pkcs8(SigningAlgorithm::Rs256, &key).is_err());
        assert!(SigningKey::from_pkcs8(SigningAlgorithm::Es256, b"garbage").is_err());
    }
}
