//! Secrets of another program in the same Vault.

use serde_json::json;

use super::{
    VaultRepository,
    api::Repeat,
    item::{Item, Items, by_name, in_folder},
};
use crate::{repository::Result, secret::Secret};

/// Items with values per answer.
const LARGEST_PART: usize = 40;

/// A secret of another program.
#[derive(Debug)]
pub struct ForeignSecret {
    /// Vault's ID of the item.
    pub id: String,
    /// The other program's name for it.
    pub name: String,
    /// The secret.
    pub value: Secret,
}

impl VaultRepository {
    /// The secrets of this name outside our folders, newest first.
    ///
    /// # Errors
    ///
    /// As every call of the repository.
    pub async fn foreign(&self, name: &str) -> Result<Vec<ForeignSecret>> {
        let body = by_name(name);
        let found: Items = self.call("get_bulk", &body, Repeat::Freely, self.api.deadline()).await?;
        let mut items: Vec<Item> = found.items.into_iter().filter(|item| item.name == name).collect();
        items.sort_by(|a, b| b.created_at.cmp(&a.created_at));
        Ok(items.into_iter().filter_map(|item| self.as_foreign(item)).collect())
    }

    /// A page of the secrets outside our folders, or in one folder, newest first, and the start of the next page. The
    /// first page starts at `None`.
    ///
    /// # Errors
    ///
    /// As every call of the repository.
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

    /// Deletes a secret of another program.
    ///
    /// # Errors
    ///
    /// As every call of the repository.
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
