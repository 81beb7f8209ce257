//! The endpoints. The router, the method check, CORS, body limits, the log and the metrics read from here.

use axum::http::Method;

use super::limits::Limits;
use crate::oauth::issuer::UPSTREAM_CALLBACK;
use crate::rate_limit::Limiter;

/// One URL of this server, or one family of URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Shows the consent page.
    Authorize,
    /// Takes the user's decision.
    Consent,
    /// Takes the browser back from the upstream.
    Callback,
    /// Asks the user again after the sign-in.
    SignedIn,
    /// Shows a person the connected clients, and disconnects them.
    Connections,
    /// Issues tokens.
    Token,
    /// Registers clients (RFC 7591).
    Register,
    /// Revokes tokens (RFC 7009).
    Revoke,
    /// Describes tokens to resource servers (RFC 7662).
    Introspect,
    /// Publishes the signing keys.
    Jwks,
    /// Every `/.well-known/` document, and every path without an endpoint.
    Metadata,
    /// Whether the process runs.
    Health,
    /// Whether the process can serve.
    Ready,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) media_type: &'static str,
    /// Largest size in bytes.
    pub(super) largest: usize,
}

/// The path of [`Endpoint::Connections`], which the consent page names.
pub(super) const CONNECTIONS: &str = "/connections";

const FORM: Accepted = Accepted { media_type: "application/x-www-form-urlencoded", largest: 64 * 1024 };
/// Known clients register with less than 3 KiB.
const REGISTRATION: Accepted = Accepted { media_type: "application/json", largest: 8 * 1024 };

impl Endpoint {
    pub(super) const ALL: [Self; 13] = [
        Self::Authorize,
        Self::Consent,
        Self::Callback,
        Self::SignedIn,
        Self::Connections,
        Self::Token,
        Self::Register,
        Self::Revoke,
        Self::Introspect,
        Self::Jwks,
        Self::Metadata,
        Self::Health,
        Self::Ready,
    ];

    /// The path below the public URL; for [`Self::Health`] and [`Self::Ready`], below the root. `None` for
    /// documents, whose paths depend on the configuration.
    pub(super) const fn path(self) -> Option<&'static str> {
        Some(match self {
            Self::Authorize => "/authorize",
            Self::Consent => "/consent",
            Self::Callback => UPSTREAM_CALLBACK,
            Self::SignedIn => "/signed-in",
            Self::Connections => CONNECTIONS,
            Self::Token => "/token",
            Self::Register => "/register",
            Self::Revoke => "/revoke",
            Self::Introspect => "/introspect",
            Self::Jwks => "/jwks.json",
            Self::Metadata => return None,
            Self::Health => "/healthz",
            Self::Ready => "/readyz",
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Consent => "consent",
            Self::Callback => "callback",
            Self::SignedIn => "signed-in",
            Self::Connections => "connections",
            Self::Token => "token",
            Self::Register => "register",
            Self::Revoke => "revoke",
            Self::Introspect => "introspect",
            Self::Jwks => "jwks",
            Self::Metadata => "metadata",
            Self::Health => "healthz",
            Self::Ready => "readyz",
        }
    }

    /// The label in the metrics for a request to this path, which is never the path itself: strangers choose
    /// that.
    #[must_use]
    pub fn label(path: &str) -> &'static str {
        let has_path = |endpoint: &Self| endpoint.path().is_some_and(|end| path.ends_with(end));
        match Self::ALL.into_iter().find(has_path) {
            Some(Self::Health | Self::Ready) => "health",
            Some(Self::SignedIn) => "other",
            Some(endpoint) => endpoint.name(),
            None if path.contains("/.well-known/") => "metadata",
            None => "other",
        }
    }

    /// The `Allow` header (RFC 9110 section 10.2.1). `GET` includes `HEAD`.
    pub(super) const fn allow(self) -> &'static str {
        match self {
            Self::Authorize | Self::Connections => "GET, POST",
            Self::Callback | Self::SignedIn | Self::Health | Self::Ready => "GET",
            Self::Consent | Self::Token | Self::Register | Self::Revoke | Self::Introspect => "POST",
            Self::Jwks | Self::Metadata => "GET, OPTIONS",
        }
    }

    pub(super) fn allows(self, method: &Method) -> bool {
        let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
        self.allow().split(", ").any(|allowed| allowed == method)
    }

    /// The methods that scripts of any origin may use; `None` where no script may read the answer. Resource
    /// servers introspect, and they are not browsers.
    pub(super) const fn cors(self) -> Option<&'static str> {
        match self {
            Self::Token | Self::Register | Self::Revoke => Some("POST, OPTIONS"),
            Self::Jwks | Self::Metadata => Some("GET, OPTIONS"),
            _ => None,
        }
    }

    /// Whether its answers can be pages, which have a language.
    pub(super) const fn has_pages(self) -> bool {
        !matches!(self, Self::Token | Self::Register | Self::Revoke | Self::Introspect)
    }

    pub(super) const fn accepted(self) -> Accepted {
        match self {
            Self::Register => REGISTRATION,
            _ => FORM,
        }
    }

    /// Whether the path with a slash at its end is the same endpoint. Some clients append one, and a redirect
    /// would drop the body of their request.
    pub(super) const fn takes_slash(self) -> bool {
        matches!(
            self,
            Self::Authorize | Self::Token | Self::Register | Self::Revoke | Self::Introspect | Self::Jwks
        )
    }

    /// The rate limit that requests count against.
    pub(super) const fn limiter(self, limits: &Limits) -> Option<&Limiter> {
        match self {
            Self::Authorize | Self::Consent | Self::Connections => Some(&limits.authorize),
            Self::Callback | Self::SignedIn => Some(&limits.callback),
            Self::Token => Some(&limits.token),
            Self::Register => Some(&limits.register),
            Self::Revoke => Some(&limits.revoke),
            Self::Introspect => Some(&limits.introspect),
            Self::Jwks | Self::Metadata | Self::Health | Self::Ready => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_never_what_a_stranger_wrote() {
        for (path, label) in [
            ("/token", "token"),
            ("/t1/token", "token"),
            ("/pangea/callback", "callback"),
            ("/jwks.json", "jwks"),
            ("/readyz", "health"),
            ("/.well-known/openid-configuration", "metadata"),
            ("/signed-in", "other"),
            ("/connections", "connections"),
            ("/wp-login.php", "other"),
            ("/\"} 1\nx", "other"),
        ] {
            assert_eq!(Endpoint::label(path), label, "{path}");
        }
    }

    #[test]
    fn head_is_allowed_where_get_is() {
        assert!(Endpoint::Authorize.allows(&Method::HEAD) && Endpoint::Authorize.allows(&Method::POST));
        assert!(!Endpoint::Token.allows(&Method::HEAD) && !Endpoint::Token.allows(&Method::GET));
    }
}
