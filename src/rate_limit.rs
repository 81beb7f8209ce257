//! Rate limits in fixed memory. A flood of addresses neither fills a table nor uses another address's budget.
//!
//! Each limiter stores a "theoretical arrival time" (GCRA) per key, in a small group chosen by a per-process hash. When
//! a group is full, the key with the most budget left is dropped. Its budget is then full again, and no key pays for
//! another.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hash},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::oauth::policy::Rate;

/// Keys per group.
const WAYS: usize = 4;
/// Groups per limiter: 8192 keys in 144 KiB.
const GROUPS: usize = 2048;

/// A rate limit with a budget for each key.
#[derive(Debug)]
pub(crate) struct Limiter {
    groups: Box<[Mutex<[Entry; WAYS]>]>,
    hasher: RandomState,
    started: Instant,
    /// Microseconds between two requests.
    interval: u64,
    /// How far a key may be ahead, in microseconds.
    tolerance: u64,
}

/// How much of its budget one key has used.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// 64-bit hash of the key.
    key: u64,
    /// When its budget is full again, in microseconds since the limiter was created.
    arrival: u64,
}

impl Limiter {
    pub(crate) fn new(rate: Rate) -> Self {
        let interval = 60_000_000 / u64::from(rate.per_minute.max(1));
        Self {
            groups: (0..GROUPS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            started: Instant::now(),
            interval,
            tolerance: interval * u64::from(rate.burst.max(1)),
        }
    }

    /// Counts one request of `key`. The error is how long to wait.
    pub(crate) fn admit(&self, key: impl Hash) -> Result<(), Duration> {
        self.admit_at(key, self.now())
    }

    /// Counts `requests` more of `key`, even beyond its budget.
    pub(crate) fn charge(&self, key: impl Hash, requests: u64) {
        self.charge_at(key, requests, self.now());
    }

    /// Whether a request of `key` would be admitted, without counting it.
    pub(crate) fn would_admit(&self, key: impl Hash) -> Result<(), Duration> {
        let now = self.now();
        let next = self.group(key).arrival().max(now) + self.interval;
        match next.saturating_sub(now + self.tolerance) {
            0 => Ok(()),
            wait => Err(Duration::from_micros(wait)),
        }
    }

    /// Restores the whole budget of `key`.
    pub(crate) fn forgive(&self, key: impl Hash) {
        let mut group = self.group(key);
        if group.arrival() > 0 {
            group.set_arrival(0);
        }
    }

    fn admit_at(&self, key: impl Hash, now: u64) -> Result<(), Duration> {
        let mut group = self.group(key);
        let next = group.arrival().max(now) + self.interval;
        match next.saturating_sub(now + self.tolerance) {
            0 => {
                group.set_arrival(next);
                Ok(())
            }
            wait => Err(Duration::from_micros(wait)),
        }
    }

    fn charge_at(&self, key: impl Hash, requests: u64, now: u64) {
        if requests > 0 {
            let mut group = self.group(key);
            let next = group.arrival().max(now).saturating_add(self.interval.saturating_mul(requests));
            group.set_arrival(next);
        }
    }

    fn group(&self, key: impl Hash) -> Group<'_> {
        let key = self.hasher.hash_one(key);
        let group = &self.groups[usize::try_from(key % GROUPS as u64).unwrap_or_default()];
        Group { key, entries: group.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Microseconds since the limiter was created.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// The group of a key, locked.
struct Group<'a> {
    key: u64,
    entries: MutexGuard<'a, [Entry; WAYS]>,
}

impl Group<'_> {
    /// Zero for a key with a full budget.
    fn arrival(&self) -> u64 {
        self.entries.iter().find(|entry| entry.key == self.key).map_or(0, |entry| entry.arrival)
    }

    fn set_arrival(&mut self, arrival: u64) {
        let key = self.key;
        // The key's own entry, or the one with the most budget left.
        let place = self.entries.iter_mut().min_by_key(|entry| (entry.key != key, entry.arrival));
        if let Some(place) = place {
            *place = Entry { key, arrival };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let limiter = Limiter::new(Rate { per_minute: 60, burst: 3 });
        let second = 1_000_000;
        for _ in 0..3 {
            assert!(limiter.admit_at("a", 0).is_ok());
        }
        assert_eq!(limiter.admit_at("a", 0), Err(Duration::from_secs(1)));
        assert!(limiter.admit_at("b", 0).is_ok(), "keys are apart");
        assert!(limiter.admit_at("a", second).is_ok());
        assert!(limiter.admit_at("a", second).is_err());
        assert!((0..3).all(|_| limiter.admit_at("a", 100 * second).is_ok()), "the burst comes back");
    }

    #[test]
    fn the_budget_comes_back_with_time() {
        let mut limiter = Limiter::new(Rate { per_minute: 1, burst: 1 });
        assert!(limiter.admit("a").is_ok() && limiter.admit("a").is_err());
        limiter.started = limiter.started.checked_sub(Duration::from_mins(1)).unwrap();
        assert!(limiter.would_admit("a").is_ok() && limiter.admit("a").is_ok());
    }

    #[test]
    fn a_large_request_counts_as_several_and_is_paid_for_afterwards() {
        let limiter = Limiter::new(Rate { per_minute: 60, burst: 3 });
        let second = 1_000_000;
        assert!(limiter.admit_at("a", 0).is_ok());
        limiter.charge_at("a", 9, 0);
        assert_eq!(limiter.admit_at("a", 0), Err(Duration::from_secs(8)));
        assert!(limiter.admit_at("a", 7 * second).is_err());
        assert!(limiter.admit_at("a", 8 * second).is_ok());
    }

    #[test]
    fn no_key_pays_for_another_however_many_there_are() {
        let limiter = Limiter::new(Rate { per_minute: 1, burst: 1 });
        for stranger in 0..100_000 {
            assert!(limiter.admit_at(("stranger", stranger), 0).is_ok());
        }
        let refused = (0..10_000).filter(|key| limiter.admit_at(("honest", key), 0).is_err()).count();
        assert_eq!(refused, 0);
        assert!(limiter.admit_at(("honest", 9_999), 0).is_err(), "the last one is remembered");
    }
}
