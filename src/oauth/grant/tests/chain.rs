//! What each refresh token of a chain may do.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::{super::refresh::MOST_EXCHANGES, *};

const GRACE: Duration = Duration::from_mins(2);
const IDLE: Duration = Duration::from_hours(1);

/// The grant after the token of each generation was exchanged at that second.
fn exchanged(exchanges: &[(u64, u64)]) -> Grant {
    exchanges.iter().fold(active(), |grant, &(generation, second)| rotated(&grant, generation, second))
}

fn rotated(grant: &Grant, generation: u64, second: u64) -> Grant {
    let token = token(grant.issued() + 1, at(second));
    grant.refreshable().unwrap().rotate(generation, TokenHash::of("next"), IDLE, token)
}

fn chain_of(grant: &Grant) -> &RefreshChain {
    grant.refreshable().unwrap().chain()
}

fn judged(grant: &Grant, generation: u64, grace: Duration, now: UnixTime) -> Option<RefreshUse> {
    grant.refreshable()?.judge(generation, grace, now)
}

#[test]
fn refresh_1_2_3_the_current_token_its_parent_and_what_was_just_exchanged_are_answered() {
    use RefreshUse::{Current, LateRetry, Retry, Reuse};
    let (once, twice, quick) = ([(0, 10)], [(0, 10), (1, 1000)], [(0, 10), (1, 20)]);
    // The answer that had generation 1 was lost; generation 2 replaced it.
    let (late, used) = ([(0, 10), (0, 1000)], [(0, 10), (0, 1000), (2, 1010)]);
    for (exchanges, generation, second, expected) in [
        (&[][..], 0, 10, Some(Current)),
        (&[], 1, 10, None),
        (&once, 1, 11, Some(Current)),
        (&once, 0, 129, Some(Retry)),
        (&once, 0, 130, Some(LateRetry)),
        (&once, 0, 3000, Some(LateRetry)),
        (&twice, 2, 1001, Some(Current)),
        (&twice, 1, 1119, Some(Retry)),
        (&twice, 1, 1120, Some(LateRetry)),
        (&twice, 0, 1001, Some(Reuse)),
        (&quick, 0, 129, Some(Retry)),
        (&quick, 0, 130, Some(Reuse)),
        (&late, 2, 1001, Some(Current)),
        (&late, 1, 1001, Some(Reuse)),
        (&late, 0, 1119, Some(Retry)),
        (&late, 0, 1120, Some(LateRetry)),
        (&used, 3, 1011, Some(Current)),
        (&used, 2, 1011, Some(Retry)),
        (&used, 2, 1130, Some(LateRetry)),
        (&used, 1, 1011, Some(Reuse)),
        (&used, 0, 1119, Some(Retry)),
        (&used, 0, 1120, Some(Reuse)),
    ] {
        let judged = judged(&exchanged(exchanges), generation, GRACE, at(second));
        assert_eq!(judged, expected, "{exchanges:?} {generation} {second}");
    }
}

#[test]
fn refresh_3_without_a_grace_period_the_current_token_alone_is_answered() {
    for exchanges in [&[(0, 10)][..], &[(0, 10), (1, 20)], &[(0, 10), (0, 20)]] {
        let grant = exchanged(exchanges);
        let current = chain_of(&grant).generation;
        for generation in 0..current {
            let judged = judged(&grant, generation, Duration::ZERO, at(20));
            assert_eq!(judged, Some(RefreshUse::Reuse), "{exchanges:?} {generation}");
        }
        assert_eq!(judged(&grant, current, Duration::ZERO, at(20)), Some(RefreshUse::Current));
    }
}

#[test]
fn a_client_whose_every_answer_is_lost_goes_on_with_the_one_token_that_it_has() {
    let mut grant = active_until(at(1_000_000));
    for day in 1..=100 {
        let now = at(day * 3000);
        let expected = if day == 1 { RefreshUse::Current } else { RefreshUse::LateRetry };
        assert_eq!(judged(&grant, 0, GRACE, now), Some(expected), "{day}");
        grant = rotated(&grant, 0, day * 3000);
        assert_eq!(judged(&grant, 0, GRACE, now), Some(RefreshUse::Retry), "{day}");
    }
    assert_eq!((grant.late_retries(), chain_of(&grant).exchanges.len()), (99, 1));
}

#[test]
fn refresh_7_idle_and_absolute_ends_hold() {
    assert_eq!(judged(&active(), 0, GRACE, at(3600)), None);
    let each_in_time: Vec<_> = (1..40).map(|round| (round - 1, round * 3000)).collect();
    assert_eq!(chain_of(&exchanged(&each_in_time)).expires_at, at(100_000));
}

/// What earlier releases wrote is read, and what they could have written is written so still.
#[test]
fn a_chain_of_an_earlier_release_is_read_and_written_as_it_was() {
    let stored = json!({
        "seed": "s", "generation": 5, "current": TokenHash::of("rt5"),
        "rotated_at": [100, 200, 300], "expires_at": 9000,
    });
    let chain: RefreshChain = serde_json::from_value(stored.clone()).unwrap();
    let generations: Vec<u64> = chain.exchanges.iter().map(|exchange| exchange.generation).collect();
    assert_eq!(generations, [2, 3, 4]);
    assert_eq!(serde_json::to_value(chain).unwrap(), stored);
    let late = exchanged(&[(0, 10), (1, 20), (1, 1000), (3, 1001)]);
    let stored = serde_json::to_value(chain_of(&late)).unwrap();
    let read: RefreshChain = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(read.exchanges, chain_of(&late).exchanges, "{stored}");
    assert_eq!((read.generation, late.late_retries()), (4, 1), "{stored}");
}

proptest! {
    /// However a family is used, a token that was exchanged longer ago than the grace period and
    /// is not the parent, or that was replaced unused, never gets an answer again.
    #[test]
    fn a_family_never_goes_back(
        steps in prop::collection::vec((0_u64..200, any::<bool>()), 1..60),
        probe in 0_u64..60,
    ) {
        let (mut chain, mut now, mut exchanged_at) = (chain(), 0, BTreeMap::<u64, u64>::new());
        chain.expires_at = at(1_000_000);
        for (step, retries) in steps {
            now += step;
            let generation = match exchanged_at.last_key_value() {
                Some((&parent, _)) if retries => parent,
                _ => chain.generation,
            };
            chain.exchange(generation, TokenHash::of("next"), at(now));
            exchanged_at.insert(generation, now);
        }
        let behind = exchanged_at.range(probe + 1..).count();
        let expected = match exchanged_at.get(&probe).map(|at| now - at) {
            _ if probe > chain.generation => None,
            _ if probe == chain.generation => Some(RefreshUse::Current),
            Some(ago) if behind < MOST_EXCHANGES && ago < 120 => Some(RefreshUse::Retry),
            Some(_) if behind == 0 => Some(RefreshUse::LateRetry),
            _ => Some(RefreshUse::Reuse),
        };
        prop_assert_eq!(chain.judge(probe, GRACE, at(now)), expected);
    }
}
