//! The URLs that this process knows, in bounded memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::known::Known;

/// Most URLs. What is kept of a document or a key set has at most 5 KB.
const MOST: usize = 1000;

/// One URL, and the turn to fetch it.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) known: Mutex<Known<T>>,
    pub(super) turn: tokio::sync::Mutex<()>,
}

/// All entries. Beyond the limit, the one that was not used for longest is evicted.
#[derive(Debug)]
pub(super) struct Table<T>(Mutex<Entries<T>>);

#[derive(Debug)]
struct Entries<T> {
    by_url: HashMap<String, Used<T>>,
    uses: u64,
}

#[derive(Debug)]
struct Used<T> {
    entry: Arc<Entry<T>>,
    /// The number of its last use.
    last: u64,
}

impl<T> Default for Entry<T> {
    fn default() -> Self {
        Self { known: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }
}

impl<T> Entries<T> {
    fn existing(&mut self, url: &str) -> Option<Arc<Entry<T>>> {
        self.uses += 1;
        let used = self.by_url.get_mut(url)?;
        used.last = self.uses;
        Some(Arc::clone(&used.entry))
    }

    /// Removes the entry that was not used for longest, and returns whether it could. An entry that a request holds
    /// stays, because another fetch of its URL would begin.
    fn evict_oldest(&mut self) -> bool {
        let idle = self.by_url.iter().filter(|(_, used)| Arc::strong_count(&used.entry) == 1);
        let oldest = idle.min_by_key(|(_, used)| used.last).map(|(url, _)| url.clone());
        oldest.is_some_and(|oldest| self.by_url.remove(&oldest).is_some())
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Mutex::new(Entries { by_url: HashMap::new(), uses: 0 }))
    }
}

impl<T> Table<T> {
    pub(super) fn existing(&self, url: &str) -> Option<Arc<Entry<T>>> {
        self.entries().existing(url)
    }

    /// The entry of a URL, created if there is none; `None` while requests hold all entries.
    pub(super) fn entry(&self, url: &str) -> Option<Arc<Entry<T>>> {
        let mut entries = self.entries();
        if let Some(existing) = entries.existing(url) {
            return Some(existing);
        }
        if entries.by_url.len() >= MOST && !entries.evict_oldest() {
            return None;
        }
        let entry = Arc::new(Entry::default());
        let last = entries.uses;
        entries.by_url.insert(url.to_owned(), Used { entry: Arc::clone(&entry), last });
        Some(entry)
    }

    fn entries(&self) -> MutexGuard<'_, Entries<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(number: usize) -> String {
        format!("https://app.example/{number}")
    }

    #[test]
    fn the_entry_that_was_not_used_for_longest_is_evicted() {
        let table = Table::<()>::default();
        (0..MOST).for_each(|number| drop(table.entry(&url(number)).unwrap()));
        assert!(table.existing(&url(0)).is_some());
        assert!(table.entry(&url(MOST)).is_some());
        assert!(table.existing(&url(0)).is_some() && table.existing(&url(1)).is_none());
        assert_eq!(table.entries().by_url.len(), MOST);
    }

    #[test]
    fn an_entry_in_use_is_never_evicted() {
        let table = Table::<()>::default();
        let held: Vec<_> = (0..MOST).map(|number| table.entry(&url(number)).unwrap()).collect();
        assert!(table.entry(&url(MOST)).is_none());
        let same = table.entry(&url(7)).unwrap();
        assert!(Arc::ptr_eq(&same, &held[7]));
        drop((held, same));
        assert!(table.entry(&url(MOST)).is_some());
    }
}
