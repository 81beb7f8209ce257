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
        grant::{Grant, RefreshUse, Refreshable, RevokedBy, Subject},
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
                Step::Check => Box::pin(self.check_upstream(updated.stored, now)).await?,
                Step::End(why) => {
                    return Box::pin(self.refuse_and_end(updated.stored, &refresh, why, now)).await;
                }
            }
        }
    }

    fn refresh_step(
        &self,
        grant: &Grant,
        refresh: &Refresh<'_>,
        now: UnixTime,
    ) -> Result<Change<Grant, Step>, OAuthError> {
        let (refreshable, refresh_use) = self.recognised(grant, refresh, now)?;
        if refresh_use == RefreshUse::Reuse {
            return Ok(Change::Leave(Step::End(Ends::Reuse)));
        }
        if !self.still_admits(&grant.terms().subject) {
            return Ok(Change::Leave(Step::End(Ends::NotAdmitted)));
        }
        self.require_resource(grant, refresh.resource.iter().copied())?;
        let granted = &grant.terms().scope;
        let narrowed = match &refresh.scope {
            None => None,
            Some(scope) => Some(granted.narrowed_to(scope).ok_or_else(too_wide)?),
        };
        if let Some(session) = grant.held_session().filter(|session| session.is_due(now)) {
            return Ok(Change::Write(session.claimed(now.plus(upstream_check::CLAIM)), Step::Check));
        }
        let narrowed = narrowed.filter(|scope| scope != granted);
        let refresh_token = self.next_refresh_token(grant, refreshable, refresh_use)?;
        let signed = self.access_token(&grant.next_token(), grant.terms(), narrowed.as_ref(), now)?;
        let Signed { text: access_token, live } = signed;
        let refreshed = if refresh_use == RefreshUse::Retry {
            refreshable.repeat(live)
        } else {
            let (hash, idle) = (TokenHash::of(&refresh_token), self.settings.lifetimes.refresh);
            refreshable.rotate(refresh.token.generation, hash, idle, live)
        };
        let scope = narrowed.unwrap_or_else(|| granted.clone());
        let issue = Issue { access_token, refresh_token: Some(refresh_token), scope };
        Ok(Change::Write(refreshed, Step::Issued(issue, refresh_use)))
    }

    /// The grant of the client's own, genuine refresh token, and what the token may do.
    fn recognised<'a>(
        &self,
        grant: &'a Grant,
        refresh: &Refresh<'_>,
        now: UnixTime,
    ) -> Result<(Refreshable<'a>, RefreshUse), OAuthError> {
        let is_own = grant.terms().client_id == *refresh.client_id;
        let genuine = is_own && is_genuine(Some(&self.sealer), grant, &refresh.token, refresh.text);
        let refreshable = grant.refreshable().filter(|_| genuine).ok_or_else(unknown_refresh_token)?;
        audit::about(grant);
        let (generation, grace) = (refresh.token.generation, self.settings.lifetimes.grace);
        let refresh_use = refreshable.judge(generation, grace, now).ok_or_else(unknown_refresh_token)?;
        tracing::debug!(?refresh_use, generation, "the refresh token belongs to this grant");
        Ok((refreshable, refresh_use))
    }

    fn still_admits(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Person(person) => self.settings.access.admits(person.email.as_deref(), &person.groups),
            // `[access]` is about people.
            Subject::Client => true,
        }
    }

    /// The refresh token for the client. Within the grace period that is the current one again, so that all
    /// requests that race with one token get the same successor.
    fn next_refresh_token(
        &self,
        grant: &Grant,
        refreshable: Refreshable<'_>,
        refresh_use: RefreshUse,
    ) -> Result<String, OAuthError> {
        let (id, chain) = (grant.id(), refreshable.chain());
        if refresh_use != RefreshUse::Retry {
            return Ok(refresh_text(&self.sealer, id, chain, chain.generation + 1));
        }
        let mut made = refresh_texts(&self.sealer, id, chain, chain.generation);
        made.find(|made| chain.current.matches(made)).ok_or_else(unknown_refresh_token)
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

fn too_wide() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidScope, "the scope exceeds what was granted")
}
