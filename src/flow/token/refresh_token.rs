//! `grant_type=refresh_token` (RFC 6749 section 6). Which tokens may still be used is decided in
//! [`crate::oauth::grant`].

use std::sync::Arc;

use super::{AuthenticatedClient, AuthorizationServer, Issue, Signed, record_issue, upstream_check};
use crate::{
    audit::{self, Event, Issued},
    clock::UnixTime,
    flow::grants::{is_genuine, refresh_text, refresh_texts, unknown_refresh_token},
    oauth::{
        client::ClientId,
        error::{ErrorCode, OAuthError, refuse},
        grant::{Grant, RefreshUse, RevokedBy},
        params::Params,
        scope::Scope,
        token::RefreshToken,
    },
    repository::{Change, Stored},
    secret::TokenHash,
};

/// A refresh request, parsed but not judged.
struct Refresh<'a> {
    client_id: &'a ClientId,
    text: &'a str,
    token: RefreshToken,
    scope: Option<Scope>,
    resource: Vec<&'a str>,
}

/// What follows from a refresh request, after its grant was read.
enum Step {
    Issued(Issue, RefreshUse),
    /// The upstream is to be asked first. This process has claimed the check.
    Check,
    End(Ends),
}

/// Why a genuine refresh token ends its grant.
#[derive(Debug, Clone, Copy)]
enum Ends {
    Reuse,
    NotAdmitted,
}

impl<'a> Refresh<'a> {
    fn parse(params: &'a Params<'_>, client: &'a AuthenticatedClient) -> Result<Self, OAuthError> {
        let text = params.required("refresh_token")?;
        Ok(Self {
            client_id: client.id(),
            text,
            token: RefreshToken::parse(text).ok_or_else(unknown_refresh_token)?,
            scope: params.one("scope")?.map(Scope::parse).transpose()?,
            resource: params.all("resource").collect(),
        })
    }
}

impl AuthorizationServer {
    pub(super) async fn refresh(
        self: &Arc<Self>,
        params: &Params<'_>,
        client: &AuthenticatedClient,
        now: UnixTime,
    ) -> Result<Issue, OAuthError> {
        let refresh = Refresh::parse(params, client)?;
        loop {
            let read = self.grant_with_refresh_token(&refresh.token, now).await?;
            self.keys.refresh(self.now()).await?;
            let updated = self.grants.update_from(read, now, |grant| self.refresh_step(grant, &refresh, now));
            let updated = updated.await?.ok_or_else(unknown_refresh_token)?;
            match updated.outcome {
                Step::Issued(issue, refresh_use) => {
                    record_refresh(&updated.stored.value, &refresh, refresh_use, &issue.scope);
                    return Ok(issue);
                }
                // The grant is no longer due for a check afterwards, so this happens once.
                Step::Check => self.check_upstream(updated.stored, now).await?,
                Step::End(why) => return self.refuse_and_end(updated.stored, &refresh, why, now).await,
            }
        }
    }

    fn refresh_step(
        &self,
        grant: &Grant,
        refresh: &Refresh<'_>,
        now: UnixTime,
    ) -> Result<Change<Grant, Step>, OAuthError> {
        let refresh_use = match self.judge_refresh(grant, refresh, now)? {
            Ok(refresh_use) => refresh_use,
            Err(why) => return Ok(Change::Leave(Step::End(why))),
        };
        if upstream_check::is_due(grant, now) {
            return Ok(Change::Write(upstream_check::claimed(grant, now), Step::Check));
        }
        let narrowed = refresh.scope.as_ref().and_then(|scope| grant.scope.narrowed_to(scope));
        let narrowed = narrowed.filter(|scope| *scope != grant.scope);
        let (grant, next) = self.successor(grant.clone(), refresh, refresh_use, now)?;
        let Signed { text: access_token, live } = self.access_token(&grant, narrowed.as_ref(), now)?;
        let scope = narrowed.unwrap_or_else(|| grant.scope.clone());
        let issue = Issue { access_token, refresh_token: Some(next), scope };
        Ok(Change::Write(grant.with_token(live), Step::Issued(issue, refresh_use)))
    }

