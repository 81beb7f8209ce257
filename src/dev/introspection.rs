//! Introspection (RFC 7662) and revocation (RFC 7009), for authenticated clients.

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    StandIn,
    clients::authenticated,
    form::Form,
    people,
    reply::{OAuthError, json_reply},
    state::{State as Remembered, hash},
};

/// `POST /v2/oauth/token/introspect`.
pub(super) async fn introspect(State(stand_in): State<StandIn>, headers: HeaderMap, body: Bytes) -> Response {
    let described = authenticated(&stand_in, &headers, &body).and_then(|(client, form)| {
        let token = required_token(&form)?;
        let described = stand_in.0.state.read(|state| description(&stand_in, state, token, &client.id));
        Ok(described.unwrap_or_else(|| json!({"active": false})))
    });
    match described {
        Ok(described) => json_reply(StatusCode::OK, &described),
        Err(error) => error.into_response(),
    }
}

/// What is said of a client's own live access token.
fn description(stand_in: &StandIn, state: &Remembered, token: &str, client_id: &str) -> Option<Value> {
    let (access, session) = stand_in.live_access_token(state, token)?;
    let groups = stand_in.0.conduct.groups(&session.email);
    (session.client_id == client_id).then(|| {
        json!({
            "active": true,
            "client_id": session.client_id,
            "scope": access.scope,
            "token_type": "Bearer",
            "iss": stand_in.0.issuer,
            "aud": [stand_in.0.issuer],
            "iat": access.issued_at,
            "exp": access.expires_at,
            "sub": people::user_id(&session.email),
            "username": session.email,
            "email": session.email,
            "email_verified": true,
            "groups": groups,
            "pangea.profile": people::profile(&session.email),
            "pangea.claims": {"groups": groups},
        })
    })
}

/// `POST /v2/oauth/token/revoke`. A revoked refresh token takes its session along.
pub(super) async fn revoke(State(stand_in): State<StandIn>, headers: HeaderMap, body: Bytes) -> Response {
    let revoked = authenticated(&stand_in, &headers, &body).and_then(|(client, form)| {
        let key = hash(required_token(&form)?);
        let now = stand_in.now();
        stand_in.0.state.change(|state| {
            let is_own = |state: &Remembered, session_id: &str| {
                state.sessions.get(session_id, now).is_some_and(|session| session.client_id == client.id)
            };
            if let Some(session_id) = state.refresh_tokens.get(&key, now).cloned()
                && is_own(state, &session_id)
            {
                state.refresh_tokens.remove(&key, now);
                state.sessions.remove(&session_id, now);
            }
            if let Some(access) = state.access_tokens.get(&key, now)
                && is_own(state, &access.session_id)
            {
                state.access_tokens.remove(&key, now);
            }
        });
        Ok(())
    });
    match revoked {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => error.into_response(),
    }
}

fn required_token(form: &Form) -> Result<&str, OAuthError> {
    form.get("token").ok_or_else(|| OAuthError::new("invalid_request", "token is missing"))
}
