//! A cache of recent reads and writes. It saves calls, and corrects answers that are older than our own writes.

use std::{collections::HashMap, mem, time::Duration};

use super::item::Held;
use crate::{clock::UnixTime, repository::Kind};

/// How long a newly stored item counts as existing although Vault does not show it yet.
const SETTLING: Duration = Duration::from_secs(3);
/// Approximate bytes in each of the two generations.
const LARGEST_GENERATION: usize = 16 * 1024 * 1024;
/// Most remembered deleted items of one key.
const MOST_DELETED: usize = 16;
/// Bytes of an entry without its value.
const OVERHEAD: usize = 512;

type Name = (Kind, String);

#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    at: Option<UnixTime>,
    /// Whether our own write caused it.
    written: bool,
    held: Option<Held>,
    /// Items that we deleted. An answer with one of them is outdated.
    deleted: Vec<String>,
}

/// Two generations: when the young one is full, it replaces the old one.
#[derive(Debug, Default)]
pub(super) struct Recent {
    young: HashMap<Name, Known>,
    old: HashMap<Name, Known>,
    bytes: usize,
}

impl Recent {
    pub(super) fn known(&self, kind: Kind, key: &str) -> Option<&Known> {
        let name = (kind, key.to_owned());
        self.young.get(&name).or_else(|| self.old.get(&name))
    }

    /// Remembers what was read.
    pub(super) fn read(&mut self, kind: Kind, key: &str, held: Option<Held>, now: UnixTime) {
        let deleted = self.known(kind, key).map(|known| known.deleted.clone()).unwrap_or_default();
        // A recent write of ours stays one although it was read since.
        let (at, written) = match self.known(kind, key) {
            Some(known) if known.is_settling(now) => (known.at, true),
            _ => (Some(now), false),
        };
        self.remember(kind, key, Known { at, written, held, deleted });
    }

    /// Remembers what was written.
    pub(super) fn wrote(&mut self, kind: Kind, key: &str, held: Held, now: UnixTime) {
        let deleted = self.known(kind, key).map(|known| known.deleted.clone()).unwrap_or_default();
        self.remember(kind, key, Known { at: Some(now), written: true, held: Some(held), deleted });
    }

    /// Remembers what was deleted.
    pub(super) fn deleted(&mut self, kind: Kind, key: &str, id: &str, now: UnixTime) {
        let known = self.known(kind, key).cloned().unwrap_or_default();
        let held = known.held.filter(|held| held.id != id);
        let mut deleted = known.deleted;
        deleted.push(id.to_owned());
        let surplus = deleted.len().saturating_sub(MOST_DELETED);
        deleted.drain(..surplus);
        self.remember(kind, key, Known { at: Some(now), written: true, held, deleted });
    }

    fn remember(&mut self, kind: Kind, key: &str, known: Known) {
        let size = known.size() + key.len();
        if let Some(before) = self.young.insert((kind, key.to_owned()), known) {
            self.bytes = self.bytes.saturating_sub(before.size() + key.len());
        }
        self.bytes += size;
        if self.bytes > LARGEST_GENERATION {
            self.old = mem::take(&mut self.young);
            self.bytes = 0;
        }
    }
}

impl Known {
    /// Whether it is younger than `cache`.
    pub(super) fn is_fresh(&self, cache: Duration, now: UnixTime) -> bool {
        self.at.is_some_and(|at| at <= now && now.since(at) < cache)
    }

    /// The record; `None` if it is known to be absent.
    pub(super) const fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// Whether we deleted an item of the answer.
    pub(super) fn is_deleted(&self, id: &str) -> bool {
        self.deleted.iter().any(|deleted| deleted == id)
    }

    /// The known record, if the answer with these items must be older.
    pub(super) fn newer_than(&self, items: &[Held], now: UnixTime) -> Option<&Held> {
        let held = self.held.as_ref()?;
        match items.iter().find(|item| item.id == held.id) {
            Some(item) => Some(held).filter(|held| item.number < held.number),
            None => Some(held).filter(|_| self.is_settling(now)),
        }
    }

    fn is_settling(&self, now: UnixTime) -> bool {
        self.written && self.at.is_some_and(|at| now.since(at) < SETTLING)
    }

    fn size(&self) -> usize {
        let held = self.held.as_ref().map_or(0, |held| held.stored.record.value.len());
        OVERHEAD + held + self.deleted.iter().map(String::len).sum::<usize>()
    }
}
