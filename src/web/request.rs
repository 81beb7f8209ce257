//! What the handlers read of a request.

use std::{net::IpAddr, time::Duration};

use axum::{
    body::to_bytes,
    extract::Request,
    http::{HeaderMap, Method, header},
};
use bytes::Bytes;

use super::{Web, address::Peer, limits::limited_key};
use crate::oauth::error::{ErrorCode, OAuthError};

/// Largest body, in bytes.
const LARGEST: usize = 64 * 1024;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why a body cannot be used.
#[derive(Debug)]
pub(super) enum BodyError {
    TooLarge,
    TooSlow,
    Broken,
    WrongType(&'static str),
}

/// The client's address.
pub(super) fn address(web: &Web, request: &Request) -> Option<IpAddr> {
    let peer = request.extensions().get::<Peer>()?;
    Some(web.proxies.client(peer.0, request.headers()))
}

/// Counts the request against a limit.
pub(super) fn limit(address: Option<IpAddr>, limiter: &super::limits::Limiter) -> Result<(), Duration> {
    address.and_then(limited_key).map_or(Ok(()), |key| limiter.admit(key))
}

/// The body of a request of this media type (parameters such as `charset` aside).
pub(super) async fn body(request: Request, media_type: &'static str) -> Result<Bytes, BodyError> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(media_type) {
        return Err(BodyError::WrongType(media_type));
    }
    let declared =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > LARGEST as u64) {
        return Err(BodyError::TooLarge);
    }
    match tokio::time::timeout(PATIENCE, to_bytes(request.into_body(), LARGEST)).await {
        Err(_) => Err(BodyError::TooSlow),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(if is_too_large(&error) { BodyError::TooLarge } else { BodyError::Broken }),
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

impl BodyError {
    /// As an error of the protocol, with its HTTP status.
    pub(super) fn explained(&self) -> (u16, OAuthError) {
        let (status, description) = match self {
            Self::TooLarge => (413, "the body is larger than 64 KiB".to_owned()),
            Self::TooSlow => (408, "the body did not arrive in time".to_owned()),
            Self::Broken => (400, "the body could not be read".to_owned()),
            Self::WrongType(media_type) => (400, format!("Content-Type must be {media_type}")),
        };
        (status, OAuthError::new(ErrorCode::InvalidRequest, description))
    }
}
