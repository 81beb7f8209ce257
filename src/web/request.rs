//! What the handlers read of a request.

use std::time::Duration;

use axum::{
    body::to_bytes,
    extract::Request,
    http::{HeaderMap, Method, header},
};
use bytes::Bytes;

use super::{
    Web,
    address::{Caller, Network, Peer},
    limits::Limiter,
};
use crate::oauth::error::{ErrorCode, OAuthError};

/// Largest form, in bytes.
pub(super) const LARGEST_FORM: usize = 64 * 1024;
/// Longest part of a header field that is logged, in bytes.
const LONGEST_LOGGED: usize = 100;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why a body cannot be used.
#[derive(Debug)]
pub(super) enum BodyError {
    TooLarge { largest: usize },
    TooSlow,
    Broken,
    WrongType(&'static str),
}

/// Who sends a request. A request without a peer comes from a test of the router alone.
pub(super) fn caller(web: &Web, request: &Request) -> Caller {
    let Some(peer) = request.extensions().get::<Peer>() else {
        return Caller { address: None, network: None };
    };
    let caller = web.proxies.caller(peer.0, request.headers());
    if caller.network == Some(Network::Unreadable) {
        web.unreadable_hop.call_once(|| warn_of_unreadable_hop(peer.0, request.headers()));
    }
    caller
}

fn warn_of_unreadable_hop(peer: std::net::IpAddr, headers: &HeaderMap) {
    let last = headers.get_all("x-forwarded-for").iter().next_back().map(axum::http::HeaderValue::as_bytes);
    let last = last.unwrap_or_default();
    let shown = String::from_utf8_lossy(&last[last.len().saturating_sub(LONGEST_LOGGED)..]);
    tracing::warn!(
        %peer, x_forwarded_for = &*shown,
        "a trusted proxy names a client address that cannot be read: all such requests share one rate limit. \
         Configure the proxy to send addresses"
    );
}

/// Counts the request against a limit.
pub(super) fn limit(caller: Caller, limiter: &Limiter) -> Result<(), Duration> {
    caller.network.map_or(Ok(()), |network| limiter.admit(network))
}

/// The body of a request of this media type (parameters such as `charset` aside), of at most `largest`
/// bytes.
pub(super) async fn body(
    request: Request,
    media_type: &'static str,
    largest: usize,
) -> Result<Bytes, BodyError> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(media_type) {
        return Err(BodyError::WrongType(media_type));
    }
    let declared =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > largest as u64) {
        return Err(BodyError::TooLarge { largest });
    }
    match tokio::time::timeout(PATIENCE, to_bytes(request.into_body(), largest)).await {
        Err(_) => Err(BodyError::TooSlow),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            Err(if is_too_large(&error) { BodyError::TooLarge { largest } } else { BodyError::Broken })
        }
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("length limit") {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The `Authorization` headers of a request.
pub(super) fn authorization(headers: &HeaderMap) -> Vec<&[u8]> {
    headers.get_all(header::AUTHORIZATION).iter().map(axum::http::HeaderValue::as_bytes).collect()
}

/// Whether a method reads.
pub(super) fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Whether a person looks at the answer: browsers list `text/html` when they open a page, programs ask
/// for JSON or for anything (RFC 9110 section 12.5.1).
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = values.flat_map(|value| value.split(','));
    ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_html = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("text/html"));
        is_html && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

impl BodyError {
    /// As an error of the protocol, with its HTTP status.
    pub(super) fn explained(&self) -> (u16, OAuthError) {
        let (status, description) = match self {
            Self::TooLarge { largest } => (413, format!("the body is larger than {} KiB", largest / 1024)),
            Self::TooSlow => (408, "the body did not arrive in time".to_owned()),
            Self::Broken => (400, "the body could not be read".to_owned()),
            Self::WrongType(media_type) => (400, format!("Content-Type must be {media_type}")),
        };
        (status, OAuthError::new(ErrorCode::InvalidRequest, description))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_pages_and_programs_do_not() {
        for (accept, page) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", true),
            ("application/json, Text/HTML;q=0.1", true),
            ("text/html;q=0, application/json", false),
            ("application/json, text/event-stream", false),
            ("*/*", false),
            ("text/*", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(wants_page(&headers), page, "{accept}");
        }
        assert!(!wants_page(&HeaderMap::new()));
    }
}
