//! Resources: MCP servers, named by their canonical URL (RFC 8707 section 2).

use std::fmt;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// The URL of one MCP server, in the spelling of the configuration. Tokens carry it as `aud`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resource(String);

/// Why a URL cannot name a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResource {
    /// It is relative, or no URL at all.
    #[error("it is not an absolute http or https URL")]
    NotAbsolute,
    /// RFC 8707 forbids fragments.
    #[error("it has a fragment")]
    Fragment,
    /// Credentials do not belong into a name.
    #[error("it holds a user name or password")]
    Credentials,
}

impl Resource {
    /// Takes an absolute `http` or `https` URL without fragment, spelling kept.
    ///
    /// # Errors
    ///
    /// When the text is something else.
    pub fn parse(text: &str) -> Result<Self, InvalidResource> {
        parts(text)?;
        Ok(Self(text.to_owned()))
    }

    /// The configured spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a client that names `requested` means this resource: the case of scheme and host
    /// does not matter, nor does the slash of an empty path; everything else does.
    #[must_use]
    pub fn is_named_by(&self, requested: &str) -> bool {
        requested == self.0
            || matches!((parts(&self.0), parts(requested)), (Ok(own), Ok(other)) if own == other)
    }

    /// Scheme, host and port: what PRM and MCP clients call the origin.
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

    /// Whether the URL points to this machine.
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
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Scheme and authority in lower case, and the rest as it stands.
fn parts(text: &str) -> Result<(String, &str), InvalidResource> {
    let url = Url::parse(text).map_err(|_| InvalidResource::NotAbsolute)?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let start = text.find("://").filter(|_| is_web && plain).ok_or(InvalidResource::NotAbsolute)? + 3;
    if url.fragment().is_some() {
        return Err(InvalidResource::Fragment);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidResource::Credentials);
    }
    let end = text[start..].find(['/', '?']).map_or(text.len(), |at| start + at);
    let rest = if &text[end..] == "/" { "" } else { &text[end..] };
    Ok((text[..end].to_ascii_lowercase(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_urls_without_fragment_name_a_resource() {
        for text in
            ["/mcp", "mcp", "", "https://", "mailto:a@b", "https:/h/mcp", "https://h/ mcp", "https://h\\x"]
        {
            assert!(Resource::parse(text).is_err(), "{text}");
        }
        assert_eq!(Resource::parse("https://h/#f"), Err(InvalidResource::Fragment));
        assert_eq!(Resource::parse("https://u@h/"), Err(InvalidResource::Credentials));
    }

    #[test]
    fn authz_18_case_of_scheme_and_host_and_the_root_slash_do_not_matter() {
        for (own, requested, same) in [
            ("https://h.example/mcp", "https://h.example/mcp", true),
            ("https://h.example/mcp", "HTTPS://H.Example/mcp", true),
            ("https://h.example", "https://h.example/", true),
            ("https://h.example/", "https://h.example", true),
            ("https://h.example/mcp", "https://h.example/mcp/", false),
            ("https://h.example/mcp", "https://h.example/MCP", false),
            ("https://h.example/mcp", "https://h.example:8443/mcp", false),
            ("https://h.example/mcp", "http://h.example/mcp", false),
            ("https://h.example/mcp", "https://h.example/mcp?a=b", false),
            ("https://h.example/mcp", "https://h.example", false),
            ("https://h.example/mcp", "https://h.example/mcp#f", false),
            ("https://h.example?x", "https://h.example/?x", false),
        ] {
            assert_eq!(Resource::parse(own).unwrap().is_named_by(requested), same, "{own} {requested}");
        }
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
