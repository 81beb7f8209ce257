//! The `Host` header: exactly one, and in development a loopback host.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Version, header, uri::Authority},
    middleware::Next,
    response::Response,
};

use super::Web;
use crate::oauth::resource::is_loopback_host;

/// Whether a request names one host, as HTTP/1.1 requires (RFC 9112 section 3.2). With two, a proxy and this server
/// could use different ones.
pub(super) fn names_one_host<B>(request: &http::Request<B>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => is_host(host.as_bytes()),
        (None, None) => request.version() < Version::HTTP_11,
        _ => false,
    }
}

pub(super) fn no_host() -> Response {
    refusal(StatusCode::BAD_REQUEST, "send one Host header with a host name or address")
}

/// Accepts only requests for loopback hosts and for the public URL. Websites whose name points to this machine get
/// nothing (DNS rebinding).
pub(super) async fn loopback_only(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    if is_for_loopback(request.headers(), web.public_url.origin()) {
        return next.run(request).await;
    }
    refusal(StatusCode::MISDIRECTED_REQUEST, "in development, only loopback host names are answered")
}

fn is_for_loopback(headers: &HeaderMap, own_origin: &str) -> bool {
    headers.get(header::HOST).and_then(authority).is_some_and(|authority| {
        is_loopback_host(&authority.host().to_ascii_lowercase())
            || own_origin.split("://").nth(1).is_some_and(|own| own.eq_ignore_ascii_case(authority.as_str()))
    })
}

fn authority(host: &HeaderValue) -> Option<Authority> {
    host.as_bytes().try_into().ok()
}

/// Whether this is `uri-host [ ":" port ]` (RFC 9110 section 7.2). Every request is asked, so nothing is
/// allocated.
fn is_host(text: &[u8]) -> bool {
    let is_in_name = |b: &u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(b);
    let is_in_literal = |b: &u8| is_in_name(b) || *b == b':';
    let (has_name, rest) = if let Some(literal) = text.strip_prefix(b"[") {
        let end = literal.iter().take_while(|b| is_in_literal(b)).count();
        (literal.get(end) == Some(&b']') && end > 0, literal.get(end + 1..).unwrap_or_default())
    } else {
        let end = text.iter().take_while(|b| is_in_name(b)).count();
        (end > 0, &text[end..])
    };
    has_name
        && match rest {
            [] => true,
            [b':', port @ ..] => port.iter().all(u8::is_ascii_digit),
            _ => false,
        }
}

fn refusal(status: StatusCode, description: &str) -> Response {
    let body = serde_json::json!({ "error": "invalid_request", "error_description": description });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(hosts: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, host.parse().unwrap());
        }
        headers
    }

    #[test]
    fn http_1_1_names_one_host() {
        for (hosts, version, sound) in [
            (&["mcp.example.org"][..], Version::HTTP_11, true),
            (&["mcp.example.org:8443"], Version::HTTP_11, true),
            (&["[::1]:8000"], Version::HTTP_11, true),
            (&["my_host"], Version::HTTP_11, true),
            (&["a", "a"], Version::HTTP_11, false),
            (&["a", "b"], Version::HTTP_10, false),
            (&[], Version::HTTP_11, false),
            (&[], Version::HTTP_10, true),
            (&[""], Version::HTTP_11, false),
            (&["a b"], Version::HTTP_11, false),
            (&["a/b"], Version::HTTP_11, false),
            (&["a, b"], Version::HTTP_11, false),
            (&["user@a"], Version::HTTP_11, false),
            (&["a:80:80"], Version::HTTP_11, false),
            (&["a:8x"], Version::HTTP_11, false),
            (&[":80"], Version::HTTP_11, false),
            (&["[::1"], Version::HTTP_11, false),
            (&["[]"], Version::HTTP_11, false),
            (&["[::1]x"], Version::HTTP_11, false),
        ] {
            let mut request = http::Request::new(());
            *request.headers_mut() = headers(hosts);
            *request.version_mut() = version;
            assert_eq!(names_one_host(&request), sound, "{hosts:?} {version:?}");
        }
    }

    #[test]
    fn in_development_other_names_get_nothing() {
        let own = "https://name-8000.preview.example";
        for (host, answered) in [
            ("localhost:8000", true),
            ("LOCALHOST", true),
            ("127.0.0.1:8000", true),
            ("[::1]:8000", true),
            ("name-8000.preview.example", true),
            ("preview.example", false),
            ("localhost.example.com", false),
            ("10.0.0.1:8000", false),
        ] {
            assert_eq!(is_for_loopback(&headers(&[host]), own), answered, "{host}");
        }
        assert!(!is_for_loopback(&HeaderMap::new(), own));
    }
}
