//! Answers: JSON, and OAuth errors.

use axum::{
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// JSON that no cache keeps.
#[must_use]
pub fn json_reply(status: StatusCode, body: &Value) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (status, headers, body.to_string()).into_response()
}

/// An error of the OAuth endpoints (RFC 6749 section 5.2).
#[derive(Debug)]
pub(super) struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl OAuthError {
    /// 400 with one of the standard's codes.
    pub(super) fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description: description.into() }
    }

    /// The client did not authenticate.
    pub(super) fn invalid_client() -> Self {
        let description = "client authentication failed".to_owned();
        Self { status: StatusCode::UNAUTHORIZED, error: "invalid_client", description }
    }

    /// The stand-in itself failed.
    pub(super) fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(%cause, "the stand-in failed");
        let description = "the stand-in failed; see its log".to_owned();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, error: "server_error", description }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = json!({"error": self.error, "error_description": self.description});
        let answer = json_reply(self.status, &body);
        if self.status == StatusCode::UNAUTHORIZED {
            return ([(WWW_AUTHENTICATE, "Basic realm=\"stand-in\"")], answer).into_response();
        }
        answer
    }
}
