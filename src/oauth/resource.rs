//! Resources: MCP servers, named by their canonical URL (RFC 8707 section 2).

use std::{fmt, net::IpAddr};

use serde::{Deserialize, Serialize};
use url::Url;

/// The URL of an MCP server, in the configured spelling: the `aud` of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resource(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResource {
    #[error("it is not an absolute http or https URL")]
    NotAbsolute,
    /// RFC 8707 section 2 forbids fragments.
    #[error("it has a fragment")]
    Fragment,
    /// A name must not contain a secret.
    #[error("it holds a user name or password")]
    Credentials,
}

impl Resource {
    /// Accepts an absolute `http` or `https` URL without fragment, and keeps its spelling.
    pub fn parse(text: &str) -> Result<Self, InvalidResource> {
        if Spelling::read(text)?.has_fragment {
            return Err(InvalidResource::Fragment);
        }
        Ok(Self(text.to_owned()))
    }

    /// The resource that `requested` names in development, where each loopback URL is one: without fragment
    /// and query, which clients append for their own purposes.
    #[must_use]
    pub fn of_loopback(requested: &str) -> Option<Self> {
        let end = requested.find(['?', '#']).unwrap_or(requested.len());
        Self::parse(&requested[..end]).ok().filter(Self::is_loopback)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `requested` names this resource. It may differ in the case of scheme and host, the default
    /// port, a trailing slash and a fragment, and in a query if this resource has none.
    #[must_use]
    pub fn is_named_by(&self, requested: &str) -> bool {
        requested == self.0
            || matches!((Spelling::read(&self.0), Spelling::read(requested)), (Ok(own), Ok(other))
                if own.origin == other.origin && own.path == other.path
                    && (own.query.is_none() || own.query == other.query))
    }

    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self == other || self.is_named_by(&other.0) && other.is_named_by(&self.0)
    }

    /// Such a resource differs from the same URL without query.
    #[must_use]
    pub fn has_query(&self) -> bool {
        self.0.contains('?')
    }

    #[must_use]
    pub fn origin(&self) -> String {
        Url::parse(&self.0).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
    }

    /// The path and query, empty for the root.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        let start = self.0.find("://").map_or(0, |at| at + 3);
        let path = self.0[start..].find(['/', '?']).map_or("", |at| &self.0[start + at..]);
        if path == "/" { "" } else { path }
    }

    /// See [`is_loopback`].
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        Url::parse(&self.0).is_ok_and(|url| is_loopback(&url))
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a URL's host is `localhost` or a loopback address.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback_host)
}

/// Whether `host`, in lower case, is `localhost` or a loopback address. An IPv6 address may have brackets.
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The parts of a URL that distinguish resources.
struct Spelling<'a> {
    /// In lower case, without the default port.
    origin: String,
    /// Without a trailing slash.
    path: &'a str,
    query: Option<&'a str>,
    has_fragment: bool,
}

