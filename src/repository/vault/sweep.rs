//! Removes expired records, which Vault does not do. Reading everything each minute would cost a call for every hundred
//! items, so this module remembers what expires next.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    VaultRepository,
    api::Repeat,
    item::{Item, Items, in_folder},
    stored,
    write::Looked,
};
use crate::{
    clock::UnixTime,
    repository::{Kind, RepositoryError, Result},
};

/// Most expired records that one call removes.
const BATCH: usize = 100;
const MOST_REMEMBERED: usize = 10_000;
/// Items without values per answer, Vault's limit.
const LARGEST_PART: usize = 100;
/// Seconds between full scans, which find records that other processes wrote.
const AGAIN: u64 = 24 * 3600;

/// What expires next.
#[derive(Debug)]
pub(super) struct Almanac {
    soonest: BTreeSet<(UnixTime, Kind, String)>,
    /// `soonest` is complete up to this time.
    horizon: UnixTime,
}

impl Default for Almanac {
    fn default() -> Self {
        Self { soonest: BTreeSet::new(), horizon: UnixTime::from_secs(0) }
    }
}

impl Almanac {
    /// Remembers when a record expires.
    pub(super) fn note(&mut self, kind: Kind, key: &str, expires_at: Option<UnixTime>) {
        let Some(expires_at) = expires_at.filter(|at| *at < self.horizon) else { return };
        self.soonest.insert((expires_at, kind, key.to_owned()));
        if self.soonest.len() > MOST_REMEMBERED
            && let Some((latest, ..)) = self.soonest.pop_last()
        {
            self.horizon = self.horizon.min(latest);
        }
    }

    /// Forgets a record that is gone or whose expiry changed.
    pub(super) fn forget(&mut self, kind: Kind, key: &str, expires_at: Option<UnixTime>) {
        if let Some(expires_at) = expires_at {
            self.soonest.remove(&(expires_at, kind, key.to_owned()));
        }
    }

    /// Starts a full scan: from now on, every expiry is remembered.
    pub(super) fn begin(&mut self, now: UnixTime) {
        self.horizon = UnixTime::from_secs(now.as_secs().saturating_add(AGAIN));
    }

    /// Whether an expiry that is due may be missing.
    pub(super) fn is_blind(&self, now: UnixTime) -> bool {
        self.horizon <= now && self.due(now).is_none()
    }

    pub(super) fn due(&self, now: UnixTime) -> Option<(UnixTime, Kind, String)> {
        self.soonest.first().filter(|(expires_at, ..)| *expires_at <= now).cloned()
    }
}

impl VaultRepository {
    pub(super) async fn sweep(&self, now: UnixTime) -> Result<u64> {
        let is_blind = self.almanac().is_blind(now);
        if is_blind && let Err(error) = self.look_through(now).await {
            *self.almanac() = Almanac::default();
            return Err(error);
        }
        let mut swept = 0;
        for _ in 0..BATCH {
            let due = self.almanac().due(now);
            let Some((expires_at, kind, key)) = due else { return Ok(swept) };
            swept += u64::from(match self.remove_expired(kind, &key, now).await {
                // It stays, and does not stop the others.
                Err(RepositoryError::Corrupt(what)) => {
                    tracing::warn!(%what, "an expired record cannot be read");
                    false
                }
                removed => removed?,
            });
            self.almanac().forget(kind, &key, Some(expires_at));
        }
        // More records may be due although every record of this batch was extended.
        if swept == 0 { Box::pin(self.sweep(now)).await } else { Ok(swept) }
    }

    /// Remembers every expiry in the metadata, without reading the values.
    async fn look_through(&self, now: UnixTime) -> Result<()> {
        self.almanac().begin(now);
        for kind in Kind::ALL {
            let mut last: Option<String> = None;
            loop {
                let mut body = json!({
                    "filter": in_folder(&self.place.folder_of(kind)),
                    "order_by": "id",
                    "size": LARGEST_PART,
                });
                if let Some(last) = &last {
                    body["last"] = last.as_str().into();
                }
                let part: Items = self.call("list", &body, Repeat::Freely, self.api.deadline()).await?;
                let is_last = part.items.is_empty();
                for item in &part.items {
                    self.note_item(kind, item);
                }
                let next =
                    part.last.filter(|next| !is_last && !next.is_empty() && Some(next) != last.as_ref());
                last = next;
                if last.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn note_item(&self, kind: Kind, item: &Item) {
        let expires_at = item.metadata.as_ref().and_then(stored::expiry);
        if let Some(key) = self.place.key(kind, item) {
            self.almanac().note(kind, key, expires_at);
        }
    }

    /// Removes a record if it has expired. True if it was removed.
    async fn remove_expired(&self, kind: Kind, key: &str, now: UnixTime) -> Result<bool> {
        let _alone = self.locks.of(kind, key).await;
        let Some(name) = self.place.name(kind, key) else { return Ok(false) };
        let spot = self.spot(kind, key, &name, now);
        let Looked { held: Some(held), duplicates, .. } = self.look(spot).await? else { return Ok(false) };
        let record = &held.stored.record;
        if !record.is_live(now) {
            self.delete_all(spot, &duplicates).await?;
            self.delete(spot, &held.id).await?;
            return Ok(true);
        }
        // Its life was extended. The metadata is updated only now, because most records are extended often.
        let metadata = stored::metadata(record);
        if metadata != held.metadata {
            self.describe(spot, &held.id, &metadata).await?;
        }
        self.almanac().note(kind, key, record.expires_at);
        Ok(false)
    }
}
