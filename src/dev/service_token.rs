//! The token that the service API and the management of clients ask for.

use axum::http::{HeaderMap, header::AUTHORIZATION};

use crate::secret::constant_time_eq;

/// The service token that the stand-in accepts.
pub const SERVICE_TOKEN: &str = "pts_standinstandinstandinstandinstan";

/// Whether the request carries the service token.
pub(super) fn holds_service_token(headers: &HeaderMap) -> bool {
    let expected = format!("Bearer {SERVICE_TOKEN}");
    headers.get(AUTHORIZATION).is_some_and(|value| constant_time_eq(value.as_bytes(), expected.as_bytes()))
}
