//! Whether the process runs, and whether it can serve. Without rate limits.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use serde_json::json;
use tokio::sync::Mutex;

use super::{
    Web,
    endpoint::Endpoint,
    machine::Failure,
    visit::{Visit, visited},
};
use crate::{
    clock::UnixTime,
    keys::KeyError,
    oauth::error::{ErrorCode, OAuthError},
};

/// The repository's last answer, reused until the next second. Requests that arrive during a probe wait for its
/// answer.
#[derive(Debug, Default)]
pub(super) struct Readiness(Mutex<Option<Answered>>);

#[derive(Debug)]
struct Answered {
    at: UnixTime,
    /// `None` if the server is ready.
    reason: Option<&'static str>,
}

pub(super) fn routes() -> Router<Arc<Web>> {
    Router::new().route("/healthz", get(alive)).route("/readyz", visited(Endpoint::Ready, ready))
}

async fn alive(State(web): State<Arc<Web>>, request: Request) -> Response {
    Visit::new(&web, Endpoint::Health, &request).reply.json(StatusCode::OK, &json!({ "status": "alive" }))
}

/// `GET /readyz`: repository and keys are usable.
async fn ready(web: Arc<Web>, visit: Visit, _request: Request) -> Result<Response, Failure> {
    web.readiness.ask(&web).await?;
    Ok(visit.reply.json(StatusCode::OK, &json!({ "status": "ready" })))
}

impl Readiness {
    async fn ask(&self, web: &Web) -> Result<(), OAuthError> {
        let mut last = self.0.lock().await;
        let now = web.server.now();
        if let Some(Answered { reason, .. }) = last.as_ref().filter(|last| last.at == now) {
            return reason.map_or(Ok(()), |reason| Err(unready(reason)));
        }
        let outcome = web.server.ready().await.map_err(|error| {
            let reason = match error {
                KeyError::Repository(_) => "the repository does not answer",
                _ => "a signing key cannot be opened",
            };
            (reason, error)
        });
        *last = Some(Answered { at: now, reason: outcome.as_ref().err().map(|(reason, _)| *reason) });
        // The cause is logged once, by the request that asked.
        outcome.map_err(|(reason, error)| unready(reason).caused_by(error))
    }
}

fn unready(reason: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::TemporarilyUnavailable, reason)
}
