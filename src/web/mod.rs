//! The HTTP face: parses, calls the flow, renders. Whatever decides is elsewhere.

mod address;
mod attended;
mod cookies;
mod documents;
mod fetch_metadata;
mod health;
mod host;
mod https;
mod interactive;
mod limits;
mod machine;
pub mod pages;
mod refusals;
mod reply;
mod request;
mod visit;

use std::{
    collections::HashMap,
    sync::{Arc, Once},
};

use axum::{
    Router,
    http::HeaderMap,
    middleware::from_fn_with_state,
    routing::{MethodRouter, any},
};

pub use self::{
    address::{Caller, Network, Peer, TrustedProxies},
    host::{names_one_host, no_host},
    limits::{Limits, Rate},
};
use self::{
    attended::Attended, cookies::Cookies, documents::Documents, health::Readiness, https::Https,
    refusals::Refusals, visit::visited,
};
use crate::{
    audit::References,
    flow::AuthorizationServer,
    oauth::issuer::{Issuer, UPSTREAM_CALLBACK},
};

/// Where the user is asked between the upstream and the client.
const SIGNED_IN: &str = "/signed-in";

/// What the pages say beyond the request.
#[derive(Debug, Clone, Default)]
pub struct Presentation {
    /// Names of resources, by URL.
    pub resource_names: HashMap<String, String>,
    /// What scopes allow, in plain words, by name.
    pub scope_descriptions: HashMap<String, String>,
    /// Where one signs in.
    pub upstream_name: String,
    /// What is asked of the upstream.
    pub upstream_scopes: Vec<String>,
}

/// Everything that the handlers share.
#[derive(Debug)]
pub struct Web {
    server: Arc<AuthorizationServer>,
    public_url: Issuer,
    presentation: Presentation,
    limits: Limits,
    proxies: TrustedProxies,
    documents: Documents,
    https: Https,
    readiness: Readiness,
    /// Whether hosts other than loopback ones and the public URL's are refused.
    loopback_only: bool,
    /// So that the operator hears only once of a proxy that names unreadable addresses.
    unreadable_hop: Once,
    refusals: Arc<Refusals>,
    attended: Attended,
    references: References,
}

/// What an HTTP face is made of.
#[derive(Debug)]
pub struct WebSettings {
    /// Where the world reaches us.
    pub public_url: Issuer,
    /// What the pages say.
    pub presentation: Presentation,
    /// How much one address may ask for.
    pub limits: Limits,
    /// Whose word on the client's address counts.
    pub proxies: TrustedProxies,
    /// Whether anybody may introspect.
    pub introspection: bool,
    /// The algorithm of access tokens.
    pub algorithm: &'static str,
    /// Whether to refuse requests for other hosts than loopback ones and the public URL's.
    pub loopback_only: bool,
}

impl Web {
    /// The HTTP face of `server`.
    #[must_use]
    pub fn new(server: Arc<AuthorizationServer>, settings: WebSettings) -> Self {
        let documents = Documents::new(server.settings(), &settings);
        let references = References::new(server.random());
        let WebSettings { public_url, presentation, limits, proxies, loopback_only, .. } = settings;
        let https = Https::of(&public_url);
        Self {
            server,
            public_url,
            presentation,
            limits,
            proxies,
            documents,
            https,
            readiness: Readiness::default(),
            loopback_only,
            unreadable_hop: Once::new(),
            refusals: Arc::default(),
            attended: Attended::default(),
            references,
        }
    }

    /// The cookies of a request.
    fn cookies<'a>(&self, headers: &'a HeaderMap) -> Cookies<'a> {
        Cookies::of(headers, self.public_url.is_https())
    }
}

/// All routes. Paths follow the public URL's. Some clients append a slash to endpoints; a redirect would cost
/// them their request's body.
pub fn router(web: Arc<Web>) -> Router {
    let base = web.public_url.path().replace('{', "{{").replace('}', "}}");
    let endpoints: [(&str, MethodRouter<Arc<Web>>); 6] = [
        ("/authorize", visited("authorize", interactive::authorize)),
        ("/token", visited("token", machine::token)),
        ("/register", visited("register", machine::register)),
        ("/revoke", visited("revoke", machine::revoke)),
        ("/introspect", visited("introspect", machine::introspect)),
        ("/jwks.json", any(documents::jwks)),
    ];
    let routes = endpoints.into_iter().fold(Router::new(), |routes, (path, handler)| {
        routes.route(&format!("{base}{path}"), handler.clone()).route(&format!("{base}{path}/"), handler)
    });
    let routes = routes
        .route(&format!("{base}/consent"), visited("consent", interactive::consent))
        .route(&format!("{base}{UPSTREAM_CALLBACK}"), visited("callback", interactive::callback))
        .route(&format!("{base}{SIGNED_IN}"), visited("signed-in", interactive::signed_in))
        .merge(health::routes())
        .fallback(documents::document);
    let routes = if web.loopback_only {
        routes.layer(from_fn_with_state(Arc::clone(&web), host::loopback_only))
    } else {
        routes
    };
    routes.with_state(web)
}

/// `/healthz` and `/readyz` alone, for the admin listener. They share what [`router`] remembers.
pub fn health_router(web: Arc<Web>) -> Router {
    health::routes().with_state(web)
}
