//! The stand-in for Pangea `AuthN`: the OAuth server, and the calls that tell who a person is, in this process and for
//! loopback only. Any email address works; there is no password.
//!
//! It is stricter than Pangea is known to be (redirect URI, `state`, scope, one-time codes, PKCE). What differs between
//! Pangea projects is a [`Conduct`].

mod authorize;
mod claims;
mod clients;
mod conduct;
mod envelope;
mod expiring;
mod form;
mod ids;
mod introspection;
mod issue;
mod loopback;
mod metadata;
mod page;
mod people;
mod reply;
mod service;
mod service_token;
mod signing;
mod state;
mod token;

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    middleware::from_fn,
    routing::{get, post},
};

pub use self::{
    claims::Claims,
    conduct::Conduct,
    envelope::{Envelope, Verdict, timestamp},
    ids::fresh as fresh_id,
    reply::json_reply,
    service_token::SERVICE_TOKEN,
    signing::SigningKeys,
    state::StateError,
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
    sign_in_as: Option<String>,
    conduct: Box<dyn Conduct>,
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
        Self::conducted(config, Box::new(conduct::Ordinary), clock, random)
    }

    /// The same, with a conduct of its own.
    ///
    /// # Errors
    ///
    /// When the state file cannot be read, or no signing key can be made.
    pub fn conducted(
        config: StandInConfig,
        conduct: Box<dyn Conduct>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, StandInError> {
        let client = clients::Client::configured(&config, clock.now());
        Ok(Self(Arc::new(Inner {
            issuer: config.issuer.trim_end_matches('/').to_owned(),
            client,
            keys: signing::SigningKeys::generate(&*random)?,
            state: state::Store::open(config.state_file)?,
            sign_in_as: config.sign_in_as,
            conduct,
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
            .layer(from_fn(loopback::admit))
            .with_state(self.clone())
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

    /// An access token that works: alive, of a living session, of a person who is not disabled.
    fn live_access_token<'a>(
        &self,
        state: &'a state::State,
        token: &str,
    ) -> Option<(&'a state::AccessToken, &'a state::Session)> {
        let (access, session) = state.access_token(token, self.now())?;
        (!self.0.conduct.is_disabled(&session.email)).then_some((access, session))
    }
}
