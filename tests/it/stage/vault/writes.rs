//! The calls that change something.

use std::collections::BTreeMap;

use pangea_mcp_auth::dev::fresh_id;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    action::Body,
    call::{Context, typed},
    failure::{Failure, Flaw},
    folder,
    item::{Item, ItemKind, ItemVersion, VersionState},
    items::{Items, path_of},
    switches::UniqueNames,
};

/// What a new item is given.
#[derive(Deserialize)]
struct Store {
    #[serde(default)]
    secret: String,
    name: Option<String>,
    folder: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    tags: Vec<String>,
    disabled_at: Option<String>,
}

impl Store {
    /// A secret, or a folder when it has no versions.
    fn into_item(self, kind: ItemKind, versions: Vec<ItemVersion>, context: &Context<'_>) -> Item {
        let id = fresh_id("pvi", context.random);
        Item {
            name: self.name.unwrap_or_else(|| id.clone()),
            id,
            kind,
            folder: folder::normalized(self.folder.as_deref().unwrap_or(folder::ROOT)),
            tags: self.tags,
            metadata: self.metadata,
            created_at: context.now,
            enabled: true,
            disabled_at: self.disabled_at,
            last_rotated: None,
            versions,
            implicit: false,
        }
    }
}

/// `POST /v2/secret/store`: a new item.
pub(super) fn store(items: &mut Items, body: Body, context: &Context<'_>) -> Result<Value, Failure> {
    let mut store: Store = typed(body)?;
    let secret = std::mem::take(&mut store.secret);
    let version = ItemVersion::new(1, secret, context.now);
    let item = store.into_item(ItemKind::Secret, vec![version], context);
    refuse_a_taken_name(items, &item, context)?;
    let told = item.told_with(&item.versions, context.habits.secret_in_answers, context.now, context.habits);
    items.put(item, context.now, context.random);
    Ok(told)
}

/// `POST /v2/secret/rotate`: a new value for an item.
pub(super) fn rotate(items: &mut Items, body: Body, context: &Context<'_>) -> Result<Value, Failure> {
    #[derive(Deserialize)]
    struct Rotate {
        id: String,
        secret: String,
        rotation_state: Option<VersionState>,
    }
    let rotate: Rotate = typed(body)?;
    let mut item = found(items, &rotate.id)?;
    let Some(current) = item.versions.last_mut() else { return Err(Failure::Forbidden) };
    if current.state != VersionState::Destroyed {
        current.put_into(rotate.rotation_state.unwrap_or(VersionState::Deactivated), context.now);
    }
    current.rotated_at = Some(context.now);
    let next = current.version + 1;
    item.versions.push(ItemVersion::new(next, rotate.secret, context.now));
    item.last_rotated = Some(context.now);
    Ok(put_back(items, item, context))
}

/// `POST /v2/delete`: an item, or a folder and, if that is wanted, all that is in it.
pub(super) fn delete(items: &mut Items, body: Body, _: &Context<'_>) -> Result<Value, Failure> {
    #[derive(Deserialize)]
    struct Delete {
        id: String,
        #[serde(default)]
        recursive: bool,
    }
    let delete: Delete = typed(body)?;
    let item = found(items, &delete.id)?;
    if item.kind == ItemKind::Folder {
        let path = path_of(&item);
        let inside = items.by_id().values().filter(|item| item.folder.starts_with(&path));
        let inside: Vec<String> = inside.map(|item| item.id.clone()).collect();
        if !inside.is_empty() && !delete.recursive {
            return Err(Flaw::new("BadState", "/recursive").into());
        }
        for id in inside {
            items.remove(&id);
        }
    }
    items.remove(&item.id);
    items.drop_empty_folders();
    Ok(json!({"id": item.id}))
}

/// `POST /v2/state/change`: what may be done with a version.
pub(super) fn change_state(items: &mut Items, body: Body, context: &Context<'_>) -> Result<Value, Failure> {
    #[derive(Deserialize)]
    struct StateChange {
        id: String,
        state: VersionState,
        version: Option<u64>,
    }
    let change: StateChange = typed(body)?;
    let mut item = found(items, &change.id)?;
    let Some(current) = item.versions.last() else { return Err(Failure::Forbidden) };
    let number = change.version.unwrap_or(current.version);
    let version = item.versions.iter_mut().find(|version| version.version == number);
    let version = version.ok_or(Failure::ItemNotFound)?;
    if version.state == VersionState::Destroyed {
        return Err(Flaw::new("BadState", "/state").into());
    }
    version.put_into(change.state, context.now);
    Ok(put_back(items, item, context))
}

/// `POST /v2/update`: everything but the value. A folder stays where it is and keeps its name.
pub(super) fn update(items: &mut Items, body: Body, context: &Context<'_>) -> Result<Value, Failure> {
    #[derive(Deserialize)]
    struct Update {
        id: String,
        name: Option<String>,
        folder: Option<String>,
        metadata: Option<BTreeMap<String, String>>,
        tags: Option<Vec<String>>,
        disabled_at: Option<String>,
        enabled: Option<bool>,
    }
    let update: Update = typed(body)?;
    let mut item = found(items, &update.id)?;
    if item.kind == ItemKind::Folder && (update.name.is_some() || update.folder.is_some()) {
        return Err(Failure::Forbidden);
    }
    let folder = update.folder.map(|folder| folder::normalized(&folder));
    item.name = update.name.unwrap_or(item.name);
    item.folder = folder.unwrap_or(item.folder);
    item.metadata = update.metadata.unwrap_or(item.metadata);
    item.tags = update.tags.unwrap_or(item.tags);
    item.enabled = update.enabled.unwrap_or(item.enabled);
    item.disabled_at = update.disabled_at.or(item.disabled_at);
    refuse_a_taken_name(items, &item, context)?;
    let told = item.told(context.now, context.habits);
    items.put(item, context.now, context.random);
    items.drop_empty_folders();
    Ok(told)
}

/// `POST /v2/folder/create`: a folder that stays when it is empty.
pub(super) fn create_folder(items: &mut Items, body: Body, context: &Context<'_>) -> Result<Value, Failure> {
    let store: Store = typed(body)?;
    let item = store.into_item(ItemKind::Folder, Vec::new(), context);
    refuse_a_taken_name(items, &item, context)?;
    let told = item.told(context.now, context.habits);
    items.put(item, context.now, context.random);
    Ok(told)
}

fn found(items: &Items, id: &str) -> Result<Item, Failure> {
    items.get(id).cloned().ok_or(Failure::ItemNotFound)
}

fn put_back(items: &mut Items, item: Item, context: &Context<'_>) -> Value {
    let told = item.told(context.now, context.habits);
    items.replace(item);
    told
}

/// Two folders never share a path, whatever the habit is.
fn refuse_a_taken_name(items: &Items, item: &Item, context: &Context<'_>) -> Result<(), Failure> {
    let habit = context.habits.unique_names;
    let clashes = |other: &Item| {
        let same_folder = other.folder == item.folder;
        let in_reach = match (item.kind, habit) {
            (ItemKind::Folder, _) | (_, UniqueNames::PerFolder) => same_folder,
            (_, UniqueNames::PerProject) => true,
            (_, UniqueNames::Off) => false,
        };
        other.id != item.id && other.kind == item.kind && other.name == item.name && in_reach
    };
    if items.by_id().values().any(clashes) { Err(Failure::NameTaken) } else { Ok(()) }
}
