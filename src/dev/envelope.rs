//! Pangea's envelope around an answer. Its six keys are exactly the ones that the official SDKs accept.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::reply::json_reply;
use crate::clock::UnixTime;

/// How a call ended.
#[derive(Debug, Clone)]
pub struct Verdict<'a> {
    /// Pangea's own status, such as `ValidationError`.
    pub status: &'a str,
    /// The HTTP status.
    pub http_status: StatusCode,
    /// The same in words.
    pub summary: &'a str,
}

impl Verdict<'static> {
    /// The call has a result.
    pub const SUCCESS: Self = Self { status: "Success", http_status: StatusCode::OK, summary: "Success" };
}

/// The envelope of one call, which takes no time.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// When the call came.
    pub time: UnixTime,
    /// The ID of the call, `prq_…`.
    pub request_id: &'a str,
}

impl Envelope<'_> {
    /// The answer with this result.
    #[must_use]
    pub fn around(self, verdict: &Verdict<'_>, result: &Value) -> Response {
        let time = timestamp(self.time);
        let envelope = json!({
            "request_id": self.request_id,
            "request_time": time,
            "response_time": time,
            "status": verdict.status,
            "summary": verdict.summary,
            "result": result,
        });
        ([("x-request-id", self.request_id)], json_reply(verdict.http_status, &envelope)).into_response()
    }
}

/// A time as Pangea writes it.
#[must_use]
pub fn timestamp(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or_default();
    let timestamp = Timestamp::from_second(seconds).unwrap_or_default();
    timestamp.strftime("%Y-%m-%dT%H:%M:%S.000000Z").to_string()
}
