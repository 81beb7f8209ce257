//! The history of one grant.

use std::collections::{BTreeMap, BTreeSet};

use pangea_mcp_auth::oauth::token::{RefreshToken, TokenId};

use super::{Event, History, Operation, Outcome, Promise, VISIBLE_WITHIN, micros};

type Broken = Vec<(Promise, String)>;

/// Every call about one grant, in the order of the calls.
pub(super) struct GrantHistory<'a> {
    events: Vec<&'a Event>,
}

impl<'a> GrantHistory<'a> {
    pub(super) const fn of(events: Vec<&'a Event>) -> Self {
        Self { events }
    }

    pub(super) fn spent_once(&self, broken: &mut Broken) {
        let mut redeemed = BTreeMap::<&str, usize>::new();
        let (mut chain, mut names) = (BTreeMap::new(), BTreeMap::new());
        for (event, access, refresh) in self.token_sets() {
            let place = RefreshToken::parse(refresh).map(|token| token.generation);
            match &event.operation {
                Operation::Redeem { code } => *redeemed.entry(code).or_default() += 1,
                Operation::Refresh { token } if place <= RefreshToken::parse(token).map(|t| t.generation) => {
                    let what = format!("{token} was answered with {refresh}, which is no successor");
                    broken.push((Promise::RefreshTokenIsSpentOnce, what));
                }
                _ => {}
            }
            chain.entry(place).or_insert_with(BTreeSet::new).insert(refresh);
            let name = TokenId::of_access_token(access).map(|id| id.number);
            names.entry(name).or_insert_with(BTreeSet::new).insert(access);
        }
        let twice = redeemed.iter().filter(|(_, times)| **times > 1);
        broken.extend(
            twice.map(|(code, times)| {
                (Promise::CodeIsSpentOnce, format!("{code} yielded tokens {times} times"))
            }),
        );
        let forked = chain.values().chain(names.values()).filter(|texts| texts.len() > 1);
        broken.extend(
            forked.map(|texts| {
                (Promise::RefreshTokenIsSpentOnce, format!("these are in one place: {texts:?}"))
            }),
        );
    }

    /// A token that was issued works until an actor asks for its end.
    pub(super) fn survives(&self, broken: &mut Broken) {
        for event in self.events.iter().filter(|event| is_refused(event)) {
            let excused = self.events.iter().any(|cause| {
                !std::ptr::eq(*cause, *event) && cause.called < event.returned && may_end(cause, event)
            });
            if !excused {
                let what = format!("refused, although no actor had asked for its end: {event:?}");
                broken.push((Promise::WhatWasAnsweredSurvives, what));
            }
        }
    }

    /// What has ended never works again: from the moment in which an actor saw it, and from one second after
    /// an actor was told so.
    pub(super) fn stays_revoked(&self, broken: &mut Broken) {
        for event in self.events.iter().filter(|event| is_served(event)) {
            let before = |over: &&&Event| concerns(over, event);
            let seen = self.events.iter().filter(|e| is_refused(e)).filter(before);
            if let Some(seen) = seen.min_by_key(|e| e.returned).filter(|seen| seen.returned <= event.called) {
                broken.push((Promise::RevokedStaysRevoked, format!("{event:?} came after {seen:?}")));
            }
            let told = self.events.iter().filter(|e| e.outcome == Outcome::Revoked).filter(before);
            let in_time = |told: &&&Event| told.returned + micros(VISIBLE_WITHIN) <= event.called;
            if let Some(told) = told.min_by_key(|e| e.returned).filter(in_time) {
                let what = format!("{event:?} came more than a second after {told:?}");
                broken.push((Promise::RevokedIsVisibleWithinASecond, what));
            }
        }
    }

    /// After the last kill every daemon is asked about every access token, and the refresh token used.
    pub(super) fn is_looked_at(&self, history: &History, broken: &mut Broken) {
        let late: Vec<_> = self.events.iter().filter(|event| event.called >= history.quiet_from).collect();
        let mut missing = BTreeSet::new();
        for (_, access, _) in self.token_sets() {
            for daemon in 0..history.daemons {
                let asked = late.iter().any(|event| {
                    event.daemon == Some(daemon)
                        && matches!(event.outcome, Outcome::Active(_))
                        && matches!(&event.operation, Operation::Introspect { token } if token == access)
                });
                if !asked {
                    missing.insert(format!("daemon {daemon} was not asked about {access} at the end"));
                }
            }
        }
        let used = late.iter().any(|event| {
            matches!(event.operation, Operation::Refresh { .. }) && (is_served(event) || is_refused(event))
        });
        if self.token_sets().next().is_some() && !used {
            missing.insert("its refresh token was not used at the end".to_owned());
        }
        broken.extend(missing.into_iter().map(|what| (Promise::EverythingIsLookedAt, what)));
    }

    fn token_sets(&self) -> impl Iterator<Item = (&'a Event, &'a str, &'a str)> {
        self.events.iter().filter_map(|event| match &event.outcome {
            Outcome::Tokens { access, refresh } => Some((*event, &**access, &**refresh)),
            _ => None,
        })
    }
}

/// Whether an answer says that something has ended.
fn is_refused(event: &Event) -> bool {
    match (&event.operation, &event.outcome) {
        (Operation::Introspect { .. }, Outcome::Active(active)) => !active,
        (Operation::Redeem { .. } | Operation::Refresh { .. }, Outcome::Refused { status, .. }) => {
            *status == 400
        }
        _ => false,
    }
}

/// Whether an answer says that something lives.
const fn is_served(event: &Event) -> bool {
    matches!(event.outcome, Outcome::Active(true) | Outcome::Tokens { .. })
}

/// Whether a call, whatever came of it, may be why `refused` was refused. A code that comes twice is
/// the end of all that it yielded.
fn may_end(cause: &Event, refused: &Event) -> bool {
    match &cause.operation {
        Operation::End { .. } => true,
        Operation::Revoke { token } => match &refused.operation {
            Operation::Introspect { token: of } => is_refresh(token) || token == of,
            _ => is_refresh(token),
        },
        // The first redemption is no end, but for another one.
        Operation::Redeem { .. } if matches!(refused.operation, Operation::Redeem { .. }) => true,
        Operation::Redeem { .. } => !matches!(cause.outcome, Outcome::Tokens { .. }),
        _ => false,
    }
}

/// Whether the end of what `over` is about is the end of what `event` is about.
fn concerns(over: &Event, event: &Event) -> bool {
    match &over.operation {
        Operation::Introspect { token } | Operation::Revoke { token } if !is_refresh(token) => {
            matches!(&event.operation, Operation::Introspect { token: of } if of == token)
        }
        _ => true,
    }
}

fn is_refresh(token: &str) -> bool {
    RefreshToken::parse(token).is_some()
}
