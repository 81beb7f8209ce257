//! A simulator of Pangea Vault: secrets and folders, as its HTTP API tells of them.
//!
//! It is next to `AuthN`, under `/v2/…` and, for a base URL with `{SERVICE_NAME}` in its path, under
//! `/vault/v2/…`. Where it is not known what Pangea does, it does what asks more of a client, and a
//! habit makes it do the other thing.

mod action;
mod call;
mod failure;
mod filter;
mod folder;
mod item;
mod items;
mod members;
mod order;
mod pending;
mod reads;
mod schema;
mod switches;
mod writes;

use std::sync::{Arc, Mutex, MutexGuard};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::HeaderMap,
    routing::{get, post},
};
use pangea_mcp_auth::{clock::Clock, secret::Random};

pub use self::switches::{
    AtDisabledAt, FolderFilter, LastAtEnd, UniqueNames, VaultCall, VaultFault, VaultSwitches,
};
use self::{action::Action, items::Items, pending::Pending};
use super::Stage;

/// The service token that Vault accepts at first; `Habits::token` is the one that it accepts now.
pub const VAULT_TOKEN: &str = "pts_standinvaultstandinvaultstandinv";

/// What is in Vault, and the answers that clients wait for.
pub(super) struct Vault {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    items: Mutex<Items>,
    pending: Pending,
}

impl Vault {
    /// Nothing is in it.
    pub(super) fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random, items: Mutex::default(), pending: Pending::default() }
    }

    fn items(&self) -> MutexGuard<'_, Items> {
        self.items.lock().unwrap()
    }
}

/// Every call of the Vault API that is known here.
pub(super) fn routes() -> Router<Stage> {
    let actions = Action::ALL.into_iter().fold(Router::new(), |router, action| {
        let handler = move |State(stage): State<Stage>, headers: HeaderMap, body: Bytes| async move {
            call::call(&stage, action, &headers, &body).await
        };
        router.route(action.path(), post(handler))
    });
    actions.route("/request/{request_id}", get(call::poll))
}
