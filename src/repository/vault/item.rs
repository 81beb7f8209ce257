//! Items as Vault tells of them, and where ours are.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::stored;
use crate::repository::{Kind, RepositoryError, Result, Versioned, is_key};

/// An item, as much of it as matters. Vault shows its present version alone.
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

/// A part of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Items {
    pub(super) items: Vec<Item>,
    /// Where the next part begins.
    pub(super) last: Option<String>,
}

impl Item {
    /// A secret that somebody may read. What an operator has switched off counts as absent.
    pub(super) fn is_readable(&self) -> bool {
        let active = self.versions.last().is_none_or(|v| matches!(v.state.as_str(), "active" | ""));
        self.kind == "secret" && self.enabled != Some(false) && active
    }

    pub(super) fn is_in(&self, folder: &str) -> bool {
        self.folder.trim_matches('/') == folder.trim_matches('/')
    }

    /// Which of the item's versions this is; they only grow.
    pub(super) fn number(&self) -> u64 {
        self.versions.last().map_or(0, |version| version.version)
    }

    pub(super) fn secret(&self) -> Option<&str> {
        self.versions.last()?.secret.as_deref()
    }
}

/// A record of ours where it is in Vault.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) id: String,
    pub(super) number: u64,
    pub(super) created_at: String,
    pub(super) metadata: Map<String, Value>,
    pub(super) stored: Versioned,
}

impl Held {
    /// Reads an item of ours.
    ///
    /// # Errors
    ///
    /// When it holds something else.
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

    /// Of two items under one name the newer one is the record.
    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        (&self.created_at, self.number, &self.id) > (&other.created_at, other.number, &other.id)
    }
}

/// Where our items are: a folder for each kind below the one that is configured, and names that say
/// the same, for it is not known whether Vault wants names unique in a folder or in a project.
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

    /// `/a/b` makes `a.b.client.KEY`; `None` for a key that no record can have.
    pub(super) fn name(&self, kind: Kind, key: &str) -> Option<String> {
        is_key(key).then(|| format!("{}{key}", self.prefix(kind)))
    }

    /// The key under which an item is stored; `None` for what is not ours.
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

/// A filter for the secrets of one folder, in every spelling that Vault may want.
pub(super) fn in_folder(folder: &str) -> Value {
    let bare = folder.trim_matches('/');
    let spellings = if bare.is_empty() {
        vec!["/".to_owned()]
    } else {
        vec![format!("/{bare}/"), format!("/{bare}"), bare.to_owned()]
    };
    json!({ "type": "secret", "folder__in": spellings })
}

/// The items of a name, wherever they are: the answer says their folders, and it is not known in
/// which spelling a filter would want one.
pub(super) fn by_name(name: &str) -> Value {
    json!({ "filter": { "type": "secret", "name": name }, "size": 20 })
}
