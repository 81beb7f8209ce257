//! Decisions that the user has just sent by a click or key.
//!
//! The second click of a double click cancels the first request and sends the form again. The browser may leave out
//! `Sec-Fetch-User` in that second request. It is accepted anyway, because it repeats a decision that the user has just
//! made.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use crate::{clock::UnixTime, oauth::grant::DOUBLE_CLICK};

/// Most remembered decisions. Beyond that, the oldest is evicted.
const MOST: usize = 1024;

/// A decision about one form.
#[derive(Debug, PartialEq, Eq)]
struct Decided {
    form: String,
    decision: &'static str,
    at: UnixTime,
}

/// Recent decisions, in memory.
#[derive(Debug, Default)]
pub(super) struct Attended(Mutex<VecDeque<Decided>>);

impl Attended {
    /// Remembers a decision that the user sent by a click or key.
    pub(super) fn note(&self, form: &str, decision: &'static str, now: UnixTime) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == MOST {
            known.pop_front();
        }
        known.push_back(Decided { form: form.to_owned(), decision, at: now });
    }

    /// Whether the user made the same decision about the same form within the last ten seconds.
    pub(super) fn repeats(&self, form: &str, decision: &'static str, now: UnixTime) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().any(|known| {
            known.form == form && known.decision == decision && now.since(known.at) < DOUBLE_CLICK
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_click_repeats_the_first_for_ten_seconds_and_decides_nothing_else() {
        let (attended, at) = (Attended::default(), UnixTime::from_secs(100));
        assert!(!attended.repeats("form", "approve", at));
        attended.note("form", "approve", at);
        assert!(attended.repeats("form", "approve", UnixTime::from_secs(109)));
        assert!(!attended.repeats("form", "approve", UnixTime::from_secs(110)));
        assert!(!attended.repeats("form", "approve_other_account", at));
        assert!(!attended.repeats("other", "approve", at));
    }
}
