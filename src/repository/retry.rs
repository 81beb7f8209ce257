//! What the backends over a network share: which requests are sent again, and what an unanswered write means.

use std::{fmt::Display, num::NonZeroU64, time::Duration};

use tokio::time::{Instant, sleep};

use super::{RepositoryError, Result, Version, Versioned, Write};
use crate::secret::{Random, SystemRandom};

/// Pause before the second try. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(320);

/// Which failed requests may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// All: running twice has the same effect as running once.
    Always,
    /// Only requests that certainly changed nothing.
    WhatHasNotRun,
}

/// What a request returned.
#[derive(Debug)]
pub(super) struct Answer<T> {
    pub(super) value: T,
    /// Whether an earlier, unanswered try may have run too.
    pub(super) was_in_doubt: bool,
}

#[derive(Debug)]
pub(super) enum Failure<P> {
    /// The request changed nothing, and may succeed soon.
    NotNow(P),
    /// The request may have run, or may still run.
    InDoubt(P),
    /// The request changed nothing, and would fail again.
    Refused(P),
}

impl<P> Failure<P> {
    pub(super) const fn is_in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt(_))
    }

    pub(super) fn into_problem(self) -> P {
        match self {
            Self::NotNow(problem) | Self::InDoubt(problem) | Self::Refused(problem) => problem,
        }
    }
}

impl<P: Display> Failure<P> {
    /// A failure while the daemon runs, which may pass without a restart.
    pub(super) fn unavailable(self) -> RepositoryError {
        RepositoryError::Unavailable(match self {
            Self::NotNow(problem) | Self::Refused(problem) => problem.to_string(),
            Self::InDoubt(problem) => format!("the outcome is unknown: {problem}"),
        })
    }
}

/// Growing pauses between tries, until a deadline.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
    deadline: Instant,
}

impl Pauses {
    pub(super) const fn until(deadline: Instant) -> Self {
        Self { next: FIRST_PAUSE, deadline }
    }

    /// Waits, or returns false at once if there is no time for another try.
    pub(super) async fn wait(&mut self) -> bool {
        if Instant::now() + self.next >= self.deadline {
            return false;
        }
        sleep(self.next).await;
        self.next = LONGEST_PAUSE.min(self.next * 2);
        true
    }
}

#[derive(Debug)]
pub(super) struct Tries {
    repeat: Repeat,
    pauses: Pauses,
    was_in_doubt: bool,
}

impl Tries {
    pub(super) const fn new(repeat: Repeat, deadline: Instant) -> Self {
        Self { repeat, pauses: Pauses::until(deadline), was_in_doubt: false }
    }

    /// Waits before the next try.
    ///
    /// # Errors
    ///
    /// The failure, if the request must not be sent again or the time is up.
    pub(super) async fn after<P>(&mut self, failure: Failure<P>) -> std::result::Result<(), Failure<P>> {
        match failure {
            Failure::NotNow(_) => {}
            Failure::InDoubt(_) if self.repeat == Repeat::Always => self.was_in_doubt = true,
            Failure::InDoubt(_) | Failure::Refused(_) => return Err(failure),
        }
        if self.pauses.wait().await { Ok(()) } else { Err(failure) }
    }

    pub(super) const fn answered<T>(self, value: T) -> Answer<T> {
        Answer { value, was_in_doubt: self.was_in_doubt }
    }
}

/// A random number of 62 bits. No version repeats, even after a backup was restored, and the writer knows
/// it before the answer.
pub(super) fn new_version() -> Version {
    let mut bytes = [0; 8];
    SystemRandom.fill(&mut bytes);
    Version(NonZeroU64::MIN.saturating_add(u64::from_be_bytes(bytes) >> 2))
}

/// Settles an insert without an answer by what is stored now.
pub(super) fn settled_insert<P>(
    failure: Failure<P>,
    stored: Option<&Versioned>,
    mine: Version,
) -> Result<Write>
where
    RepositoryError: From<Failure<P>>,
{
    if stored.is_some_and(|stored| stored.version == mine) {
        Ok(Write::Done(mine))
    } else {
        Err(failure.into())
    }
}

/// A conflict of a replacement that was sent twice may be with our own first try.
pub(super) fn settled_replace(outcome: Write, was_in_doubt: bool) -> Result<Write> {
    if outcome == Write::Conflict && was_in_doubt {
        let doubt = "the connection broke, and the record has been changed since";
        return Err(RepositoryError::Unavailable(doubt.to_owned()));
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_sent_again(repeat: Repeat, failure: Failure<&str>) -> bool {
        let deadline = Instant::now() + Duration::from_secs(1);
        Tries::new(repeat, deadline).after(failure).await.is_ok()
    }

    #[tokio::test]
    async fn only_what_may_run_twice_is_sent_again_in_doubt() {
        assert!(is_sent_again(Repeat::Always, Failure::InDoubt("")).await);
        assert!(!is_sent_again(Repeat::WhatHasNotRun, Failure::InDoubt("")).await);
        for repeat in [Repeat::Always, Repeat::WhatHasNotRun] {
            assert!(is_sent_again(repeat, Failure::NotNow("")).await);
            assert!(!is_sent_again(repeat, Failure::Refused("")).await);
        }
    }

    #[tokio::test]
    async fn nothing_is_sent_again_after_the_deadline() {
        let mut tries = Tries::new(Repeat::Always, Instant::now());
        assert!(tries.after(Failure::NotNow("")).await.is_err());
    }

    #[tokio::test]
    async fn an_answer_remembers_an_unanswered_try() {
        let mut tries = Tries::new(Repeat::Always, Instant::now() + Duration::from_secs(1));
        assert!(tries.after(Failure::InDoubt("")).await.is_ok());
        assert!(tries.answered(()).was_in_doubt);
    }
}
