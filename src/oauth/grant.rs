//! Grants: what one person allowed one client at one resource, or what a machine client got there.
//!
//! A grant is one record. Its code, its refresh token, its live access tokens and its sealed upstream session
//! live and die in it. Its fields are private, and each transition makes the next record: see
//! [`CodeIssued`], [`Active`], [`Refreshable`] and [`HeldSession`].

mod live_token;
mod person;
mod refresh;
mod session;
mod standing;
mod state;
mod stored;

use std::{net::IpAddr, time::Duration};

use self::state::{Code, State, Tokens};
pub use self::{
    live_token::LiveToken,
    person::{Person, Subject, UpstreamId},
    refresh::{Exchange, RefreshChain, RefreshUse},
    session::{CHECK_EVERY, HeldSession, UpstreamSession},
    standing::{Progress, Standing},
    state::{Active, CodeIssued, Refreshable, Revocation, RevokedBy},
};
use super::{
    authorization::AuthorizationRequest,
    client::ClientId,
    error::{ErrorCode, OAuthError, refuse},
    operator::Operated,
    redirect::ReturnAddress,
    resource::Resource,
    scope::Scope,
    token::{GrantId, TokenId},
};
use crate::{clock::UnixTime, secret::TokenHash};

/// Maximum live access tokens per grant. Issuing another drops the oldest. Far above what clients that race with
/// one refresh token come to, and low enough to keep the record small.
pub const MOST_LIVE_TOKENS: usize = 32;

/// How long after a decision the same decision has the same outcome, because people double-click.
pub const DOUBLE_CLICK: Duration = Duration::from_secs(10);

/// What one person allowed one client at one resource. The grant of a machine client has one access token, and
/// nothing else.
#[derive(Debug, Clone)]
pub struct Grant {
    id: GrantId,
    terms: Terms,
    /// When tokens were last issued.
    last_used_at: UnixTime,
    /// When the record can be deleted.
    expires_at: UnixTime,
    /// Access tokens issued so far.
    issued: u64,
    late_retries: u64,
    session: Option<UpstreamSession>,
    state: State,
    operated: Option<Operated>,
}

/// What was granted, to whom and why. It never changes.
#[derive(Debug, Clone)]
pub struct Terms {
    pub client_id: ClientId,
    pub subject: Subject,
    pub basis: Basis,
    pub resource: Resource,
    /// The most that tokens of the grant allow.
    pub scope: Scope,
    pub granted_at: UnixTime,
}

/// On what grounds a grant was made.
#[derive(Debug, Clone)]
pub enum Basis {
    /// A user agreed on the consent page.
    Consent {
        /// Where the code was sent.
        return_address: ReturnAddress,
        /// From which address the user agreed, where that is known.
        from: Option<IpAddr>,
    },
    /// The operator allowed it to a machine client.
    Allowance,
}

impl Basis {
    /// Where the code was sent, if there was one.
    #[must_use]
    pub const fn return_address(&self) -> Option<&ReturnAddress> {
        match self {
            Self::Consent { return_address, .. } => Some(return_address),
            Self::Allowance => None,
        }
    }
}

impl Terms {
    /// What a machine client gets for itself.
    #[must_use]
    pub const fn of_machine(client_id: ClientId, resource: Resource, scope: Scope, at: UnixTime) -> Self {
        let (subject, basis) = (Subject::Client, Basis::Allowance);
        Self { client_id, subject, basis, resource, scope, granted_at: at }
    }

    /// The `sub` of tokens: the person's, or the client ID of a machine client.
    #[must_use]
    pub fn sub(&self) -> &str {
        match &self.subject {
            Subject::Person(person) => &person.subject,
            Subject::Client => self.client_id.as_str(),
        }
    }
}

/// A user's consent to an authorization request.
#[derive(Debug)]
pub struct Consent {
    pub request: AuthorizationRequest,
    pub person: Person,
    /// From which address, where that is known.
    pub from: Option<IpAddr>,
    pub at: UnixTime,
}

#[derive(Debug)]
pub struct NewCode {
    /// Of the whole text.
    pub hash: TokenHash,
    /// When it can no longer be redeemed.
    pub expires_at: UnixTime,
    /// The approval that led to it: the click on "Allow".
    pub approval: Option<String>,
}

