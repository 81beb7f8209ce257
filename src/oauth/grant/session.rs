//! The upstream's session behind a grant.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Grant;
use crate::clock::UnixTime;

/// Shortest time between two checks of one session.
pub const CHECK_EVERY: Duration = Duration::from_mins(1);

/// An upstream session, its tokens sealed. A revoked grant keeps the session without its tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UpstreamSession {
    /// Empty once the grant is revoked.
    sealed: String,
    checked_at: UnixTime,
    /// Until then one process has claimed the check.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    checking_until: Option<UnixTime>,
}

impl UpstreamSession {
    /// A session that the upstream has just vouched for.
    #[must_use]
    pub const fn new(sealed: String, vouched_at: UnixTime) -> Self {
        Self { sealed, checked_at: vouched_at, checking_until: None }
    }

    /// When the upstream last said that the session is good.
    #[must_use]
    pub const fn checked_at(&self) -> UnixTime {
        self.checked_at
    }

    pub(super) fn forget_tokens(&mut self) {
        self.sealed.clear();
    }
}

/// The session of a grant that has not been revoked.
#[derive(Debug, Clone, Copy)]
pub struct HeldSession<'a> {
    grant: &'a Grant,
    session: &'a UpstreamSession,
}

impl<'a> HeldSession<'a> {
    pub(super) fn of(grant: &'a Grant) -> Option<Self> {
        let session = grant.session.as_ref().filter(|session| !session.sealed.is_empty())?;
        Some(Self { grant, session })
    }

    /// The upstream tokens, sealed.
    #[must_use]
    pub fn sealed(self) -> &'a str {
        &self.session.sealed
    }

    /// Whether the upstream is to be asked about the session at `now`: the last check was long enough ago, and
    /// no other process has claimed this one.
    #[must_use]
    pub fn is_due(self, now: UnixTime) -> bool {
        let is_claimed = self.session.checking_until.is_some_and(|until| now < until);
        !is_claimed && now.since(self.session.checked_at) >= CHECK_EVERY
    }

    /// The grant, with the check claimed for one process.
    #[must_use]
    pub fn claimed(self, until: UnixTime) -> Grant {
        self.with(UpstreamSession { checking_until: Some(until), ..self.session.clone() })
    }

    /// The grant after a check, with what the upstream's new tokens were sealed to, if it gave any.
    #[must_use]
    pub fn checked(self, at: UnixTime, renewed: Option<&str>) -> Grant {
        let sealed = renewed.unwrap_or(&self.session.sealed).to_owned();
        self.with(UpstreamSession::new(sealed, at))
    }

    /// The grant, with the same tokens encrypted with another key.
    #[must_use]
    pub fn resealed(self, sealed: String) -> Grant {
        self.with(UpstreamSession { sealed, ..self.session.clone() })
    }

    fn with(self, session: UpstreamSession) -> Grant {
        Grant { session: Some(session), ..self.grant.clone() }
    }
}
