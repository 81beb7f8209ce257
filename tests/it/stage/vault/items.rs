//! All items, the folders that come and go with them, and what was there a little while ago.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
};

use pangea_mcp_auth::{clock::UnixTime, dev::fresh_id, secret::Random};

use super::{
    folder,
    item::{Item, ItemKind},
};

/// How many earlier changes are kept.
const LONGEST_PAST: usize = 32;

/// Items by id.
pub(super) type ById = BTreeMap<String, Item>;

/// All items.
#[derive(Debug, Default)]
pub(super) struct Items {
    now: ById,
    /// What the last changes replaced.
    past: VecDeque<Replaced>,
    present: Replaced,
}

/// Items as they were, `None` where there was none.
type Replaced = Vec<(String, Option<Item>)>;

impl Items {
    pub(super) fn by_id(&self) -> &ById {
        &self.now
    }

    pub(super) fn get(&self, id: &str) -> Option<&Item> {
        self.now.get(id)
    }

    /// Puts an item in, with the folders that it needs.
    pub(super) fn put(&mut self, item: Item, now: UnixTime, random: &dyn Random) {
        let folder = item.folder.clone();
        self.replace(item);
        for (parent, name, _) in folder::way(&folder) {
            if !self.now.values().any(|item| item.is_folder_at(&parent, &name)) {
                self.replace(new_folder(parent, name, now, random));
            }
        }
    }

    /// Puts an item in the place of the one with its id.
    pub(super) fn replace(&mut self, item: Item) {
        let before = self.now.insert(item.id.clone(), item.clone());
        self.present.push((item.id, before));
    }

    pub(super) fn remove(&mut self, id: &str) {
        if let Some(item) = self.now.remove(id) {
            self.present.push((id.to_owned(), Some(item)));
        }
    }

    /// Removes the empty folders that no call created.
    pub(super) fn drop_empty_folders(&mut self) {
        let is_empty = |path: &str, items: &ById| items.values().all(|item| item.folder != path);
        while let Some(id) = self
            .now
            .values()
            .find(|item| item.implicit && is_empty(&path_of(item), &self.now))
            .map(|item| item.id.clone())
        {
            self.remove(&id);
        }
    }

    /// Ends a change: what it replaced is from now on the past.
    pub(super) fn end_change(&mut self) {
        if !self.present.is_empty() {
            self.past.push_back(std::mem::take(&mut self.present));
            if self.past.len() > LONGEST_PAST {
                self.past.pop_front();
            }
        }
    }

    /// The items as they were this many changes ago.
    pub(super) fn changes_ago(&self, changes: usize) -> Cow<'_, ById> {
        let mut items = Cow::Borrowed(&self.now);
        for replaced in self.past.iter().rev().take(changes) {
            for (id, before) in replaced.iter().rev() {
                match before {
                    Some(item) => items.to_mut().insert(id.clone(), item.clone()),
                    None => items.to_mut().remove(id),
                };
            }
        }
        items
    }
}

/// The path of a folder itself.
pub(super) fn path_of(item: &Item) -> String {
    format!("{}{}/", item.folder, item.name)
}

fn new_folder(parent: String, name: String, now: UnixTime, random: &dyn Random) -> Item {
    Item {
        id: fresh_id("pvi", random),
        kind: ItemKind::Folder,
        name,
        folder: parent,
        tags: Vec::new(),
        metadata: BTreeMap::new(),
        created_at: now,
        enabled: true,
        disabled_at: None,
        last_rotated: None,
        versions: Vec::new(),
        implicit: true,
    }
}
