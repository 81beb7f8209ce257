//! Public documents: metadata at every well-known path, and the public keys.

use std::{collections::HashMap, sync::Arc};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use serde_json::json;

use super::{
    Web, WebSettings,
    endpoint::Endpoint,
    https::Https,
    pages::texts::{Notice, Notices, fill},
    reply::{Reply, allow_all_origins, with_cors},
    request::{reads, wants_page},
    visit::Visit,
};
use crate::{
    flow::Settings,
    keys::PUBLISHED_MAX_AGE,
    oauth::{
        authorization::Offer,
        issuer::Issuer,
        metadata::{Features, ResourceMetadata, ServerMetadata},
        resource::Resource,
    },
};

/// Documents that do not change while the server runs, by path.
#[derive(Debug)]
pub(super) struct Documents {
    by_path: HashMap<String, Bytes>,
    headers: HeaderMap,
}

impl Documents {
    pub(super) fn new(settings: &Settings, web: &WebSettings) -> serde_json::Result<Self> {
        let mut by_path = HashMap::new();
        let features = Features {
            registration: settings.registration.enabled,
            client_documents: settings.client_documents.enabled,
            introspection: web.introspection,
            scopes: settings.resources.all_scopes(),
            algorithm: web.algorithm,
        };
        let metadata = ServerMetadata::new(&settings.issuer, &web.public_url, features);
        let metadata = Bytes::from(serde_json::to_vec(&metadata)?);
        for path in metadata_paths(settings.issuer.path()) {
            by_path.insert(path, metadata.clone());
        }
        let own = |resource: &Resource| resource.origin() == web.public_url.origin();
        for served in settings.resources.configured.iter().filter(|served| own(&served.resource)) {
            let document = resource_document(settings, web, served)?;
            let path = served.resource.path_and_query().split('?').next().unwrap_or_default();
            let path = format!("/.well-known/oauth-protected-resource{path}");
            by_path.insert(without_trailing_slash(&path).to_owned(), document.clone());
            // Some clients look at the root: there they find the resource if it is the only one.
            if settings.resources.configured.len() == 1 {
                by_path.entry("/.well-known/oauth-protected-resource".to_owned()).or_insert(document);
            }
        }
        Ok(Self { by_path, headers: headers(&web.public_url) })
    }

    fn answer(&self, body: Bytes) -> Response {
        let mut response = Response::new(Body::from(body));
        response.headers_mut().clone_from(&self.headers);
        response
    }
}

/// Some clients append a slash to the paths that they build.
fn without_trailing_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// RFC 8414 section 3.1 and its older forms.
fn metadata_paths(issuer_path: &str) -> [String; 3] {
    [
        format!("/.well-known/oauth-authorization-server{issuer_path}"),
        format!("/.well-known/openid-configuration{issuer_path}"),
        format!("{issuer_path}/.well-known/openid-configuration"),
    ]
}

fn resource_document(settings: &Settings, web: &WebSettings, offer: &Offer) -> serde_json::Result<Bytes> {
    let name = web.presentation.resource_names.get(offer.resource.as_str()).map(String::as_str);
    // Clients request every scope that the document lists.
    let scope = offer.scopes.default_scope();
    let document = ResourceMetadata::new(&offer.resource, name, scope, &settings.issuer);
    Ok(Bytes::from(serde_json::to_vec(&document)?))
}

fn headers(public_url: &Issuer) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let max_age = format!("public, max-age={}", PUBLISHED_MAX_AGE.as_secs());
    if let Ok(max_age) = HeaderValue::from_str(&max_age) {
        headers.insert(header::CACHE_CONTROL, max_age);
    }
    if let Some(policy) = Https::of(public_url).policy() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, policy);
    }
    allow_all_origins(&mut headers);
    headers
}

/// Metadata, the operator's logo, and all paths without an endpoint.
pub(super) async fn document(State(web): State<Arc<Web>>, request: Request) -> Response {
    let path = request.uri().path();
    let Some(body) = web.documents.by_path.get(without_trailing_slash(path)) else {
        let logo = web.logo.as_ref().filter(|logo| logo.is_at(path) && reads(request.method()));
        return logo.map_or_else(|| missing(&web, &request), |logo| logo.answer(web.https));
    };
    serve(&web, &request, Endpoint::Metadata, || body.clone())
}

/// Not found: a page for people, JSON for programs. Only programs request metadata.
fn missing(web: &Web, request: &Request) -> Response {
    let path = request.uri().path();
    let well_known = path.contains("/.well-known/");
    let reply = Visit::new(web, Endpoint::Metadata, request).reply;
    if well_known && let Some(preflight) = preflight(&reply, request) {
        return preflight;
    }
    if !well_known && reads(request.method()) && wants_page(request.headers()) {
        let at_the_root = ["", web.public_url.path()].contains(&path.trim_end_matches('/'));
        return if at_the_root {
            root_page(&reply, &web.presentation.upstream_name)
        } else {
            reply.notice_page(StatusCode::NOT_FOUND, reply.texts.notices.no_page, None)
        };
    }
    let body = json!({ "error": "not_found", "error_description": "there is nothing here" });
    let response = reply.json(StatusCode::NOT_FOUND, &body);
    if well_known { with_cors(response) } else { response }
}

/// Tells a person who opens the server's address what the server is.
fn root_page(reply: &Reply, upstream_name: &str) -> Response {
    let Notices { root_title: title, root_happened, root_to_do: what_to_do, .. } = reply.texts.notices;
    let what_happened = fill(root_happened, upstream_name);
    let notice = Notice { title, what_happened: &what_happened, what_to_do };
    reply.notice_page(StatusCode::OK, notice, None)
}

pub(super) async fn jwks(State(web): State<Arc<Web>>, request: Request) -> Response {
    let keys = if reads(request.method()) { web.server.published_keys().await } else { Bytes::new() };
    serve(&web, &request, Endpoint::Jwks, || keys)
}

/// Reading a document logs nothing, so it has no context.
fn serve(web: &Web, request: &Request, endpoint: Endpoint, body: impl FnOnce() -> Bytes) -> Response {
    if reads(request.method()) {
        return web.documents.answer(body());
    }
    let visit = Visit::new(web, endpoint, request);
    if let Some(preflight) = preflight(&visit.reply, request) {
        return preflight;
    }
    let refused = visit.context().run(|| visit.reply.method_not_allowed());
    with_cors(visit.reply.under_reference(refused))
}

fn preflight(reply: &Reply, request: &Request) -> Option<Response> {
    let methods = reply.endpoint.cors().filter(|_| request.method() == Method::OPTIONS)?;
    Some(with_cors(reply.preflight(methods)))
}
