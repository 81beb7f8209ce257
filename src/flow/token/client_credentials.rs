//! `grant_type=client_credentials` (RFC 6749 section 4.4): a machine client gets a token for itself.
//!
//! Each token has a grant of its own, so that any number of processes can share one client: they neither wait
//! for each other nor end each other's tokens.

use super::{AuthenticatedClient, AuthorizationServer, Issue, Signed, record_issue, unauthorized};
use crate::{
    audit::{self, Issued},
    clock::UnixTime,
    oauth::{
        error::{ErrorCode, OAuthError, refuse},
        grant::{CHECK_EVERY, Grant, Terms},
        params::Params,
        scope::Scope,
        token::{GrantId, TokenId},
    },
};

impl AuthorizationServer {
    pub(super) async fn issue_to_machine(
        &self,
        params: &Params<'_>,
        client: &AuthenticatedClient,
        now: UnixTime,
    ) -> Result<Issue, OAuthError> {
        let allowance = client.registration().allowance.as_ref().ok_or_else(unauthorized)?;
        let offer = allowance.offer(&self.settings.resources, params.all("resource"))?;
        let requested = params.one("scope")?.map(Scope::parse).transpose()?;
        let scope = allowance.scope(requested.as_ref(), &offer.scopes)?;
        self.keys.refresh(self.now()).await?;
        let id = GrantId::of_machine(self.random(), now);
        let terms = Terms::of_machine(client.id().clone(), offer.resource, scope.clone(), now);
        let token_id = TokenId { grant: id.clone(), number: 1 };
        let Signed { text: access_token, live } = self.access_token(&token_id, &terms, None, now)?;
        let kept_until = live.expires_at.plus(CHECK_EVERY);
        self.store_for(client, Grant::of_machine(id, terms, live, kept_until), now).await?;
        Ok(Issue { access_token, refresh_token: None, scope })
    }

    /// Stores a grant, unless the operator removes its client at the same moment. The command removes the client
    /// first and then revokes the grants that it finds. A grant that it cannot have found is taken back here.
    async fn store_for(
        &self,
        client: &AuthenticatedClient,
        grant: Grant,
        now: UnixTime,
    ) -> Result<(), OAuthError> {
        audit::about(&grant);
        let Some(stored) = self.grants.insert(grant, now).await? else {
            return Err(OAuthError::internal("the new grant ID is taken"));
        };
        let grant = stored.value;
        if self.clients.get(client.id().key(), now).await?.is_none() {
            self.grants.take(grant.id().as_str(), now).await?;
            return refuse(ErrorCode::InvalidClient, "the client has been removed");
        }
        record_issue(Issued::ClientCredentials, &grant, &grant.terms().scope);
        Ok(())
    }
}
