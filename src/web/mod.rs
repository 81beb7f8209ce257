//! HTTP: parses requests, calls `flow`, renders answers. Decisions are made elsewhere.

mod accept_language;
mod address;
mod attended;
mod cookies;
mod documents;
mod endpoint;
mod fetch_metadata;
mod health;
mod host;
mod https;
mod interactive;
mod limits;
mod logo;
mod machine;
pub mod pages;
mod refusals;
mod reply;
mod request;
mod visit;

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Once},
    task::Poll,
};

pub use axum::Router;
use axum::{
    BoxError,
    body::{Body, HttpBody},
    http::{HeaderMap, Request, header},
    middleware::from_fn_with_state,
    response::Response,
    routing::{MethodRouter, any, get},
};
use bytes::Bytes;
use tower_service::Service;

pub use self::{
    address::{Caller, Network, Peer, TrustedProxies},
    endpoint::Endpoint,
    limits::Limits,
};
use self::{
    attended::Attended, cookies::Cookies, documents::Documents, health::Readiness, https::Https, logo::Logo,
    pages::brand::Brand, refusals::Refusals, visit::visited,
};
use crate::{audit::References, flow::AuthorizationServer, oauth::issuer::Issuer, raster::RasterImage};

/// What the pages show that no request says.
#[derive(Debug, Clone, Default)]
pub struct Presentation {
    /// Names of resources, by URL.
    pub resource_names: HashMap<String, String>,
    /// What scopes allow, in plain words, by scope.
    pub scope_descriptions: HashMap<String, String>,
    /// The name of the identity provider.
    pub upstream_name: String,
    /// The scopes that the upstream is asked for.
    pub upstream_scopes: Vec<String>,
    pub branding: Branding,
}

/// What every page says about the operator.
#[derive(Debug, Clone, Default)]
pub struct Branding {
    pub name: Option<String>,
    pub logo: Option<RasterImage>,
    pub support_url: Option<String>,
    pub privacy_url: Option<String>,
}

/// What all handlers share.
#[derive(Debug)]
pub struct Web {
    server: Arc<AuthorizationServer>,
    public_url: Issuer,
    presentation: Presentation,
    limits: Limits,
    proxies: TrustedProxies,
    documents: Documents,
    https: Https,
    brand: Arc<Brand>,
    logo: Option<Logo>,
    readiness: Readiness,
    /// Whether requests for hosts other than loopback and the public URL's are refused.
    loopback_only: bool,
    /// Makes the warning about unreadable addresses from a proxy appear once.
    unreadable_hop: Once,
    refusals: Arc<Refusals>,
    attended: Attended,
    references: References,
}

/// The configuration of [`Web`].
#[derive(Debug)]
pub struct WebSettings {
    /// The URL under which clients and browsers reach this server.
    pub public_url: Issuer,
    pub presentation: Presentation,
    pub limits: Limits,
    pub proxies: TrustedProxies,
    /// Whether any resource has an introspection credential.
    pub introspection: bool,
    /// The algorithm of access tokens.
    pub algorithm: &'static str,
    /// Whether to refuse requests for other hosts than loopback ones and the public URL's.
    pub loopback_only: bool,
}

impl Web {
    /// Prepares the handlers and the metadata.
    pub fn new(server: Arc<AuthorizationServer>, settings: WebSettings) -> serde_json::Result<Self> {
        let documents = Documents::new(server.settings(), &settings)?;
        let references = References::new(server.random());
        let WebSettings { public_url, presentation, limits, proxies, loopback_only, .. } = settings;
        let https = Https::of(&public_url);
        let logo = presentation.branding.logo.clone().map(|image| Logo::new(&public_url, image));
        let brand = Arc::new(brand(&public_url, &presentation.branding, logo.as_ref()));
        Ok(Self {
            server,
            public_url,
            presentation,
            limits,
            proxies,
            documents,
            https,
            brand,
            logo,
            readiness: Readiness::default(),
            loopback_only,
            unreadable_hop: Once::new(),
            refusals: Arc::default(),
            attended: Attended::default(),
            references,
        })
    }

    /// The cookies of a request.
    fn cookies<'a>(&self, headers: &'a HeaderMap) -> Cookies<'a> {
        Cookies::of(headers, self.public_url.is_https())
    }
}

fn brand(public_url: &Issuer, branding: &Branding, logo: Option<&Logo>) -> Brand {
    let Branding { name, support_url, privacy_url, .. } = branding.clone();
    let host = public_url.origin().split_once("://").map_or("", |(_, host)| host).to_owned();
    Brand { name, logo: logo.map(|logo| logo.path().to_owned()), support_url, privacy_url, host }
}

pub fn router(web: Arc<Web>) -> Router {
    let base = web.public_url.path().replace('{', "{{").replace('}', "}}");
    let mut routes = health::routes();
    for endpoint in Endpoint::ALL {
        let (Some(path), Some(handler)) = (endpoint.path(), handler(endpoint)) else { continue };
        if endpoint.takes_slash() {
            routes = routes.route(&format!("{base}{path}/"), handler.clone());
        }
        routes = routes.route(&format!("{base}{path}"), handler);
    }
    routes = routes.fallback(documents::document);
    if web.loopback_only {
        routes = routes.layer(from_fn_with_state(Arc::clone(&web), host::loopback_only));
    }
    routes.with_state(web)
}

/// `None` for endpoints that are not below the public URL.
fn handler(endpoint: Endpoint) -> Option<MethodRouter<Arc<Web>>> {
    Some(match endpoint {
        Endpoint::Authorize => visited(endpoint, interactive::authorize),
        Endpoint::Consent => visited(endpoint, interactive::consent),
        Endpoint::Callback => visited(endpoint, interactive::callback),
        Endpoint::SignedIn => visited(endpoint, interactive::signed_in),
        Endpoint::Connections => visited(endpoint, interactive::connections),
        Endpoint::Token => visited(endpoint, machine::token),
        Endpoint::Register => visited(endpoint, machine::register),
        Endpoint::Revoke => visited(endpoint, machine::revoke),
        Endpoint::Introspect => visited(endpoint, machine::introspect),
        Endpoint::Jwks => any(documents::jwks),
        Endpoint::Metadata | Endpoint::Health | Endpoint::Ready => return None,
    })
}

/// Answers a request that came from `peer`.
pub fn answer<B>(router: &Router, peer: Peer, request: Request<B>) -> impl Future<Output = Response> + use<B>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let mut answer = host::names_one_host(&request).then(|| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        router.clone().call(request)
    });
    // An `async` block would have room for the future twice, and move it.
    poll_fn(move |context| match &mut answer {
        Some(answer) => Pin::new(answer).poll(context).map(|Ok(answer)| answer),
        None => Poll::Ready(host::no_host()),
    })
}

/// Adds `GET /metrics`, which answers with `text`.
pub fn with_metrics(routes: Router, text: impl Fn() -> String + Clone + Send + Sync + 'static) -> Router {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let answer = move || async move { ([(header::CONTENT_TYPE, OPEN_METRICS)], text()) };
    routes.route("/metrics", get(answer))
}

/// Only `/healthz` and `/readyz`, for the admin listener. They share the state of [`router`].
pub fn health_router(web: Arc<Web>) -> Router {
    health::routes().with_state(web)
}
