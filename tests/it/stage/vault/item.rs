//! One item, its versions, and what an answer tells of it.

use std::collections::BTreeMap;

use pangea_mcp_auth::{clock::UnixTime, dev::timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::switches::{AtDisabledAt, Habits};

/// A secret or a folder.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) kind: ItemKind,
    pub(super) name: String,
    /// Where it lies, `/a/b/`.
    pub(super) folder: String,
    pub(super) tags: Vec<String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) created_at: UnixTime,
    pub(super) enabled: bool,
    /// As it was given.
    pub(super) disabled_at: Option<String>,
    pub(super) last_rotated: Option<UnixTime>,
    /// The oldest first; none for a folder.
    pub(super) versions: Vec<ItemVersion>,
    /// A folder that no call created: it is removed when it is empty.
    pub(super) implicit: bool,
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ItemKind {
    Secret,
    Folder,
}

/// One value that a secret has or had.
#[derive(Debug, Clone)]
pub(super) struct ItemVersion {
    pub(super) version: u64,
    pub(super) created_at: UnixTime,
    pub(super) state: VersionState,
    pub(super) rotated_at: Option<UnixTime>,
    pub(super) destroyed_at: Option<UnixTime>,
    /// Gone once it is destroyed.
    pub(super) secret: Option<String>,
}

/// What may be done with a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum VersionState {
    Active,
    Deactivated,
    Suspended,
    Compromised,
    Destroyed,
}

/// Which versions of an item are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selector {
    Current,
    All,
    Number(u64),
    /// This many of the newest: `-2` and `-2:`.
    Newest(u64),
}

impl Selector {
    /// `"all"`, a number, or `"-n"` or `"-n:"`; numbers may come as text.
    pub(super) fn parse(value: &Value) -> Option<Self> {
        let text = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => return None,
        };
        let number = |text: &str| text.parse().ok().filter(|number| *number > 0);
        match text.strip_prefix('-') {
            Some(newest) => number(newest.strip_suffix(':').unwrap_or(newest)).map(Self::Newest),
            None if text == "all" => Some(Self::All),
            None => number(&text).map(Self::Number),
        }
    }
}

impl ItemVersion {
    pub(super) fn new(version: u64, secret: String, now: UnixTime) -> Self {
        Self {
            version,
            created_at: now,
            state: VersionState::Active,
            rotated_at: None,
            destroyed_at: None,
            secret: Some(secret),
        }
    }

    pub(super) fn put_into(&mut self, state: VersionState, now: UnixTime) {
        self.state = state;
        if state == VersionState::Destroyed {
            self.destroyed_at = Some(now);
            self.secret = None;
        }
    }

    fn told(&self, with_secret: bool) -> Value {
        let mut told = json!({
            "version": self.version,
            "created_at": timestamp(self.created_at),
            "state": self.state,
        });
        let times = [("rotated_at", self.rotated_at), ("destroyed_at", self.destroyed_at)];
        for (name, time) in times.into_iter().filter_map(|(name, time)| Some((name, time?))) {
            told[name] = json!(timestamp(time));
        }
        if let Some(secret) = self.secret.as_ref().filter(|_| with_secret) {
            told["secret"] = json!(secret);
        }
        told
    }
}

impl Item {
    /// Whether its own path is this one; a secret has none.
    pub(super) fn is_folder_at(&self, parent: &str, name: &str) -> bool {
        self.kind == ItemKind::Folder && self.folder == parent && self.name == name
    }

    /// Whether it is in use at this time.
    pub(super) fn is_enabled(&self, now: UnixTime, habits: &Habits) -> bool {
        self.enabled && (habits.at_disabled_at == AtDisabledAt::Nothing || !self.has_run_out(now))
    }

    /// Whether no search finds it any more.
    pub(super) fn is_hidden(&self, now: UnixTime, habits: &Habits) -> bool {
        habits.at_disabled_at == AtDisabledAt::Hidden && self.has_run_out(now)
    }

    fn has_run_out(&self, now: UnixTime) -> bool {
        let end = self.disabled_at.as_ref().and_then(|time| time.parse::<jiff::Timestamp>().ok());
        end.is_some_and(|end| u64::try_from(end.as_second()).unwrap_or_default() <= now.as_secs())
    }

    /// The versions that are meant, if they all exist.
    pub(super) fn selected(&self, selector: Selector) -> Option<&[ItemVersion]> {
        let count = self.versions.len();
        match selector {
            Selector::All => Some(&self.versions),
            Selector::Current => Some(&self.versions[count.saturating_sub(1)..]),
            Selector::Newest(newest) => {
                let newest = usize::try_from(newest).unwrap_or(count);
                Some(&self.versions[count.saturating_sub(newest)..])
            }
            Selector::Number(number) => {
                let at = self.versions.iter().position(|version| version.version == number)?;
                Some(&self.versions[at..=at])
            }
        }
    }

    /// What an answer tells of it, with its current version alone and without the secret.
    pub(super) fn told(&self, now: UnixTime, habits: &Habits) -> Value {
        self.told_with(self.selected(Selector::Current).unwrap_or_default(), false, now, habits)
    }

    /// What an answer tells of it, with these versions.
    pub(super) fn told_with(
        &self,
        versions: &[ItemVersion],
        with_secret: bool,
        now: UnixTime,
        habits: &Habits,
    ) -> Value {
        let mut told = json!({
            "id": self.id,
            "type": self.kind,
            "name": self.name,
            "folder": self.folder,
            "tags": self.tags,
            "metadata": self.metadata,
            "created_at": timestamp(self.created_at),
        });
        if let Some(time) = &self.disabled_at {
            told["disabled_at"] = json!(time);
        }
        if let Some(time) = self.last_rotated {
            told["last_rotated"] = json!(timestamp(time));
        }
        match self.kind {
            ItemKind::Folder => told["inherited_settings"] = json!({}),
            ItemKind::Secret => {
                told["enabled"] = json!(self.is_enabled(now, habits));
                told["num_versions"] = json!(self.versions.len());
                told["item_versions"] =
                    versions.iter().map(|version| version.told(with_secret)).collect::<Vec<_>>().into();
            }
        }
        told
    }
}
