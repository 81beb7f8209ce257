//! Histories made by hand: lawful ones pass, and each broken promise is found.

use pangea_mcp_auth::{
    clock::UnixTime,
    oauth::token::{GrantId, RefreshToken, TokenId, code_text},
    secret::encode,
};

use super::{Promise, promises, violations};
use crate::promises::fire::history::{Event, History, Operation, Outage, Outcome, Victim};

const SECOND: u64 = 1_000_000;
/// When the sweep of the histories here begins.
const QUIET: u64 = 10 * SECOND;

fn grant() -> GrantId {
    GrantId::of_login("state", UnixTime::from_secs(1_800_000_000))
}

fn code() -> String {
    code_text(&grant(), &"c".repeat(43))
}

fn refresh_of(generation: u64, unguessable: char) -> String {
    RefreshToken { grant: grant(), generation }.text(&unguessable.to_string().repeat(43))
}

fn refresh(generation: u64) -> String {
    refresh_of(generation, 'r')
}

fn access(number: u64, signature: &str) -> String {
    let id = TokenId { grant: grant(), number };
    format!("e30.{}.{signature}", encode(format!("{{\"jti\":\"{id}\"}}").as_bytes()))
}

fn event(called: u64, operation: Operation, outcome: Outcome) -> Event {
    let grant = (operation != Operation::LogIn).then(|| grant().to_string());
    Event { called, returned: called + 1000, daemon: Some(0), grant, operation, outcome }
}

fn tokens(number: u64, refresh: String) -> Outcome {
    Outcome::Tokens { access: access(number, "x"), refresh }
}

fn refused(status: u16, error: &str) -> Outcome {
    let retry_after = (status == 503).then(|| "1".to_owned());
    Outcome::Refused { status, error: error.to_owned(), retry_after }
}

fn lost() -> Outcome {
    Outcome::Lost { reason: "reset".to_owned() }
}

fn redeem() -> Operation {
    Operation::Redeem { code: code() }
}

fn refreshing(generation: u64) -> Operation {
    Operation::Refresh { token: refresh(generation) }
}

fn introspect(number: u64) -> Operation {
    Operation::Introspect { token: access(number, "x") }
}

/// Redeemed and refreshed once; `more` happens before the sweep, which ends with `alive` or not.
fn history(more: Vec<Event>, alive: bool) -> History {
    let mut events =
        vec![event(0, redeem(), tokens(1, refresh(0))), event(SECOND, refreshing(0), tokens(2, refresh(1)))];
    events.extend(more);
    events.push(event(QUIET, introspect(1), Outcome::Active(alive)));
    events.push(event(QUIET, introspect(2), Outcome::Active(alive)));
    let last = if alive { tokens(9, refresh(2)) } else { refused(400, "invalid_grant") };
    events.push(event(QUIET, refreshing(1), last));
    if alive {
        events.push(event(QUIET + SECOND, introspect(9), Outcome::Active(true)));
    }
    History { daemons: 1, events, outages: Vec::new(), quiet_from: QUIET }
}

fn revoke(called: u64, outcome: Outcome) -> Event {
    event(called, Operation::Revoke { token: refresh(1) }, outcome)
}

#[track_caller]
fn breaks(history: &History, promise: Promise) {
    let found = violations(history);
    assert!(promises(&found).contains(&promise), "{promise:?} is not among {found:#?}");
}

