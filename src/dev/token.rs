//! The token endpoint: codes and refresh tokens become tokens, once each.

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{
    StandIn,
    clients::{Client, authenticated},
    form::Form,
    ids,
    issue::Issue,
    reply::{OAuthError, json_reply},
    state::{Session, hash},
};

/// `POST /v2/oauth/token`.
pub(super) async fn token(State(stand_in): State<StandIn>, headers: HeaderMap, body: Bytes) -> Response {
    match granted(&stand_in, &headers, &body) {
        Ok(tokens) => json_reply(StatusCode::OK, &tokens),
        Err(error) => error.into_response(),
    }
}

fn granted(stand_in: &StandIn, headers: &HeaderMap, body: &[u8]) -> Result<Value, OAuthError> {
    let (client, form) = authenticated(stand_in, headers, body)?;
    match form.get("grant_type") {
        Some("authorization_code") => redeem(stand_in, &client, &form),
        Some("refresh_token") => refresh(stand_in, &client, &form),
        Some(_) => Err(OAuthError::new("unsupported_grant_type", "the grant type is not supported")),
        None => Err(OAuthError::new("invalid_request", "grant_type is missing")),
    }
}

/// A code is spent by the first authenticated client that presents it, rightly or not.
fn redeem(stand_in: &StandIn, client: &Client, form: &Form) -> Result<Value, OAuthError> {
    let presented = form.get("code").ok_or_else(|| OAuthError::new("invalid_request", "code is missing"))?;
    let now = stand_in.now();
    stand_in.0.state.change(|state| {
        let code = state
            .codes
            .remove(presented, now)
            .filter(|code| code.client_id == client.id)
            .ok_or_else(|| OAuthError::new("invalid_grant", "the code is unknown, used or expired"))?;
        if form.get("redirect_uri") != Some(&code.redirect_uri) {
            return Err(OAuthError::new("invalid_grant", "the redirect URI is not that of the request"));
        }
        let conduct = &stand_in.0.conduct;
        if !conduct.proves_possession(code.challenge.as_deref(), form.get("code_verifier")) {
            return Err(OAuthError::new("invalid_grant", "the code verifier does not fit the challenge"));
        }
        if conduct.is_disabled(&code.email) {
            return Err(OAuthError::new("invalid_grant", "the person is disabled"));
        }
        let issue = Issue {
            session_id: ids::fresh("pmt", &*stand_in.0.random),
            session: Session { client_id: code.client_id, email: code.email, scope: code.scope.clone() },
            scope: &code.scope,
            nonce: code.nonce.as_deref(),
        };
        issue.tokens(stand_in, state).map_err(|error| OAuthError::internal(&error))
    })
}

/// A refresh token can be used once; its successor comes with the answer.
fn refresh(stand_in: &StandIn, client: &Client, form: &Form) -> Result<Value, OAuthError> {
    let refused =
        || OAuthError::new("invalid_grant", "the refresh token is unknown, used, revoked or expired");
    let presented = form
        .get("refresh_token")
        .ok_or_else(|| OAuthError::new("invalid_request", "refresh_token is missing"))?;
    let now = stand_in.now();
    stand_in.0.state.change(|state| {
        let key = hash(presented);
        let session_id = state.refresh_tokens.get(&key, now).cloned().ok_or_else(refused)?;
        let session = state.sessions.get(&session_id, now).cloned().ok_or_else(refused)?;
        if session.client_id != client.id || stand_in.0.conduct.is_disabled(&session.email) {
            return Err(refused());
        }
        let scope = form.get("scope").unwrap_or(&session.scope).to_owned();
        if !is_within(&scope, &session.scope) {
            return Err(OAuthError::new("invalid_scope", "the scope goes beyond what was granted"));
        }
        state.refresh_tokens.remove(&key, now);
        let issue = Issue { session_id, session, scope: &scope, nonce: None };
        issue.tokens(stand_in, state).map_err(|error| OAuthError::internal(&error))
    })
}

/// Whether every scope in `scope` is one of `granted`.
fn is_within(scope: &str, granted: &str) -> bool {
    scope.split(' ').all(|wanted| granted.split(' ').any(|scope| scope == wanted))
}
