//! A map whose entries end by themselves.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;

/// Values by key, each until its own time. What has expired is cleared out each time the map has
/// doubled, so inserting stays cheap.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Expiring<V> {
    entries: HashMap<String, (UnixTime, V)>,
    #[serde(skip)]
    purge_at: usize,
}

impl<V> Expiring<V> {
    /// Stores a value that exists until `expires_at`.
    pub(super) fn insert(&mut self, key: String, value: V, expires_at: UnixTime, now: UnixTime) {
        if self.entries.len() >= self.purge_at {
            self.entries.retain(|_, (expires_at, _)| now < *expires_at);
            self.purge_at = 2 * self.entries.len() + 64;
        }
        self.entries.insert(key, (expires_at, value));
    }

    /// The value, if it still exists.
    pub(super) fn get(&self, key: &str, now: UnixTime) -> Option<&V> {
        self.entries.get(key).filter(|(expires_at, _)| now < *expires_at).map(|(_, value)| value)
    }

    /// The value, if it still existed; it does not any more.
    pub(super) fn remove(&mut self, key: &str, now: UnixTime) -> Option<V> {
        self.entries.remove(key).filter(|(expires_at, _)| now < *expires_at).map(|(_, value)| value)
    }
}

impl<V> Default for Expiring<V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), purge_at: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_end_at_their_time_and_are_cleared_out() {
        let at = UnixTime::from_secs;
        let mut map = Expiring::default();
        for number in 0..1000_u64 {
            map.insert(number.to_string(), number, at(number + 10), at(number));
            assert_eq!(map.get(&number.to_string(), at(number + 9)), Some(&number));
            assert_eq!(map.get(&number.to_string(), at(number + 10)), None);
        }
        assert!(map.entries.len() < 100);
        assert_eq!(map.remove("999", at(999)), Some(999));
        assert_eq!(map.remove("999", at(999)), None);
        assert_eq!(map.remove("998", at(2000)), None);
    }
}
