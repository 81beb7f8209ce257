//! Parses values into types. Each function returns a complaint with a fix.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

use ipnet::IpNet;
use jiff::{Span, SpanRelativeTo};
use tracing_subscriber::EnvFilter;
use url::Url;

use super::{problem::Complaint, settings::Value};
use crate::oauth::{
    issuer::{InvalidIssuer, Issuer},
    policy::HostPattern,
    resource::{Resource, is_loopback},
    scheme::is_private_use,
};

const USE_HTTPS: &str = "Use https; http is accepted only for a loopback host";

type Result<T> = std::result::Result<T, Complaint>;

/// The complaint about a value of the wrong type.
pub(super) fn wrong_type<T>(value: &Value, expected: &str, fix: &str) -> Result<T> {
    Err(Complaint::new(format!("is {}, not {expected}", value.describe()), fix))
}

/// Text that is not empty.
pub(super) fn text(value: &Value) -> Result<&str> {
    match value {
        Value::Text(text) if text.trim().is_empty() => {
            Err(Complaint::new("is empty", "Enter a value, or remove the line"))
        }
        Value::Text(text) => Ok(text),
        other => wrong_type(other, "text", "Put it in quotation marks"),
    }
}

pub(super) fn boolean(value: &Value) -> Result<bool> {
    match value {
        Value::Boolean(value) => Ok(*value),
        other => wrong_type(other, "true or false", "Write `true` or `false`, without quotation marks"),
    }
}

pub(super) fn number(value: &Value, range: &RangeInclusive<u32>) -> Result<u32> {
    let fix = format!("Write a number from {} to {}", range.start(), range.end());
    match value {
        Value::Number(number) => u32::try_from(*number)
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| Complaint::new(format!("{number} is out of range"), fix)),
        other => wrong_type(other, "a number", &(fix + ", without quotation marks")),
    }
}

/// Whole seconds, such as `"10m"`, `"1h 30m"` or `"30d"`.
pub(super) fn duration(value: &Value, range: &RangeInclusive<Duration>) -> Result<Duration> {
    const FIX: &str = "Write it like \"10m\" or \"1h 30m\"";
    let Value::Text(text) = value else { return wrong_type(value, "a duration", FIX) };
    let duration = text
        .parse::<Span>()
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| duration.subsec_nanos() == 0)
        .ok_or_else(|| Complaint::new(format!("{} is not a duration", quoted(text)), FIX))?;
    if range.contains(&duration) {
        return Ok(duration);
    }
    let fix = format!("Choose from {} to {}", words(*range.start()), words(*range.end()));
    Err(Complaint::new(format!("{} is out of range", quoted(text)), fix))
}

/// A duration as it is written in the configuration.
pub(super) fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (number, unit) = match seconds {
        0 => (0, 's'),
        s if s % 86_400 == 0 => (s / 86_400, 'd'),
        s if s % 3600 == 0 => (s / 3600, 'h'),
        s if s % 60 == 0 => (s / 60, 'm'),
        s => (s, 's'),
    };
    format!("\"{number}{unit}\"")
}

pub(super) fn issuer(text: &str) -> Result<Issuer> {
    const EXAMPLE: &str = "Write it like \"https://auth.example.org\" or \"https://example.org/mcp-auth\"";
    let issuer = Issuer::parse(text).map_err(|error| {
        let what = format!("{} is invalid", shown(text));
        match &error {
            InvalidIssuer::Spelling(canonical) => {
                let fix =
                    format!("Write it as {canonical:?}: clients compare issuers character by character");
                Complaint::new(what, fix)
            }
            InvalidIssuer::NotHttps => Complaint::new(what, USE_HTTPS),
            InvalidIssuer::NotAbsolute | InvalidIssuer::Surplus => {
                Complaint::new(format!("{what}: {error}"), EXAMPLE)
            }
        }
    })?;
    let is_plain = |word: &str| !word.is_empty() && word.bytes().all(is_unreserved);
    if issuer.path().split('/').skip(1).all(is_plain) {
        Ok(issuer)
    } else {
        let fix = "Use a path of letters, digits, `-`, `.`, `_` and `~` between single slashes";
        Err(Complaint::new(format!("the path of {} is invalid", shown(text)), fix))
    }
}

/// A URL to which secrets are sent: `https`, or `http` on loopback.
pub(super) fn safe_url(text: &str) -> Result<Url> {
    let url = web_url(text)?;
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err(Complaint::new(format!("{} would send secrets in clear text", shown(text)), USE_HTTPS));
    }
    Ok(url)
}

/// The URL of a service to which secrets are sent: `https`, or `http` to this machine. The error is a sentence.
pub(crate) fn service_url(text: &str) -> std::result::Result<Url, String> {
    safe_url(text).map_err(|complaint| format!("{}. {}", complaint.what, complaint.fix))
}

