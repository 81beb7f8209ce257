//! Signs JWTs as Pangea does: ES256, with a key id in Vault's form.
//!
//! Keys live as long as the process. Making one is the one thing that `jsonwebtoken` cannot do, so
//! this file, besides `secret.rs` and `keys.rs`, calls the cryptography crate.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};

use super::ids;
use crate::secret::Random;

/// The signing keys.
pub(super) struct SigningKeys {
    published: EncodingKey,
    unpublished: EncodingKey,
    key_id: String,
    key_set: Value,
}

/// Why there is no signing key or no signature.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// No key pair could be made.
    #[error("the stand-in cannot make a signing key")]
    NoKey,
    /// The JWT library refused.
    #[error("the stand-in cannot sign: {0}")]
    Refused(#[from] jsonwebtoken::errors::Error),
}

impl SigningKeys {
    pub(super) fn generate(random: &dyn Random) -> Result<Self, SigningError> {
        let published = key_pair()?;
        let mut jwk = Jwk::from_encoding_key(&published, Algorithm::ES256)?;
        let key_id = format!("{}|1", ids::fresh("pvi", random));
        jwk.common.key_id = Some(key_id.clone());
        Ok(Self { published, unpublished: key_pair()?, key_id, key_set: json!({"keys": [jwk]}) })
    }

    /// The public key set (RFC 7517).
    pub(super) fn key_set(&self) -> &Value {
        &self.key_set
    }

    /// Signs the claims.
    pub(super) fn sign(&self, claims: &Value) -> Result<String, SigningError> {
        self.sign_under(&self.header(), claims)
    }

    /// Signs the claims under the name of a key that is in no key set.
    pub(super) fn sign_under_another_name(&self, claims: &Value) -> Result<String, SigningError> {
        self.sign_under(&Header { kid: Some("pvi_another|1".to_owned()), ..self.header() }, claims)
    }

    /// Signs the claims as a token of another type.
    pub(super) fn sign_as(&self, typ: &str, claims: &Value) -> Result<String, SigningError> {
        self.sign_under(&Header { typ: Some(typ.to_owned()), ..self.header() }, claims)
    }

    /// Signs the claims under a header with an extension that the recipient must understand.
    pub(super) fn sign_critically(&self, claims: &Value) -> Result<String, SigningError> {
        let crit = Some(vec!["urn:example:extension".to_owned()]);
        self.sign_under(&Header { crit, ..self.header() }, claims)
    }

    /// Signs the claims with another key than the one that the header names.
    pub(super) fn sign_wrongly(&self, claims: &Value) -> Result<String, SigningError> {
        Ok(jsonwebtoken::encode(&self.header(), claims, &self.unpublished)?)
    }

    fn sign_under(&self, header: &Header, claims: &Value) -> Result<String, SigningError> {
        Ok(jsonwebtoken::encode(header, claims, &self.published)?)
    }

    fn header(&self) -> Header {
        Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::ES256) }
    }
}

fn key_pair() -> Result<EncodingKey, SigningError> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| SigningError::NoKey)?;
    let document = pair.to_pkcs8v1().map_err(|_| SigningError::NoKey)?;
    Ok(EncodingKey::from_ec_der(document.as_ref()))
}
