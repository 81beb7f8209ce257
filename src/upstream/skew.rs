//! The difference between this machine's clock and the upstream's, by the `Date` header.

use std::time::Duration;

use jiff::fmt::rfc2822;

use crate::{clock::UnixTime, fetch::Answer};

/// From this difference on, some verifiers refuse tokens.
const NOTABLE: Duration = Duration::from_secs(30);
/// From this difference on, new tokens seem expired, and expired ones are accepted.
const FATAL: Duration = Duration::from_mins(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Everything tolerates it.
    Harmless,
    /// Verifiers without leeway refuse fresh tokens.
    Notable,
    /// Tokens seem expired, or not valid yet.
    Fatal,
}

/// The difference between two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skew {
    pub seconds: u64,
    /// Whether this machine's clock is behind.
    pub is_behind: bool,
}

impl Skew {
    /// Compares the `Date` of an answer with its arrival; `None` without `Date`.
    #[must_use]
    pub fn of(answer: &Answer, now: UnixTime) -> Option<Self> {
        let date = rfc2822::parse(answer.header("date")?).ok()?;
        let theirs = u64::try_from(date.timestamp().as_second()).ok()?;
        Some(Self { seconds: theirs.abs_diff(now.as_secs()), is_behind: theirs > now.as_secs() })
    }

    #[must_use]
    pub const fn severity(self) -> Severity {
        if self.seconds >= FATAL.as_secs() {
            Severity::Fatal
        } else if self.seconds >= NOTABLE.as_secs() {
            Severity::Notable
        } else {
            Severity::Harmless
        }
    }

    /// `behind` or `ahead`: where this machine's clock is.
    #[must_use]
    pub const fn direction(self) -> &'static str {
        if self.is_behind { "behind" } else { "ahead" }
    }
}
