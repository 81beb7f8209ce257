//! Items in Vault's answers, and the names and folders of ours.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::stored;
use crate::repository::{Kind, RepositoryError, Result, Versioned, is_key};

/// The used members of an item. Vault shows only its current version.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Item {
    pub(super) id: String,
    #[serde(rename = "type")]
    kind: String,
    pub(super) name: String,
    folder: String,
    enabled: Option<bool>,
    pub(super) created_at: String,
    pub(super) metadata: Option<Map<String, Value>>,
    #[serde(rename = "item_versions")]
    versions: Vec<ItemVersion>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct ItemVersion {
    version: u64,
    state: String,
    secret: Option<String>,
}

/// A page of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Items {
    pub(super) items: Vec<Item>,
    /// Start of the next page.
    pub(super) last: Option<String>,
}

impl Item {
    /// Whether it is an enabled secret. Items that an operator disabled count as absent.
    pub(super) fn is_readable(&self) -> bool {
        let active = self.versions.last().is_none_or(|v| matches!(v.state.as_str(), "active" | ""));
        self.kind == "secret" && self.enabled != Some(false) && active
    }

    pub(super) fn is_in(&self, folder: &str) -> bool {
        self.folder.trim_matches('/') == folder.trim_matches('/')
    }

    /// Number of the current version. It only grows.
    pub(super) fn number(&self) -> u64 {
        self.versions.last().map_or(0, |version| version.version)
    }

    pub(super) fn secret(&self) -> Option<&str> {
        self.versions.last()?.secret.as_deref()
    }
}

/// One of our records in Vault.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) id: String,
    pub(super) number: u64,
    pub(super) created_at: String,
    pub(super) metadata: Map<String, Value>,
    pub(super) stored: Versioned,
}

impl Held {
    /// Reads one of our items.
    ///
    /// # Errors
    ///
    /// When it is not a record.
    pub(super) fn read(key: &str, item: Item) -> Result<Self> {
        let stored = item.secret().and_then(|text| stored::read(key, text));
        let stored = stored.ok_or_else(|| RepositoryError::Corrupt(format!("the item {}", item.id)))?;
        Ok(Self {
            number: item.number(),
            id: item.id,
            created_at: item.created_at,
            metadata: item.metadata.unwrap_or_default(),
            stored,
        })
    }

    /// The newer of two items with one name is the record.
    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        (&self.created_at, self.number, &self.id) > (&other.created_at, other.number, &other.id)
    }
}

/// The names of our items: a folder for each kind below the configured folder, and the same again in the item's name,
/// because Vault may require names that are unique in the whole project.
#[derive(Debug, Clone)]
pub(super) struct Place {
    folder: String,
}

impl Place {
    pub(super) fn new(folder: &str) -> Self {
        Self { folder: folder.trim_end_matches('/').to_owned() }
    }

    pub(super) fn folder_of(&self, kind: Kind) -> String {
        format!("{}/{}", self.folder, kind.as_str())
    }

    /// In `/a/b`: `a.b.client.KEY`; `None` for a key that no record can have.
    pub(super) fn name(&self, kind: Kind, key: &str) -> Option<String> {
        is_key(key).then(|| format!("{}{key}", self.prefix(kind)))
    }

    /// The key of one of our items; `None` for other items.
    pub(super) fn key<'a>(&self, kind: Kind, item: &'a Item) -> Option<&'a str> {
        let ours = item.is_readable() && item.is_in(&self.folder_of(kind));
        item.name.strip_prefix(&self.prefix(kind)).filter(|key| ours && !key.is_empty())
    }

    /// Whether the item is in one of our folders.
    pub(super) fn holds(&self, item: &Item) -> bool {
        Kind::ALL.iter().any(|kind| item.is_in(&self.folder_of(*kind)))
    }

    fn prefix(&self, kind: Kind) -> String {
        self.folder_of(kind).trim_start_matches('/').replace('/', ".") + "."
    }
}

/// Filters for the secrets of one folder, in every spelling that Vault may want.
pub(super) fn in_folder(folder: &str) -> Value {
    let bare = folder.trim_matches('/');
    let spellings = if bare.is_empty() {
        vec!["/".to_owned()]
    } else {
        vec![format!("/{bare}/"), format!("/{bare}"), bare.to_owned()]
    };
    json!({ "type": "secret", "folder__in": spellings })
}

/// A filter for the items of a name in all folders. The answer names their folders, and the spelling of a folder in a
/// filter is uncertain.
pub(super) fn by_name(name: &str) -> Value {
    json!({ "filter": { "type": "secret", "name": name }, "size": 20 })
}
