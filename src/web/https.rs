//! For which hosts browsers must use HTTPS (RFC 6797).

use axum::http::HeaderValue;
use url::Url;

use crate::oauth::issuer::Issuer;

/// The scope of `Strict-Transport-Security`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Https {
    /// None: the public URL is `http` on a loopback host.
    NotDemanded,
    /// This host. A domain such as `example.org`, and a host that is shared by path, may have subdomains that only serve
    /// `http`.
    ThisHost,
    /// This host and its subdomains: the server has its own host name, such as `auth.example.org`.
    AllBelow,
}

impl Https {
    pub(super) fn of(public_url: &Issuer) -> Self {
        let url = Url::parse(public_url.as_str()).ok();
        let domain = url.as_ref().and_then(Url::domain).unwrap_or_default();
        match public_url {
            url if !url.is_https() => Self::NotDemanded,
            url if url.path().is_empty() && domain.matches('.').count() >= 2 => Self::AllBelow,
            _ => Self::ThisHost,
        }
    }

    /// The header, valid for a year.
    pub(super) fn policy(self) -> Option<HeaderValue> {
        match self {
            Self::NotDemanded => None,
            Self::ThisHost => Some(HeaderValue::from_static("max-age=31536000")),
            Self::AllBelow => Some(HeaderValue::from_static("max-age=31536000; includeSubDomains")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_demanded_of_names_below_ours_only_where_the_host_is_our_own() {
        for (public_url, demanded) in [
            ("https://auth.example.org", Https::AllBelow),
            ("https://auth.example.org:8443", Https::AllBelow),
            ("https://example.org", Https::ThisHost),
            ("https://www.example.org/auth", Https::ThisHost),
            ("https://192.0.2.1:8443", Https::ThisHost),
            ("http://localhost:8000", Https::NotDemanded),
        ] {
            assert_eq!(Https::of(&Issuer::parse(public_url).unwrap()), demanded, "{public_url}");
        }
    }
}
