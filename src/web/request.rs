//! The parts of a request that handlers read.

use std::time::Duration;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::{
    Web,
    address::{Caller, Network, Peer},
    endpoint::{Accepted, Endpoint},
};
use crate::{
    oauth::error::{ErrorCode, OAuthError},
    rate_limit::Limiter,
};

/// Longest logged part of a header, in bytes.
const LONGEST_LOGGED: usize = 100;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) enum BodyError {
    TooLarge { largest: usize },
    TooSlow,
    Broken,
    WrongType(&'static str),
}

/// The sender of a request. Only tests that call the router directly send requests without a peer.
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
    let last = headers.get_all("x-forwarded-for").iter().next_back().map(HeaderValue::as_bytes);
    let last = last.unwrap_or_default();
    let shown = String::from_utf8_lossy(&last[last.len().saturating_sub(LONGEST_LOGGED)..]);
    tracing::warn!(
        %peer, x_forwarded_for = &*shown,
        "a trusted proxy names a client address that cannot be read: all such requests share one rate limit. \
         Configure the proxy to send addresses"
    );
}

pub(super) fn limit(caller: Caller, limiter: &Limiter) -> Result<(), Duration> {
    caller.network.map_or(Ok(()), |network| limiter.admit(network))
}

/// The body of a request, if the endpoint accepts its size and media type. Parameters of the media type, such
/// as `charset`, do not matter.
pub(super) async fn body(request: Request, endpoint: Endpoint) -> Result<Bytes, BodyError> {
    let Accepted { media_type, largest } = endpoint.accepted();
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
    let body = Limited::new(request.into_body(), largest).collect();
    match tokio::time::timeout(PATIENCE, body).await {
        Err(_) => Err(BodyError::TooSlow),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge { largest }),
        Ok(Err(_)) => Err(BodyError::Broken),
    }
}

/// The `Authorization` headers of a request.
pub(super) fn authorization(headers: &HeaderMap) -> Vec<&[u8]> {
    headers.get_all(header::AUTHORIZATION).iter().map(HeaderValue::as_bytes).collect()
}

pub(super) fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Whether a browser opens a page: it then lists `text/html`, while programs accept JSON or anything (RFC 9110
/// section 12.5.1).
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
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken | Self::WrongType(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// The error of the protocol, under the endpoint's code for bad requests.
    pub(super) fn error(&self, code: ErrorCode) -> OAuthError {
        let description = match self {
            Self::TooLarge { largest } => format!("the body is larger than {} KiB", largest / 1024),
            Self::TooSlow => "the body did not arrive in time".to_owned(),
            Self::Broken => "the body could not be read".to_owned(),
            Self::WrongType(media_type) => format!("Content-Type must be {media_type}"),
        };
        OAuthError::new(code, description)
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
