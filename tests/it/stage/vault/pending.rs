//! Answers that were put off: the client polls for them.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
};

use axum::http::StatusCode;
use serde_json::Value;

/// How many are kept. The oldest is dropped first.
const MOST_PENDING: usize = 1000;

/// Answers that were put off.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<VecDeque<Later>>);

/// What a call will have answered.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) status: String,
    pub(super) http_status: StatusCode,
    pub(super) summary: &'static str,
    pub(super) result: Value,
}

#[derive(Debug)]
struct Later {
    request_id: String,
    token: Vec<u8>,
    polls_left: u32,
    asked: u32,
    outcome: Outcome,
}

/// The answer to a client that polls.
#[derive(Debug)]
pub(super) enum Polled {
    /// Nothing yet, asked so often.
    NotYet(u32),
    /// The answer.
    Done(Outcome),
    /// It was asked for with another token.
    AnotherToken,
    /// No such request was put off.
    Unknown,
}

impl Pending {
    /// Puts an answer off until it was asked for `polls` times in vain.
    pub(super) fn put_off(&self, request_id: &str, token: &[u8], polls: u32, outcome: Outcome) {
        let mut pending = self.lock();
        pending.push_back(Later {
            request_id: request_id.to_owned(),
            token: token.to_owned(),
            polls_left: polls.saturating_sub(1),
            asked: 0,
            outcome,
        });
        if pending.len() > MOST_PENDING {
            pending.pop_front();
        }
    }

    pub(super) fn poll(&self, request_id: &str, token: &[u8]) -> Polled {
        let mut pending = self.lock();
        let Some(later) = pending.iter_mut().find(|later| later.request_id == request_id) else {
            return Polled::Unknown;
        };
        if later.token != token {
            return Polled::AnotherToken;
        }
        later.asked = later.asked.saturating_add(1);
        if later.polls_left == 0 {
            return Polled::Done(later.outcome.clone());
        }
        later.polls_left -= 1;
        Polled::NotYet(later.asked)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Later>> {
        self.0.lock().unwrap()
    }
}
