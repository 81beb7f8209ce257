//! Grants: what one person allowed one client at one resource.
//!
//! A grant is one record. Its code, its refresh token, its live access tokens and its sealed
//! upstream session live and die in it, and each transition here makes the next record.

use std::{net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    authorization::{AuthorizationRequest, CodeChallenge},
    client::ClientId,
    error::{ErrorCode, OAuthError, refuse},
    redirect::ReturnAddress,
    resource::Resource,
    scope::Scope,
    token::{GrantId, TokenId},
};
use crate::{clock::UnixTime, secret::TokenHash};

/// Access tokens of one grant that are alive at once; the oldest gives way. Far above what clients
/// that race with one refresh token come to, and low enough to keep the record small.
const MOST_LIVE_TOKENS: usize = 32;
/// Rotations whose time is remembered for the grace period.
const MOST_ROTATIONS: usize = 32;

/// The person, as the upstream vouched for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Stable upstream id, the `sub` of tokens.
    pub subject: String,
    /// The address by which operators know them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub email: Option<String>,
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

/// An access token that was issued and not revoked.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scope: Option<Scope>,
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
}

/// The refresh token of a grant: a chain of generations, each made from the seed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefreshChain {
    /// Random, the grant's part in the derivation of every generation.
    pub seed: String,
    /// Rotations so far; the generation of the token that is current.
    pub generation: u64,
    /// The hash of the current token.
    pub current: TokenHash,
    /// When the latest rotations happened, latest last.
    pub rotated_at: Vec<UnixTime>,
    /// When the current token ends for lack of use.
    pub expires_at: UnixTime,
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
}

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
    /// The upstream's session.
    pub upstream: UpstreamSession,
    /// Where it stands.
    pub state: State,
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

