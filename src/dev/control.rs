//! The hand of the tests, from outside: switches, people, and how often what was asked for.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use axum::{
    body::Bytes,
    extract::{Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_TYPE, HOST},
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{StandIn, people, reply::json_reply};

/// Paths under this are the hand itself and are not counted.
const CONTROL: &str = "/__stand-in/";
/// After this many different paths, further ones count as `other`.
const MOST_PATHS: usize = 100;

/// How often each path was asked for.
#[derive(Debug, Default)]
pub struct RequestCounts(Mutex<BTreeMap<String, u64>>);

impl RequestCounts {
    /// Requests for one path.
    #[must_use]
    pub fn of(&self, path: &str) -> u64 {
        self.by_path().get(path).copied().unwrap_or_default()
    }

    /// Requests for anything.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_path().values().sum()
    }

    /// Requests by path.
    #[must_use]
    pub fn by_path(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, path: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let path = if counts.contains_key(path) || counts.len() < MOST_PATHS { path } else { "other" };
        *counts.entry(path.to_owned()).or_default() += 1;
    }
}

/// Counts the request, and turns it away if it is not meant for a loopback address: a page on the web
/// whose name was made to point here must get nothing (DNS rebinding).
pub(super) async fn admit(State(stand_in): State<StandIn>, request: Request, next: Next) -> Response {
    if !is_for_loopback(request.headers()) {
        return (StatusCode::MISDIRECTED_REQUEST, "The stand-in answers on loopback only.\n").into_response();
    }
    let path = request.uri().path();
    if !path.starts_with(CONTROL) {
        stand_in.0.requests.count(path);
    }
    next.run(request).await
}

fn is_for_loopback(headers: &HeaderMap) -> bool {
    let authority: Option<Authority> = headers.get(HOST).and_then(|host| host.as_bytes().try_into().ok());
    authority.is_some_and(|authority| {
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    })
}

/// `GET /__stand-in/requests`.
pub(super) async fn show_requests(State(stand_in): State<StandIn>) -> Response {
    let paths = stand_in.0.requests.by_path();
    json_reply(StatusCode::OK, &json!({"total": paths.values().sum::<u64>(), "paths": paths}))
}

/// `GET /__stand-in/switches`.
pub(super) async fn show_switches(State(stand_in): State<StandIn>) -> Response {
    json_reply(StatusCode::OK, &stand_in.0.switches.to_json())
}

/// `DELETE /__stand-in/switches`.
pub(super) async fn reset_switches(State(stand_in): State<StandIn>) -> Response {
    stand_in.0.switches.reset();
    show_switches(State(stand_in)).await
}

/// `POST /__stand-in/switches`: settings by endpoint, and under `groups` the groups of people by email.
pub(super) async fn set_switches(
    State(stand_in): State<StandIn>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut changes: Map<String, Value> = match read(&headers, &body) {
        Ok(changes) => changes,
        Err(refusal) => return refused(&refusal),
    };
    if let Some(groups) = changes.remove("groups") {
        match serde_json::from_value::<BTreeMap<String, Vec<String>>>(groups) {
            Ok(groups) => {
                for (email, groups) in groups {
                    stand_in.set_groups(&email, &groups.iter().map(String::as_str).collect::<Vec<_>>());
                }
            }
            Err(error) => return refused(&error.to_string()),
        }
    }
    match stand_in.0.switches.apply(&changes) {
        Ok(()) => show_switches(State(stand_in)).await,
        Err(error) => refused(&error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Disable {
    email: String,
    disabled: bool,
}

/// `POST /__stand-in/disable`.
pub(super) async fn disable(State(stand_in): State<StandIn>, headers: HeaderMap, body: Bytes) -> Response {
    let Disable { email, disabled } = match read(&headers, &body) {
        Ok(request) => request,
        Err(refusal) => return refused(&refusal),
    };
    let Some(email) = people::email(&email) else {
        return refused("that is no email address");
    };
    stand_in.set_disabled(&email, disabled);
    json_reply(StatusCode::OK, &json!({"email": email, "disabled": disabled}))
}

/// Reads JSON that says it is JSON: no page elsewhere can send that here without being asked first.
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

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_loopback_hosts_are_admitted() {
        let rows = [
            ("localhost:8001", true),
            ("LOCALHOST", true),
            ("127.0.0.1:8001", true),
            ("127.1.2.3", true),
            ("[::1]:8001", true),
            ("example.com", false),
            ("localhost.example.com", false),
            ("10.0.0.1:8001", false),
            ("", false),
        ];
        for (host, expected) in rows {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            assert_eq!(is_for_loopback(&headers), expected, "{host}");
        }
        assert!(!is_for_loopback(&HeaderMap::new()));
    }

    #[test]
    fn counting_stays_bounded() {
        let counts = RequestCounts::default();
        (0..1000).for_each(|number| counts.count(&format!("/{number}")));
        counts.count("/0");
        assert_eq!((counts.of("/0"), counts.of("other"), counts.total()), (2, 900, 1001));
    }
}
