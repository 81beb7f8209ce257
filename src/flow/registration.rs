//! Clients register themselves (RFC 7591). Nothing else is stored before a user has signed in. Registrations
//! are bounded in number and size, and expire if no user signs in with them.

use serde::Serialize;

use super::AuthorizationServer;
use crate::{
    audit::{self, Event},
    clock::UnixTime,
    oauth::{
        client::{AuthenticationMethod, Client, ClientId, ClientMetadata, Origin},
        error::{ErrorCode, OAuthError},
    },
    repository::RepositoryError,
    secret::{Random, TokenHash, random_token},
};

/// The answer to a registration (RFC 7591 section 3.2.1).
#[derive(Debug, Serialize)]
pub struct Registered {
    client_id: ClientId,
    client_id_issued_at: UnixTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    /// When the secret expires with its registration. A sign-in postpones that, but the client cannot be
    /// told.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<UnixTime>,
    #[serde(flatten)]
    metadata: ClientMetadata,
}

impl AuthorizationServer {
    /// Registers a client, and evicts the oldest unused ones above the limit.
    ///
    /// # Errors
    ///
    /// `invalid_redirect_uri` or `invalid_client_metadata`. When the repository does not answer.
    pub async fn register(&self, body: &[u8]) -> Result<Registered, OAuthError> {
        let now = self.now();
        let policy = &self.settings.registration;
        let metadata = ClientMetadata::parse(body, &policy.schemes)?;
        let secret = (metadata.token_endpoint_auth_method != AuthenticationMethod::None)
            .then(|| new_secret(self.random()));
        let client_id = ClientId::made(self.clock.millis(), self.random());
        let client = Client {
            expires_at: Some(now.plus(policy.unused)),
            unused: true,
            secret: secret.as_deref().map(TokenHash::of),
            ..Client::new(client_id, Origin::SelfRegistered, metadata, now)
        };
        let Some(stored) = self.clients.insert(client, now).await.map_err(not_registered)? else {
            return Err(OAuthError::internal("the new client ID is taken"));
        };
        if let Err(error) = self.bound_with(&stored).await {
            tracing::warn!(%error, "unused registrations cannot be counted or evicted");
        }
        let client = stored.value;
        audit::about(&client);
        audit::about(&client.metadata.redirect_uris[0].itself());
        Event::Registration.record();
        Ok(Registered {
            client_id: client.client_id,
            client_id_issued_at: now,
            client_secret_expires_at: client.expires_at.filter(|_| secret.is_some()),
            client_secret: secret,
            metadata: client.metadata,
        })
    }
}

/// 256 random bits.
pub(super) fn new_secret(random: &dyn Random) -> String {
    format!("mcp_cs_{}", random_token(random))
}

/// A registration that is too large for the repository is the client's mistake.
fn not_registered(error: RepositoryError) -> OAuthError {
    if let RepositoryError::TooLarge { .. } = error {
        let sentence = "the registration is too large to be kept here: register fewer or shorter values";
        return OAuthError::new(ErrorCode::InvalidClientMetadata, sentence).caused_by(error);
    }
    error.into()
}
