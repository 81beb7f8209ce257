//! The stand-in for Pangea Vault: secrets and folders, as its HTTP API tells of them.
//!
//! It is next to `AuthN`, under `/v2/…` and, for a base URL with `{SERVICE_NAME}` in its path, under
//! `/vault/v2/…`. Where it is not known what Pangea does, it does what asks more of a client, and a
//! [habit](Habits) makes it do the other thing.

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

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::HeaderMap,
    routing::{get, post},
};

use self::action::Action;
pub use self::switches::{
    AtDisabledAt, FolderFilter, Habits, LastAtEnd, UniqueNames, VaultCall, VaultFault, VaultSwitches,
};
pub(super) use self::{items::Items, pending::Pending};
use super::StandIn;

/// The service token that Vault accepts at first; [`Habits::token`] is the one that it accepts now.
pub const VAULT_TOKEN: &str = "pts_standinvaultstandinvaultstandinv";

/// Every call of the Vault API that is known here.
pub(super) fn routes() -> Router<StandIn> {
    let actions = Action::ALL.into_iter().fold(Router::new(), |router, action| {
        let handler = move |State(stand_in): State<StandIn>, headers: HeaderMap, body: Bytes| async move {
            call::call(&stand_in, action, &headers, &body).await
        };
        router.route(action.path(), post(handler))
    });
    actions.route("/request/{request_id}", get(call::poll))
}
