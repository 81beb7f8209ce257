//! The URLs that this process knows, in bounded memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::known::Known;
use crate::oauth::client_id::DocumentId;

/// Most URLs. A document has at most 5 KB, and so has what is kept of it.
const MOST: usize = 1000;

/// One URL, and the turn to fetch it.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) known: Mutex<Known>,
    pub(super) turn: tokio::sync::Mutex<()>,
}

/// All entries. Beyond the limit, the one that was not used for longest is evicted.
#[derive(Debug, Default)]
pub(super) struct Table(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    by_id: HashMap<DocumentId, Used>,
    uses: u64,
}

#[derive(Debug)]
struct Used {
    entry: Arc<Entry>,
    /// The number of its last use.
    last: u64,
}

impl Entries {
    fn existing(&mut self, id: &DocumentId) -> Option<Arc<Entry>> {
        self.uses += 1;
        let used = self.by_id.get_mut(id)?;
        used.last = self.uses;
        Some(Arc::clone(&used.entry))
    }

    /// Removes the entry that was not used for longest, and returns whether it could. An entry that a request holds
    /// stays, because another fetch of its URL would begin.
    fn evict_oldest(&mut self) -> bool {
        let idle = self.by_id.iter().filter(|(_, used)| Arc::strong_count(&used.entry) == 1);
        let oldest = idle.min_by_key(|(_, used)| used.last).map(|(id, _)| id.clone());
        oldest.is_some_and(|oldest| self.by_id.remove(&oldest).is_some())
    }
}

impl Table {
    pub(super) fn existing(&self, id: &DocumentId) -> Option<Arc<Entry>> {
        self.entries().existing(id)
    }

    /// The entry of a URL, created if there is none; `None` while requests hold all entries.
    pub(super) fn entry(&self, id: &DocumentId) -> Option<Arc<Entry>> {
        let mut entries = self.entries();
        if let Some(existing) = entries.existing(id) {
            return Some(existing);
        }
        if entries.by_id.len() >= MOST && !entries.evict_oldest() {
            return None;
        }
        let entry = Arc::new(Entry::default());
        let last = entries.uses;
        entries.by_id.insert(id.clone(), Used { entry: Arc::clone(&entry), last });
        Some(entry)
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::client_id::ClientId;

    fn id(number: usize) -> DocumentId {
        let id = ClientId::of_document(&format!("https://app.example/{number}")).unwrap();
        id.document().unwrap().clone()
    }

    #[test]
    fn the_entry_that_was_not_used_for_longest_is_evicted() {
        let table = Table::default();
        (0..MOST).for_each(|number| drop(table.entry(&id(number)).unwrap()));
        assert!(table.existing(&id(0)).is_some());
        assert!(table.entry(&id(MOST)).is_some());
        assert!(table.existing(&id(0)).is_some() && table.existing(&id(1)).is_none());
        assert_eq!(table.entries().by_id.len(), MOST);
    }

    #[test]
    fn an_entry_in_use_is_never_evicted() {
        let table = Table::default();
        let held: Vec<_> = (0..MOST).map(|number| table.entry(&id(number)).unwrap()).collect();
        assert!(table.entry(&id(MOST)).is_none());
        let same = table.entry(&id(7)).unwrap();
        assert!(Arc::ptr_eq(&same, &held[7]));
        drop((held, same));
        assert!(table.entry(&id(MOST)).is_some());
    }
}
