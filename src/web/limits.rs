//! Rate limits in fixed memory: a flood of addresses fills no table.
//!
//! Each limiter is an array of "theoretical arrival times" (GCRA). A key falls on one slot by a hash
//! that is different in every process, so nobody can choose whose slot to share.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hash},
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Slots of a limiter: 64 KiB.
const SLOTS: usize = 8192;

/// How much one key may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Sustained.
    pub per_minute: u32,
    /// At once.
    pub burst: u32,
}

/// One limit for many keys.
#[derive(Debug)]
pub(super) struct Limiter {
    slots: Box<[AtomicU64]>,
    hasher: RandomState,
    started: Instant,
    /// Microseconds between two requests.
    interval: u64,
    /// Microseconds by which a key may be ahead.
    tolerance: u64,
}

impl Limiter {
    fn new(rate: Rate) -> Self {
        let interval = 60_000_000 / u64::from(rate.per_minute.max(1));
        Self {
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            started: Instant::now(),
            interval,
            tolerance: interval * u64::from(rate.burst.max(1)),
        }
    }

    /// Counts one request of `key`; says how long to wait when it is one too many.
    pub(super) fn admit(&self, key: impl Hash) -> Result<(), Duration> {
        self.admit_at(key, self.now())
    }

    fn admit_at(&self, key: impl Hash, now: u64) -> Result<(), Duration> {
        let mut judged = Ok(());
        let _ = self.slot(key).fetch_update(Ordering::Relaxed, Ordering::Relaxed, |arrival| {
            let next = self.next(arrival, now);
            judged = next.map(|_| ());
            next.ok()
        });
        judged
    }

    /// Whether a request of `key` would be admitted, without counting it.
    pub(super) fn would_admit(&self, key: impl Hash) -> Result<(), Duration> {
        self.next(self.slot(key).load(Ordering::Relaxed), self.now()).map(|_| ())
    }

    /// The arrival time that one more request leaves behind, or how long it must wait.
    fn next(&self, arrival: u64, now: u64) -> Result<u64, Duration> {
        let next = arrival.max(now) + self.interval;
        match next.saturating_sub(now + self.tolerance) {
            0 => Ok(next),
            wait => Err(Duration::from_micros(wait)),
        }
    }

    fn slot(&self, key: impl Hash) -> &AtomicU64 {
        &self.slots[usize::try_from(self.hasher.hash_one(key) % SLOTS as u64).unwrap_or_default()]
    }

    /// Microseconds since the limiter was made.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// The limits of all endpoints, each on its own.
#[derive(Debug)]
pub struct Limits {
    pub(super) authorize: Limiter,
    pub(super) callback: Limiter,
    pub(super) token: Limiter,
    pub(super) register: Limiter,
    pub(super) introspect: Limiter,
    pub(super) revoke: Limiter,
    /// Failed client authentications, by client and address.
    pub(super) failures: Limiter,
}

impl Limits {
    /// Limits in the order authorize, callback, token, register, introspect, revoke, and failed
    /// authentications.
    #[must_use]
    pub fn new(rates: [Rate; 7]) -> Self {
        let [authorize, callback, token, register, introspect, revoke, failures] = rates.map(Limiter::new);
        Self { authorize, callback, token, register, introspect, revoke, failures }
    }
}

/// The part of an address that one party controls: a whole IPv4 address, a /64 of IPv6. `None` for
/// this machine itself, which is not limited: behind a local proxy that is not configured as trusted,
/// everybody would share one limit.
pub(super) fn limited_key(address: IpAddr) -> Option<[u8; 8]> {
    if address.is_loopback() {
        return None;
    }
    Some(match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [0, 0, 0, 0, a, b, c, d]
        }
        IpAddr::V6(address) => {
            let mut prefix = [0; 8];
            prefix.copy_from_slice(&address.octets()[..8]);
            prefix
        }
    })
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
    fn one_party_has_one_key_and_this_machine_none() {
        let key = |text: &str| limited_key(text.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_ne!(key("203.0.113.1"), key("203.0.113.2"));
        assert_eq!((key("127.0.0.1"), key("::1")), (None, None));
    }
}