impl<'a> Spelling<'a> {
    fn read(text: &'a str) -> Result<Self, InvalidResource> {
        let url = Url::parse(text).map_err(|_| InvalidResource::NotAbsolute)?;
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        let start = text.find("://").filter(|_| is_web && plain).ok_or(InvalidResource::NotAbsolute)? + 3;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidResource::Credentials);
        }
        let named = &text[..url.fragment().and_then(|_| text.find('#')).unwrap_or(text.len())];
        let (place, query) =
            named.split_once('?').map_or((named, None), |(place, query)| (place, Some(query)));
        let end = place[start..].find('/').map_or(place.len(), |at| start + at);
        let (origin, path) = place.split_at(end);
        let mut origin = origin.to_ascii_lowercase();
        let default_port = if url.scheme() == "https" { ":443" } else { ":80" };
        if origin.ends_with(default_port) && url.port().is_none() {
            origin.truncate(origin.len() - default_port.len());
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        Ok(Self { origin, path, query, has_fragment: url.fragment().is_some() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_urls_without_fragment_name_a_resource() {
        for text in [
            "/mcp",
            "mcp",
            "",
            "https://",
            "mailto:a@b",
            "ftp://h/mcp",
            "https:/h/mcp",
            "https://h/ mcp",
            "https://h\\x",
        ] {
            assert!(Resource::parse(text).is_err(), "{text}");
        }
        assert_eq!(Resource::parse("https://h/#f"), Err(InvalidResource::Fragment));
        assert_eq!(Resource::parse("https://u@h/"), Err(InvalidResource::Credentials));
    }

    #[test]
    fn authz_18_a_resource_is_named_in_any_of_its_spellings_and_no_other_resource_is() {
        for (own, requested, same) in [
            ("https://h.example/mcp", "https://h.example/mcp", true),
            ("https://h.example/mcp", "HTTPS://H.Example/mcp", true),
            ("https://h.example/mcp", "https://h.example:443/mcp", true),
            ("https://h.example:443/mcp", "https://h.example/mcp", true),
            ("http://localhost/mcp", "http://localhost:80/mcp", true),
            ("https://h.example", "https://h.example/", true),
            ("https://h.example/", "https://h.example", true),
            ("https://h.example/mcp", "https://h.example/mcp/", true),
            ("https://h.example/mcp/", "https://h.example/mcp", true),
            ("https://h.example/mcp", "https://h.example/mcp#f", true),
            ("https://h.example/mcp", "https://h.example/mcp#", true),
            ("https://h.example/mcp", "https://h.example/mcp#/a?b", true),
            ("https://h.example/mcp", "https://h.example/mcp?utm_source=plugin", true),
            ("https://h.example/mcp", "https://h.example/mcp/?a=/b#c", true),
            ("https://h.example", "https://h.example?x", true),
            ("https://h.example?x", "https://h.example/?x", true),
            ("https://h.example/mcp?t=a", "https://h.example/mcp?t=a", true),
            ("https://h.example/mcp?t=a", "https://h.example/mcp/?t=a#f", true),
            ("https://h.example/mcp?t=a", "https://h.example/mcp", false),
            ("https://h.example/mcp?t=a", "https://h.example/mcp?t=b", false),
            ("https://h.example/mcp?t=a", "https://h.example/mcp?t=a&u=b", false),
            ("https://h.example/mcp", "https://h.example/MCP", false),
            ("https://h.example/mcp", "https://h.example/mcp//", false),
            ("https://h.example/mcp", "https://h.example//mcp", false),
            ("https://h.example/mcp", "https://h.example/mcp/x", false),
            ("https://h.example/mcp", "https://h.example/x/../mcp", false),
            ("https://h.example/mcp", "https://h.example/%6Dcp", false),
            ("https://h.example/mcp", "https://h.example:8443/mcp", false),
            ("https://h.example/mcp", "https://h.example:80/mcp", false),
            ("https://h.example:8443/mcp", "https://h.example/mcp", false),
            ("https://h.example/mcp", "http://h.example/mcp", false),
            ("https://h.example/mcp", "https://h.example", false),
            ("https://h.example/mcp", "https://h.example?/mcp", false),
            ("https://h.example/mcp", "https://h.example#/mcp", false),
            ("https://h.example/mcp", "https://h.example.evil.example/mcp", false),
            ("https://h.example/mcp", "https://evil.example/?https://h.example/mcp", false),
            ("https://h.example/mcp", "https://evil.example#https://h.example/mcp", false),
            ("https://h.example/mcp", "https://h.example@evil.example/mcp", false),
            ("https://h.example/mcp", "https://u@h.example/mcp", false),
            ("https://h.example/mcp", "https:/h.example/mcp", false),
            ("https://h.example/mcp", "", false),
        ] {
            assert_eq!(Resource::parse(own).unwrap().is_named_by(requested), same, "{own} {requested}");
        }
    }

    #[test]
    fn two_resources_are_the_same_only_if_each_names_the_other() {
        for (one, other, same) in [
            ("https://h.example/mcp", "https://H.example:443/mcp/", true),
            ("https://h.example/mcp", "https://h.example/mcp?t=a", false),
            ("https://h.example/mcp?t=b", "https://h.example/mcp?t=a", false),
        ] {
            let [one, other] = [one, other].map(|text| Resource::parse(text).unwrap());
            assert_eq!([one.is_same_as(&other), other.is_same_as(&one)], [same, same], "{one} {other}");
        }
    }

    #[test]
    fn a_resource_of_this_machine_is_named_without_query_and_fragment() {
        let of = |text| Resource::of_loopback(text).map(|resource| resource.to_string());
        assert_eq!(of("http://localhost:9000/mcp?a=b#c").as_deref(), Some("http://localhost:9000/mcp"));
        assert_eq!(of("http://127.0.0.1:9000/mcp/#c?d").as_deref(), Some("http://127.0.0.1:9000/mcp/"));
        assert_eq!(of("http://h.example/mcp"), None);
        assert_eq!(of("localhost"), None);
    }

    #[test]
    fn the_path_of_a_resource_is_empty_at_the_root() {
        for (text, path) in
            [("https://h", ""), ("https://h/", ""), ("https://h/mcp", "/mcp"), ("https://h/m?a", "/m?a")]
        {
            assert_eq!(Resource::parse(text).unwrap().path_and_query(), path);
        }
    }
}
