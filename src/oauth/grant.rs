//! Grants: what one person allowed one client at one resource.
//!
//! A grant is one record. Its code, its refresh token, its live access tokens and its sealed
//! upstream session live and die in it, and each transition here makes the next record.

mod refresh;
mod standing;

use std::{net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};

pub use self::{
    refresh::{Exchange, RefreshChain, RefreshUse},
    standing::Standing,
};
use super::{
    authorization::{AuthorizationRequest, CodeChallenge},
    client::ClientId,
    error::{ErrorCode, OAuthError, refuse},
    operator::Operated,
    redirect::ReturnAddress,
    resource::Resource,
    scope::Scope,
    token::{GrantId, PersonClaim, PersonClaims, TokenId},
};
use crate::{
    clock::{SKEW, UnixTime},
    secret::TokenHash,
};

/// Access tokens of one grant that are remembered at once; another one drops the oldest. Far above what
/// clients that race with one refresh token come to, and low enough to keep the record small.
pub const MOST_LIVE_TOKENS: usize = 32;

/// The person, as the upstream vouched for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Stable upstream id, the `sub` of tokens.
    pub subject: String,
    /// The address that counts for `[access]`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub email: Option<String>,
    /// An address that nothing verified: operators see it, and nothing is decided by it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unverified_email: Option<String>,
    /// What they sign in with, where the upstream says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub username: Option<String>,
    /// Those of their groups that the operator had listed when they signed in.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub groups: Vec<String>,
}

impl Person {
    /// The address by which operators know the person, verified or not.
    #[must_use]
    pub fn known_email(&self) -> Option<&str> {
        self.email.as_deref().or(self.unverified_email.as_deref())
    }

    /// What a token says of them.
    #[must_use]
    pub fn claims(&self, wanted: &[PersonClaim]) -> PersonClaims<'_> {
        let is_wanted = |claim| wanted.contains(&claim);
        PersonClaims {
            email: self.email.as_deref().filter(|_| is_wanted(PersonClaim::Email)),
            username: self.username.as_deref().filter(|_| is_wanted(PersonClaim::Username)),
            groups: is_wanted(PersonClaim::Groups).then_some(&*self.groups),
        }
    }
}

/// The upstream's session behind a grant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UpstreamSession {
    /// The upstream tokens, sealed.
    pub sealed: String,
    /// When the upstream last said that the session is good.
    pub checked_at: UnixTime,
    /// Until then one process has taken it upon itself to ask.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checking_until: Option<UnixTime>,
}

/// An access token that was issued and not revoked. It is stored as a list, for a record may hold
/// many of them and should fit into one page of a database.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "StoredToken", into = "StoredToken")]
pub struct LiveToken {
    /// Its number within the grant.
    pub number: u64,
    /// Its hash.
    pub hash: TokenHash,
    /// When it was issued.
    pub issued_at: UnixTime,
    /// When it ends.
    pub expires_at: UnixTime,
    /// Its scope, where narrower than the grant's.
    pub scope: Option<Scope>,
}

type StoredToken = (u64, TokenHash, UnixTime, UnixTime, Option<Scope>);

impl From<StoredToken> for LiveToken {
    fn from((number, hash, issued_at, expires_at, scope): StoredToken) -> Self {
        Self { number, hash, issued_at, expires_at, scope }
    }
}

impl From<LiveToken> for StoredToken {
    fn from(token: LiveToken) -> Self {
        (token.number, token.hash, token.issued_at, token.expires_at, token.scope)
    }
}

/// What is remembered of the code, issued or spent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Code {
    /// Its hash.
    pub hash: TokenHash,
    /// What the redeemer must prove.
    pub challenge: CodeChallenge,
    /// When it ends.
    pub expires_at: UnixTime,
    /// The approval that led to it, until it is spent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub approval: Option<String>,
}

/// Why a grant ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokedBy {
    /// The client, at the revocation endpoint.
    Client,
    /// A code was redeemed twice.
    CodeReplay,
    /// An old refresh token came back.
    RefreshReuse,
    /// The upstream ended the session or disabled the person.
    Upstream,
    /// The operator.
    Operator,
}

impl RevokedBy {
    /// The word for logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::CodeReplay => "code_replay",
            Self::RefreshReuse => "refresh_reuse",
            Self::Upstream => "upstream",
            Self::Operator => "operator",
        }
    }
}

/// Where a grant stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The code is on its way to the client.
    CodeIssued(Code),
    /// Tokens are out.
    Active(Active),
    /// It ended before its time.
    Revoked {
        /// When.
        at: UnixTime,
        /// Why.
        by: RevokedBy,
        /// When the last of its access tokens ends: so long may somebody accept it who does not ask.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        live_until: Option<UnixTime>,
    },
}

