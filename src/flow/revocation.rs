//! Clients give tokens back (RFC 7009).

use super::{
    AuthorizationServer,
    tokens::{ATTEMPTS, too_much_contention},
};
use crate::{
    audit::{self, Event},
    clock::UnixTime,
    oauth::{
        client::Client,
        credentials::Credentials,
        error::OAuthError,
        grant::RevokedBy,
        token::{RefreshToken, TokenId},
    },
};

impl AuthorizationServer {
    /// Revokes a token of the caller: a refresh token with its whole grant, an access token alone.
    /// A token that is unknown, over, or another client's is left as it is, and nobody learns which
    /// (RFC 7009 section 2.2).
    ///
    /// # Errors
    ///
    /// `invalid_client`; or the repository does not answer, and nothing was revoked.
    pub async fn revoke(&self, credentials: &Credentials, token: &str) -> Result<(), OAuthError> {
        let now = self.now();
        let client =
            self.authenticated(&credentials.client_id, credentials.client_secret.as_deref(), now).await?;
        if let Some(refresh) = RefreshToken::parse(token) {
            return self.revoke_grant(&client, &refresh, token, now).await;
        }
        match TokenId::of_access_token(token) {
            Some(id) => self.revoke_access_token(&client, &id, token, now).await,
            None => Ok(()),
        }
    }

    async fn revoke_grant(
        &self,
        client: &Client,
        refresh: &RefreshToken,
        text: &str,
        now: UnixTime,
    ) -> Result<(), OAuthError> {
        let Some(read) = self.grants.get(refresh.grant.as_str(), now).await? else { return Ok(()) };
        let own = read.value.client_id == client.client_id;
        // A token that was rotated since is still the client's way to say that it wants to go.
        let genuine = self.is_genuine(&read.value, refresh, text);
        tracing::debug!(own, genuine, "a refresh token is to be revoked");
        if !(own && genuine) {
            return Ok(());
        }
        audit::about(&read.value);
        self.end(read, RevokedBy::Client, now).await
    }

    async fn revoke_access_token(
        &self,
        client: &Client,
        id: &TokenId,
        text: &str,
        now: UnixTime,
    ) -> Result<(), OAuthError> {
        for _ in 0..ATTEMPTS {
            let Some(read) = self.grants.get(id.grant.as_str(), now).await? else { return Ok(()) };
            let own = read.value.client_id == client.client_id;
            if !own || read.value.live_token(id.number, text, now).is_none() {
                return Ok(());
            }
            audit::about(&read.value);
            let without = read.value.clone().without_token(id.number);
            if self.grants.replace(read, without, now).await?.is_some() {
                Event::TokenRevocation { jti: id, by: RevokedBy::Client.as_str() }.record();
                return Ok(());
            }
        }
        Err(too_much_contention())
    }
}
