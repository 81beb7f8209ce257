//! Secrets beside ours, which another program keeps in the same Vault.

use serde_json::json;

use super::{
    VaultRepository,
    api::Repeat,
    item::{Item, Items, by_name, in_folder},
};
use crate::{repository::Result, secret::Secret};

/// Items with their values that one answer may hold.
const LARGEST_PART: usize = 40;

/// A secret that is not ours.
#[derive(Debug)]
pub struct ForeignSecret {
    /// Vault's name for the item.
    pub id: String,
    /// Its keeper's name for it.
    pub name: String,
    /// What it holds.
    pub value: Secret,
}

impl VaultRepository {
    /// The secrets of that name outside our folders; the newest first.
    ///
    /// # Errors
    ///
    /// As any call of the repository.
    pub async fn foreign(&self, name: &str) -> Result<Vec<ForeignSecret>> {
        let body = by_name(name);
        let found: Items = self.call("get_bulk", &body, Repeat::Freely, self.api.deadline()).await?;
        let mut items: Vec<Item> = found.items.into_iter().filter(|item| item.name == name).collect();
        items.sort_by(|a, b| b.created_at.cmp(&a.created_at));
        Ok(items.into_iter().filter_map(|item| self.as_foreign(item)).collect())
    }

    /// A part of all secrets outside our folders, or of those in one folder, the newest first, and where
    /// the next part begins; the first part begins at `None`.
    ///
    /// # Errors
    ///
    /// As any call of the repository.
    pub async fn foreign_part(
        &self,
        folder: Option<&str>,
        from: Option<String>,
    ) -> Result<(Vec<ForeignSecret>, Option<String>)> {
        let filter = folder.map_or_else(|| json!({ "type": "secret" }), in_folder);
        let mut body = json!({
            "filter": filter,
            "order": "desc",
            "order_by": "created_at",
            "size": LARGEST_PART,
        });
        if let Some(from) = &from {
            body["last"] = from.as_str().into();
        }
        let part: Items = self.call("get_bulk", &body, Repeat::Freely, self.api.deadline()).await?;
        let next = part
            .last
            .filter(|next| !part.items.is_empty() && !next.is_empty() && Some(next) != from.as_ref());
        Ok((part.items.into_iter().filter_map(|item| self.as_foreign(item)).collect(), next))
    }

    /// Deletes one of them.
    ///
    /// # Errors
    ///
    /// As any call of the repository.
    pub async fn delete_foreign(&self, secret: &ForeignSecret) -> Result<()> {
        let body = json!({ "id": secret.id, "recursive": false });
        match self.call::<serde_json::Value>("delete", &body, Repeat::Freely, self.api.deadline()).await {
            Ok(_) | Err(super::status::Failed::Absent) => Ok(()),
            Err(failed) => Err(failed.into()),
        }
    }

    fn as_foreign(&self, item: Item) -> Option<ForeignSecret> {
        let value = Secret::new("foreign secret", item.secret()?.to_owned());
        let foreign = item.is_readable() && !self.place.holds(&item);
        foreign.then_some(ForeignSecret { id: item.id, name: item.name, value })
    }
}
