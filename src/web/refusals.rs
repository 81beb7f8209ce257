//! How many lines refused requests may write: a flood of them must not fill the log.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    address::Network,
    limits::{Limiter, Rate},
};
use crate::{audit::Event, oauth::error::OAuthError};

/// Lines for one endpoint and one reason in a minute.
const MOST: u64 = 30;
const MINUTE: Duration = Duration::from_mins(1);
/// Lines for wrong secrets of one client from one network.
const GUESSES: Rate = Rate { per_minute: 2, burst: 3 };
/// Reasons that are no error code.
const RATE_LIMIT: &str = "rate_limit";
const WRONG_SECRET: &str = "failed_authentication";

/// What was refused of late, by endpoint and reason.
#[derive(Debug)]
pub(super) struct Refusals {
    counts: Mutex<HashMap<(&'static str, &'static str), Count>>,
    guesses: Limiter,
}

/// What became of the refusals of a minute.
#[derive(Debug)]
struct Count {
    since: Instant,
    written: u64,
    left_out: u64,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { counts: Mutex::default(), guesses: Limiter::new(GUESSES) }
    }
}

impl Refusals {
    /// Logs a request that is refused, or that failed here. Refusals of strangers are logged at the level `debug`.
    pub(super) fn note(&self, endpoint: &'static str, error: &OAuthError) {
        let matters = error.is_of_known_client() || error.is_ours() || error.cause().is_some();
        let has_line = matters && self.has_line(endpoint, error.code().as_str());
        Event::Refusal { error, has_line }.record();
    }

    /// Logs a wrong client secret from a network.
    pub(super) fn note_wrong_secret(
        &self,
        endpoint: &'static str,
        client_id: &str,
        network: Option<Network>,
    ) {
        let is_sample = self.guesses.admit((client_id, network)).is_ok();
        let has_line = is_sample && self.has_line(endpoint, WRONG_SECRET);
        Event::FailedAuthentication { client_id, has_line }.record();
    }

    /// Logs that a rate limit refuses requests: once a minute, with how many they were.
    pub(super) fn note_limited(&self, endpoint: &'static str) {
        if let Some(left_out) = self.count((endpoint, RATE_LIMIT), 1, Instant::now()) {
            Event::RateLimit { refused: left_out + 1 }.record();
        }
    }

    /// Whether one more refusal gets a line of its own. If so, the number of those that got none is logged first.
    fn has_line(&self, endpoint: &'static str, reason: &'static str) -> bool {
        let line = self.count((endpoint, reason), MOST, Instant::now());
        if let Some(left_out @ 1..) = line {
            Event::Unlogged { reason, left_out }.record();
        }
        line.is_some()
    }

    /// Counts a refusal. If fewer than `most` were written in the present minute it is written, too: then
    /// how many were left out before it.
    fn count(&self, key: (&'static str, &'static str), most: u64, now: Instant) -> Option<u64> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_insert(Count { since: now, written: 0, left_out: 0 });
        if now.duration_since(count.since) >= MINUTE {
            (count.since, count.written) = (now, 0);
        }
        if count.written == most {
            count.left_out += 1;
            return None;
        }
        count.written += 1;
        Some(std::mem::take(&mut count.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_told_of_once_a_minute() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let of_token = ("token", RATE_LIMIT);
        let mut told = Vec::new();
        for request in 0..10_000 {
            // A tenth of a second apart: 1,000 seconds.
            let now = start + Duration::from_millis(100) * request;
            told.extend(refusals.count(of_token, 1, now));
        }
        assert_eq!(told, [vec![0], vec![599; 16]].concat());
        assert_eq!(
            refusals.count(("revoke", RATE_LIMIT), 1, start),
            Some(0),
            "each endpoint has its own count"
        );
    }
}
