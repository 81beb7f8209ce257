//! Limits the log lines about refused requests, so that a flood does not fill the log.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::address::Network;
use crate::{
    audit::Event,
    oauth::{error::OAuthError, policy::Rate},
    rate_limit::Limiter,
};

/// Most lines per endpoint, reason and minute.
const MOST: u64 = 30;
const MINUTE: Duration = Duration::from_mins(1);
/// Lines about wrong secrets per client and network.
const GUESSES: Rate = Rate { per_minute: 2, burst: 3 };
/// Reasons that are not error codes.
const RATE_LIMIT: &str = "rate_limit";
const WRONG_SECRET: &str = "failed_authentication";

/// Recent refusals, by endpoint and reason.
#[derive(Debug)]
pub(super) struct Refusals {
    counts: Mutex<HashMap<(&'static str, &'static str), Count>>,
    guesses: Limiter,
}

/// Counts within a minute.
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
    /// Logs a request that was refused or failed. Refusals of unknown clients are logged at `debug`.
    pub(super) fn note(&self, endpoint: &'static str, error: &OAuthError) {
        let matters = error.is_of_known_client() || error.is_ours() || error.cause().is_some();
        let has_line = matters && self.has_line(endpoint, error.code().as_str());
        Event::Refusal { error, has_line }.record();
    }

    /// Logs a wrong client secret.
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

    /// Logs once per minute how many requests a rate limit refused.
    pub(super) fn note_limited(&self, endpoint: &'static str) {
        if let Some(left_out) = self.count((endpoint, RATE_LIMIT), 1, Instant::now()) {
            Event::RateLimit { refused: left_out + 1 }.record();
        }
    }

    /// Whether another refusal gets its own line. If so, first logs how many did not.
    fn has_line(&self, endpoint: &'static str, reason: &'static str) -> bool {
        let line = self.count((endpoint, reason), MOST, Instant::now());
        if let Some(left_out @ 1..) = line {
            Event::Unlogged { reason, left_out }.record();
        }
        line.is_some()
    }

    /// Counts a refusal. `Some` if it gets a line, because fewer than `most` did in this minute; the value is how many were
    /// left out before.
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
    use std::io::Seek;

    use super::*;
    use crate::oauth::error::ErrorCode;

    /// What `log` writes at `info` and above.
    fn logged(log: impl FnOnce()) -> String {
        let mut file = tempfile::tempfile().unwrap();
        let writer = Mutex::new(file.try_clone().unwrap());
        tracing::subscriber::with_default(
            tracing_subscriber::fmt().with_ansi(false).with_writer(writer).finish(),
            log,
        );
        file.rewind().unwrap();
        std::io::read_to_string(file).unwrap()
    }

    #[test]
    fn a_refusal_has_a_line_if_it_concerns_a_known_client_or_the_operator() {
        let error = |code| OAuthError::new(code, "no");
        for (error, has_line) in [
            (error(ErrorCode::InvalidGrant), false),
            (error(ErrorCode::InvalidGrant).of_a_client(), true),
            (error(ErrorCode::InvalidGrant).caused_by("the reason"), true),
            (error(ErrorCode::ServerError), true),
        ] {
            let told = logged(|| Refusals::default().note("token", &error));
            assert_eq!(told.lines().count(), usize::from(has_line), "{error:?}");
        }
    }

    #[test]
    fn wrong_secrets_have_few_lines_per_client_and_some_more_in_all() {
        let refusals = Refusals::default();
        let guess =
            |client: &str| logged(|| refusals.note_wrong_secret("token", client, None)).lines().count();
        let lines = (0..10).map(|_| guess("one")).sum::<usize>();
        assert_eq!(lines, usize::try_from(GUESSES.burst).unwrap());
        assert_eq!(guess("two"), 1, "another client has its own count");
        let lines = (0..100).map(|number| guess(&format!("client-{number}"))).sum::<usize>();
        assert_eq!(lines, usize::try_from(MOST).unwrap() - 4);
    }

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

    #[test]
    fn a_line_says_for_how_many_requests_it_stands() {
        let refusals = Refusals::default();
        (0..3).for_each(|_| refusals.note_limited("token"));
        for count in refusals.counts.lock().unwrap().values_mut() {
            count.since = count.since.checked_sub(MINUTE).unwrap();
        }
        let told = logged(|| refusals.note_limited("token"));
        assert!(told.contains(" refused=3"), "{told}");
    }
}
