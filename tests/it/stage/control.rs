//! The hand of a test that is another program: switches, people, and how often what was asked for.

use std::collections::BTreeMap;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::Response,
    routing::{get, post},
};
use pangea_mcp_auth::dev::json_reply;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Stage;

/// Paths under this are the hand itself and are not counted.
pub(super) const CONTROL: &str = "/__stand-in/";

pub(super) fn routes() -> Router<Stage> {
    Router::new()
        .route("/__stand-in/switches", get(show_switches).post(set_switches).delete(reset_switches))
        .route("/__stand-in/disable", post(disable))
        .route("/__stand-in/requests", get(show_requests))
}

async fn show_requests(State(stage): State<Stage>) -> Response {
    let requests = stage.requests();
    json_reply(StatusCode::OK, &json!({"total": requests.total(), "paths": requests.by_path()}))
}

async fn show_switches(State(stage): State<Stage>) -> Response {
    json_reply(StatusCode::OK, &stage.switches().to_json())
}

async fn reset_switches(State(stage): State<Stage>) -> Response {
    stage.switches().reset();
    show_switches(State(stage)).await
}

/// Settings by endpoint, and under `groups` the groups of people by email.
async fn set_switches(State(stage): State<Stage>, headers: HeaderMap, body: Bytes) -> Response {
    let mut changes: Map<String, Value> = match read(&headers, &body) {
        Ok(changes) => changes,
        Err(refusal) => return refused(&refusal),
    };
    if let Some(groups) = changes.remove("groups") {
        match serde_json::from_value::<BTreeMap<String, Vec<String>>>(groups) {
            Ok(groups) => {
                for (email, groups) in groups {
                    stage.0.people.set_groups(&email, groups);
                }
            }
            Err(error) => return refused(&error.to_string()),
        }
    }
    match stage.switches().apply(&changes) {
        Ok(()) => show_switches(State(stage)).await,
        Err(error) => refused(&error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Disable {
    email: String,
    disabled: bool,
}

async fn disable(State(stage): State<Stage>, headers: HeaderMap, body: Bytes) -> Response {
    let Disable { email, disabled } = match read(&headers, &body) {
        Ok(request) => request,
        Err(refusal) => return refused(&refusal),
    };
    if !email.contains('@') {
        return refused("that is no email address");
    }
    stage.0.people.set_disabled(&email, disabled);
    json_reply(StatusCode::OK, &json!({"email": email, "disabled": disabled}))
}

/// Reads JSON that says it is JSON.
fn read<T: for<'de> Deserialize<'de>>(headers: &HeaderMap, body: &[u8]) -> Result<T, String> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if content_type.split(';').next().map(str::trim) != Some("application/json") {
        return Err("the content type is not application/json".to_owned());
    }
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn refused(problem: &str) -> Response {
    json_reply(StatusCode::BAD_REQUEST, &json!({"error": problem}))
}
