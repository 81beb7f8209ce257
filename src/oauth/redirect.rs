//! Redirect URIs as registered, and return addresses as matched.
//!
//! A redirect is built from a [`ReturnAddress`] and from nothing else, and only a registered
//! [`RedirectUri`] makes one.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::resource::is_loopback;

/// Schemes that run, read or send something instead of handing an answer to an application.
const NEVER: [&str; 35] = [
    "about",
    "blob",
    "chrome",
    "chrome-extension",
    "content",
    "data",
    "file",
    "filesystem",
    "ftp",
    "ftps",
    "gopher",
    "intent",
    "jar",
    "javascript",
    "jnlp",
    "ldap",
    "ldaps",
    "mailto",
    "ms-cxh",
    "ms-excel",
    "ms-msdt",
    "ms-officecmd",
    "ms-powerpoint",
    "ms-search",
    "ms-settings",
    "ms-word",
    "search-ms",
    "smb",
    "sms",
    "ssh",
    "tel",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// Longest redirect URI that is stored, in bytes.
const LONGEST: usize = 2048;

/// Which private-use schemes (RFC 8252 section 7.1) may be registered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PrivateUseSchemes {
    /// All but those that execute or read something.
    #[default]
    Any,
    /// None.
    None,
    /// These alone.
    Listed(Vec<String>),
}

impl PrivateUseSchemes {
    fn allow(&self, scheme: &str) -> bool {
        match self {
            _ if NEVER.contains(&scheme) => false,
            Self::Any => true,
            Self::None => false,
            Self::Listed(schemes) => schemes.iter().any(|listed| listed.eq_ignore_ascii_case(scheme)),
        }
    }
}

/// What kind of receiver listens at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// A program on the person's own machine.
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
    /// Plain text leaves the machine.
    #[error("http is accepted for localhost, 127.0.0.1 and [::1] only")]
    NotHttps,
    /// A scheme that is dangerous or not allowed here.
    #[error("this scheme is not accepted in a redirect URI")]
    Scheme,
    /// `http://0x7f.1/` and the like.
    #[error("write the host of a redirect URI in its canonical form")]
    Host,
}

/// A redirect URI as it was registered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RedirectUri(String);

impl RedirectUri {
    /// Takes an absolute URI that is safe to send an answer to, spelling kept.
    ///
    /// # Errors
    ///
    /// When it is something else.
    pub fn parse(text: &str, schemes: &PrivateUseSchemes) -> Result<Self, InvalidRedirectUri> {
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
            scheme if schemes.allow(scheme) => {}
            _ => return Err(InvalidRedirectUri::Scheme),
        }
        Ok(Self(text.to_owned()))
    }

    /// The registered spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The kind of receiver.
    #[must_use]
    pub fn destination(&self) -> Destination {
        destination(&self.0)
    }

    /// The address to answer at, if a request for `requested` may be answered under this
    /// registration: equal character by character, but for the port of a loopback URI
    /// (RFC 8252 section 7.3; `localhost` too, as OAuth 2.1 section 4.1.1 has it).
    #[must_use]
    pub fn matched(&self, requested: &str) -> Option<ReturnAddress> {
        let same = requested == self.0 || {
            let (own, other) = (loopback_parts(&self.0), loopback_parts(requested));
            own.is_some() && own == other
        };
        same.then(|| ReturnAddress(requested.to_owned()))
    }

    /// The registered URI itself as the address, for requests that name none.
    #[must_use]
    pub fn itself(&self) -> ReturnAddress {
        ReturnAddress(self.0.clone())
    }
}

/// An address that was registered for the client that is being answered. It leaves the process
/// sealed or inside a grant, never otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReturnAddress(String);

impl ReturnAddress {
    /// The address without an answer.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host that gets the answer, as a person should read it: `localhost:3000`,
    /// `xn--….example`, or the scheme where there is no host.
    #[must_use]
    pub fn host(&self) -> String {
        // Lists ask this of each grant, and whether it is a URL was judged when it was registered.
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

    /// The kind of receiver.
    #[must_use]
    pub fn destination(&self) -> Destination {
        destination(&self.0)
    }

    /// The address with an answer appended to its query, which stays as it is
    /// (RFC 6749 section 3.1.2).
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

fn destination(uri: &str) -> Destination {
    match Url::parse(uri) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => {
            if is_loopback(&url) {
                Destination::Loopback
            } else {
                Destination::Web
            }
        }
        _ => Destination::PrivateUse,
    }
}

/// What stands between `://` and the path.
fn authority(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or("", |(_, rest)| rest);
    &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())]
}

