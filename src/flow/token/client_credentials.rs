//! `grant_type=client_credentials` (RFC 6749 section 4.4): a machine client gets a token for itself.
//!
//! Each token has a grant of its own, so that any number of processes can share one client: they neither wait
//! for each other nor end each other's tokens.

use super::{AuthorizationServer, Issue, ProvenClient, Signed, record_issue, unauthorized};
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

/// A token for a machine client, and the grant that is to be stored before the client gets it.
struct Made {
    issue: Issue,
    grant: Grant,
}

impl AuthorizationServer {
    pub(super) async fn issue_to_machine(
        &self,
        params: &Params<'_>,
        client: &ProvenClient,
        now: UnixTime,
    ) -> Result<Issue, OAuthError> {
        match self.made_for_machine(params, client, now).await {
            Ok(Made { issue, grant }) => {
                self.store_for(client, grant, now).await?;
                Ok(issue)
            }
            Err(refusal) => {
                // An assertion is accepted once, even for a request that is refused.
                self.spend(client, now).await?;
                Err(refusal)
            }
        }
    }

    async fn made_for_machine(
        &self,
        params: &Params<'_>,
        client: &ProvenClient,
        now: UnixTime,
    ) -> Result<Made, OAuthError> {
        let registration = client.registration();
        let allowance = registration.allowance.as_ref().ok_or_else(unauthorized)?;
        let offer = allowance.offer(&self.settings.resources, params.all("resource"))?;
        let requested = params.one("scope")?.map(Scope::parse).transpose()?;
        let scope = allowance.scope(requested.as_ref(), &offer.scopes)?;
        self.keys.refresh(self.now()).await?;
        let id = GrantId::of_machine(self.random(), now);
        let terms = Terms::of_machine(registration.client_id.clone(), offer.resource, scope.clone(), now);
        let token_id = TokenId { grant: id.clone(), number: 1 };
        let Signed { text: access_token, live } = self.access_token(&token_id, &terms, None, now)?;
        let kept_until = live.expires_at.plus(CHECK_EVERY);
        let grant = Grant::of_machine(id, terms, live, kept_until);
        Ok(Made { issue: Issue { access_token, refresh_token: None, scope }, grant })
    }

    /// Stores the grant of a token and marks the client's assertion as used, in one commit where the repository
    /// can. If either fails, the token is not handed out, and the grant is taken back.
    async fn store_for(&self, client: &ProvenClient, grant: Grant, now: UnixTime) -> Result<(), OAuthError> {
        audit::about(&grant);
        let id = grant.id().clone();
        let (spent, stored) = tokio::join!(self.spend(client, now), self.grants.insert(grant, now));
        let Some(stored) = stored? else {
            return Err(OAuthError::internal("the new grant ID is taken"));
        };
        let grant = stored.value;
        let kept = match spent {
            Ok(()) => self.require_client(client, now).await,
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            self.grants.take(id.as_str(), now).await?;
            return Err(error);
        }
        record_issue(Issued::ClientCredentials, &grant, &grant.terms().scope);
        Ok(())
    }

    /// Fails if the operator has removed the client since it was read. The command removes the client first and
    /// then revokes the grants that it finds; a grant that it cannot have found must not be kept.
    async fn require_client(&self, client: &ProvenClient, now: UnixTime) -> Result<(), OAuthError> {
        match self.clients.get(client.registration().client_id.key(), now).await? {
            Some(_) => Ok(()),
            None => refuse(ErrorCode::InvalidClient, "the client has been removed"),
        }
    }
}
