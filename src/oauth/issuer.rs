//! The issuer identifier and the public URL, as the operator wrote them.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use super::resource::{Resource, is_loopback};

/// The path, under the public URL, to which the upstream sends browsers back.
pub const UPSTREAM_CALLBACK: &str = "/pangea/callback";

/// An issuer identifier (RFC 8414 section 2) or a public URL, in canonical spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Issuer(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIssuer {
    #[error("it is not an absolute https URL")]
    NotAbsolute,
    /// Plain text must not leave the machine.
    #[error("http is accepted for a loopback host only; use https")]
    NotHttps,
    /// RFC 8414 section 2.
    #[error("an issuer has no query, fragment or credentials")]
    Surplus,
    /// Some clients normalise URLs before they compare them.
    #[error("write it as {0:?}: clients compare issuers character by character")]
    Spelling(String),
}

impl Issuer {
    /// Accepts an `https` URL (or `http` on loopback) in canonical spelling: lower-case host, no default
    /// port, no trailing slash.
    pub fn parse(text: &str) -> Result<Self, InvalidIssuer> {
        let url = Url::parse(text).map_err(|_| InvalidIssuer::NotAbsolute)?;
        match url.scheme() {
            _ if !url.has_host() => return Err(InvalidIssuer::NotAbsolute),
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(InvalidIssuer::NotHttps),
            _ => return Err(InvalidIssuer::NotAbsolute),
        }
        let credentials = !url.username().is_empty() || url.password().is_some();
        if url.query().is_some() || url.fragment().is_some() || credentials {
            return Err(InvalidIssuer::Surplus);
        }
        let canonical = url.as_str().trim_end_matches('/');
        if text != canonical {
            return Err(InvalidIssuer::Spelling(canonical.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the upstream sends browsers back, if this is the public URL.
    #[must_use]
    pub fn upstream_callback(&self) -> String {
        format!("{self}{UPSTREAM_CALLBACK}")
    }

    /// The path, empty for the root.
    #[must_use]
    pub fn path(&self) -> &str {
        let start = self.0.find("://").map_or(0, |at| at + 3);
        self.0[start..].find('/').map_or("", |at| &self.0[start + at..])
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.0[..self.0.len() - self.path().len()]
    }

    /// Whether an MCP server has the same host name, on any port: then it can set cookies for this URL.
    /// `false` on loopback, where everything belongs to the user's own machine.
    #[must_use]
    pub fn shares_host_with(&self, resource: &Resource) -> bool {
        let url = |text| Url::parse(text).ok().filter(|url| !is_loopback(url));
        let (own, other) = (url(&self.0), url(resource.as_str()));
        own.is_some_and(|own| other.is_some_and(|other| own.host() == other.host()))
    }

    /// `false` for `http` on loopback.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_7_only_canonical_https_issuers_are_taken() {
        for good in [
            "https://a.example",
            "https://a.example/t1",
            "http://localhost:8000",
            "http://127.0.0.1:1",
            "http://[::1]:8000/x",
        ] {
            assert!(Issuer::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "a.example",
            "ftp://a.example",
            "http://a.example",
            "https://a.example/",
            "https://A.example",
            "https://a.example:443",
            "https://a.example?x",
            "https://a.example#f",
            "https://u@a.example",
            "https://a.example/t1/",
            "https://a.example/t1?x",
            "https://a.example/t1#f",
            "https://u@a.example/t1",
            "https://:p@a.example/t1",
            "https://a.example/a/../b",
            "",
        ] {
            assert!(Issuer::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_begins_behind_the_host_however_short_that_is() {
        for (text, origin, path) in [
            ("https://a.b", "https://a.b", ""),
            ("https://a.b/t1", "https://a.b", "/t1"),
            ("http://localhost:8000/a/b", "http://localhost:8000", "/a/b"),
        ] {
            let issuer = Issuer::parse(text).unwrap();
            assert_eq!((issuer.origin(), issuer.path()), (origin, path));
        }
    }

    #[test]
    fn a_host_is_shared_whatever_the_port_and_the_spelling() {
        for (public_url, resource, shared) in [
            ("https://a.example", "https://a.example/mcp", true),
            ("https://a.example", "https://A.example:8443/mcp", true),
            ("https://a.example:8443/t1", "http://a.example/mcp", true),
            ("https://[2001:db8::1]", "https://[2001:db8:0::1]:9000/mcp", true),
            ("https://a.example", "https://mcp.a.example/mcp", false),
            ("https://a.example", "https://b.example/mcp", false),
            ("http://localhost:8000", "http://localhost:9000/mcp", false),
            ("http://127.0.0.1:8000", "http://127.0.0.1:9000/mcp", false),
        ] {
            let resource = Resource::parse(resource).unwrap();
            let issuer = Issuer::parse(public_url).unwrap();
            assert_eq!(issuer.shares_host_with(&resource), shared, "{public_url} {resource}");
        }
    }

    #[test]
    fn origin_and_path_make_the_whole() {
        let issuer = Issuer::parse("https://a.example:8443/t/1").unwrap();
        assert_eq!((issuer.origin(), issuer.path()), ("https://a.example:8443", "/t/1"));
        assert_eq!(Issuer::parse("https://a.example").unwrap().path(), "");
    }
}
