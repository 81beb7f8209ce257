//! The service API that tells who a person is.

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde_json::{Map, Value, json};

use super::{
    StandIn,
    envelope::{Envelope, Verdict, timestamp},
    ids, people,
    service_token::holds_service_token,
    state::State as Remembered,
};

/// Why a call has no result.
enum Failure {
    Unauthorized,
    /// The JSON pointer to the problem, and its kind.
    Invalid(&'static str, &'static str),
    InvalidToken,
    NotFound,
}

impl Failure {
    /// Pangea documents the HTTP status of a validation error only.
    fn verdict(&self) -> Verdict<'static> {
        let (status, http_status, summary) = match self {
            Self::Unauthorized => {
                ("Unauthorized", StatusCode::UNAUTHORIZED, "Not authorized to access this resource")
            }
            Self::Invalid(..) => ("ValidationError", StatusCode::BAD_REQUEST, "There was 1 validation error"),
            Self::InvalidToken => ("InvalidToken", StatusCode::BAD_REQUEST, "The token is not valid"),
            Self::NotFound => ("NotFound", StatusCode::NOT_FOUND, "There is no such user"),
        };
        Verdict { status, http_status, summary }
    }

    fn result(&self) -> Value {
        match self {
            Self::Invalid(source, code) => {
                json!({"errors": [{"code": code, "detail": "the request is not valid", "source": source}]})
            }
            _ => Value::Null,
        }
    }
}

/// `POST /v2/client/token/check`: whose access token this is.
pub(super) async fn token_check(
    State(stand_in): State<StandIn>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    call(&stand_in, &headers, &body, |request, state| {
        let token = text(request, "token").ok_or(Failure::Invalid("/token", "FieldRequired"))?;
        let now = stand_in.now();
        let (access, session) = stand_in.live_access_token(state, token).ok_or(Failure::InvalidToken)?;
        Ok(json!({
            "id": access.session_id,
            "type": "user",
            "life": access.expires_at.since(now).as_secs(),
            "expire": timestamp(access.expires_at),
            "enabled": true,
            "identity": people::user_id(&session.email),
            "email": session.email,
            "username": session.email,
            "scopes": access.scope.split(' ').collect::<Vec<_>>(),
            "profile": people::profile(&session.email),
            "created_at": timestamp(access.issued_at),
            "audience": [stand_in.0.issuer],
            "client_id": session.client_id,
            "claims": {"groups": stand_in.0.conduct.groups(&session.email)},
        }))
    })
}

/// `POST /v2/user/profile/get`, by exactly one of `id`, `email` and `username`.
pub(super) async fn profile_get(
    State(stand_in): State<StandIn>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    call(&stand_in, &headers, &body, |request, state| {
        let keys = ["id", "email", "username"].map(|key| text(request, key));
        let email = match keys {
            [Some(id), None, None] => email_of(state, id),
            [None, Some(email), None] | [None, None, Some(email)] => people::email(email),
            [None, None, None] => return Err(Failure::Invalid("", "MustProvideOne")),
            _ => return Err(Failure::Invalid("", "MutuallyExclusive")),
        };
        let email = email.ok_or(Failure::NotFound)?;
        let person = state.people.get(&email).ok_or(Failure::NotFound)?;
        Ok(json!({
            "id": people::user_id(&email),
            "email": email,
            "username": email,
            "profile": people::profile(&email),
            "verified": true,
            "disabled": stand_in.0.conduct.is_disabled(&email),
            "locked_out": false,
            "last_login_at": person.last_login_at.map(timestamp),
            "created_at": timestamp(person.created_at),
            "login_count": person.login_count,
        }))
    })
}

/// `POST /v2/user/group/list`, by `id`.
pub(super) async fn group_list(State(stand_in): State<StandIn>, headers: HeaderMap, body: Bytes) -> Response {
    call(&stand_in, &headers, &body, |request, state| {
        let id = text(request, "id").ok_or(Failure::Invalid("/id", "FieldRequired"))?;
        let email = email_of(state, id).ok_or(Failure::NotFound)?;
        let group = |name: &String| json!({"id": ids::derived("pgi", name), "name": name, "type": "static"});
        let groups: Vec<Value> = stand_in.0.conduct.groups(&email).iter().map(group).collect();
        Ok(json!({"count": groups.len(), "groups": groups}))
    })
}

fn text<'a>(request: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    request.get(key).and_then(Value::as_str)
}

fn email_of(state: &Remembered, id: &str) -> Option<String> {
    state.people.keys().find(|email| people::user_id(email) == id).cloned()
}

/// Checks the token, reads the body, and puts what comes out into the envelope.
fn call(
    stand_in: &StandIn,
    headers: &HeaderMap,
    body: &[u8],
    look_up: impl FnOnce(&Map<String, Value>, &Remembered) -> Result<Value, Failure>,
) -> Response {
    let result = authorized(headers).and_then(|()| {
        let request = serde_json::from_slice(body).map_err(|_| Failure::Invalid("", "InvalidObject"))?;
        stand_in.0.state.read(|state| look_up(&request, state))
    });
    let request_id = ids::fresh("prq", &*stand_in.0.random);
    let envelope = Envelope { time: stand_in.now(), request_id: &request_id };
    match result {
        Ok(result) => envelope.around(&Verdict::SUCCESS, &result),
        Err(failure) => envelope.around(&failure.verdict(), &failure.result()),
    }
}

fn authorized(headers: &HeaderMap) -> Result<(), Failure> {
    if holds_service_token(headers) { Ok(()) } else { Err(Failure::Unauthorized) }
}
