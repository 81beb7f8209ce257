//! The calls: where each is, what it accepts, what it does.

use serde_json::{Map, Value};

use super::{
    call::Context,
    failure::Failure,
    items::{ById, Items},
    members, reads,
    schema::Member,
    writes,
};

/// A call of the Vault API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    GetBulk,
    List,
    Get,
    SecretStore,
    SecretRotate,
    Delete,
    StateChange,
    Update,
    FolderCreate,
}

/// The body of a call, once it is known to fit.
pub(super) type Body = Map<String, Value>;

/// What a call does with the items.
pub(super) enum Deed {
    Look(fn(&ById, Body, &Context<'_>) -> Result<Value, Failure>),
    Change(fn(&mut Items, Body, &Context<'_>) -> Result<Value, Failure>),
}

impl Action {
    pub(super) const ALL: [Self; 9] = [
        Self::GetBulk,
        Self::List,
        Self::Get,
        Self::SecretStore,
        Self::SecretRotate,
        Self::Delete,
        Self::StateChange,
        Self::Update,
        Self::FolderCreate,
    ];

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::GetBulk => "/v2/get_bulk",
            Self::List => "/v2/list",
            Self::Get => "/v2/get",
            Self::SecretStore => "/v2/secret/store",
            Self::SecretRotate => "/v2/secret/rotate",
            Self::Delete => "/v2/delete",
            Self::StateChange => "/v2/state/change",
            Self::Update => "/v2/update",
            Self::FolderCreate => "/v2/folder/create",
        }
    }

    pub(super) fn members(self) -> &'static [Member] {
        match self {
            Self::GetBulk => members::GET_BULK,
            Self::List => members::LIST,
            Self::Get => members::GET,
            Self::SecretStore => members::SECRET_STORE,
            Self::SecretRotate => members::SECRET_ROTATE,
            Self::Delete => members::DELETE,
            Self::StateChange => members::STATE_CHANGE,
            Self::Update => members::UPDATE,
            Self::FolderCreate => members::FOLDER_CREATE,
        }
    }

    pub(super) fn deed(self) -> Deed {
        match self {
            Self::GetBulk => Deed::Look(reads::get_bulk),
            Self::List => Deed::Look(reads::list),
            Self::Get => Deed::Look(reads::get),
            Self::SecretStore => Deed::Change(writes::store),
            Self::SecretRotate => Deed::Change(writes::rotate),
            Self::Delete => Deed::Change(writes::delete),
            Self::StateChange => Deed::Change(writes::change_state),
            Self::Update => Deed::Change(writes::update),
            Self::FolderCreate => Deed::Change(writes::create_folder),
        }
    }
}
