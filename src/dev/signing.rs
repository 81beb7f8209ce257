//! Signs JWTs as Pangea does: ES256, with a key ID in Vault's form. Keys live as long as the process.

use serde_json::{Value, json};

use super::ids;
use crate::{
    jose::{ProtectedHeader, SigningKey, SigningRefused},
    oauth::token::SigningAlgorithm,
    secret::Random,
};

pub(super) struct SigningKeys {
    published: SigningKey,
    unpublished: SigningKey,
    key_id: String,
    key_set: Value,
}

impl SigningKeys {
    pub(super) fn generate(random: &dyn Random) -> Result<Self, SigningRefused> {
        let published = SigningKey::generate(SigningAlgorithm::Es256)?;
        let unpublished = SigningKey::generate(SigningAlgorithm::Es256)?;
        let key_id = format!("{}|1", ids::fresh("pvi", random));
        let key_set = json!({ "keys": [published.public(&key_id)] });
        Ok(Self { published, unpublished, key_id, key_set })
    }

    /// The public key set (RFC 7517).
    pub(super) fn key_set(&self) -> &Value {
        &self.key_set
    }

    pub(super) fn sign(&self, claims: &Value) -> Result<String, SigningRefused> {
        self.published.sign(&self.header("JWT"), claims)
    }

    /// Signs under the `kid` of a key that is in no key set.
    pub(super) fn sign_under_another_name(&self, claims: &Value) -> Result<String, SigningRefused> {
        self.published.sign(&header("JWT", "pvi_another|1"), claims)
    }

    /// Signs the claims as a token of another type.
    pub(super) fn sign_as(&self, typ: &str, claims: &Value) -> Result<String, SigningRefused> {
        self.published.sign(&self.header(typ), claims)
    }

    /// Signs under a header with an extension that the recipient must understand (`crit`).
    pub(super) fn sign_critically(&self, claims: &Value) -> Result<String, SigningRefused> {
        let header =
            json!({ "typ": "JWT", "alg": "ES256", "kid": self.key_id, "crit": ["urn:example:extension"] });
        self.published.sign(&ProtectedHeader::new(&header), claims)
    }

    /// Signs with another key than the one that the header names.
    pub(super) fn sign_wrongly(&self, claims: &Value) -> Result<String, SigningRefused> {
        self.unpublished.sign(&self.header("JWT"), claims)
    }

    fn header(&self, typ: &str) -> ProtectedHeader {
        header(typ, &self.key_id)
    }
}

fn header(typ: &str, key_id: &str) -> ProtectedHeader {
    ProtectedHeader::new(&json!({ "typ": typ, "alg": "ES256", "kid": key_id }))
}