/// The tokens of a grant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Active {
    /// The spent code, to know it again.
    pub code: Code,
    /// The refresh token, if the client may have one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refresh: Option<RefreshChain>,
    /// Its access tokens.
    pub live: Vec<LiveToken>,
    /// The access tokens that were dropped though they had not expired.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dropped: Option<DroppedTokens>,
}

/// Access tokens that are no longer remembered, because too many others were issued after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedTokens {
    /// The number of the last one.
    pub last: u64,
    /// When the last of them ends.
    pub expires_at: UnixTime,
}

/// How long after a decision the same decision has the same outcome: the person clicked twice.
pub const DOUBLE_CLICK: Duration = Duration::from_secs(10);

/// What one person allowed one client at one resource.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grant {
    /// Its name.
    pub id: GrantId,
    /// To whom.
    pub client_id: ClientId,
    /// By whom.
    pub person: Person,
    /// At which MCP server.
    pub resource: Resource,
    /// What.
    pub scope: Scope,
    /// Where the code was sent.
    pub return_address: ReturnAddress,
    /// When the person allowed it.
    pub created_at: UnixTime,
    /// From which address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub consented_from: Option<IpAddr>,
    /// When tokens were last issued.
    pub last_used_at: UnixTime,
    /// When the record may go.
    pub expires_at: UnixTime,
    /// Access tokens issued so far.
    pub issued: u64,
    /// How often a refresh token was used again after the grace period, because its successor was unused.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub late_retries: u64,
    /// The upstream's session.
    pub upstream: UpstreamSession,
    /// Where it stands.
    pub state: State,
    /// What an operator last did with it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub operated: Option<Operated>,
}

/// What a redeemer presents.
#[derive(Debug, Clone, Copy)]
pub struct Redemption<'a> {
    /// The authenticated client.
    pub client_id: &'a ClientId,
    /// The code.
    pub code: &'a str,
    /// The PKCE verifier.
    pub code_verifier: &'a str,
    /// Where the code was received, if it says so.
    pub redirect_uri: Option<&'a str>,
}

/// What a lawful redemption means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeUse {
    /// The code is good.
    First,
    /// Everything fits, but the code was used before: what it yielded must end.
    Replay,
}

impl Grant {
    /// A new grant whose code is on its way.
    #[must_use]
    pub fn with_code(
        id: GrantId,
        request: AuthorizationRequest,
        person: Person,
        upstream: UpstreamSession,
        (code, code_expires_at): (TokenHash, UnixTime),
        (now, expires_at): (UnixTime, UnixTime),
    ) -> Self {
        let code = Code {
            hash: code,
            challenge: request.code_challenge,
            expires_at: code_expires_at,
            approval: None,
        };
        Self {
            id,
            client_id: request.client_id,
            person,
            resource: request.resource,
            scope: request.scope,
            return_address: request.return_address,
            created_at: now,
            consented_from: None,
            last_used_at: now,
            expires_at,
            issued: 0,
            late_retries: 0,
            upstream,
            state: State::CodeIssued(code),
            operated: None,
        }
    }

    /// The grant, whose code this approval has led to.
    #[must_use]
    pub fn approved_by(mut self, approval: &str) -> Self {
        if let State::CodeIssued(code) = &mut self.state {
            code.approval = Some(approval.to_owned());
        }
        self
    }

    /// Whether the code is on its way since a moment ago: the browser may have dropped the answer
    /// that had it, because the person clicked twice.
    #[must_use]
    pub fn is_on_its_way(&self, now: UnixTime) -> bool {
        matches!(self.state, State::CodeIssued(_)) && now.since(self.created_at) < DOUBLE_CLICK
    }

    /// Whether this very code is on its way, and this approval is another click than the one that
    /// led to it.
    #[must_use]
    pub fn may_send_again(&self, code: &str, approval: &str, now: UnixTime) -> bool {
        let State::CodeIssued(issued) = &self.state else { return false };
        let is_another = issued.approval.as_deref().is_some_and(|first| first != approval);
        is_another && issued.hash.matches(code) && self.is_on_its_way(now)
    }