/// Whether the host is spelled as the URL standard would spell it, case aside.
fn has_canonical_host(text: &str, url: &Url) -> bool {
    let host = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => format!("[{address}]"),
        None => return false,
    };
    let authority = authority(text).to_ascii_lowercase();
    let rest = authority.strip_prefix(&host);
    rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with(':') && is_port(&rest[1..])))
}

/// Host text and everything behind the port of an `http` loopback URI; `None` for any other URI.
fn loopback_parts(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let loopback = host == "localhost"
        || host == "[::1]"
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    (loopback && port.is_none_or(is_port) && tail.bytes().all(|b| b.is_ascii_graphic()))
        .then_some((host, tail))
}

fn is_port(text: &str) -> bool {
    text.len() <= 5
        && text.bytes().all(|b| b.is_ascii_digit())
        && text.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn registered(text: &str) -> RedirectUri {
        RedirectUri::parse(text, &PrivateUseSchemes::Any).unwrap()
    }

    #[test]
    fn dcr_5_and_6_the_corpus_of_redirect_uris() {
        for good in [
            "https://app.example/cb",
            "https://app.example",
            "https://app.example:8443/cb?a=b%20c",
            "http://localhost/cb",
            "http://localhost:3000/cb",
            "http://127.0.0.1/",
            "http://127.0.0.1:33418",
            "http://[::1]:8080/cb",
            "https://xn--bcher-kva.example/cb",
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "com.example.app:/oauth",
            "vscode://vscode.github-authentication/did-authenticate",
        ] {
            assert!(RedirectUri::parse(good, &PrivateUseSchemes::Any).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/cb",
            "cb",
            "//app.example/cb",
            "https://",
            "https://app.example/cb#",
            "https://app.example/cb#f",
            "https://u@app.example/",
            "https://u:p@app.example/",
            "https://@app.example/",
            "https://*.app.example/cb",
            "https://app.example/*",
            "https://app.example/c b",
            "https://app.example\\@evil.example/",
            "https://app.example/\r\nSet-Cookie:a",
            "http://app.example/cb",
            "http://localhost.evil.example/cb",
            "http://127.0.0.1.evil.example/",
            "http://0x7f.1/cb",
            "http://127.1/cb",
            "http://2130706433/",
            "http://[::ffff:127.0.0.1]/",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "blob:https://a/b",
            "about:blank",
            "ftp://a/b",
            "ws://localhost/",
            "https://bücher.example/cb",
            "view-source:https://a",
            "intent://x",
            "https://app.example:99999/",
        ] {
            assert!(RedirectUri::parse(bad, &PrivateUseSchemes::Any).is_err(), "{bad}");
        }
        let long = format!("https://app.example/{}", "a".repeat(2048));
        assert_eq!(RedirectUri::parse(&long, &PrivateUseSchemes::Any), Err(InvalidRedirectUri::TooLong));
    }

    #[test]
    fn dcr_7_the_operator_says_which_private_use_schemes_are_taken() {
        let listed = PrivateUseSchemes::Listed(vec!["cursor".to_owned()]);
        assert!(RedirectUri::parse("cursor://a/b", &listed).is_ok());
        assert!(RedirectUri::parse("other://a/b", &listed).is_err());
        assert!(RedirectUri::parse("cursor://a/b", &PrivateUseSchemes::None).is_err());
        let unwise = PrivateUseSchemes::Listed(vec!["javascript".to_owned()]);
        assert!(RedirectUri::parse("javascript:alert(1)", &unwise).is_err());
    }

    #[test]
    fn authz_5_near_misses_do_not_match() {
        let uri = registered("https://app.example/cb?a=1&b=%2F");
        assert!(uri.matched("https://app.example/cb?a=1&b=%2F").is_some());
        for near in [
            "https://app.example/cb",
            "https://app.example/cb/?a=1&b=%2F",
            "https://App.example/cb?a=1&b=%2F",
            "HTTPS://app.example/cb?a=1&b=%2F",
            "https://app.example:443/cb?a=1&b=%2F",
            "https://app.example/cb?b=%2F&a=1",
            "https://app.example/cb?a=1&b=%2f",
            "https://app.example/cb?a=1&b=/",
            "https://app.example/CB?a=1&b=%2F",
            "https://app.example/cb?a=1&b=%2F&c",
            "https://u@app.example/cb?a=1&b=%2F",
            "https://app.example/x/../cb?a=1&b=%2F",
            "https://app.example/cb?a=1&b=%2F#f",
            "",
        ] {
            assert!(uri.matched(near).is_none(), "{near}");
        }
    }

    #[test]
    fn authz_6_and_7_a_loopback_uri_is_free_in_its_port_alone() {
        for (own, requested, matches) in [
            ("http://127.0.0.1:3000/cb", "http://127.0.0.1:43117/cb", true),
            ("http://127.0.0.1/cb", "http://127.0.0.1:43117/cb", true),
            ("http://127.0.0.1:3000/cb", "http://127.0.0.1/cb", true),
            ("http://[::1]:3000/cb", "http://[::1]:1/cb", true),
            ("http://[::1]/cb", "http://[::1]:1/cb", true),
            ("http://localhost:3000/cb", "http://localhost:1/cb", true),
            ("http://localhost:3000/cb?x=1", "http://localhost:1/cb?x=1", true),
            ("http://localhost:3000/cb", "http://127.0.0.1:3000/cb", false),
            ("http://127.0.0.1:3000/cb", "http://[::1]:3000/cb", false),
            ("http://localhost:3000/cb", "https://localhost:3000/cb", false),
            ("https://localhost:3000/cb", "https://localhost:3001/cb", false),
            ("http://localhost:3000/cb", "http://localhost.evil.com:3000/cb", false),
            ("http://localhost:3000/cb", "http://localhost:3000@evil.com/cb", false),
            ("http://localhost:3000/cb", "http://localhost:x/cb", false),
            ("http://localhost:3000/cb", "http://localhost:99999/cb", false),
            ("http://localhost:3000/cb", "http://localhost:0/cb", false),
            ("http://localhost:3000/cb", "http://localhost:/cb", false),
            ("http://localhost:3000/cb", "http://LOCALHOST:3000/cb", false),
            ("http://localhost:3000/cb", "http://localhost:1/cb/", false),
            ("http://localhost:3000/cb", "http://localhost:1/cb?x=1", false),
            ("http://localhost:3000/cb", "http://localhost:1/cb#f", false),
        ] {
            assert_eq!(registered(own).matched(requested).is_some(), matches, "{own} {requested}");
        }
    }

    #[test]
    fn authz_8_the_query_of_the_address_stays_as_it_is() {
        for (address, expected) in [
            ("https://a.example/cb", "https://a.example/cb?code=x+y&iss=i"),
            ("https://a.example/cb?", "https://a.example/cb?code=x+y&iss=i"),
            ("https://a.example/cb?a=b%20c", "https://a.example/cb?a=b%20c&code=x+y&iss=i"),
            ("https://a.example/cb?a&", "https://a.example/cb?a&code=x+y&iss=i"),
            ("app:/cb", "app:/cb?code=x+y&iss=i"),
        ] {
            assert_eq!(registered(address).itself().answer(&[("code", "x y"), ("iss", "i")]), expected);
        }
    }

    #[test]
    fn a_person_reads_who_gets_the_answer() {
        for (address, host, destination) in [
            ("http://localhost:3000/cb", "localhost:3000", Destination::Loopback),
            ("https://App.Example/cb", "app.example", Destination::Web),
            ("cursor://anysphere/cb", "cursor:", Destination::PrivateUse),
        ] {
            let address = registered(address).itself();
            assert_eq!((address.host().as_str(), address.destination()), (host, destination));
        }
    }

    proptest! {
        #[test]
        fn only_the_port_of_a_loopback_uri_may_differ(port: u16, path in "(/[a-z0-9.~-]{0,8}){0,3}", other in "[!-~]{0,40}") {
            let uri = registered(&format!("http://127.0.0.1:8080{path}"));
            let matched = uri.matched(&format!("http://127.0.0.1:{port}{path}")).is_some();
            prop_assert_eq!(matched, port > 0);
            let requested = format!("http://127.0.0.1{other}");
            if let Some(address) = uri.matched(&requested) {
                let url = Url::parse(address.as_str()).unwrap();
                prop_assert_eq!(url.host_str(), Some("127.0.0.1"));
                prop_assert_eq!(url.path(), if path.is_empty() { "/" } else { path.as_str() });
            }
        }

        #[test]
        fn whatever_is_accepted_is_a_header_and_keeps_its_host(text in "[ -~]{0,60}", requested in "[ -~]{0,60}") {
            if let Ok(uri) = RedirectUri::parse(&text, &PrivateUseSchemes::Any) {
                prop_assert!(uri.as_str().bytes().all(|b| b.is_ascii_graphic()));
                if let Some(address) = uri.matched(&requested) {
                    let host = |text: &str| Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned));
                    prop_assert_eq!(host(address.as_str()), host(uri.as_str()));
                }
            }
        }
    }
}
