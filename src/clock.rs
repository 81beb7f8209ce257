//! Time is passed in as a value. The system clock is read only here.

use std::{
    fmt::{self, Debug},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How far apart the clocks of two machines can be without harm: of two daemons on one repository, or of a
/// daemon and the upstream.
pub const SKEW: Duration = Duration::from_mins(2);

/// Whole seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixTime(u64);

impl UnixTime {
    /// `seconds` after the epoch.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    /// See [`UnixTime::from_secs`].
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// Later by the whole seconds of `duration`.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// Earlier by the whole seconds of `duration`, but not before the epoch.
    #[must_use]
    pub const fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_secs()))
    }

    /// The time since `earlier`; zero if that is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    /// Parses a time such as `2026-11-24T04:10:00Z` (RFC 3339); `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let time: Timestamp = text.parse().ok()?;
        u64::try_from(time.as_second()).ok().map(Self)
    }
}

/// RFC 3339, in UTC.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = i64::try_from(self.0).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        write!(f, "{}", time.unwrap_or(Timestamp::MAX))
    }
}

/// A source of the current time.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> UnixTime;

    /// Milliseconds since the epoch, for what is only ordered by time. Whole seconds if the clock is no finer.
    fn millis(&self) -> u64 {
        self.now().as_secs().saturating_mul(1000)
    }
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixTime {
        UnixTime(since_epoch().as_secs())
    }

    fn millis(&self) -> u64 {
        u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
    }
}

fn since_epoch() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A clock for tests: it moves only with [`ManualClock::advance`].
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// Starts at `now`.
    #[must_use]
    pub const fn at(now: UnixTime) -> Self {
        Self(AtomicU64::new(now.0))
    }

    /// Moves the clock forward by the whole seconds of `by`.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixTime {
        UnixTime(self.0.load(Ordering::SeqCst))
    }
}
