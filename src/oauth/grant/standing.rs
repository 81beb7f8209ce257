//! How a grant looks to an operator at one moment.

use super::{Grant, LiveToken, Revocation, State, UpstreamSession};
use crate::clock::UnixTime;

/// What can still become of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its code can be redeemed.
    Pending,
    /// One of its tokens can be used.
    Active,
    /// Its code and all of its tokens have expired.
    Expired,
    Revoked,
}

impl Standing {
    /// The word in the output of commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// Whether its code or a token of it can still be used.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Active)
    }
}

/// How far a grant has come: of two records of one grant, the greater is the newer. A revoked one has come
/// furthest, because nothing brings it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Progress {
    stage: u8,
    generation: u64,
    issued: u64,
    checked_at: Option<UnixTime>,
}

impl Grant {
    #[must_use]
    pub fn progress(&self) -> Progress {
        let (stage, generation) = match &self.state {
            State::CodeIssued(_) => (0, 0),
            State::Active(tokens) => (1, tokens.refresh.as_ref().map_or(0, |chain| chain.generation)),
            State::Revoked(_) => (2, 0),
        };
        let checked_at = self.session.as_ref().map(UpstreamSession::checked_at);
        Progress { stage, generation, issued: self.issued, checked_at }
    }

    /// What can still become of it at `now`.
    #[must_use]
    pub fn standing(&self, now: UnixTime) -> Standing {
        let usable = self.usable_until().is_some_and(|until| now < until);
        match &self.state {
            State::Revoked(_) => Standing::Revoked,
            State::CodeIssued(_) if usable => Standing::Pending,
            State::Active(_) if usable => Standing::Active,
            State::CodeIssued(_) | State::Active(_) => Standing::Expired,
        }
    }

    /// When its code or its last token expires without further use; `None` for a revoked grant.
    #[must_use]
    pub fn usable_until(&self) -> Option<UnixTime> {
        match &self.state {
            State::CodeIssued(code) => Some(code.expires_at),
            State::Active(tokens) => {
                let refresh = tokens.refresh.as_ref().map(|chain| chain.expires_at);
                refresh.max(tokens.live.iter().map(|token| token.expires_at).max())
            }
            State::Revoked(_) => None,
        }
    }

    /// Its access tokens that have not expired at `now`.
    pub fn live_tokens(&self, now: UnixTime) -> impl Iterator<Item = &LiveToken> {
        let live = self.active().map_or(&[][..], |active| &active.tokens.live);
        live.iter().filter(move |token| now < token.expires_at)
    }

    /// Until when a resource server that verifies tokens offline may accept the access token of this number,
    /// although it was dropped: too many were issued after it. `None` for any other token.
    #[must_use]
    pub fn untracked_until(&self, number: u64, now: UnixTime) -> Option<UnixTime> {
        let dropped = self.active()?.tokens.dropped.filter(|dropped| number <= dropped.last)?;
        Some(dropped.expires_at).filter(|until| now < *until)
    }

    /// When the last of its access tokens expires. For a revoked grant: until when a resource server that
    /// verifies tokens offline may still accept one. `None` if that is not after `now`.
    #[must_use]
    pub fn accepted_until(&self, now: UnixTime) -> Option<UnixTime> {
        let until = match &self.state {
            State::CodeIssued(_) => None,
            State::Active(tokens) => tokens.live.iter().map(|token| token.expires_at).max(),
            State::Revoked(revocation) => revocation.live_until,
        };
        until.filter(|until| now < *until)
    }

    /// When and why it was revoked, if it was.
    #[must_use]
    pub const fn revocation(&self) -> Option<&Revocation> {
        match &self.state {
            State::Revoked(revocation) => Some(revocation),
            State::CodeIssued(_) | State::Active(_) => None,
        }
    }

    /// How often its client refreshed.
    #[must_use]
    pub const fn refreshes(&self) -> u64 {
        self.issued.saturating_sub(1)
    }
}