    /// Judges a redemption. A defect changes nothing: neither is an unused code burnt nor a used
    /// one's tokens ended (OAuth 2.1 section 7.5.3).
    ///
    /// # Errors
    ///
    /// `invalid_grant`.
    pub fn judge_code(&self, presented: Redemption<'_>, now: UnixTime) -> Result<CodeUse, OAuthError> {
        let (code, code_use) = match &self.state {
            State::CodeIssued(code) => (code, CodeUse::First),
            State::Active(active) => (&active.code, CodeUse::Replay),
            State::Revoked { .. } => return Err(unknown_code()),
        };
        let genuine = code.hash.matches(presented.code);
        if !genuine || *presented.client_id != self.client_id {
            return Err(unknown_code());
        }
        if presented.redirect_uri.is_some_and(|uri| !self.return_address.is_spelled_by(uri)) {
            return refuse(
                ErrorCode::InvalidGrant,
                "redirect_uri differs from the one of the authorization request",
            );
        }
        if !code.challenge.is_met_by(presented.code_verifier) {
            return refuse(ErrorCode::InvalidGrant, "code_verifier does not fit");
        }
        if code_use == CodeUse::First && now >= code.expires_at {
            return refuse(ErrorCode::InvalidGrant, "the code has expired");
        }
        Ok(code_use)
    }

    /// The grant with its code spent. Only a grant whose code is on its way has this step.
    #[must_use]
    pub fn redeemed(mut self, refresh: Option<RefreshChain>, token: LiveToken, expires_at: UnixTime) -> Self {
        if let State::CodeIssued(mut code) = self.state {
            code.approval = None;
            self.state = State::Active(Active { code, refresh, live: Vec::new(), dropped: None });
            self.expires_at = expires_at;
        }
        self.with_token(token)
    }

    /// Judges a genuine refresh token of `generation`. `None` when the grant has none any more.
    #[must_use]
    pub fn judge_refresh(&self, generation: u64, grace: Duration, now: UnixTime) -> Option<RefreshUse> {
        self.active()?.refresh.as_ref()?.judge(generation, grace, now)
    }

    /// The grant with its refresh token of `generation` exchanged for `successor`.
    #[must_use]
    pub fn refreshed(mut self, generation: u64, successor: TokenHash, idle: Duration, now: UnixTime) -> Self {
        let end = self.expires_at;
        if let State::Active(Active { refresh: Some(chain), .. }) = &mut self.state {
            self.late_retries += u64::from(generation != chain.generation);
            chain.exchange(generation, successor, now);
            chain.expires_at = now.plus(idle).min(end);
        }
        self
    }

    /// The grant with one more access token; those are forgotten that have expired, in the eyes of slower
    /// clocks, too.
    #[must_use]
    pub fn with_token(mut self, token: LiveToken) -> Self {
        if let State::Active(active) = &mut self.state {
            self.issued = token.number;
            self.last_used_at = token.issued_at;
            active.live.retain(|live| token.issued_at < live.expires_at.plus(SKEW));
            let surplus = (active.live.len() + 1).saturating_sub(MOST_LIVE_TOKENS);
            let dropped = active.live.drain(..surplus).map(|live| (live.number, live.expires_at));
            active.dropped = dropped.fold(active.dropped, |before, (last, ends)| {
                let expires_at = before.map_or(ends, |before| before.expires_at.max(ends));
                Some(DroppedTokens { last, expires_at })
            });
            active.dropped = active.dropped.filter(|dropped| token.issued_at < dropped.expires_at);
            active.live.push(token);
        }
        self
    }

    /// The grant without one of its access tokens.
    #[must_use]
    pub fn without_token(mut self, number: u64) -> Self {
        if let State::Active(active) = &mut self.state {
            active.live.retain(|live| live.number != number);
        }
        self
    }

    /// The grant, ended.
    #[must_use]
    pub fn revoked(mut self, by: RevokedBy, at: UnixTime) -> Self {
        if !matches!(self.state, State::Revoked { .. }) {
            let live_until = self.accepted_until(at);
            self.state = State::Revoked { at, by, live_until };
            self.upstream.sealed.clear();
        }
        self
    }

    /// The name of the access token that would be issued next.
    #[must_use]
    pub fn next_token(&self) -> TokenId {
        TokenId { grant: self.id.clone(), number: self.issued + 1 }
    }

    /// The live access token whose text is `text`.
    #[must_use]
    pub fn live_token(&self, number: u64, text: &str, now: UnixTime) -> Option<&LiveToken> {
        let live = self.active()?.live.iter().find(|live| live.number == number)?;
        (now < live.expires_at && live.hash.matches(text)).then_some(live)
    }

    /// The tokens, while there are any.
    #[must_use]
    pub const fn active(&self) -> Option<&Active> {
        match &self.state {
            State::Active(active) => Some(active),
            State::CodeIssued(_) | State::Revoked { .. } => None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The one answer to every code that was not issued to whoever presents it, so that nobody learns
/// from it whether a grant exists.
pub(crate) fn unknown_code() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, "the code is unknown or no longer valid")
}

#[cfg(test)]
mod tests;
