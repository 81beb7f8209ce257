//! The operator's logo, which pages load from this server.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::Response,
};

use super::https::Https;
use crate::{
    oauth::issuer::Issuer,
    raster::RasterImage,
    secret::{encode, sha256},
};

/// The path has a hash of the contents, so another logo is at another path.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

#[derive(Debug)]
pub(super) struct Logo {
    path: String,
    image: RasterImage,
}

impl Logo {
    pub(super) fn new(public_url: &Issuer, image: RasterImage) -> Self {
        let hash = encode(&sha256(image.bytes())[..12]);
        Self { path: format!("{}/logo/{hash}", public_url.path()), image }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn is_at(&self, path: &str) -> bool {
        self.path == path
    }

    pub(super) fn answer(&self, https: Https) -> Response {
        let mut response = Response::new(Body::from(self.image.bytes().clone()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.image.media_type()));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::CACHE_CONTROL, FOREVER);
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
        );
        headers.insert(
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        );
        if let Some(policy) = https.policy() {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, policy);
        }
        response
    }
}
