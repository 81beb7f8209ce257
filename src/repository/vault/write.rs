//! Writes of single items. Vault has no conditional writes, and answers may be lost. A write without an answer is
//! therefore checked before it is repeated, so that nothing is stored twice.

use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::{
    VaultRepository,
    api::{FIRST_WAIT, MOST_TRIES, Repeat},
    item::{Held, Item, Items, by_name},
    status::Failed,
    stored,
};
use crate::{
    clock::UnixTime,
    repository::{Kind, Result, Versioned, Write},
};

/// What Vault has under one name.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// The record, possibly expired.
    pub(super) held: Option<Held>,
    /// Older items under the same name, left by lost answers.
    pub(super) duplicates: Vec<String>,
    /// Whether an operator disabled an item of this name.
    pub(super) switched_off: bool,
}

/// A write of one key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<'a> {
    pub(super) kind: Kind,
    pub(super) key: &'a str,
    pub(super) name: &'a str,
    pub(super) now: UnixTime,
    pub(super) deadline: Instant,
}

impl VaultRepository {
    /// Reads a record from Vault into the cache.
    pub(super) async fn look(&self, spot: Spot<'_>) -> Result<Looked> {
        let Spot { kind, key, name, now, deadline } = spot;
        let found: Items = self.call("get_bulk", &by_name(name), Repeat::Freely, deadline).await?;
        let folder = self.place.folder_of(kind);
        let ours = found.items.into_iter().filter(|item| item.name == name && item.is_in(&folder));
        let (readable, others): (Vec<Item>, Vec<Item>) = ours.partition(Item::is_readable);
        let mut recent = self.recent();
        let known = recent.known(kind, key).cloned().unwrap_or_default();
        let mut items = Vec::new();
        for item in readable.into_iter().filter(|item| !known.is_deleted(&item.id)) {
            items.push(Held::read(key, item)?);
        }
        if let Some(newer) = known.newer_than(&items, now) {
            items.retain(|item| item.id != newer.id);
            items.push(newer.clone());
        }
        let held = items.iter().reduce(|a, b| if b.is_newer_than(a) { b } else { a }).cloned();
        let is_held = |id: &String| held.as_ref().is_some_and(|held| held.id == *id);
        let duplicates = items.into_iter().map(|item| item.id).filter(|id| !is_held(id)).collect();
        recent.read(kind, key, held.clone(), now);
        Ok(Looked { held, duplicates, switched_off: !others.is_empty() })
    }

    /// Stores a new item.
    pub(super) async fn store(&self, spot: Spot<'_>, stored: Versioned) -> Result<Write> {
        let metadata = stored::metadata(&stored.record);
        let body = json!({
            "type": "secret",
            "secret": stored::text(&stored)?,
            "name": spot.name,
            "folder": self.place.folder_of(spot.kind),
            "metadata": metadata,
        });
        let mut pause = FIRST_WAIT;
        for attempt in 1.. {
            let answer = self.call_once::<Item>("secret/store", &body, spot.deadline).await;
            let failed = match answer {
                Ok(item) => return Ok(self.written(spot, held(item, metadata, stored))),
                Err(Failed::Final(error)) => return Err(error),
                Err(failed) => failed,
            };
            sleep(pause).await;
            if let Some(held) =
                self.look(spot).await?.held.filter(|held| held.stored.record.is_live(spot.now))
            {
                let is_ours = held.stored.version == stored.version;
                return Ok(if is_ours { self.written(spot, held) } else { Write::Conflict });
            }
            let lost = matches!(failed, Failed::Lost(_));
            if !lost || attempt >= MOST_TRIES || Instant::now() >= spot.deadline {
                return Err(failed.into());
            }
            pause *= 2;
        }
        Err(Failed::impatient().into())
    }

    /// Replaces the value of an item. The old value is destroyed.
    pub(super) async fn rotate(&self, spot: Spot<'_>, read: Held, stored: Versioned) -> Result<Write> {
        let body = json!({
            "id": read.id,
            "rotation_state": "destroyed",
            "secret": stored::text(&stored)?,
        });
        let mut pause = FIRST_WAIT;
        self.almanac().forget(spot.kind, spot.key, read.stored.record.expires_at);
        for attempt in 1.. {
            let answer = self.call_once::<Item>("secret/rotate", &body, spot.deadline).await;
            let failed = match answer {
                Ok(item) => {
                    let number = item.number().max(read.number + 1);
                    return Ok(self.written(spot, Held { number, stored, ..read }));
                }
                Err(Failed::Final(error)) => return Err(error),
                Err(Failed::Absent) => return Ok(Write::Conflict),
                Err(failed) => failed,
            };
            sleep(pause).await;
            match self.look(spot).await?.held {
                Some(held) if held.stored.version == stored.version => return Ok(self.written(spot, held)),
                Some(held) if held.stored.version == read.stored.version => {}
                _ => return Ok(Write::Conflict),
            }
            let lost = matches!(failed, Failed::Lost(_));
            if !lost || attempt >= MOST_TRIES || Instant::now() >= spot.deadline {
                return Err(failed.into());
            }
            pause *= 2;
        }
        Err(Failed::impatient().into())
    }

    /// Updates the metadata of an item.
    pub(super) async fn describe(
        &self,
        spot: Spot<'_>,
        id: &str,
        metadata: &Map<String, Value>,
    ) -> Result<()> {
        let body = json!({ "id": id, "metadata": metadata });
        let _: Value = self.call("update", &body, Repeat::Freely, spot.deadline).await?;
        Ok(())
    }

    /// Deletes an item. If it is already gone, an earlier answer was lost.
    pub(super) async fn delete(&self, spot: Spot<'_>, id: &str) -> Result<()> {
        let body = json!({ "id": id, "recursive": false });
        match self.call::<Value>("delete", &body, Repeat::Freely, spot.deadline).await {
            Ok(_) | Err(Failed::Absent) => {}
            Err(failed) => return Err(failed.into()),
        }
        self.recent().deleted(spot.kind, spot.key, id, spot.now);
        self.cursors().forget(spot.kind);
        Ok(())
    }

    /// Deletes the items that lost answers left.
    pub(super) async fn delete_all(&self, spot: Spot<'_>, ids: &[String]) -> Result<()> {
        for id in ids {
            self.delete(spot, id).await?;
        }
        Ok(())
    }

    fn written(&self, spot: Spot<'_>, held: Held) -> Write {
        let version = held.stored.version;
        self.cursors().forget(spot.kind);
        self.almanac().note(spot.kind, spot.key, held.stored.record.expires_at);
        self.recent().wrote(spot.kind, spot.key, held, spot.now);
        Write::Done(version)
    }

    /// A call that is not repeated here.
    async fn call_once<T: serde::de::DeserializeOwned>(
        &self,
        action: &str,
        body: &Value,
        deadline: Instant,
    ) -> std::result::Result<T, Failed> {
        self.call(action, body, Repeat::Never, deadline).await
    }
}

fn held(item: Item, metadata: Map<String, Value>, stored: Versioned) -> Held {
    let number = item.number().max(1);
    Held { id: item.id, number, created_at: item.created_at, metadata, stored }
}