/// What a presented refresh token means. Its text has been found genuine by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshUse {
    /// It is the current one.
    Current,
    /// It was rotated, and the answer may have been lost: the successor is unused, or the grace
    /// period runs.
    Retry,
    /// It was rotated and its successor used, long ago: somebody has a copy.
    Reuse,
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
        let code = Code { hash: code, challenge: request.code_challenge, expires_at: code_expires_at };
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
            upstream,
            state: State::CodeIssued(code),
        }
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
            State::Revoked { .. } => return refuse(ErrorCode::InvalidGrant, "the code is no longer valid"),
        };
        let genuine = code.hash.matches(presented.code);
        if !genuine || *presented.client_id != self.client_id {
            return refuse(ErrorCode::InvalidGrant, "the code is unknown, or was issued to another client");
        }
        if presented.redirect_uri.is_some_and(|uri| uri != self.return_address.as_str()) {
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
        if let State::CodeIssued(code) = self.state {
            self.state = State::Active(Active { code, refresh, live: Vec::new() });
            self.expires_at = expires_at;
        }
        self.with_token(token)
    }

    /// Judges a genuine refresh token of `generation`. `None` when the grant has none any more.
    #[must_use]
    pub fn judge_refresh(&self, generation: u64, grace: Duration, now: UnixTime) -> Option<RefreshUse> {
        let chain = self.active()?.refresh.as_ref().filter(|chain| now < chain.expires_at)?;
        let behind = chain.generation.checked_sub(generation)?;
        let rotated_at = usize::try_from(behind).ok().and_then(|behind| {
            chain.rotated_at.len().checked_sub(behind).and_then(|at| chain.rotated_at.get(at))
        });
        Some(match (behind, rotated_at) {
            (0, _) => RefreshUse::Current,
            (1, _) => RefreshUse::Retry,
            (_, Some(&rotated_at)) if now.since(rotated_at) < grace => RefreshUse::Retry,
            _ => RefreshUse::Reuse,
        })
    }

    /// The grant with its refresh token rotated to `successor`.
    #[must_use]
    pub fn rotated(mut self, successor: TokenHash, idle: Duration, now: UnixTime) -> Self {
        let end = self.expires_at;
        if let State::Active(Active { refresh: Some(chain), .. }) = &mut self.state {
            chain.generation += 1;
            chain.current = successor;
            chain.expires_at = now.plus(idle).min(end);
            let surplus = (chain.rotated_at.len() + 1).saturating_sub(MOST_ROTATIONS);
            chain.rotated_at.drain(..surplus);
            chain.rotated_at.push(now);
        }
        self
    }

    /// The grant with one more access token; expired ones are forgotten.
    #[must_use]
    pub fn with_token(mut self, token: LiveToken) -> Self {
        if let State::Active(active) = &mut self.state {
            self.issued = token.number;
            self.last_used_at = token.issued_at;
            active.live.retain(|live| token.issued_at < live.expires_at);
            let surplus = (active.live.len() + 1).saturating_sub(MOST_LIVE_TOKENS);
            active.live.drain(..surplus);
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
            self.state = State::Revoked { at, by };
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GRACE: Duration = Duration::from_secs(120);
    const IDLE: Duration = Duration::from_secs(3600);
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    const fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(1_800_000_000 + seconds)
    }

    fn client(name: &str) -> ClientId {
        ClientId::parse(name).unwrap()
    }

    fn token(number: u64, now: UnixTime) -> LiveToken {
        let expires_at = now.plus(Duration::from_secs(600));
        LiveToken {
            number,
            hash: TokenHash::of(&format!("at{number}")),
            issued_at: now,
            expires_at,
            scope: None,
        }
    }

    fn chain() -> RefreshChain {
        let current = TokenHash::of("rt0");
        RefreshChain { seed: String::new(), generation: 0, current, rotated_at: vec![], expires_at: at(3600) }
    }

    fn with_code() -> Grant {
        let id = GrantId::of_login("s", at(0));
        let upstream =
            UpstreamSession { sealed: "sealed".to_owned(), checked_at: at(0), checking_until: None };
        let request = serde_json::json!({
            "client_id": "c", "return_address": "http://localhost:1/cb", "state": null, "scope": "user",
            "resource": "https://h/mcp", "code_challenge": CodeChallenge::of(VERIFIER), "fresh_sign_in": false,
        });
        let person = Person { subject: "pui_x".to_owned(), email: None };
        let request = serde_json::from_value(request).unwrap();
        Grant::with_code(id, request, person, upstream, (TokenHash::of("code"), at(60)), (at(0), at(1200)))
    }

    fn active() -> Grant {
        with_code().redeemed(Some(chain()), token(1, at(1)), at(100_000))
    }

    fn judge(grant: &Grant, change: impl FnOnce(&mut Redemption<'_>), now: UnixTime) -> Option<CodeUse> {
        let (own, mut redemption);
        own = client("c");
        redemption = Redemption {
            client_id: &own,
            code: "code",
            code_verifier: VERIFIER,
            redirect_uri: Some("http://localhost:1/cb"),
        };
        change(&mut redemption);
        grant.judge_code(redemption, now).ok()
    }

    #[test]
    fn code_2_4_5_8_only_a_redemption_that_fits_counts() {
        let other = client("other");
        for (grant, fits) in [(with_code(), CodeUse::First), (active(), CodeUse::Replay)] {
            assert_eq!(judge(&grant, |_| {}, at(1)), Some(fits));
            assert_eq!(judge(&grant, |r| r.redirect_uri = None, at(1)), Some(fits));
            assert_eq!(judge(&grant, |r| r.code = "other", at(1)), None);
            assert_eq!(judge(&grant, |r| r.code_verifier = "short", at(1)), None);
            assert_eq!(judge(&grant, |r| r.redirect_uri = Some("http://localhost:2/cb"), at(1)), None);
            assert_eq!(judge(&grant, |r| r.client_id = Box::leak(Box::new(other.clone())), at(1)), None);
        }
    }

    #[test]
    fn code_1_a_code_ends_but_its_replay_is_known_for_longer() {
        assert_eq!(judge(&with_code(), |_| {}, at(59)), Some(CodeUse::First));
        assert_eq!(judge(&with_code(), |_| {}, at(60)), None);
        assert_eq!(judge(&active(), |_| {}, at(600)), Some(CodeUse::Replay));
        assert_eq!(judge(&active().revoked(RevokedBy::Client, at(2)), |_| {}, at(3)), None);
    }

    #[test]
    fn a_predecessor_is_retried_while_its_successor_is_unused_or_grace_runs() {
        let once = active().rotated(TokenHash::of("rt1"), IDLE, at(10));
        let twice = once.clone().rotated(TokenHash::of("rt2"), IDLE, at(1000));
        for (grant, generation, now, expected) in [
            (&active(), 0, at(10), Some(RefreshUse::Current)),
            (&active(), 1, at(10), None),
            (&once, 1, at(11), Some(RefreshUse::Current)),
            (&once, 0, at(11), Some(RefreshUse::Retry)),
            (&once, 0, at(3000), Some(RefreshUse::Retry)),
            (&twice, 2, at(1001), Some(RefreshUse::Current)),
            (&twice, 1, at(3000), Some(RefreshUse::Retry)),
            (&twice, 0, at(1001), Some(RefreshUse::Reuse)),
        ] {
            assert_eq!(grant.judge_refresh(generation, GRACE, now), expected, "{generation} {now:?}");
        }
        let quick = once.rotated(TokenHash::of("rt2"), IDLE, at(20));
        assert_eq!(quick.judge_refresh(0, GRACE, at(129)), Some(RefreshUse::Retry));
        assert_eq!(quick.judge_refresh(0, GRACE, at(130)), Some(RefreshUse::Reuse));
        assert_eq!(quick.judge_refresh(0, Duration::ZERO, at(20)), Some(RefreshUse::Reuse));
    }

    #[test]
    fn refresh_7_idle_and_absolute_ends_hold() {
        assert_eq!(active().judge_refresh(0, GRACE, at(3600)), None);
        let mut grant = active();
        for round in 1..40 {
            grant = grant.rotated(TokenHash::of("x"), IDLE, at(round * 3000));
        }
        let end = grant.active().unwrap().refresh.as_ref().unwrap().expires_at;
        assert_eq!(end, at(100_000));
    }

    #[test]
    fn live_tokens_are_few_and_known_by_their_text() {
        let mut grant = active();
        for number in 2..=100 {
            grant = grant.with_token(token(number, at(2)));
        }
        assert_eq!(grant.active().unwrap().live.len(), MOST_LIVE_TOKENS);
        assert!(grant.live_token(100, "at100", at(3)).is_some());
        assert!(grant.live_token(100, "at99", at(3)).is_none());
        assert!(grant.live_token(1, "at1", at(3)).is_none());
        assert!(grant.live_token(100, "at100", at(602)).is_none());
        assert!(grant.clone().without_token(100).live_token(100, "at100", at(3)).is_none());
        assert!(grant.revoked(RevokedBy::Operator, at(3)).live_token(99, "at99", at(3)).is_none());
    }

    #[test]
    fn revoking_forgets_the_upstream_and_keeps_the_first_reason() {
        let grant = active().revoked(RevokedBy::Client, at(5)).revoked(RevokedBy::Operator, at(6));
        assert!(matches!(grant.state, State::Revoked { by: RevokedBy::Client, .. }));
        assert!(grant.upstream.sealed.is_empty());
    }

    proptest! {
        /// However a family is used, an old token is never current again, and a token that was
        /// rotated out of grace with its successor used never gets an answer.
        #[test]
        fn a_family_never_goes_back(steps in prop::collection::vec(0_u64..200, 1..60), probe in 0_u64..60) {
            let (mut grant, mut now, mut rotations) = (active(), 0, Vec::new());
            for step in steps {
                now += step;
                grant = grant.rotated(TokenHash::of("x"), Duration::from_secs(1_000_000), at(now));
                rotations.push(now);
            }
            let generation = rotations.len() as u64;
            let verdict = grant.judge_refresh(probe, GRACE, at(now));
            let expected = match generation.checked_sub(probe) {
                None => None,
                Some(0) => Some(RefreshUse::Current),
                Some(1) => Some(RefreshUse::Retry),
                Some(behind) if behind as usize > MOST_ROTATIONS => Some(RefreshUse::Reuse),
                Some(_) if now - rotations[probe as usize] < 120 => Some(RefreshUse::Retry),
                Some(_) => Some(RefreshUse::Reuse),
            };
            prop_assert_eq!(verdict, expected);
        }
    }
}