/// An absolute `http` or `https` URL without credentials or fragment.
pub(super) fn web_url(text: &str) -> Result<Url> {
    let surplus =
        |url: &Url| url.fragment().is_some() || !url.username().is_empty() || url.password().is_some();
    match Url::parse(text) {
        Ok(url) if surplus(&url) => {
            Err(Complaint::new(format!("{} has credentials or a fragment", shown(text)), "Remove them"))
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(Complaint::new(
            format!("{} is not an absolute http or https URL", shown(text)),
            "Write it like \"https://host.example/path\"",
        )),
    }
}

/// The base of other URLs, without a query. Its spelling stays.
pub(super) fn base_url(text: &str) -> Result<String> {
    let url = safe_url(text)?;
    match url.query() {
        None => Ok(text.to_owned()),
        Some(_) => Err(Complaint::new(
            format!("{} has a query", shown(text)),
            "Remove the `?` and everything after it",
        )),
    }
}

/// A resource in canonical form, which becomes the audience of tokens.
pub(super) fn resource(text: &str) -> Result<Resource> {
    let canonical = canonical(safe_url(text)?);
    let resource = Resource::parse(text).map_err(|error| {
        Complaint::new(
            format!("{} is invalid: {error}", shown(text)),
            "Write it like \"https://host.example/mcp\"",
        )
    })?;
    // The slash of an empty path is optional.
    if text == canonical || (!text.ends_with('/') && format!("{text}/") == canonical) {
        return Ok(resource);
    }
    let fix = format!("Write it as {canonical:?}: tokens contain this spelling, and MCP servers compare it");
    Err(Complaint::new(format!("{} is not in canonical form", shown(text)), fix))
}

fn canonical(mut url: Url) -> String {
    if url.query() == Some("") {
        url.set_query(None);
    }
    url.into()
}

/// An address and a port; `localhost` is 127.0.0.1.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().map_err(|_| {
        Complaint::new(
            format!("{} is not an address with a port", quoted(text)),
            "Write it like \"127.0.0.1:8000\" or \"[::1]:8000\"",
        )
    })
}

/// A network, or a single address.
pub(super) fn network(text: &str) -> Result<IpNet> {
    text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
        Complaint::new(
            format!("{} is neither an address nor a network", quoted(text)),
            "Write it like \"10.0.0.7\" or \"10.0.0.0/8\"",
        )
    })
}

/// A scope by the upstream's grammar.
pub(super) fn upstream_scope(text: &str) -> Result<String> {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b":*/_=-".contains(&b);
    if !text.is_empty() && text.bytes().all(is_allowed) {
        return Ok(text.to_owned());
    }
    let fix = "Pangea scopes consist of letters, digits and `:*/_=-`; write one item for each scope";
    Err(Complaint::new(format!("{} is not a valid upstream scope", quoted(text)), fix))
}

pub(super) fn scope_word(text: &str) -> Result<String> {
    if text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)) {
        return Ok(text.to_owned());
    }
    let fix = "Use ASCII without spaces, quotation marks and backslashes; write one item for each scope";
    Err(Complaint::new(format!("{} is not a scope", quoted(text)), fix))
}

/// The client ID of a resource server, which is sent in a Basic header.
pub(super) fn plain_id(text: &str) -> Result<String> {
    if text.bytes().all(is_unreserved) {
        return Ok(text.to_owned());
    }
    let fix = "Use letters, digits, `-`, `.`, `_` and `~`";
    Err(Complaint::new(format!("{} has characters that are not allowed in an ID", quoted(text)), fix))
}

pub(super) fn email(text: &str) -> Result<String> {
    let is_address = text
        .split_once('@')
        .is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'));
    if is_address && !text.contains(char::is_whitespace) {
        return Ok(text.to_lowercase());
    }
    Err(Complaint::new(
        format!("{} is not an email address", quoted(text)),
        "Write it like \"ann@example.org\"",
    ))
}

/// A host name, in lower case.
pub(super) fn host(text: &str) -> Result<String> {
    let is_host = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    if is_host && !text.starts_with('.') && !text.ends_with('.') && !text.is_empty() {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Complaint::new(format!("{} is not a host name", quoted(text)), "Write it like \"example.org\""))
}

/// A host name, or `*.` and a domain for all hosts below it.
pub(super) fn host_pattern(text: &str) -> Result<HostPattern> {
    match text.strip_prefix("*.") {
        Some(domain) => host(domain).map(HostPattern::Below),
        None => match url::Host::parse(text) {
            Ok(address @ url::Host::Ipv6(_)) => Ok(HostPattern::Exactly(address.to_string())),
            _ => host(text).map(HostPattern::Exactly),
        },
    }
}

/// A private-use URI scheme, in lower case (RFC 3986 section 3.1).
pub(super) fn private_use_scheme(text: &str) -> Result<String> {
    let scheme = text.strip_suffix("://").unwrap_or(text).to_ascii_lowercase();
    if is_private_use(&scheme) {
        return Ok(scheme);
    }
    let fix = "Write \"any\", \"none\" or a list of schemes like \"cursor\"";
    Err(Complaint::new(format!("{} is not a private-use scheme", quoted(text)), fix))
}

/// A log filter in the notation of `tracing-subscriber`.
pub(super) fn log_filter(text: &str) -> Result<String> {
    let complaint = |reason: &dyn std::fmt::Display| {
        Complaint::new(
            format!("{} is not a log filter ({reason})", quoted(text)),
            "Write it like \"info\" or \"info,pangea_mcp_auth=debug\"",
        )
    };
    if !text.is_ascii() {
        // The parser of tracing-subscriber panics on some of them.
        return Err(complaint(&"it has non-ASCII characters"));
    }
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| complaint(&error))
}

/// A value for a message.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    if text.chars().count() <= LONGEST {
        return format!("{text:?}");
    }
    format!("{:?}…", text.chars().take(LONGEST).collect::<String>())
}

/// A URL for a message; hidden if it may contain a password.
fn shown(url: &str) -> String {
    if url.contains('@') { "this URL".to_owned() } else { quoted(url) }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}
