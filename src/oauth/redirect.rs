//! Redirect URIs that clients register, and the return addresses that match them.
//!
//! A redirect is built only from a [`ReturnAddress`], and only a registered [`RedirectUri`] makes one.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::{
    resource::{is_loopback, is_loopback_host},
    scheme,
};

/// Parameters of authorization responses (the IANA registry "OAuth Parameters"). A client would take them in
/// a registered query for part of the answer.
const RESPONSE: [&str; 13] = [
    "access_token",
    "code",
    "error",
    "error_description",
    "error_uri",
    "expires_in",
    "id_token",
    "iss",
    "refresh_token",
    "response",
    "session_state",
    "state",
    "token_type",
];

/// Longest redirect URI that is stored, in bytes.
const LONGEST: usize = 2048;

/// Which private-use schemes (RFC 8252 section 7.1) may be registered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PrivateUseSchemes {
    /// All except those with another purpose ([`scheme::is_private_use`]).
    #[default]
    Any,
    None,
    /// Only these.
    Listed(Vec<String>),
}

impl PrivateUseSchemes {
    fn allow(&self, scheme: &str) -> bool {
        match self {
            Self::Any => true,
            Self::None => false,
            Self::Listed(schemes) => schemes.iter().any(|listed| listed.eq_ignore_ascii_case(scheme)),
        }
    }
}

/// What receives the answer at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// A program on the user's own machine.
    Loopback,
    /// A program that has claimed a private-use scheme.
    PrivateUse,
    /// A web server.
    Web,
}

/// Why a redirect URI is not accepted (RFC 9700 section 4.1, RFC 7591 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedirectUri {
    /// Relative, or no URI.
    #[error("a redirect URI must be an absolute URI")]
    NotAbsolute,
    /// RFC 6749 section 3.1.2.
    #[error("a redirect URI must not have a fragment")]
    Fragment,
    /// Would make the host hard to see.
    #[error("a redirect URI must not hold a user name or password")]
    Credentials,
    /// Control characters, spaces, backslashes, wildcards, or anything that is not ASCII.
    #[error("a redirect URI holds a character that is not allowed")]
    Character,
    /// Over 2048 bytes.
    #[error("a redirect URI is too long")]
    TooLong,
    /// Plain text would leave the machine.
    #[error("http is accepted for localhost, 127.0.0.1 and [::1] only")]
    NotHttps,
    /// A scheme that has another purpose, or that the operator does not allow.
    #[error("this scheme is not accepted in a redirect URI")]
    Scheme,
    /// A scheme without a dot, in another form than `scheme:/path`: opaque, or with a query. Such URIs start
    /// programs with arguments, and a redirect does not need them.
    #[error("a redirect URI with this scheme must have the form scheme:/path, without a query")]
    Form,
    /// Its query would be taken for an answer (RFC 9700 section 4.1).
    #[error("the query of a redirect URI must not hold parameters of an authorization response")]
    ResponseParameter,
    /// `http://0x7f.1/` and the like.
    #[error("write the host of a redirect URI in its canonical form")]
    Host,
}

/// A registered redirect URI, in its original spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RedirectUri(String);

