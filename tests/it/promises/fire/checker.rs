//! What a history says about the promises: a pure function.
//!
//! A call that got no answer, or 503, may have been served or not. So a grant *may* have ended from the
//! moment in which an actor first asked for its end, and *has* ended when an actor got that answer.
//!
//! A code is spent twice when it yields two token sets. A refresh token is spent twice when one position of
//! a grant's chain has two different texts. A retry that gets the current successor again does not count
//! (docs/architecture.md, "One sign-in").

mod grant;
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Serialize;

use self::grant::GrantHistory;
use super::history::{Event, History, Operation, Outage, Outcome, Victim, micros};

/// How long a revocation may take to be seen everywhere.
const VISIBLE_WITHIN: Duration = Duration::from_secs(1);
/// How long after an outage calls may still fail because of it: they were under way, got a connection that was
/// not yet known to be dead, or waited to be let in again.
const AFTERMATH: Duration = Duration::from_secs(5);

/// What was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Promise {
    CodeIsSpentOnce,
    RefreshTokenIsSpentOnce,
    WhatWasAnsweredSurvives,
    RevokedStaysRevoked,
    RevokedIsVisibleWithinASecond,
    ErrorsAreDocumented,
    /// Not of the server, but of the test: without it, the others are kept by looking away.
    EverythingIsLookedAt,
}

/// A promise that was broken.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Violation {
    pub(super) promise: Promise,
    pub(super) grant: Option<String>,
    pub(super) what: String,
}

/// Every promise that was broken.
pub(super) fn violations(history: &History) -> Vec<Violation> {
    let mut grants: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    let mut found = Vec::new();
    for event in &history.events {
        if let Some(problem) = undocumented(event, &history.outages) {
            let what = format!("{problem}: {event:?}");
            found.push(Violation { promise: Promise::ErrorsAreDocumented, grant: event.grant.clone(), what });
        }
        if let Some(grant) = &event.grant {
            grants.entry(grant).or_default().push(event);
        }
    }
    for (name, events) in grants {
        let grant = GrantHistory::of(events);
        let mut broken = Vec::new();
        grant.spent_once(&mut broken);
        grant.survives(&mut broken);
        grant.stays_revoked(&mut broken);
        grant.is_looked_at(history, &mut broken);
        let name = Some(name.to_owned());
        found.extend(broken.into_iter().map(|(promise, what)| Violation {
            promise,
            grant: name.clone(),
            what,
        }));
    }
    found.sort_by_key(|violation| violation.promise);
    found
}

/// The promises that were broken, each once.
pub(super) fn promises(violations: &[Violation]) -> BTreeSet<Promise> {
    violations.iter().map(|violation| violation.promise).collect()
}

/// How an answer differs from the documentation. Whether the answer is true is checked elsewhere.
fn undocumented(event: &Event, outages: &[Outage]) -> Option<&'static str> {
    let was_away = |victim: Victim| {
        outages.iter().any(|outage| {
            let over = outage.to + micros(AFTERMATH);
            outage.victim == victim && outage.from <= event.returned && event.called <= over
        })
    };
    match (&event.operation, &event.outcome) {
        (_, Outcome::Lost { .. }) => {
            let killed = event.daemon.map_or(Victim::Engine, Victim::Daemon);
            (!was_away(killed)).then_some("no answer, although no process was killed")
        }
        (operation, Outcome::Refused { status: status @ (303 | 503), error, retry_after }) => {
            if error != "temporarily_unavailable" || *status == 303 && *operation != Operation::LogIn {
                return Some("not the error that is documented");
            }
            let wait = retry_after.as_deref().and_then(|wait| wait.parse::<u32>().ok());
            if *status == 503 && wait.is_none() {
                return Some("503 without Retry-After");
            }
            (!was_away(Victim::Engine)).then_some("unavailable, though nothing was away")
        }
        (
            Operation::Redeem { .. } | Operation::Refresh { .. },
            Outcome::Refused { status: 400, error, .. },
        ) => (error != "invalid_grant").then_some("not the error that is documented"),
        (_, Outcome::Refused { .. }) => Some("not the error that is documented"),
        _ => None,
    }
}
