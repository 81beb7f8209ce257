//! Signatures of other servers.

use jsonwebtoken::{
    Algorithm, DecodingKey, Header, Validation, decode, decode_header, errors::Error, jwk::Jwk,
};
use serde_json::Value;

/// Only asymmetric algorithms: a public key must not be able to sign (RFC 8725 section 2.1).
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Why a JWS is refused. The texts are for the log.
#[derive(Debug, thiserror::Error)]
pub enum JwsError {
    /// The token cannot be read, or its signature is wrong.
    #[error("{0}")]
    Refused(#[from] Error),
    /// `none`, or an algorithm with a shared key.
    #[error("algorithm {0:?} is not accepted")]
    Algorithm(Algorithm),
    /// The header has `crit` (RFC 7515 section 4.1.11).
    #[error("it has critical extensions")]
    Critical,
}

/// A JWS in compact serialization whose signature is not verified yet.
#[derive(Debug)]
pub struct Jws<'a> {
    token: &'a str,
    header: Header,
}

impl<'a> Jws<'a> {
    /// Reads the header.
    pub fn parse(token: &'a str) -> Result<Self, JwsError> {
        let header = decode_header(token)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(JwsError::Algorithm(header.alg));
        }
        if header.crit.is_some() {
            return Err(JwsError::Critical);
        }
        Ok(Self { token, header })
    }

    /// The name of the key that signed, if the header gives one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// Whether the header says `typ` (RFC 8725 section 3.11), with or without `application/`, in any case.
    #[must_use]
    pub fn has_type(&self, typ: &str) -> bool {
        self.header.typ.as_deref().is_some_and(|given| {
            let given = given.to_ascii_lowercase();
            given.strip_prefix("application/").unwrap_or(&given) == typ
        })
    }

    /// The claims, if this key signed them. What they say is not judged, not even `exp`.
    pub fn verified(&self, key: &Jwk) -> Result<Value, JwsError> {
        let key = DecodingKey::from_jwk(key)?;
        let mut validation = Validation::new(self.header.alg);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Ok(decode(self.token, &key, &validation)?.claims)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::secret::encode;

    fn token(header: &Value) -> String {
        format!("{}.{}.{}", encode(header.to_string().as_bytes()), encode(b"{}"), encode(b"signature"))
    }

    #[test]
    fn only_asymmetric_algorithms_without_critical_extensions_are_read() {
        for (header, read) in [
            (json!({"alg": "ES256"}), true),
            (json!({"alg": "RS256", "kid": "k"}), true),
            (json!({"alg": "HS256"}), false),
            (json!({"alg": "none"}), false),
            (json!({"alg": "ES256", "crit": ["urn:example:extension"]}), false),
        ] {
            assert_eq!(Jws::parse(&token(&header)).is_ok(), read, "{header}");
        }
        assert!(Jws::parse("a.b").is_err());
    }

    #[test]
    fn a_type_is_compared_without_case_and_prefix() {
        for (typ, is_access_token) in
            [("at+jwt", true), ("application/AT+JWT", true), ("JWT", false), ("xat+jwt", false)]
        {
            let token = token(&json!({"alg": "ES256", "typ": typ}));
            assert_eq!(Jws::parse(&token).unwrap().has_type("at+jwt"), is_access_token, "{typ}");
        }
        assert!(!Jws::parse(&token(&json!({"alg": "ES256"}))).unwrap().has_type("at+jwt"));
    }
}
