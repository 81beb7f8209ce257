//! Failures in place of answers.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    http::{
        StatusCode,
        header::{CONTENT_TYPE, LOCATION},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::body::Frame;
use pangea_mcp_auth::dev::json_reply;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The target of a faulty redirect. A request to it shows that the client followed the redirect.
const ELSEWHERE: &str = "/elsewhere";

/// A failure in place of an answer. The request has no effect then: no code is spent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// None.
    #[default]
    None,
    /// A bare status with a page of text.
    Status(u16),
    /// An OAuth error in JSON, under any status; 200 too.
    Error {
        /// HTTP status.
        status: u16,
        /// The error code.
        error: String,
    },
    /// 200 with a body that is not JSON, whatever its content type says.
    NotJson,
    /// 200 with five megabytes of JSON.
    Huge,
    /// 307 to somewhere else on this server.
    Redirect,
    /// The connection ends without an answer.
    Drop,
}

impl Fault {
    /// Waits, and fails if this is a failure.
    pub(super) async fn after(&self, delay_ms: u64) -> Option<Response> {
        wait(delay_ms).await;
        Some(match self {
            Self::None => return None,
            Self::Status(status) => (status_code(*status), "The stage was told to fail.").into_response(),
            Self::Error { status, error } => json_reply(status_code(*status), &json!({"error": error})),
            Self::NotJson => ([(CONTENT_TYPE, "application/json")], "<p>not JSON</p>").into_response(),
            Self::Huge => json_reply(StatusCode::OK, &json!({"access_token": "a".repeat(5 << 20)})),
            Self::Redirect => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, ELSEWHERE)]).into_response(),
            Self::Drop => Response::new(Body::new(Dropped)),
        })
    }
}

pub(super) async fn wait(delay_ms: u64) {
    if delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }
}

pub(super) fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("an HTTP status")
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
