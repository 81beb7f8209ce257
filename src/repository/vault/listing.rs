//! Lists in the order of names, page by page.

use std::collections::{BTreeMap, VecDeque};

use serde_json::json;

use super::{
    VaultRepository,
    api::Repeat,
    item::{Held, Item, Items, in_folder},
};
use crate::{
    clock::UnixTime,
    repository::{Kind, Order, Page, Record, Result},
};

/// Items with values per answer: forty of the largest stay below the size limit of `fetch`.
const LARGEST_PART: usize = 40;
/// Most remembered cursors.
const MOST_CURSORS: usize = 256;

/// Remembers where a page ended, so that the next page does not start at the beginning. Additions and removals make
/// it forget, because the effect on Vault's cursors is not documented.
#[derive(Debug, Default)]
pub(super) struct Cursors(VecDeque<(Kind, Page, String)>);

impl Cursors {
    fn remember(&mut self, kind: Kind, page: Page, last: String) {
        self.0.retain(|(of, at, _)| *of != kind || !continues(at, &page));
        if self.0.len() == MOST_CURSORS {
            self.0.pop_front();
        }
        self.0.push_back((kind, page, last));
    }

    fn of(&self, kind: Kind, page: &Page) -> Option<String> {
        self.0.iter().find(|(of, at, _)| *of == kind && continues(at, page)).map(|(.., last)| last.clone())
    }

    /// Forgets the cursors of a kind.
    pub(super) fn forget(&mut self, kind: Kind) {
        self.0.retain(|(of, ..)| *of != kind);
    }
}

/// Whether both are the same position in the same list.
fn continues(one: &Page, other: &Page) -> bool {
    (&one.parent, &one.after, one.order) == (&other.parent, &other.after, other.order)
}

impl VaultRepository {
    pub(super) async fn page(&self, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>> {
        let mut records: Vec<Held> = Vec::new();
        let mut from = page.after.as_ref().and_then(|_| self.cursors().of(kind, page));
        let mut previous: Option<String> = None;
        while records.len() < page.limit {
            let part = self.part(kind, page, from.as_deref()).await?;
            let keyed = |item: Item| Some((self.place.key(kind, &item)?.to_owned(), item));
            let items: Vec<(String, Item)> = part.items.into_iter().filter_map(keyed).collect();
            let keys = previous.iter().chain(items.iter().map(|(key, _)| key));
            if !keys.is_sorted_by(|key, next| !follows(key, next, page.order)) {
                return self.sorted(kind, page, now).await;
            }
            previous = items.last().map(|(key, _)| key.clone()).or(previous);
            let mut is_within = false;
            for (key, item) in items.into_iter().filter(|(key, _)| belongs_behind(key, page)) {
                if !add(&mut records, Held::read(&key, item)?, page, now) {
                    is_within = true;
                    break;
                }
            }
            let next = if is_within { from.clone() } else { part.last };
            if records.len() == page.limit || next.is_none() || next == from {
                // Remembers the end too, so that the next call does not start at the beginning.
                self.remember(kind, page, &records, next.or(from));
                break;
            }
            from = next;
        }
        Ok(records.into_iter().map(|held| held.stored.record).collect())
    }

    /// A page from a Vault that sorts names differently: reads everything and sorts it here.
    async fn sorted(&self, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>> {
        let mut all: BTreeMap<String, Held> = BTreeMap::new();
        let mut from: Option<String> = None;
        loop {
            let part = self.part(kind, page, from.as_deref()).await?;
            for item in part.items {
                let Some(key) = self.place.key(kind, &item).map(str::to_owned) else { continue };
                let held = Held::read(&key, item)?;
                if all.get(&key).is_none_or(|other| held.is_newer_than(other)) {
                    all.insert(key, held);
                }
            }
            if part.last.is_none() || part.last == from {
                break;
            }
            from = part.last;
        }
        let all = all.into_values().filter(|held| belongs_behind(&held.stored.record.key, page));
        let mut records: Vec<Record> =
            all.filter(|held| belongs(held, page, now)).map(|held| held.stored.record).collect();
        if page.order == Order::Descending {
            records.reverse();
        }
        records.truncate(page.limit);
        Ok(records)
    }

    fn remember(&self, kind: Kind, page: &Page, records: &[Held], next: Option<String>) {
        if let (Some(held), Some(next)) = (records.last(), next) {
            let behind = Page { after: Some(held.stored.record.key.clone()), ..page.clone() };
            self.cursors().remember(kind, behind, next);
        }
    }

    async fn part(&self, kind: Kind, page: &Page, last: Option<&str>) -> Result<Items> {
        let order = match page.order {
            Order::Ascending => "asc",
            Order::Descending => "desc",
        };
        let mut body = json!({
            "filter": in_folder(&self.place.folder_of(kind)),
            "order": order,
            "order_by": "name",
            "size": LARGEST_PART,
        });
        if let Some(parent) = &page.parent {
            body["filter"]["metadata_parent"] = parent.as_str().into();
        }
        if let Some(last) = last {
            body["last"] = last.into();
        }
        let part: Items = self.call("get_bulk", &body, Repeat::Freely, self.api.deadline()).await?;
        // A list ends with an empty page or without a cursor.
        let last = part.last.filter(|last| !last.is_empty() && !part.items.is_empty());
        Ok(Items { last, ..part })
    }
}

/// Adds a record if it belongs to the page. False if the page is full.
fn add(records: &mut Vec<Held>, held: Held, page: &Page, now: UnixTime) -> bool {
    if !belongs(&held, page, now) {
        return true;
    }
    let is_full = records.len() == page.limit;
    match records.last_mut() {
        Some(last) if last.stored.record.key == held.stored.record.key => {
            if held.is_newer_than(last) {
                *last = held;
            }
        }
        _ if is_full => return false,
        _ => records.push(held),
    }
    true
}

fn belongs(held: &Held, page: &Page, now: UnixTime) -> bool {
    let record = &held.stored.record;
    record.is_live(now) && (page.parent.is_none() || page.parent == record.parent)
}

fn belongs_behind(key: &str, page: &Page) -> bool {
    page.after.as_ref().is_none_or(|after| follows(key, after, page.order))
}

/// Whether `key` comes after `other` in this order.
fn follows(key: &str, other: &str, order: Order) -> bool {
    match order {
        Order::Ascending => key > other,
        Order::Descending => key < other,
    }
}