    /// What the refresh token may do, or why it ends its grant.
    fn judge_refresh(
        &self,
        grant: &Grant,
        refresh: &Refresh<'_>,
        now: UnixTime,
    ) -> Result<Result<RefreshUse, Ends>, OAuthError> {
        if grant.client_id != *refresh.client_id
            || !is_genuine(Some(&self.sealer), grant, &refresh.token, refresh.text)
        {
            return Err(unknown_refresh_token());
        }
        audit::about(grant);
        let (generation, grace) = (refresh.token.generation, self.settings.lifetimes.grace);
        let refresh_use = grant.judge_refresh(generation, grace, now).ok_or_else(unknown_refresh_token)?;
        tracing::debug!(?refresh_use, generation, "the refresh token belongs to this grant");
        if refresh_use == RefreshUse::Reuse {
            return Ok(Err(Ends::Reuse));
        }
        if !self.settings.access.admits(grant.person.email.as_deref(), &grant.person.groups) {
            return Ok(Err(Ends::NotAdmitted));
        }
        self.require_resource(grant, refresh.resource.iter().copied())?;
        if refresh.scope.as_ref().is_some_and(|scope| grant.scope.narrowed_to(scope).is_none()) {
            return refuse(ErrorCode::InvalidScope, "the scope exceeds what was granted");
        }
        Ok(Ok(refresh_use))
    }

    async fn refuse_and_end(
        &self,
        read: Stored<Grant>,
        refresh: &Refresh<'_>,
        why: Ends,
        now: UnixTime,
    ) -> Result<Issue, OAuthError> {
        match why {
            Ends::Reuse => {
                Event::RefreshReuse { generation: refresh.token.generation }.record();
                self.end(read, RevokedBy::RefreshReuse, now).await?;
                refuse(
                    ErrorCode::InvalidGrant,
                    "the refresh token was used before; the grant has been revoked",
                )
            }
            Ends::NotAdmitted => {
                Event::PolicyDenial.record();
                self.end(read, RevokedBy::Operator, now).await?;
                refuse(ErrorCode::InvalidGrant, "this person is no longer allowed to sign in here")
            }
        }
    }

    /// The grant after a refresh, and the refresh token for the client. Within the grace period that is the
    /// current token again, so that all requests that race with one token get the same successor.
    fn successor(
        &self,
        grant: Grant,
        refresh: &Refresh<'_>,
        refresh_use: RefreshUse,
        now: UnixTime,
    ) -> Result<(Grant, String), OAuthError> {
        let chain =
            grant.active().and_then(|active| active.refresh.as_ref()).ok_or_else(unknown_refresh_token)?;
        match refresh_use {
            RefreshUse::Current | RefreshUse::LateRetry => {
                let next = refresh_text(&self.sealer, &grant.id, chain, chain.generation + 1);
                let (hash, idle) = (TokenHash::of(&next), self.settings.lifetimes.refresh);
                Ok((grant.refreshed(refresh.token.generation, hash, idle, now), next))
            }
            RefreshUse::Retry | RefreshUse::Reuse => {
                let current = refresh_texts(&self.sealer, &grant.id, chain, chain.generation)
                    .find(|made| chain.current.matches(made))
                    .ok_or_else(unknown_refresh_token)?;
                Ok((grant, current))
            }
        }
    }
}

fn record_refresh(grant: &Grant, refresh: &Refresh<'_>, refresh_use: RefreshUse, scope: &Scope) {
    match refresh_use {
        RefreshUse::Current => record_issue(Issued::Refresh, grant, scope),
        RefreshUse::Retry | RefreshUse::Reuse => record_issue(Issued::RefreshRetry, grant, scope),
        RefreshUse::LateRetry => {
            Event::RefreshLateRetry { generation: refresh.token.generation }.record();
            record_issue(Issued::Refresh, grant, scope);
        }
    }
}
