//! Clients revoke their tokens (RFC 7009).

use super::{AuthorizationServer, authentication::AuthenticatedClient, grants::is_genuine};
use crate::{
    audit::{self, Event},
    clock::UnixTime,
    oauth::{
        credentials::Credentials,
        error::OAuthError,
        grant::RevokedBy,
        token::{RefreshToken, TokenId},
    },
    repository::Change,
};

impl AuthorizationServer {
    /// Revokes a token of the caller: a refresh token with its whole grant, an access token alone. A token
    /// that is unknown, has ended, or is another client's is left alone. The caller cannot tell which (RFC
    /// 7009 section 2.2).
    ///
    /// # Errors
    ///
    /// `invalid_client`. When the repository does not answer; then nothing was revoked.
    pub async fn revoke(&self, credentials: &Credentials, token: &str) -> Result<(), OAuthError> {
        let now = self.now();
        let client = self.authenticate(credentials, now).await?;
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
        client: &AuthenticatedClient,
        refresh: &RefreshToken,
        text: &str,
        now: UnixTime,
    ) -> Result<(), OAuthError> {
        let Some(read) = self.grants.get(refresh.grant.as_str(), now).await? else { return Ok(()) };
        let own = read.value.terms().client_id == *client.id();
        // A token that was rotated meanwhile still says that the client wants to disconnect.
        let genuine = is_genuine(Some(&self.sealer), &read.value, refresh, text);
        tracing::debug!(own, genuine, "a refresh token is to be revoked");
        if !(own && genuine) {
            return Ok(());
        }
        audit::about(&read.value);
        self.end(read, RevokedBy::Client, now).await
    }

    async fn revoke_access_token(
        &self,
        client: &AuthenticatedClient,
        id: &TokenId,
        text: &str,
        now: UnixTime,
    ) -> Result<(), OAuthError> {
        let updated = self.grants.update(id.grant.as_str(), now, |grant| {
            let own = grant.terms().client_id == *client.id();
            match grant.active() {
                Some(active) if own && grant.live_token(id.number, text, now).is_some() => {
                    audit::about(grant);
                    Change::Write(active.without_token(id.number), true)
                }
                _ => Change::Leave(false),
            }
        });
        if updated.await?.is_some_and(|updated| updated.outcome) {
            Event::TokenRevocation { jti: id, by: RevokedBy::Client.as_str() }.record();
        }
        Ok(())
    }
}
