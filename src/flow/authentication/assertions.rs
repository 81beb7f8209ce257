//! Client assertions (`private_key_jwt`). Each is accepted once, by whichever process sees it first.

use serde::{Deserialize, Serialize};

use crate::{
    clock::UnixTime,
    flow::AuthorizationServer,
    jose::is_signed,
    oauth::{
        assertion::{Accepted, Assertion},
        client::Client,
        error::{ErrorCode, OAuthError, refuse},
    },
    repository::{Entity, Kind},
};

/// Marks an assertion as used, until it expires.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::flow) struct SpentAssertion {
    key: String,
    expires_at: UnixTime,
}

impl Entity for SpentAssertion {
    const KIND: Kind = Kind::Replay;

    fn key(&self) -> &str {
        &self.key
    }

    fn expires_at(&self) -> Option<UnixTime> {
        Some(self.expires_at)
    }
}

impl From<Accepted> for SpentAssertion {
    fn from(Accepted { id, expires_at }: Accepted) -> Self {
        Self { key: format!("assertion.{id}"), expires_at }
    }
}

impl AuthorizationServer {
    /// Judges an assertion of the client. It is not marked as used yet.
    pub(super) fn accept(
        &self,
        assertion: &Assertion,
        client: &Client,
        now: UnixTime,
    ) -> Result<SpentAssertion, OAuthError> {
        let Some(keys) = &client.jwks else {
            return refuse(ErrorCode::InvalidClient, "this client is not registered for private_key_jwt");
        };
        let verified = assertion.verified(keys, is_signed)?;
        Ok(verified.judge(&client.client_id, &self.settings.issuer, now)?.into())
    }
}
