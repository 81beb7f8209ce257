//! The stand-in for Pangea `AuthN` and Vault: the OAuth server, the calls that tell who a person is,
//! and the secrets, in this process and for loopback only. Any email address works; there is no
//! password.
//!
//! It is stricter than Pangea is known to be (redirect URI, `state`, scope, one-time codes, PKCE),
//! and what is not known of Pangea, or goes wrong there, is a [switch](Switches).

mod authorize;
mod clients;
mod control;
mod dial;
mod expiring;
mod form;
mod ids;
mod introspection;
mod metadata;
mod page;
mod people;
mod reply;
mod service;
mod signing;
mod state;
mod switches;
#[cfg(test)]
mod tests;
mod token;
mod tokens;
mod vault;

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{get, post},
};

pub use self::{
    control::RequestCounts,
    dial::{Dial, DialError},
    service::SERVICE_TOKEN,
    state::StateError,
    switches::{
        AccessTokenForm, Answer, Authorize, ExpiresIn, Fault, IdToken, Introspection, IssParameter, Metadata,
        Pkce, Plain, SwitchError, Switches, Token,
    },
    vault::{
        AtDisabledAt, FolderFilter, Habits, LastAtEnd, UniqueNames, VAULT_TOKEN, VaultCall, VaultFault,
        VaultSwitches,
    },
};
use crate::{
    clock::{Clock, UnixTime},
    jose::SigningRefused,
    secret::Random,
};

/// What the stand-in needs to know.
#[derive(Clone)]
pub struct StandInConfig {
    /// Its own URL, without a path: `http://localhost:8001`.
    pub issuer: String,
    /// The OAuth client, `psa_…`.
    pub client_id: String,
    /// The client's secret, `pck_…`.
    pub client_secret: String,
    /// Where the client may have people sent; compared character by character.
    pub redirect_uris: Vec<String>,
    /// What the client may ask for.
    pub scopes: Vec<String>,
    /// What it gets when it asks for nothing.
    pub default_scopes: Vec<String>,
    /// An email address: this person is signed in without a page.
    pub sign_in_as: Option<String>,
    /// People, clients and tokens survive a restart in this file. Every change writes all of it.
    pub state_file: Option<PathBuf>,
}

/// Why there is no stand-in.
#[derive(Debug, thiserror::Error)]
pub enum StandInError {
    /// The state file is of no use.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is no signing key.
    #[error("the stand-in cannot make a signing key: {0}")]
    Signing(#[from] SigningRefused),
}

/// The stand-in. Clones share everything.
#[derive(Clone)]
pub struct StandIn(Arc<Inner>);

struct Inner {
    issuer: String,
    client: clients::Client,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    keys: signing::SigningKeys,
    state: state::Store,
    switches: Switches,
    requests: RequestCounts,
    pending: vault::Pending,
}

impl StandIn {
    /// A stand-in that remembers what its state file says.
    ///
    /// # Errors
    ///
    /// When the state file cannot be read, or no signing key can be made.
    pub fn new(
        config: StandInConfig,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, StandInError> {
        let client = clients::Client::configured(&config, clock.now());
        Ok(Self(Arc::new(Inner {
            issuer: config.issuer.trim_end_matches('/').to_owned(),
            client,
            keys: signing::SigningKeys::generate(&*random)?,
            state: state::Store::open(config.state_file)?,
            switches: Switches::new(config.sign_in_as),
            requests: RequestCounts::default(),
            pending: vault::Pending::default(),
            clock,
            random,
        })))
    }

    /// Everything that it serves. Requests whose `Host` is not a loopback one are refused.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v2/oauth/authorize", get(authorize::ask).post(authorize::answer))
            .route("/v2/oauth/token", post(token::token))
            .route("/v2/oauth/token/introspect", post(introspection::introspect))
            .route("/v2/oauth/token/revoke", post(introspection::revoke))
            .route("/v2/oauth/clients", get(clients::list))
            .route("/v2/oauth/clients/register", post(clients::register))
            .route("/v2/oauth/jwks.json", get(metadata::jwks))
            .route("/v1beta/oauth/jwks.json", get(metadata::jwks))
            .route("/.well-known/oauth-authorization-server", get(metadata::metadata))
            .route("/.well-known/openid-configuration", get(metadata::metadata))
            .route("/v2/client/token/check", post(service::token_check))
            .route("/v2/user/profile/get", post(service::profile_get))
            .route("/v2/user/group/list", post(service::group_list))
            .merge(vault::routes())
            .nest("/vault", vault::routes())
            .route(
                "/__stand-in/switches",
                get(control::show_switches).post(control::set_switches).delete(control::reset_switches),
            )
            .route("/__stand-in/disable", post(control::disable))
            .route("/__stand-in/requests", get(control::show_requests))
            .layer(from_fn_with_state(self.clone(), control::admit))
            .with_state(self.clone())
    }

    /// The switches.
    #[must_use]
    pub fn switches(&self) -> &Switches {
        &self.0.switches
    }

    /// How often each path was asked for.
    #[must_use]
    pub fn requests(&self) -> &RequestCounts {
        &self.0.requests
    }

    /// Disables a person: no sign-in, no refresh, and every token is inactive.
    pub fn disable(&self, email: &str) {
        self.set_disabled(email, true);
    }

    /// Enables a disabled person. Tokens that were issued before work again.
    pub fn enable(&self, email: &str) {
        self.set_disabled(email, false);
    }

    /// The groups that a person is in from now on.
    pub fn set_groups(&self, email: &str, groups: &[&str]) {
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        let (email, now) = (email.to_lowercase(), self.now());
        self.0.state.change(|state| state.person(&email, now).groups = groups);
    }

    fn set_disabled(&self, email: &str, disabled: bool) {
        let (email, now) = (email.to_lowercase(), self.now());
        self.0.state.change(|state| state.person(&email, now).disabled = disabled);
    }

    fn now(&self) -> UnixTime {
        self.0.clock.now()
    }

    fn client(&self, id: &str) -> Option<clients::Client> {
        if self.0.client.id == id {
            return Some(self.0.client.clone());
        }
        self.0.state.read(|state| state.clients.get(id).cloned())
    }
}
