//! How often what was asked for.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

/// After this many different paths, further ones count as `other`.
const MOST_PATHS: usize = 100;

/// How often each path was asked for.
#[derive(Debug, Default)]
pub struct RequestCounts(Mutex<BTreeMap<String, u64>>);

impl RequestCounts {
    /// Requests for one path.
    pub fn of(&self, path: &str) -> u64 {
        self.counts().get(path).copied().unwrap_or_default()
    }

    /// Requests for anything.
    pub fn total(&self) -> u64 {
        self.counts().values().sum()
    }

    /// Requests by path.
    pub fn by_path(&self) -> BTreeMap<String, u64> {
        self.counts().clone()
    }

    pub(super) fn count(&self, path: &str) {
        let mut counts = self.counts();
        let path = if counts.contains_key(path) || counts.len() < MOST_PATHS { path } else { "other" };
        *counts.entry(path.to_owned()).or_default() += 1;
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.lock().unwrap()
    }
}

#[test]
fn counting_stays_bounded() {
    let counts = RequestCounts::default();
    (0..1000).for_each(|number| counts.count(&format!("/{number}")));
    counts.count("/0");
    assert_eq!((counts.of("/0"), counts.of("other"), counts.total()), (2, 900, 1001));
}