#[track_caller]
fn is_clean(history: &History) {
    let found = violations(history);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_lawful_life_is_clean() {
    is_clean(&history(Vec::new(), true));
    is_clean(&history(vec![revoke(2 * SECOND, Outcome::Revoked)], false));
    let ended = event(2 * SECOND, Operation::End { grant: grant().to_string() }, Outcome::Revoked);
    is_clean(&history(vec![ended], false));
    let replayed = event(2 * SECOND, redeem(), refused(400, "invalid_grant"));
    is_clean(&history(vec![replayed], false));
}

#[test]
fn a_retry_gets_the_present_successor_and_that_is_lawful() {
    let again = event(2 * SECOND, refreshing(0), tokens(3, refresh(1)));
    let asked = event(QUIET, introspect(3), Outcome::Active(true));
    is_clean(&history(vec![again, asked], true));
}

#[test]
fn what_got_no_answer_may_have_been_done_or_not() {
    let killed = Outage { victim: Victim::Daemon(0), from: 2 * SECOND, to: 3 * SECOND };
    for alive in [true, false] {
        let mut history = history(vec![revoke(2 * SECOND, lost())], alive);
        history.outages.push(killed);
        is_clean(&history);
    }
}

#[test]
fn one_code_that_yields_two_token_sets_is_found() {
    let again = event(2 * SECOND, redeem(), tokens(1, refresh_of(0, 's')));
    breaks(&history(vec![again], true), Promise::CodeIsSpentOnce);
}

#[test]
fn two_successors_at_one_place_are_found() {
    let forked = event(2 * SECOND, refreshing(0), tokens(3, refresh_of(1, 's')));
    breaks(&history(vec![forked], true), Promise::RefreshTokenIsSpentOnce);
    let backwards = event(2 * SECOND, refreshing(1), tokens(3, refresh(1)));
    breaks(&history(vec![backwards], true), Promise::RefreshTokenIsSpentOnce);
}

#[test]
fn two_access_tokens_of_one_name_are_found() {
    let twin = Outcome::Tokens { access: access(2, "y"), refresh: refresh(1) };
    breaks(&history(vec![event(2 * SECOND, refreshing(0), twin)], true), Promise::RefreshTokenIsSpentOnce);
}

#[test]
fn what_was_answered_and_is_gone_is_found() {
    breaks(&history(Vec::new(), false), Promise::WhatWasAnsweredSurvives);
    let gone = event(2 * SECOND, introspect(1), Outcome::Active(false));
    breaks(&history(vec![gone], true), Promise::WhatWasAnsweredSurvives);
    let unknown = event(0, redeem(), refused(400, "invalid_grant"));
    let history = History { daemons: 1, events: vec![unknown], ..History::default() };
    breaks(&history, Promise::WhatWasAnsweredSurvives);
}

#[test]
fn an_access_token_that_was_given_back_excuses_no_other() {
    let given_back = |number| Operation::Revoke { token: access(number, "x") };
    let one = event(2 * SECOND, given_back(1), Outcome::Revoked);
    let over = event(3 * SECOND, introspect(1), Outcome::Active(false));
    let mut right = history(vec![one.clone(), over], true);
    right.events.retain(|event| !(event.called == QUIET && event.operation == introspect(1)));
    right.events.push(event(QUIET, introspect(1), Outcome::Active(false)));
    is_clean(&right);
    let other = event(3 * SECOND, introspect(2), Outcome::Active(false));
    breaks(&history(vec![one, other], true), Promise::WhatWasAnsweredSurvives);
}

#[test]
fn what_comes_back_is_found() {
    let revoked = revoke(2 * SECOND, Outcome::Revoked);
    let refused = event(2 * SECOND + 2000, refreshing(1), refused(400, "invalid_grant"));
    let back = event(2 * SECOND + 5000, introspect(2), Outcome::Active(true));
    breaks(&history(vec![revoked.clone(), refused, back], false), Promise::RevokedStaysRevoked);
    let inactive = event(3 * SECOND, introspect(1), Outcome::Active(false));
    let active = event(4 * SECOND, introspect(1), Outcome::Active(true));
    breaks(&history(vec![revoked, inactive, active], false), Promise::RevokedStaysRevoked);
}

#[test]
fn a_revocation_that_is_not_seen_within_a_second_is_found() {
    for end in [Operation::Revoke { token: refresh(1) }, Operation::End { grant: grant().to_string() }] {
        let revoked = event(2 * SECOND, end, Outcome::Revoked);
        let soon = event(2 * SECOND + 900_000, introspect(2), Outcome::Active(true));
        is_clean(&history(vec![revoked.clone(), soon], false));
        let late = event(3 * SECOND + 1000, introspect(2), Outcome::Active(true));
        breaks(&history(vec![revoked.clone(), late], false), Promise::RevokedIsVisibleWithinASecond);
        let refreshed = event(4 * SECOND, refreshing(1), tokens(3, refresh(2)));
        breaks(&history(vec![revoked, refreshed], false), Promise::RevokedIsVisibleWithinASecond);
    }
}

#[test]
fn errors_that_are_not_documented_are_found() {
    let away = Outage { victim: Victim::Engine, from: 2 * SECOND, to: 3 * SECOND };
    let with = |outcome: Outcome, outages: &[Outage]| {
        let mut history = history(vec![event(2 * SECOND, refreshing(1), outcome)], true);
        history.outages.extend(outages);
        history
    };
    is_clean(&with(refused(503, "temporarily_unavailable"), &[away]));
    breaks(&with(refused(503, "temporarily_unavailable"), &[]), Promise::ErrorsAreDocumented);
    for (status, error) in [(500, "server_error"), (503, "server_error"), (400, "invalid_request"), (404, "")]
    {
        breaks(&with(refused(status, error), &[away]), Promise::ErrorsAreDocumented);
    }
    let hasty =
        Outcome::Refused { status: 503, error: "temporarily_unavailable".to_owned(), retry_after: None };
    breaks(&with(hasty, &[away]), Promise::ErrorsAreDocumented);
    breaks(&with(lost(), &[away]), Promise::ErrorsAreDocumented);
    let mut other = away;
    other.victim = Victim::Daemon(1);
    breaks(&with(lost(), &[other]), Promise::ErrorsAreDocumented);
}

#[test]
fn what_nobody_looked_at_is_no_proof() {
    for left_out in [introspect(1), refreshing(1)] {
        let mut history = history(Vec::new(), true);
        history.events.retain(|event| !(event.called >= QUIET && event.operation == left_out));
        breaks(&history, Promise::EverythingIsLookedAt);
    }
    let mut two = history(Vec::new(), true);
    two.daemons = 2;
    breaks(&two, Promise::EverythingIsLookedAt);
}
