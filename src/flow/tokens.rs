//! Codes and refresh tokens become access tokens. Each request replaces one record, once.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::AuthorizationServer;
use crate::{
    audit::{self, Event, Issued},
    clock::{SKEW, UnixTime},
    oauth::{
        client::{Client, GrantType},
        credentials::Credentials,
        error::{ErrorCode, OAuthError, refuse},
        grant::{CodeUse, Grant, LiveToken, Redemption, RefreshChain, RefreshUse, RevokedBy, unknown_code},
        params::Params,
        scope::Scope,
        token::{Claims, GrantId, RefreshToken, TokenId, grant_of_code, issued_at},
    },
    repository::Stored,
    secret::{Sealer, TokenHash, constant_time_eq, encode},
    upstream::{SessionCheck, UpstreamTokens},
};

/// How often the upstream is asked about one grant, at most.
const CHECK_EVERY: Duration = Duration::from_mins(1);
/// How long a client waits for the upstream. Many give up after five seconds.
const CHECK_PATIENCE: Duration = Duration::from_secs(3);
/// How long one process keeps the others from asking, should it die over it: also those whose clocks are
/// ahead, for what the upstream gives out once must not be asked for twice.
const CHECK_TAKES: Duration = SKEW.saturating_add(Duration::from_mins(2));
/// How long a check waits until fewer calls of the upstream are under way.
const TURN_PATIENCE: Duration = Duration::from_secs(5);
/// Attempts to replace a record that others replace at the same time.
pub(super) const ATTEMPTS: usize = 64;

/// A successful answer of the token endpoint (RFC 6749 section 5.1).
#[derive(Debug, Serialize)]
pub struct TokenResponse {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Scope::is_empty")]
    scope: Scope,
}

/// A refresh request, understood but not judged.
struct Refresh<'a> {
    client: &'a Client,
    text: &'a str,
    token: RefreshToken,
    scope: Option<Scope>,
    resource: Vec<&'a str>,
}

/// What came of asking the upstream about a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    GoesOn,
    Ended,
}

impl AuthorizationServer {
    /// Serves a token request of a caller with these credentials.
    ///
    /// # Errors
    ///
    /// As RFC 6749 section 5.2 has them.
    pub async fn token(
        self: &Arc<Self>,
        params: &Params<'_>,
        credentials: &Credentials,
    ) -> Result<TokenResponse, OAuthError> {
        const KNOWN: [&str; 6] =
            ["grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope"];
        let now = self.now();
        params.refuse_repeated(&KNOWN)?;
        let grant_type = match params.required("grant_type")? {
            "authorization_code" => GrantType::AuthorizationCode,
            "refresh_token" => GrantType::RefreshToken,
            _ => return refuse(ErrorCode::UnsupportedGrantType, "this grant_type is not offered"),
        };
        let client =
            self.authenticated(&credentials.client_id, credentials.client_secret.as_deref(), now).await?;
        if !client.may_use(grant_type) {
            return refuse(ErrorCode::UnauthorizedClient, "the client is not registered for this grant_type");
        }
        let answer = match grant_type {
            GrantType::AuthorizationCode => self.redeem(params, &client, now).await,
            GrantType::RefreshToken => self.refresh(params, &client, now).await,
        };
        answer.map_err(OAuthError::of_a_client)
    }

    async fn redeem(
        &self,
        params: &Params<'_>,
        client: &Client,
        now: UnixTime,
    ) -> Result<TokenResponse, OAuthError> {
        let redemption = Redemption {
            client_id: &client.client_id,
            code: params.required("code")?,
            code_verifier: params.required("code_verifier")?,
            redirect_uri: params.one("redirect_uri")?,
        };
        let id = grant_of_code(redemption.code).ok_or_else(unknown_code)?;
        for _ in 0..ATTEMPTS {
            let read = self.grants.get(id.as_str(), now).await?.ok_or_else(unknown_code)?;
            let code_use = read.value.judge_code(redemption, now)?;
            audit::about(&read.value);
            tracing::debug!(?code_use, "the code fits its grant, client and verifier");
            self.require_resource(&read.value, params.all("resource"))?;
            if code_use == CodeUse::Replay {
                self.end(read, RevokedBy::CodeReplay, now).await?;
                return refuse(
                    ErrorCode::InvalidGrant,
                    "the code was used before; what it yielded has been revoked",
                );
            }
            let ends = now.plus(self.settings.lifetimes.grant);
            let (refresh, refresh_text) = self.first_refresh_token(&read.value.id, client, ends, now).unzip();
            let (text, live) = self.access_token(&read.value, None, now).await?;
            let over = live.expires_at.plus(CHECK_EVERY).max(read.value.expires_at);
            let kept_until = if refresh.is_some() { ends } else { over };
            let scope = read.value.scope.clone();
            let redeemed = read.value.clone().redeemed(refresh, live, kept_until);
            if let Some(stored) = self.grants.replace(read, redeemed, now).await? {
                record_issue(Issued::Tokens, &stored.value, &scope);
                return Ok(self.response(text, refresh_text, scope));
            }
        }
        Err(too_much_contention())
    }

