//! Signs JWTs as Pangea does: ES256, with a key ID in Vault's form. Keys live as long as the process.

use serde_json::{Value, json};

use super::ids;
use crate::{
    jose::{ProtectedHeader, SigningKey, SigningRefused},
    oauth::token::SigningAlgorithm,
    secret::Random,
};

/// The signing key of a stand-in, and the key set that publishes it.
pub struct SigningKeys {
    key: SigningKey,
    key_id: String,
    key_set: Value,
}

impl SigningKeys {
    pub(super) fn generate(random: &dyn Random) -> Result<Self, SigningRefused> {
        let key = SigningKey::generate(SigningAlgorithm::Es256)?;
        let key_id = format!("{}|1", ids::fresh("pvi", random));
        let key_set = json!({ "keys": [key.public(&key_id)] });
        Ok(Self { key, key_id, key_set })
    }

    /// The public key set (RFC 7517).
    pub(super) fn key_set(&self) -> &Value {
        &self.key_set
    }

    /// The header of a JWT.
    #[must_use]
    pub fn header(&self) -> Value {
        json!({ "typ": "JWT", "alg": "ES256", "kid": self.key_id })
    }

    /// Signs the claims of a JWT.
    ///
    /// # Errors
    ///
    /// When the library refuses.
    pub fn sign(&self, claims: &Value) -> Result<String, SigningRefused> {
        self.sign_under(&self.header(), claims)
    }

    /// Signs claims under a header of their own.
    ///
    /// # Errors
    ///
    /// When the library refuses.
    pub fn sign_under(&self, header: &Value, claims: &Value) -> Result<String, SigningRefused> {
        self.key.sign(&ProtectedHeader::new(header), claims)
    }
}
