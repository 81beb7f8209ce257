//! Answers: JSON, OAuth errors, and the failures that a switch asks for.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::body::Frame;
use serde_json::{Value, json};

use super::switches::Fault;

/// The target of a faulty redirect. A request to it shows that the client followed the redirect.
const ELSEWHERE: &str = "/elsewhere";

/// JSON that no cache keeps.
pub(super) fn json_reply(status: StatusCode, body: &Value) -> Response {
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

/// Waits as long as a switch asks for.
pub(super) async fn wait(delay_ms: u64) {
    if delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }
}

/// Waits as long as a switch asks for, and fails if it asks for that.
pub(super) async fn trouble(delay_ms: u64, fault: &Fault) -> Option<Response> {
    wait(delay_ms).await;
    let answer = match fault {
        Fault::None => return None,
        Fault::Status(status) => (status_code(*status), "The stand-in was told to fail.").into_response(),
        Fault::Error { status, error } => json_reply(status_code(*status), &json!({"error": error})),
        Fault::NotJson => ([(CONTENT_TYPE, "application/json")], "<p>not JSON</p>").into_response(),
        Fault::Huge => json_reply(StatusCode::OK, &json!({"access_token": "a".repeat(5 << 20)})),
        Fault::Redirect => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, ELSEWHERE)]).into_response(),
        Fault::Drop => Response::new(Body::new(Dropped)),
    };
    Some(answer)
}

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A body that fails at once, whereupon the server closes the connection.
struct Dropped;

impl HttpBody for Dropped {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionAborted.into())))
    }
}