    async fn refresh(
        self: &Arc<Self>,
        params: &Params<'_>,
        client: &Client,
        now: UnixTime,
    ) -> Result<TokenResponse, OAuthError> {
        let text = params.required("refresh_token")?;
        let token = RefreshToken::parse(text).ok_or_else(unknown_refresh_token)?;
        let scope = params.one("scope")?.map(Scope::parse).transpose()?;
        let refresh = Refresh { client, text, token, scope, resource: params.all("resource").collect() };
        for _ in 0..ATTEMPTS {
            let (read, refresh_use) = self.judge_refresh(&refresh, now).await?;
            let Some(read) = self.checked_upstream(read, now).await? else { continue };
            let (grant, next) = self.successor(read.value.clone(), &refresh, refresh_use, now)?;
            let narrowed = refresh.scope.as_ref().and_then(|scope| grant.scope.narrowed_to(scope));
            let narrowed = narrowed.filter(|scope| *scope != grant.scope);
            let (access_token, live) = self.access_token(&grant, narrowed.as_ref(), now).await?;
            let granted = narrowed.unwrap_or_else(|| grant.scope.clone());
            if let Some(stored) = self.grants.replace(read, grant.with_token(live), now).await? {
                record_refresh(&stored.value, &refresh, refresh_use, &granted);
                return Ok(self.response(access_token, Some(next), granted));
            }
        }
        Err(too_much_contention())
    }

    /// The grant of a refresh token that may be used; reuse ends it.
    async fn judge_refresh(
        &self,
        refresh: &Refresh<'_>,
        now: UnixTime,
    ) -> Result<(Stored<Grant>, RefreshUse), OAuthError> {
        let id = refresh.token.grant.as_str();
        let read = self.grants.get(id, now).await?.ok_or_else(unknown_refresh_token)?;
        let grant = &read.value;
        if grant.client_id != refresh.client.client_id
            || !self.is_genuine(grant, &refresh.token, refresh.text)
        {
            return Err(unknown_refresh_token());
        }
        audit::about(grant);
        let grace = self.settings.lifetimes.grace;
        let refresh_use =
            grant.judge_refresh(refresh.token.generation, grace, now).ok_or_else(unknown_refresh_token)?;
        let generation = refresh.token.generation;
        tracing::debug!(?refresh_use, generation, "the refresh token is this grant's");
        if refresh_use == RefreshUse::Reuse {
            Event::RefreshReuse { generation }.record();
            self.end(read, RevokedBy::RefreshReuse, now).await?;
            return refuse(
                ErrorCode::InvalidGrant,
                "the refresh token was used before; the grant has been revoked",
            );
        }
        if !self.settings.access.admits(grant.person.email.as_deref(), &grant.person.groups) {
            Event::PolicyDenial.record();
            self.end(read, RevokedBy::Operator, now).await?;
            return refuse(ErrorCode::InvalidGrant, "this person is no longer allowed to sign in here");
        }
        self.require_resource(grant, refresh.resource.iter().copied())?;
        if refresh.scope.as_ref().is_some_and(|scope| grant.scope.narrowed_to(scope).is_none()) {
            return refuse(ErrorCode::InvalidScope, "the scope exceeds what was granted");
        }
        Ok((read, refresh_use))
    }

    /// Whether we made this token. The current one is known by its hash, any other by making it
    /// again: so nobody who merely knows the name of a grant can end it.
    pub(super) fn is_genuine(&self, grant: &Grant, token: &RefreshToken, text: &str) -> bool {
        let Some(chain) = grant.active().and_then(|active| active.refresh.as_ref()) else { return false };
        if token.generation == chain.generation {
            return chain.current.matches(text);
        }
        let mut made = refresh_texts(&self.sealer, &grant.id, chain, token.generation);
        made.any(|made| constant_time_eq(made.as_bytes(), text.as_bytes()))
    }

    /// The grant after a refresh, and the refresh token that the client gets. Within the grace period
    /// that is the current one again, so that all who race with one token go on with the same successor.
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
                let next = self.refresh_text(&grant.id, chain, chain.generation + 1);
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

