//! Finds the upstream's endpoints: in the configuration, then in its metadata, then at Pangea's usual paths.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use url::Url;

use crate::{
    clock::UnixTime,
    fetch::{Fetch, Kept, Reach, Sender, Target},
    oauth::resource::is_loopback,
};

/// How long metadata is cached.
const FRESH: Duration = Duration::from_hours(1);
/// Pause after a failed fetch.
const BACK_OFF: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct Endpoints {
    pub(super) authorization: Target,
    pub(super) token: Target,
    pub(super) introspection: Target,
    /// In order of preference.
    pub(super) jwks: Vec<Target>,
    /// The required `iss` of answers and ID tokens.
    pub(super) issuer: String,
    /// Whether answers must have `iss` (RFC 9207).
    pub(super) names_itself: bool,
}

/// Configured endpoints, which take precedence.
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

/// The used members of the metadata (RFC 8414).
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

/// Finds and caches the endpoints.
#[derive(Debug)]
pub(super) struct Directory {
    issuer: Url,
    overrides: Overrides,
    found: Kept<Endpoints>,
}

impl Directory {
    pub(super) fn new(issuer: Url, overrides: Overrides) -> Self {
        Self { issuer, overrides, found: Kept::default() }
    }

    /// The endpoints. Only the first call, and then one call per hour, waits for the upstream.
    pub(super) async fn endpoints(&self, fetch: &Fetch, now: UnixTime) -> Arc<Endpoints> {
        let _turn = match self.found.document() {
            Some(known) if !self.found.is_due(now) => return known,
            Some(known) => match self.found.turn_now() {
                Some(turn) => turn,
                None => return known,
            },
            None => self.found.turn().await,
        };
        if let Some(known) = self.found.document().filter(|_| !self.found.is_due(now)) {
            return known;
        }
        let (found, until) = match self.document(fetch).await {
            Some(document) => (Some(Arc::new(self.merged(document))), now.plus(FRESH)),
            None => (None, now.plus(BACK_OFF)),
        };
        let endpoints = found
            .or_else(|| self.found.document())
            .unwrap_or_else(|| Arc::new(self.merged(Document::default())));
        self.found.note(Some(Arc::clone(&endpoints)), until);
        endpoints
    }

    async fn document(&self, fetch: &Fetch) -> Option<Document> {
        for name in ["oauth-authorization-server", "openid-configuration"] {
            let target = self.own(&format!("/.well-known/{name}"));
            let Ok(answer) = fetch.get(&target, Sender::Anonymous).await else { return None };
            let document: Option<Document> = serde_json::from_slice(&answer.body).ok();
            if let Some(document) = document.filter(|document| answer.status == 200 && self.is_own(document))
            {
                return Some(document);
            }
        }
        None
    }

    /// Whether the document names the configured issuer (RFC 8414 section 3.3).
    fn is_own(&self, document: &Document) -> bool {
        document.issuer.trim_end_matches('/') == self.issuer.as_str().trim_end_matches('/')
    }

    fn merged(&self, document: Document) -> Endpoints {
        let pick = |configured: &Option<Url>, named: Option<Url>| {
            configured.clone().map(Target::configured).or_else(|| named.and_then(|url| self.named(url)))
        };
        let own = |path: &'static str| move || self.own(path);
        let overrides = &self.overrides;
        let jwks = pick(&overrides.jwks, document.jwks_uri).map_or_else(
            || vec![self.own("/v2/oauth/jwks.json"), self.own("/v1beta/oauth/jwks.json")],
            |target| vec![target],
        );
        let issuer = if document.issuer.is_empty() {
            self.issuer.as_str().trim_end_matches('/').to_owned()
        } else {
            document.issuer
        };
        Endpoints {
            authorization: pick(&overrides.authorization, document.authorization_endpoint)
                .unwrap_or_else(own("/v2/oauth/authorize")),
            token: pick(&overrides.token, document.token_endpoint).unwrap_or_else(own("/v2/oauth/token")),
            introspection: pick(&overrides.introspection, document.introspection_endpoint)
                .unwrap_or_else(own("/v2/oauth/token/introspect")),
            jwks,
            issuer,
            names_itself: document.authorization_response_iss_parameter_supported,
        }
    }

    /// Accepts an endpoint from the metadata if it is `https` within the issuer's registrable domain. Endpoints elsewhere
    /// must be configured. For a loopback issuer, only loopback addresses are accepted.
    fn named(&self, url: Url) -> Option<Target> {
        if is_loopback(&self.issuer) {
            return is_loopback(&url).then(|| Target::configured(url));
        }
        if url.scheme() != "https" {
            return None;
        }
        if url.host() == self.issuer.host() {
            return Some(Target::configured(url));
        }
        let domain = registrable_domain(&self.issuer)?;
        (registrable_domain(&url)? == domain).then_some(Target { url, reach: Reach::Discovered })
    }

    /// An endpoint on the issuer's own host.
    fn own(&self, path: &str) -> Target {
        let mut url = self.issuer.clone();
        url.set_path(&format!("{}{path}", self.issuer.path().trim_end_matches('/')));
        Target::configured(url)
    }
}

/// The registrable domain by the Public Suffix List; `None` for addresses and names such as `localhost`.
fn registrable_domain(url: &Url) -> Option<String> {
    let name = url.domain()?.trim_end_matches('.');
    psl::domain_str(name).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn up_3_metadata_names_endpoints_within_the_issuers_own_domain_alone() {
        let directory = |issuer: &str| Directory::new(url(issuer), Overrides::default());
        let reach =
            |issuer: &str, named: &str| directory(issuer).named(url(named)).map(|target| target.reach);
        let issuer = "https://login.example.co.uk";
        for (named, expected) in [
            ("https://login.example.co.uk/token", Some(Reach::Configured)),
            ("https://api.example.co.uk/token", Some(Reach::Discovered)),
            ("https://example.co.uk/token", Some(Reach::Discovered)),
            ("http://login.example.co.uk/token", None),
            ("https://evil.co.uk/token", None),
            ("https://example.co.uk.evil.example/token", None),
            ("https://0.0.0.0/token", None),
            ("https://[::ffff:127.0.0.1]/token", None),
            ("https://127.0.0.1/token", None),
            ("https://169.254.169.254/latest/meta-data", None),
            ("https://localhost/token", None),
        ] {
            assert_eq!(reach(issuer, named), expected, "{named}");
        }
        for (named, expected) in [
            ("http://127.0.0.1:9000/token", Some(Reach::Configured)),
            ("http://localhost:9000/token", Some(Reach::Configured)),
            ("https://login.example.com/token", None),
            ("http://169.254.169.254/token", None),
        ] {
            assert_eq!(reach("http://127.0.0.1:9000", named), expected, "{named}");
        }
        assert_eq!(reach("https://10.0.0.7", "https://10.0.0.7:8443/token"), Some(Reach::Configured));
        assert_eq!(reach("https://10.0.0.7", "https://10.0.0.8/token"), None);
    }
}