impl RedirectUri {
    /// Accepts an absolute URI that is safe to send an answer to, and keeps its spelling.
    pub fn parse(text: &str, schemes: &PrivateUseSchemes) -> Result<Self, InvalidRedirectUri> {
        let url = acceptable(text)?;
        match url.scheme() {
            "http" | "https" => {}
            scheme if schemes.allow(scheme) => {}
            _ => return Err(InvalidRedirectUri::Scheme),
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether it could be registered today, whatever schemes the operator allows. Records may contain URIs
    /// that an earlier release accepted.
    #[must_use]
    pub fn is_acceptable(&self) -> bool {
        acceptable(&self.0).is_ok()
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn destination(&self) -> Destination {
        destination(&self.0)
    }

    /// The return address, if `requested` matches this registration. Both must be equal character by
    /// character, except for the port of a loopback URI (RFC 8252 section 7.3, and `localhost` by OAuth 2.1
    /// section 4.1.1) and the slash of its empty path (RFC 3986 section 6.2.3).
    #[must_use]
    pub fn matched(&self, requested: &str) -> Option<ReturnAddress> {
        let same = requested == self.0 || {
            let (own, other) = (LoopbackUri::read(&self.0), LoopbackUri::read(requested));
            own.zip(other).is_some_and(|(own, other)| own.is_same_aside_from_port(&other))
        };
        same.then(|| ReturnAddress(requested.to_owned()))
    }

    /// The registered URI as the return address, for requests that name none.
    #[must_use]
    pub fn itself(&self) -> ReturnAddress {
        ReturnAddress(self.0.clone())
    }
}

/// An address that the client has registered. It leaves the process only encrypted or inside a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReturnAddress(String);

impl ReturnAddress {
    /// The address without an answer.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `presented` is this address: equal character by character, except for the slash of a loopback
    /// URI's empty path.
    #[must_use]
    pub fn is_spelled_by(&self, presented: &str) -> bool {
        presented == self.0 || {
            let (own, other) = (LoopbackUri::read(&self.0), LoopbackUri::read(presented));
            own.is_some() && own == other
        }
    }

    /// The receiver as users see it: `localhost:3000`, `xn--….example`, or the scheme if there is no host.
    #[must_use]
    pub fn host(&self) -> String {
        // Called for each grant of a list. The URL was validated at registration.
        let (scheme, _) = self.0.split_once(':').unwrap_or_default();
        if ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web)) {
            authority(&self.0).to_ascii_lowercase()
        } else {
            format!("{scheme}:")
        }
    }

    /// The host without its port.
    #[must_use]
    pub fn host_name(&self) -> Option<String> {
        Url::parse(&self.0).ok()?.host_str().map(str::to_owned)
    }

    #[must_use]
    pub fn destination(&self) -> Destination {
        destination(&self.0)
    }

    /// The address with an answer appended to its query, which is kept (RFC 6749 section 3.1.2).
    #[must_use]
    pub fn answer(&self, parameters: &[(&str, &str)]) -> String {
        let mut address = self.0.clone();
        match address.split_once('?') {
            None => address.push('?'),
            Some((_, query)) if query.is_empty() || query.ends_with('&') => {}
            Some(_) => address.push('&'),
        }
        let start = address.len();
        form_urlencoded::Serializer::for_suffix(address, start).extend_pairs(parameters).finish()
    }
}

impl fmt::Display for ReturnAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The rule for redirect URIs. The operator can restrict schemes further.
fn acceptable(text: &str) -> Result<Url, InvalidRedirectUri> {
    if text.len() > LONGEST {
        return Err(InvalidRedirectUri::TooLong);
    }
    if text.bytes().any(|b| !b.is_ascii_graphic() || matches!(b, b'\\' | b'*' | b'<' | b'>' | b'"')) {
        return Err(InvalidRedirectUri::Character);
    }
    let url = Url::parse(text).map_err(|_| InvalidRedirectUri::NotAbsolute)?;
    if url.fragment().is_some() || text.contains('#') {
        return Err(InvalidRedirectUri::Fragment);
    }
    if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
        return Err(InvalidRedirectUri::Credentials);
    }
    match url.scheme() {
        "http" | "https" if !has_canonical_host(text, &url) => return Err(InvalidRedirectUri::Host),
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(InvalidRedirectUri::NotHttps),
        scheme if !scheme::is_private_use(scheme) => return Err(InvalidRedirectUri::Scheme),
        scheme if scheme.contains('.') => {}
        _ if url.cannot_be_a_base() || text.contains('?') => return Err(InvalidRedirectUri::Form),
        _ => {}
    }
    if holds_response_parameter(&url) {
        return Err(InvalidRedirectUri::ResponseParameter);
    }
    Ok(url)
}

/// Receivers differ in the separators of parameters and in whether names are case-sensitive.
fn holds_response_parameter(url: &Url) -> bool {
    let query = url.query().unwrap_or_default();
    let mut pairs = query.split(['&', ';']).flat_map(|pair| form_urlencoded::parse(pair.as_bytes()));
    pairs.any(|(name, _)| RESPONSE.iter().any(|response| name.trim().eq_ignore_ascii_case(response)))
}

fn destination(uri: &str) -> Destination {
    let (scheme, _) = uri.split_once(':').unwrap_or_default();
    if !["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web)) {
        return Destination::PrivateUse;
    }
    let (host, _) = host_and_port(authority(uri));
    if is_loopback_host(&host.to_ascii_lowercase()) { Destination::Loopback } else { Destination::Web }
}

/// The part between `://` and the path.
fn authority(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or("", |(_, rest)| rest);
    &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())]
}

fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Whether the host has the spelling of the URL standard, in any case.
pub(super) fn has_canonical_host(text: &str, url: &Url) -> bool {
    let (host, port) = host_and_port(authority(text));
    let is_canonical = match url.host() {
        Some(Host::Domain(name)) => host.eq_ignore_ascii_case(name),
        // The standard library reads no other spelling of an IPv4 address.
        Some(Host::Ipv4(address)) => host.parse() == Ok(address),
        Some(Host::Ipv6(address)) => host.eq_ignore_ascii_case(&format!("[{address}]")),
        None => false,
    };
    is_canonical && port.is_none_or(is_port)
}

/// The parts of an `http` loopback URI. An empty path is `/`.
#[derive(PartialEq)]
struct LoopbackUri<'a> {
    host: &'a str,
    port: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> LoopbackUri<'a> {
    /// `None` for any other URI.
    fn read(uri: &'a str) -> Option<Self> {
        let rest = uri.strip_prefix("http://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let plain = tail.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if !is_loopback_host(host) || !plain || !port.is_none_or(is_port) {
            return None;
        }
        let (path, query) = tail.split_once('?').map_or((tail, None), |(path, query)| (path, Some(query)));
        Some(Self { host, port, path: if path.is_empty() { "/" } else { path }, query })
    }

    fn is_same_aside_from_port(&self, other: &Self) -> bool {
        (self.host, self.path, self.query) == (other.host, other.path, other.query)
    }
}

fn is_port(text: &str) -> bool {
    text.len() <= 5
        && text.bytes().all(|b| b.is_ascii_digit())
        && text.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests;