    /// The grant, once the upstream has had its say; `None` when the record changed meanwhile and
    /// must be judged again. At most one process asks, at most once a minute. Requests that come in
    /// between are served, and so is one that would wait too long: an upstream that is slow or down ends
    /// no session. Its answer is stored whenever it comes, because it may bring a new one-time token.
    async fn checked_upstream(
        self: &Arc<Self>,
        read: Stored<Grant>,
        now: UnixTime,
    ) -> Result<Option<Stored<Grant>>, OAuthError> {
        let session = &read.value.upstream;
        let being_checked = session.checking_until.is_some_and(|until| now < until);
        if being_checked || now.since(session.checked_at) < CHECK_EVERY {
            return Ok(Some(read));
        }
        let mut claimed = read.value.clone();
        claimed.upstream.checking_until = Some(now.plus(CHECK_TAKES));
        let Some(read) = self.grants.replace(read, claimed, now).await? else { return Ok(None) };
        let (id, server) = (read.value.id.clone(), Arc::clone(self));
        let asking = async move { server.ask_upstream(read, now).await };
        match self.background.within(CHECK_PATIENCE, asking).await.transpose()? {
            Some(Verdict::GoesOn) => {}
            Some(Verdict::Ended) => {
                return refuse(ErrorCode::InvalidGrant, "the sign-in session has ended; sign in again");
            }
            None => tracing::warn!(grant = %id, "the upstream takes long to say whether the session is good"),
        }
        Ok(None)
    }

    /// Asks whether the session is good, and writes down the answer.
    async fn ask_upstream(&self, read: Stored<Grant>, now: UnixTime) -> Result<Verdict, OAuthError> {
        let id = read.value.id.clone();
        let tokens = self.upstream_tokens(&read.value)?;
        match self.check_in_turn(&tokens, now).await {
            SessionCheck::Good(tokens) => {
                tracing::debug!(renewed = tokens.is_some(), "the upstream says that its session is good");
                self.note_session(&id, tokens, now).await?;
            }
            SessionCheck::Unknown(reason) => {
                tracing::warn!(reason, "the upstream cannot say whether the session is good");
                self.note_session(&id, None, now).await?;
            }
            SessionCheck::Ended => {
                self.end(read, RevokedBy::Upstream, now).await?;
                return Ok(Verdict::Ended);
            }
        }
        Ok(Verdict::GoesOn)
    }

    /// Asks the upstream once fewer than [`MOST_UPSTREAM_CALLS`](super::MOST_UPSTREAM_CALLS) are under way.
    async fn check_in_turn(&self, tokens: &UpstreamTokens, now: UnixTime) -> SessionCheck {
        match self.upstream_turn(TURN_PATIENCE).await {
            Some(_turn) => self.upstream.check(tokens, now).await,
            None => SessionCheck::Unknown("too many calls of the upstream are under way".to_owned()),
        }
    }

    /// Writes down that the session was checked, with the upstream's new tokens if it gave any.
    async fn note_session(
        &self,
        id: &GrantId,
        tokens: Option<UpstreamTokens>,
        now: UnixTime,
    ) -> Result<(), OAuthError> {
        let sealed = match tokens {
            None => None,
            Some(tokens) => {
                let plain = serde_json::to_vec(&tokens).map_err(|e| {
                    OAuthError::new(ErrorCode::ServerError, "something went wrong here").caused_by(e)
                })?;
                Some(self.sealer.seal(&["upstream tokens", id.as_str()], &plain))
            }
        };
        for _ in 0..ATTEMPTS {
            let Some(read) = self.grants.get(id.as_str(), now).await? else { return Ok(()) };
            if read.value.active().is_none() {
                return Ok(());
            }
            let mut noted = read.value.clone();
            noted.upstream.checked_at = now;
            noted.upstream.checking_until = None;
            if let Some(sealed) = &sealed {
                noted.upstream.sealed.clone_from(sealed);
            }
            if self.grants.replace(read, noted, now).await?.is_some() {
                return Ok(());
            }
        }
        Err(too_much_contention())
    }

    fn upstream_tokens(&self, grant: &Grant) -> Result<UpstreamTokens, OAuthError> {
        let plain = self.sealer.open(&["upstream tokens", grant.id.as_str()], &grant.upstream.sealed);
        plain.and_then(|plain| serde_json::from_slice(&plain).ok()).ok_or_else(|| {
            OAuthError::new(ErrorCode::ServerError, "something went wrong here")
                .caused_by("the sealed upstream tokens cannot be opened")
        })
    }

    /// Ends a grant, whatever happens to its record meanwhile.
    pub(super) async fn end(
        &self,
        read: Stored<Grant>,
        by: RevokedBy,
        now: UnixTime,
    ) -> Result<(), OAuthError> {
        let id = read.value.id.clone();
        let mut next = Some(read);
        for _ in 0..ATTEMPTS {
            let Some(read) = next else { return Ok(()) };
            let revoked = read.value.clone().revoked(by, now);
            if self.grants.replace(read, revoked, now).await?.is_some() {
                Event::Revocation { by: by.as_str() }.record();
                return Ok(());
            }
            next = self.grants.get(id.as_str(), now).await?;
        }
        Err(too_much_contention())
    }

