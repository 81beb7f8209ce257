//! Decisions that a person's own click or key sent a moment ago.
//!
//! The second click of a double click cancels the first one's request, and the browser may no longer count
//! it as the person's: it asks for nothing but what was just decided.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use crate::{clock::UnixTime, flow::PersonDecides, oauth::grant::DOUBLE_CLICK};

/// Decisions that are remembered; beyond that, the oldest is dropped.
const MOST: usize = 1024;

/// One decision about one form.
#[derive(Debug, PartialEq, Eq)]
struct Decided {
    form: String,
    decision: PersonDecides,
    at: UnixTime,
}

/// The decisions of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Attended(Mutex<VecDeque<Decided>>);

impl Attended {
    /// Notes a decision that a person's click or key sent.
    pub(super) fn note(&self, form: &str, decision: PersonDecides, now: UnixTime) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == MOST {
            known.pop_front();
        }
        known.push_back(Decided { form: form.to_owned(), decision, at: now });
    }

    /// Whether the person has just decided the same about the same form.
    pub(super) fn repeats(&self, form: &str, decision: PersonDecides, now: UnixTime) -> bool {
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
        assert!(!attended.repeats("form", PersonDecides::Approve, at));
        attended.note("form", PersonDecides::Approve, at);
        assert!(attended.repeats("form", PersonDecides::Approve, UnixTime::from_secs(109)));
        assert!(!attended.repeats("form", PersonDecides::Approve, UnixTime::from_secs(110)));
        assert!(!attended.repeats("form", PersonDecides::ApproveOtherAccount, at));
        assert!(!attended.repeats("other", PersonDecides::Approve, at));
    }
}
