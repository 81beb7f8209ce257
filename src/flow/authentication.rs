//! Clients authenticate at the token and revocation endpoints (OAuth 2.1 section 2.4).

use super::AuthorizationServer;
use crate::{
    audit,
    clock::UnixTime,
    oauth::{
        client::{Client, ClientId},
        credentials::Credentials,
        error::{ErrorCode, OAuthError},
    },
};

/// A client whose proof matches its registration. Only [`AuthorizationServer::authenticate`] makes one.
#[derive(Debug)]
pub(super) struct AuthenticatedClient(Client);

impl AuthenticatedClient {
    pub(super) const fn registration(&self) -> &Client {
        &self.0
    }

    pub(super) const fn id(&self) -> &ClientId {
        &self.0.client_id
    }
}

impl AuthorizationServer {
    /// # Errors
    ///
    /// `invalid_client`: clients that get it register again.
    pub(super) async fn authenticate(
        &self,
        presented: &Credentials,
        now: UnixTime,
    ) -> Result<AuthenticatedClient, OAuthError> {
        let unknown = || OAuthError::new(ErrorCode::InvalidClient, "the client is unknown; register again");
        let client_id = ClientId::parse(&presented.client_id).ok_or_else(unknown)?;
        let client = self.clients.get(client_id.key(), now).await?.ok_or_else(unknown)?.value;
        audit::about(&client);
        client.authenticate(&presented.proof, now)?;
        Ok(AuthenticatedClient(client))
    }
}