    /// A refresh token for clients that may refresh, whatever scope they asked for.
    fn first_refresh_token(
        &self,
        id: &GrantId,
        client: &Client,
        ends: UnixTime,
        now: UnixTime,
    ) -> Option<(RefreshChain, String)> {
        if !client.may_use(GrantType::RefreshToken) {
            return None;
        }
        let mut seed = [0; 16];
        self.random.fill(&mut seed);
        let mut chain = RefreshChain {
            seed: encode(&seed),
            generation: 0,
            current: TokenHash::of(""),
            exchanges: Vec::new(),
            expires_at: now.plus(self.settings.lifetimes.refresh).min(ends),
        };
        let text = self.refresh_text(id, &chain, 0);
        chain.current = TokenHash::of(&text);
        Some((chain, text))
    }

    /// The refresh token of a generation: unguessable without the sealing key *and* the record.
    fn refresh_text(&self, id: &GrantId, chain: &RefreshChain, generation: u64) -> String {
        let number = generation.to_string();
        let unguessable = self.sealer.derive(&refresh_context(id, chain, &number));
        RefreshToken { grant: id.clone(), generation }.text(&unguessable)
    }

    async fn access_token(
        &self,
        grant: &Grant,
        narrowed: Option<&Scope>,
        now: UnixTime,
    ) -> Result<(String, LiveToken), OAuthError> {
        let id = grant.next_token();
        let expires_at = now.plus(self.settings.lifetimes.access);
        let claims = Claims {
            iss: &self.settings.issuer,
            sub: &grant.person.subject,
            aud: &grant.resource,
            client_id: grant.client_id.as_str(),
            scope: narrowed.unwrap_or(&grant.scope),
            iat: issued_at(now),
            exp: expires_at,
            jti: id.to_string(),
            person: grant.person.claims(&self.settings.claims),
        };
        self.keys.refresh(self.now()).await?;
        let text = self.keys.sign(&claims, now)?;
        let live = LiveToken {
            number: id.number,
            hash: TokenHash::of(&text),
            issued_at: now,
            expires_at,
            scope: narrowed.cloned(),
        };
        Ok((text, live))
    }

    /// A token request may name the grant's resource, and no other (RFC 8707 section 2.2).
    fn require_resource<'a>(
        &self,
        grant: &Grant,
        mut named: impl Iterator<Item = &'a str>,
    ) -> Result<(), OAuthError> {
        if !self.settings.resources.serve(&grant.resource) {
            return refuse(ErrorCode::InvalidTarget, "the resource of this grant is no longer served here");
        }
        if named.all(|name| self.settings.resources.mean(&grant.resource, name)) {
            return Ok(());
        }
        let error = OAuthError::new(
            ErrorCode::InvalidTarget,
            "the resource is not the one of the authorization request",
        );
        Err(error.caused_by(format!("the grant is for {}", grant.resource)))
    }

    const fn response(
        &self,
        access_token: String,
        refresh_token: Option<String>,
        scope: Scope,
    ) -> TokenResponse {
        let expires_in = self.settings.lifetimes.access.as_secs();
        TokenResponse { access_token, token_type: "Bearer", expires_in, refresh_token, scope }
    }
}

/// What the refresh token of a generation can be: one text for each sealing key, for it may have
/// been made before the present one sealed.
pub(super) fn refresh_texts(
    sealer: &Sealer,
    id: &GrantId,
    chain: &RefreshChain,
    generation: u64,
) -> impl Iterator<Item = String> {
    let number = generation.to_string();
    let token = RefreshToken { grant: id.clone(), generation };
    let derived = sealer.derivations(&refresh_context(id, chain, &number));
    derived.map(move |unguessable| token.text(&unguessable))
}

fn refresh_context<'a>(id: &'a GrantId, chain: &'a RefreshChain, number: &'a str) -> [&'a str; 4] {
    ["refresh token", id.as_str(), &chain.seed, number]
}

fn record_issue(how: Issued, grant: &Grant, scope: &Scope) {
    let jti = TokenId { grant: grant.id.clone(), number: grant.issued };
    Event::Issue { how, jti: &jti, scope }.record();
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

fn unknown_refresh_token() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, "the refresh token is unknown or no longer valid")
}

pub(super) fn too_much_contention() -> OAuthError {
    OAuthError::new(ErrorCode::TemporarilyUnavailable, "too many requests for this grant at once; try again")
}
