//! Where the upstream's endpoints are: configured, else from its metadata, else where Pangea has them.

use std::{sync::Arc, time::Duration};

use reqwest::Url;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::{
    clock::UnixTime,
    fetch::{Fetch, Sender},
    oauth::resource::is_loopback,
};

/// How long metadata is believed.
const FRESH: Duration = Duration::from_hours(1);
/// How long no second attempt is made after a failure.
const BACK_OFF: Duration = Duration::from_mins(1);

/// The endpoints of an authorization server.
#[derive(Debug)]
pub(super) struct Endpoints {
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) introspection: Url,
    /// In the order in which they are tried.
    pub(super) jwks: Vec<Url>,
    /// The issuer that answers and ID tokens must name.
    pub(super) issuer: String,
    /// Whether `iss` must come back (RFC 9207).
    pub(super) names_itself: bool,
}

/// Endpoints that the operator has set, which beat everything else.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `authorization_endpoint`.
    pub authorization: Option<Url>,
    /// `token_endpoint`.
    pub token: Option<Url>,
    /// `introspection_endpoint`.
    pub introspection: Option<Url>,
    /// `jwks_uri`.
    pub jwks: Option<Url>,
}

/// The members of RFC 8414 metadata that are of use here.
#[derive(Debug, Default, Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<Url>,
    token_endpoint: Option<Url>,
    introspection_endpoint: Option<Url>,
    jwks_uri: Option<Url>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// Finds the endpoints, and keeps them for a while.
#[derive(Debug)]
pub(super) struct Directory {
    issuer: Url,
    overrides: Overrides,
    found: Mutex<Option<(Arc<Endpoints>, UnixTime)>>,
}

impl Directory {
    pub(super) fn new(issuer: Url, overrides: Overrides) -> Self {
        Self { issuer, overrides, found: Mutex::new(None) }
    }

    pub(super) async fn endpoints(&self, fetch: &Fetch, now: UnixTime) -> Arc<Endpoints> {
        let mut found = self.found.lock().await;
        if let Some((endpoints, _)) = found.as_ref().filter(|(_, until)| now < *until) {
            return Arc::clone(endpoints);
        }
        let (endpoints, until) = match self.document(fetch).await {
            Some(document) => (Arc::new(self.merged(document)), now.plus(FRESH)),
            None => match found.take() {
                Some((known, _)) => (known, now.plus(BACK_OFF)),
                None => (Arc::new(self.merged(Document::default())), now.plus(BACK_OFF)),
            },
        };
        *found = Some((Arc::clone(&endpoints), until));
        endpoints
    }

    async fn document(&self, fetch: &Fetch) -> Option<Document> {
        for name in ["oauth-authorization-server", "openid-configuration"] {
            let url = self.at(&format!("/.well-known/{name}"));
            let Ok(answer) = fetch.get(&url, Sender::Anonymous).await else { return None };
            let document: Option<Document> = serde_json::from_slice(&answer.body).ok();
            if let Some(document) = document.filter(|document| answer.status == 200 && self.is_own(document))
            {
                return Some(document);
            }
        }
        None
    }

    /// A document that names somebody else is not the upstream's (RFC 8414 section 3.3).
    fn is_own(&self, document: &Document) -> bool {
        document.issuer.trim_end_matches('/') == self.issuer.as_str().trim_end_matches('/')
    }

    fn merged(&self, document: Document) -> Endpoints {
        let pick = |own: &Option<Url>, found: Option<Url>, path: &str| {
            own.clone().or_else(|| found.filter(|url| self.is_safe(url))).unwrap_or_else(|| self.at(path))
        };
        let jwks =
            match self.overrides.jwks.clone().or_else(|| document.jwks_uri.filter(|url| self.is_safe(url))) {
                Some(url) => vec![url],
                None => vec![self.at("/v2/oauth/jwks.json"), self.at("/v1beta/oauth/jwks.json")],
            };
        let issuer = if document.issuer.is_empty() {
            self.issuer.as_str().trim_end_matches('/').to_owned()
        } else {
            document.issuer
        };
        Endpoints {
            authorization: pick(
                &self.overrides.authorization,
                document.authorization_endpoint,
                "/v2/oauth/authorize",
            ),
            token: pick(&self.overrides.token, document.token_endpoint, "/v2/oauth/token"),
            introspection: pick(
                &self.overrides.introspection,
                document.introspection_endpoint,
                "/v2/oauth/token/introspect",
            ),
            jwks,
            issuer,
            names_itself: document.authorization_response_iss_parameter_supported,
        }
    }

    /// Found endpoints may not lead from https to http, nor from elsewhere onto this machine.
    fn is_safe(&self, url: &Url) -> bool {
        url.scheme() == "https" && !is_loopback(url) || is_loopback(&self.issuer) && is_loopback(url)
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.issuer.clone();
        url.set_path(&format!("{}{path}", self.issuer.path().trim_end_matches('/')));
        url
    }
}
