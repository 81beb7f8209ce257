//! Remembers returns from the upstream, so that a second one is refused before the upstream is asked again.
//! This is a cheap first check: the key of the grant refuses it for good, in every process.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use crate::{
    clock::UnixTime,
    oauth::{grant::DOUBLE_CLICK, token::GrantId},
};

/// Rounds that returned recently.
#[derive(Debug, Default)]
pub(super) struct Returns(Mutex<Known>);

/// One sign-in of a login. Another one begins when the user returns and asks for another account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Round {
    pub(super) login: GrantId,
    /// The approval of the round before.
    pub(super) after: Option<String>,
}

/// A returning browser.
#[derive(Debug, Clone, Copy)]
pub(super) struct Return<'a> {
    /// The click on "Allow" that it comes from.
    pub(super) approval: &'a str,
    /// From then on it is refused because of its age.
    pub(super) until: UnixTime,
}

#[derive(Debug, Default)]
struct Known {
    rounds: HashMap<Round, Clicks>,
    /// Oldest first.
    order: VecDeque<(Round, UnixTime)>,
}

#[derive(Debug)]
struct Clicks {
    first_at: UnixTime,
    approvals: Vec<String>,
}

impl Returns {
    /// Maximum number of rounds. Beyond that, the oldest is evicted.
    const MOST: usize = 10_000;
    /// More clicks than a user makes in a few seconds.
    const MOST_CLICKS: usize = 8;

    /// Whether this return may continue: it is the first of its round, or it comes from a second click
    /// moments later. Each click allows one return.
    pub(super) fn admit(&self, round: &Round, returned: Return<'_>, now: UnixTime) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { rounds, order } = &mut *known;
        while order.front().is_some_and(|(_, until)| *until <= now || order.len() >= Self::MOST) {
            if let Some((forgotten, _)) = order.pop_front() {
                rounds.remove(&forgotten);
            }
        }
        let approval = returned.approval.to_owned();
        let Some(clicks) = rounds.get_mut(round) else {
            rounds.insert(round.clone(), Clicks { first_at: now, approvals: vec![approval] });
            order.push_back((round.clone(), returned.until));
            return true;
        };
        let is_another_click = now.since(clicks.first_at) < DOUBLE_CLICK
            && clicks.approvals.len() < Self::MOST_CLICKS
            && !clicks.approvals.contains(&approval);
        if is_another_click {
            clicks.approvals.push(approval);
        }
        is_another_click
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn admit(returns: &Returns, state: &str, approval: &str, seconds: u64) -> bool {
        let until = NOW.plus(Duration::from_mins(10));
        let now = NOW.plus(Duration::from_secs(seconds));
        let round = Round { login: GrantId::of_login(state, NOW), after: None };
        returns.admit(&round, Return { approval, until }, now)
    }

    #[test]
    fn each_click_is_good_for_one_return_and_only_for_a_moment() {
        let returns = Returns::default();
        assert!(admit(&returns, "one", "first", 0) && !admit(&returns, "one", "first", 0));
        assert!(admit(&returns, "one", "second", 9) && !admit(&returns, "one", "second", 9));
        assert!(!admit(&returns, "one", "third", 10));
        assert!(admit(&returns, "another", "first", 10));
    }

    #[test]
    fn another_account_is_another_round() {
        let returns = Returns::default();
        let until = NOW.plus(Duration::from_mins(10));
        let admit = |after: Option<&str>, approval| {
            let round = Round { login: GrantId::of_login("one", NOW), after: after.map(str::to_owned) };
            returns.admit(&round, Return { approval, until }, NOW)
        };
        assert!(admit(None, "first") && admit(Some("first"), "second") && admit(Some("second"), "third"));
        assert!(!admit(Some("first"), "second"));
    }

    #[test]
    fn clicks_without_end_are_not_remembered() {
        let returns = Returns::default();
        let admitted = (0..100).filter(|click| admit(&returns, "one", &click.to_string(), 0));
        assert_eq!(admitted.count(), Returns::MOST_CLICKS);
    }

    #[test]
    fn what_is_too_old_to_return_is_forgotten() {
        let returns = Returns::default();
        assert!(admit(&returns, "old", "first", 0) && admit(&returns, "new", "first", 600));
        assert_eq!(returns.0.lock().unwrap_or_else(PoisonError::into_inner).rounds.len(), 1);
    }
}
