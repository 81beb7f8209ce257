//! Machine clients: they act for themselves, without a user (`client_credentials`, RFC 6749 section 4.4).

use serde::{Deserialize, Serialize};

use super::{
    authorization::{Offer, Resources},
    error::{ErrorCode, OAuthError, refuse},
    resource::Resource,
    scope::{HABITS, Scope, ScopeOffer},
};

/// What the operator allows a machine client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// The MCP servers that it can get tokens for. Never empty.
    pub resources: Vec<Resource>,
    /// The most that its tokens allow.
    #[serde(skip_serializing_if = "Scope::is_empty", default)]
    pub scope: Scope,
}

impl Allowance {
    /// The resource of a token request. Without `resource`, that is the client's only one, otherwise the
    /// server's default.
    ///
    /// # Errors
    ///
    /// `invalid_target` when the resource is not served, or not allowed for the client.
    pub fn offer<'a>(
        &self,
        served: &Resources,
        requested: impl Iterator<Item = &'a str>,
    ) -> Result<Offer, OAuthError> {
        let mut requested = requested.peekable();
        let offer = match (requested.peek(), self.resources.as_slice()) {
            (None, [only]) => served.resolve(std::iter::once(only.as_str())),
            _ => served.resolve(requested),
        }?;
        if self.resources.iter().any(|allowed| allowed.is_same_as(&offer.resource)) {
            return Ok(offer);
        }
        let cause = format!("the client may use {}", self.resources_text());
        let error =
            OAuthError::new(ErrorCode::InvalidTarget, "this client is not allowed to use the resource");
        Err(error.caused_by(cause))
    }

    /// The scope of a token: what is requested, allowed and offered; without a request, all that is allowed
    /// and offered. The scopes of OpenID Connect ask for nothing, unless they are allowed: some clients request them
    /// from every server.
    ///
    /// # Errors
    ///
    /// `invalid_scope` when nothing is left.
    pub fn scope(&self, requested: Option<&Scope>, offer: &ScopeOffer) -> Result<Scope, OAuthError> {
        let allowed = offer.offered(&self.scope);
        let asks = |word: &str| allowed.contains(word) || !HABITS.contains(&word);
        let wanted = requested.filter(|scope| scope.words().any(asks));
        let (granted, is_empty_right) = match wanted {
            Some(wanted) => (allowed.overlap(wanted), false),
            None => (allowed, self.scope.is_empty()),
        };
        if granted.is_empty() && !is_empty_right {
            return refuse(ErrorCode::InvalidScope, "the client is not allowed any of the requested scopes");
        }
        Ok(granted)
    }

    fn resources_text(&self) -> String {
        self.resources.iter().map(Resource::as_str).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(url: &str) -> Resource {
        Resource::parse(url).unwrap()
    }

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    fn served() -> Resources {
        let offer = |url| Offer {
            resource: resource(url),
            scopes: ScopeOffer::Listed { scopes: scope("read write"), default: scope("read") },
        };
        let configured = ["https://a.example/mcp", "https://b.example/mcp", "https://c.example/mcp"];
        Resources {
            configured: configured.map(offer).to_vec(),
            default: Some(resource("https://b.example/mcp")),
            any_loopback: None,
        }
    }

    fn allowance(urls: &[&str], text: &str) -> Allowance {
        Allowance { resources: urls.iter().map(|url| resource(url)).collect(), scope: scope(text) }
    }

    /// Shows: CC-3.
    #[test]
    fn a_machine_gets_tokens_for_its_own_resources_alone() {
        const A: &str = "https://a.example/mcp";
        const B: &str = "https://b.example/mcp";
        const C: &str = "https://c.example/mcp";
        for (allowed, requested, got) in [
            (&[A][..], &[][..], Some(A)),
            (&[A], &["https://A.example/mcp/"], Some(A)),
            (&["https://A.example:443/mcp/"], &[], Some(A)),
            (&[A], &[B], None),
            (&[A], &[A, B], None),
            (&[A], &["https://elsewhere.example/mcp"], None),
            (&["https://gone.example/mcp"], &[], None),
            (&[A, B], &[], Some(B)),
            (&[A, C], &[], None),
            (&[A, C], &[C], Some(C)),
        ] {
            let offer = allowance(allowed, "").offer(&served(), requested.iter().copied());
            match got {
                Some(url) => assert_eq!(offer.unwrap().resource.as_str(), url, "{allowed:?} {requested:?}"),
                None => assert_eq!(
                    offer.unwrap_err().code(),
                    ErrorCode::InvalidTarget,
                    "{allowed:?} {requested:?}"
                ),
            }
        }
    }

    /// Shows: CC-3.
    #[test]
    fn a_scope_is_what_is_asked_allowed_and_offered() {
        let listed = ScopeOffer::Listed { scopes: scope("read write"), default: scope("read") };
        let any = ScopeOffer::Any { default: scope("user") };
        for (allowed, offer, requested, granted) in [
            ("read write", &listed, None, Some("read write")),
            ("read write", &listed, Some("write"), Some("write")),
            ("read", &listed, Some("read write"), Some("read")),
            ("read", &listed, Some("write"), None),
            ("read", &listed, Some("other"), None),
            ("read", &listed, Some(""), Some("read")),
            ("read", &listed, Some("offline_access"), Some("read")),
            ("read", &listed, Some("read offline_access"), Some("read")),
            ("read", &listed, Some("openid email profile"), Some("read")),
            ("read", &listed, Some("openid other"), None),
            ("", &listed, Some("openid email profile"), Some("")),
            ("email read", &any, Some("email"), Some("email")),
            ("read gone", &listed, None, Some("read")),
            ("gone", &listed, None, None),
            ("", &listed, None, Some("")),
            ("", &listed, Some("read"), None),
            ("deploy", &any, None, Some("deploy")),
            ("deploy", &any, Some("user"), None),
        ] {
            let got = allowance(&["https://a.example/mcp"], allowed)
                .scope(requested.map(scope).as_ref(), offer)
                .map(|scope| scope.to_string());
            assert_eq!(got.ok().as_deref(), granted, "{allowed:?} {requested:?}");
        }
    }
}
