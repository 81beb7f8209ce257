//! The states of a grant, and the transitions that each of them has.
//!
//! A transition makes the next record from the one that was read. It is a method of a view that only a grant in
//! the right state has, so no transition can be asked of the wrong one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Grant, HeldSession, LiveToken, MOST_LIVE_TOKENS, RefreshChain, RefreshUse};
use crate::{
    clock::{SKEW, UnixTime},
    oauth::authorization::CodeChallenge,
    secret::TokenHash,
};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// The code is on its way to the client.
    CodeIssued(Code),
    Active(Tokens),
    /// The grant ended before its time.
    Revoked(Revocation),
}

/// What is remembered of a code, issued or redeemed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Code {
    pub(super) hash: TokenHash,
    pub(super) challenge: CodeChallenge,
    pub(super) expires_at: UnixTime,
    /// The approval that led to it, until it is redeemed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) approval: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Tokens {
    /// The redeemed code, so that a replay is recognised. A machine client has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) code: Option<Code>,
    /// Absent for clients that may not refresh.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) refresh: Option<RefreshChain>,
    pub(super) live: Vec<LiveToken>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) dropped: Option<DroppedTokens>,
}

/// Access tokens that are no longer remembered, because too many others were issued after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DroppedTokens {
    /// The highest of their numbers.
    pub(super) last: u64,
    /// When the last of them expires.
    pub(super) expires_at: UnixTime,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Revocation {
    pub at: UnixTime,
    /// By whom, or why.
    pub by: RevokedBy,
    /// When the last of its access tokens expires: resource servers that verify tokens offline accept it until
    /// then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) live_until: Option<UnixTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokedBy {
    /// The client asked for it, at the revocation endpoint.
    Client,
    /// A code was redeemed twice.
    CodeReplay,
    /// A refresh token was used that had ended.
    RefreshReuse,
    /// The upstream ended the session or disabled the person.
    Upstream,
    /// The operator asked for it, or no longer admits the person.
    Operator,
    /// The person disconnected the client.
    User,
}

impl RevokedBy {
    /// The word in the log and in the output of commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::CodeReplay => "code_replay",
            Self::RefreshReuse => "refresh_reuse",
            Self::Upstream => "upstream",
            Self::Operator => "operator",
            Self::User => "user",
        }
    }
}

/// A grant whose code is on its way to the client.
#[derive(Debug, Clone, Copy)]
pub struct CodeIssued<'a> {
    pub(super) grant: &'a Grant,
    pub(super) code: &'a Code,
}

impl CodeIssued<'_> {
    /// The grant after its code was exchanged for this access token, and for the first refresh token where the
    /// client may have one. `expires_at` is when the record can be deleted.
    #[must_use]
    pub fn redeem(self, refresh: Option<RefreshChain>, token: LiveToken, expires_at: UnixTime) -> Grant {
        let code = Code { approval: None, ..self.code.clone() };
        let tokens = Tokens { code: Some(code), ..Tokens::default() };
        Grant { expires_at, ..self.grant.with_token(&tokens, refresh, token) }
    }
}

/// A grant whose code was redeemed.
#[derive(Debug, Clone, Copy)]
pub struct Active<'a> {
    pub(super) grant: &'a Grant,
    pub(super) tokens: &'a Tokens,
}

impl<'a> Active<'a> {
    /// The grant with its refresh tokens, where the client may refresh.
    #[must_use]
    pub fn refreshable(self) -> Option<Refreshable<'a>> {
        let chain = self.tokens.refresh.as_ref()?;
        Some(Refreshable { active: self, chain })
    }

    /// The upstream session, where there is one.
    #[must_use]
    pub fn session(self) -> Option<HeldSession<'a>> {
        HeldSession::of(self.grant)
    }

    /// The grant after one of its access tokens was revoked.
    #[must_use]
    pub fn without_token(self, number: u64) -> Grant {
        let live = self.tokens.live.iter().filter(|live| live.number != number).cloned().collect();
        self.grant.with_state(State::Active(Tokens { live, ..self.tokens.clone() }))
    }
}

/// An active grant whose client may refresh.
#[derive(Debug, Clone, Copy)]
pub struct Refreshable<'a> {
    active: Active<'a>,
    chain: &'a RefreshChain,
}

impl<'a> Refreshable<'a> {
    /// Every refresh token that the grant has had.
    #[must_use]
    pub const fn chain(self) -> &'a RefreshChain {
        self.chain
    }

    /// Judges a genuine refresh token of `generation`. `None` when the chain has expired or has no such token
    /// yet.
    #[must_use]
    pub fn judge(self, generation: u64, grace: Duration, now: UnixTime) -> Option<RefreshUse> {
        self.chain.judge(generation, grace, now)
    }

    /// The grant after its refresh token of `generation`, the current one or its parent, was exchanged for
    /// `successor` and this access token. The successor expires after `idle` without use.
    #[must_use]
    pub fn rotate(self, generation: u64, successor: TokenHash, idle: Duration, token: LiveToken) -> Grant {
        let (grant, now) = (self.active.grant, token.issued_at);
        let mut chain = self.chain.clone();
        let is_late = generation != chain.generation;
        chain.exchange(generation, successor, now);
        chain.expires_at = now.plus(idle).min(grant.expires_at);
        let mut rotated = grant.with_token(self.active.tokens, Some(chain), token);
        rotated.late_retries += u64::from(is_late);
        rotated
    }

    /// The grant after a retry, which got the current refresh token again and this access token.
    #[must_use]
    pub fn repeat(self, token: LiveToken) -> Grant {
        self.active.grant.with_token(self.active.tokens, Some(self.chain.clone()), token)
    }
}

impl Grant {
    pub(super) fn with_state(&self, state: State) -> Self {
        Self {
            id: self.id.clone(),
            terms: self.terms.clone(),
            last_used_at: self.last_used_at,
            expires_at: self.expires_at,
            issued: self.issued,
            late_retries: self.late_retries,
            session: self.session.clone(),
            state,
            operated: self.operated.clone(),
        }
    }

    /// The grant with one more access token. Expired tokens are forgotten, allowing for slower clocks.
    fn with_token(&self, tokens: &Tokens, refresh: Option<RefreshChain>, token: LiveToken) -> Self {
        let (now, number) = (token.issued_at, token.number);
        let mut live = Vec::with_capacity(tokens.live.len() + 1);
        live.extend(tokens.live.iter().filter(|live| now < live.expires_at.plus(SKEW)).cloned());
        let surplus = (live.len() + 1).saturating_sub(MOST_LIVE_TOKENS);
        let dropped = live.drain(..surplus).fold(tokens.dropped, |before, live| {
            let expires_at = before.map_or(live.expires_at, |before| before.expires_at.max(live.expires_at));
            Some(DroppedTokens { last: live.number, expires_at })
        });
        live.push(token);
        let dropped = dropped.filter(|dropped| now < dropped.expires_at);
        let state = State::Active(Tokens { code: tokens.code.clone(), refresh, live, dropped });
        Self { issued: number, last_used_at: now, ..self.with_state(state) }
    }
}