/// What a client presents to redeem a code.
#[derive(Debug, Clone, Copy)]
pub struct Redemption<'a> {
    /// The client is authenticated.
    pub client_id: &'a ClientId,
    /// The whole text.
    pub code: &'a str,
    /// RFC 7636 section 4.5.
    pub code_verifier: &'a str,
    /// Where the client says that it received the code.
    pub redirect_uri: Option<&'a str>,
}

/// What a code means that fits its grant.
#[derive(Debug, Clone, Copy)]
pub enum CodeUse<'a> {
    First(CodeIssued<'a>),
    /// It was redeemed before: what it yielded must end (OAuth 2.1 section 4.1.3).
    Replay,
}

impl Grant {
    /// A new grant whose code is on its way. `expires_at` is when the record can be deleted if the code is not
    /// redeemed.
    #[must_use]
    pub fn with_code(
        id: GrantId,
        consent: Consent,
        session: UpstreamSession,
        code: NewCode,
        expires_at: UnixTime,
    ) -> Self {
        let Consent { request, person, from, at } = consent;
        let NewCode { hash, expires_at: code_expires_at, approval } = code;
        let terms = Terms {
            client_id: request.client_id,
            subject: Subject::Person(person),
            basis: Basis::Consent { return_address: request.return_address, from },
            resource: request.resource,
            scope: request.scope,
            granted_at: at,
        };
        let code = Code { hash, challenge: request.code_challenge, expires_at: code_expires_at, approval };
        Self {
            id,
            terms,
            last_used_at: at,
            expires_at,
            issued: 0,
            late_retries: 0,
            session: Some(session),
            state: State::CodeIssued(code),
            operated: None,
        }
    }

    /// The grant of a machine client, which has this one token. `expires_at` is when the record can be deleted.
    #[must_use]
    pub fn of_machine(id: GrantId, terms: Terms, token: LiveToken, expires_at: UnixTime) -> Self {
        Self {
            id,
            last_used_at: terms.granted_at,
            terms,
            expires_at,
            issued: token.number,
            late_retries: 0,
            session: None,
            state: State::Active(Tokens { live: vec![token], ..Tokens::default() }),
            operated: None,
        }
    }

    /// The key of its record.
    #[must_use]
    pub const fn id(&self) -> &GrantId {
        &self.id
    }

    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What was granted, for callers that need nothing else of it.
    #[must_use]
    pub fn into_terms(self) -> Terms {
        self.terms
    }

    /// Whether it is of this person: the same subject at the same upstream, whatever else is known of both.
    #[must_use]
    pub fn is_of(&self, person: &Person) -> bool {
        self.terms.subject.person().is_some_and(|own| own.is_same_as(person))
    }

    /// When the record can be deleted. Its code and tokens may end earlier: see [`Grant::usable_until`].
    #[must_use]
    pub const fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    #[must_use]
    pub const fn last_used_at(&self) -> UnixTime {
        self.last_used_at
    }

    #[must_use]
    pub const fn issued(&self) -> u64 {
        self.issued
    }

    /// How often a refresh token was used again after the grace period, because its successor was unused.
    #[must_use]
    pub const fn late_retries(&self) -> u64 {
        self.late_retries
    }

    /// The upstream session, where a person signed in.
    #[must_use]
    pub const fn session(&self) -> Option<&UpstreamSession> {
        self.session.as_ref()
    }

