//! How a grant looks to an operator at one moment.

use super::{Active, Grant, LiveToken, RevokedBy, State};
use crate::clock::UnixTime;

/// Where a grant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its code is on its way.
    Pending,
    /// A token of it can be used.
    Active,
    /// Nothing of it can be used any more; nobody ended it.
    Expired,
    /// It was ended before its time.
    Revoked,
}

impl Standing {
    /// The word for operators.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// Whether somebody can still use it.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Active)
    }
}

impl Grant {
    /// Where it stands.
    #[must_use]
    pub fn standing(&self, now: UnixTime) -> Standing {
        let usable = self.usable_until().is_some_and(|until| now < until);
        match &self.state {
            State::Revoked { .. } => Standing::Revoked,
            State::CodeIssued(_) if usable => Standing::Pending,
            State::Active(_) if usable => Standing::Active,
            State::CodeIssued(_) | State::Active(_) => Standing::Expired,
        }
    }

    /// When it ends if nobody uses it; `None` for one that was revoked.
    #[must_use]
    pub fn usable_until(&self) -> Option<UnixTime> {
        match &self.state {
            State::CodeIssued(code) => Some(code.expires_at),
            State::Active(Active { refresh, live, .. }) => {
                let refresh = refresh.as_ref().map(|chain| chain.expires_at);
                refresh.max(live.iter().map(|token| token.expires_at).max())
            }
            State::Revoked { .. } => None,
        }
    }

    /// Its access tokens that are good now.
    pub fn live_tokens(&self, now: UnixTime) -> impl Iterator<Item = &LiveToken> {
        let live = self.active().map_or(&[][..], |active| &active.live);
        live.iter().filter(move |token| now < token.expires_at)
    }

    /// Until when a resource server that does not ask us may accept the access token of this number,
    /// although it is no longer remembered: too many were issued after it. `None` for any other.
    #[must_use]
    pub fn untracked_until(&self, number: u64, now: UnixTime) -> Option<UnixTime> {
        let dropped = self.active()?.dropped.filter(|dropped| number <= dropped.last)?;
        Some(dropped.expires_at).filter(|until| now < *until)
    }

    /// Until when somebody who does not ask us may still accept one of its access tokens, if it
    /// has been revoked; else when the last of them ends.
    #[must_use]
    pub fn accepted_until(&self, now: UnixTime) -> Option<UnixTime> {
        let until = match &self.state {
            State::CodeIssued(_) => None,
            State::Active(active) => active.live.iter().map(|token| token.expires_at).max(),
            State::Revoked { live_until, .. } => *live_until,
        };
        until.filter(|until| now < *until)
    }

    /// When it was ended, and by whom.
    #[must_use]
    pub const fn revocation(&self) -> Option<(UnixTime, RevokedBy)> {
        match self.state {
            State::Revoked { at, by, .. } => Some((at, by)),
            State::CodeIssued(_) | State::Active(_) => None,
        }
    }

    /// How often its client came back for another access token.
    #[must_use]
    pub const fn refreshes(&self) -> u64 {
        self.issued.saturating_sub(1)
    }
}