    /// The upstream session with its tokens, which a revoked grant has no more.
    #[must_use]
    pub fn held_session(&self) -> Option<HeldSession<'_>> {
        HeldSession::of(self)
    }

    /// What an operator last did with the grant.
    #[must_use]
    pub const fn operated(&self) -> Option<&Operated> {
        self.operated.as_ref()
    }

    /// Whether the code was issued moments ago and is not redeemed. The browser may have dropped the answer that
    /// carried it, because the user clicked twice.
    #[must_use]
    pub fn is_on_its_way(&self, now: UnixTime) -> bool {
        matches!(self.state, State::CodeIssued(_)) && now.since(self.terms.granted_at) < DOUBLE_CLICK
    }

    /// Whether this code was issued moments ago, and this approval is another click than the one that led to it.
    #[must_use]
    pub fn may_send_again(&self, code: &str, approval: &str, now: UnixTime) -> bool {
        let State::CodeIssued(issued) = &self.state else { return false };
        let is_another = issued.approval.as_deref().is_some_and(|first| first != approval);
        is_another && issued.hash.matches(code) && self.is_on_its_way(now)
    }

    /// Judges a redemption. One that does not fit changes nothing: it neither spends an unused code nor ends the
    /// tokens of a redeemed one (OAuth 2.1 section 7.5.3).
    ///
    /// # Errors
    ///
    /// `invalid_grant`.
    pub fn judge_code(&self, presented: Redemption<'_>, now: UnixTime) -> Result<CodeUse<'_>, OAuthError> {
        let (code, code_use) = match &self.state {
            State::CodeIssued(code) => (code, CodeUse::First(CodeIssued { grant: self, code })),
            State::Active(Tokens { code: Some(code), .. }) => (code, CodeUse::Replay),
            State::Active(_) | State::Revoked(_) => return Err(unknown_code()),
        };
        let genuine = code.hash.matches(presented.code);
        if !genuine || *presented.client_id != self.terms.client_id {
            return Err(unknown_code());
        }
        let return_address = self.terms.basis.return_address();
        let is_elsewhere = |uri| return_address.is_none_or(|address| !address.is_spelled_by(uri));
        if presented.redirect_uri.is_some_and(is_elsewhere) {
            return refuse(
                ErrorCode::InvalidGrant,
                "redirect_uri differs from the one of the authorization request",
            );
        }
        if !code.challenge.is_met_by(presented.code_verifier) {
            return refuse(ErrorCode::InvalidGrant, "code_verifier does not fit");
        }
        if matches!(code_use, CodeUse::First(_)) && now >= code.expires_at {
            return refuse(ErrorCode::InvalidGrant, "the code has expired");
        }
        Ok(code_use)
    }

    /// Whether this is the text of the grant's code, redeemed or not.
    #[must_use]
    pub fn has_code(&self, text: &str) -> bool {
        match &self.state {
            State::CodeIssued(code) => code.hash.matches(text),
            State::Active(tokens) => tokens.code.as_ref().is_some_and(|code| code.hash.matches(text)),
            State::Revoked(_) => false,
        }
    }

    /// The grant, if its code was redeemed and it has not been revoked.
    #[must_use]
    pub const fn active(&self) -> Option<Active<'_>> {
        match &self.state {
            State::Active(tokens) => Some(Active { grant: self, tokens }),
            State::CodeIssued(_) | State::Revoked(_) => None,
        }
    }

    /// The grant with its refresh tokens, if it is active and its client may refresh.
    #[must_use]
    pub fn refreshable(&self) -> Option<Refreshable<'_>> {
        self.active()?.refreshable()
    }

    /// The grant after it was revoked, without its tokens and those of the upstream; `None` if it was revoked
    /// before, so that the first reason stays.
    #[must_use]
    pub fn revoked(&self, by: RevokedBy, at: UnixTime) -> Option<Self> {
        if self.revocation().is_some() {
            return None;
        }
        let live_until = self.accepted_until(at);
        let mut revoked = self.with_state(State::Revoked(Revocation { at, by, live_until }));
        revoked.session.iter_mut().for_each(UpstreamSession::forget_tokens);
        Some(revoked)
    }

    /// The grant, with what an operator did with it.
    #[must_use]
    pub fn noting(self, operated: Option<Operated>) -> Self {
        Self { operated, ..self }
    }

    /// The ID of the access token that would be issued next.
    #[must_use]
    pub fn next_token(&self) -> TokenId {
        TokenId { grant: self.id.clone(), number: self.issued + 1 }
    }

    /// The live access token whose text is `text`.
    #[must_use]
    pub fn live_token(&self, number: u64, text: &str, now: UnixTime) -> Option<&LiveToken> {
        let live = self.active()?.tokens.live.iter().find(|live| live.number == number)?;
        (now < live.expires_at && live.hash.matches(text)).then_some(live)
    }
}

/// The one answer to every code that was not issued to the caller: it does not tell whether a grant exists.
pub(crate) fn unknown_code() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, "the code is unknown or no longer valid")
}

#[cfg(test)]
mod tests;
