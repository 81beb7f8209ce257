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
    reply::{OAuthError, json_reply, trouble},
    state::{Code, Session, hash},
    switches::{Pkce, Token},
    tokens::Issue,
};
use crate::secret::{encode, sha256};

/// `POST /v2/oauth/token`.
pub(super) async fn token(State(stand_in): State<StandIn>, headers: HeaderMap, body: Bytes) -> Response {
    let settings = stand_in.0.switches.token.take();
    if let Some(answer) = trouble(settings.delay_ms, &settings.fault).await {
        return answer;
    }
    match granted(&stand_in, &settings, &headers, &body) {
        Ok(tokens) => json_reply(StatusCode::OK, &tokens),
        Err(error) => error.into_response(),
    }
}

fn granted(
    stand_in: &StandIn,
    settings: &Token,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, OAuthError> {
    let (client, form) = authenticated(stand_in, headers, body)?;
    match form.get("grant_type") {
        Some("authorization_code") => redeem(stand_in, settings, &client, &form),
        Some("refresh_token") => refresh(stand_in, settings, &client, &form),
        Some(_) => Err(OAuthError::new("unsupported_grant_type", "the grant type is not supported")),
        None => Err(OAuthError::new("invalid_request", "grant_type is missing")),
    }
}

/// A code is spent by the first authenticated client that presents it, rightly or not.
fn redeem(stand_in: &StandIn, settings: &Token, client: &Client, form: &Form) -> Result<Value, OAuthError> {
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
        if !proves_possession(settings.pkce, &code, form.get("code_verifier")) {
            return Err(OAuthError::new("invalid_grant", "the code verifier does not fit the challenge"));
        }
        if state.is_disabled(&code.email) {
            return Err(OAuthError::new("invalid_grant", "the person is disabled"));
        }
        let issue = Issue {
            session_id: ids::fresh("pmt", &*stand_in.0.random),
            session: Session { client_id: code.client_id, email: code.email, scope: code.scope.clone() },
            scope: &code.scope,
            nonce: code.nonce.as_deref(),
        };
        issue.tokens(stand_in, state, settings).map_err(|error| OAuthError::internal(&error))
    })
}

/// RFC 7636 section 4.6, as far as the switch has it enforced.
fn proves_possession(enforcement: Pkce, code: &Code, verifier: Option<&str>) -> bool {
    let fits = |challenge: &String, verifier: &str| encode(&sha256(verifier.as_bytes())) == *challenge;
    match (&code.challenge, verifier, enforcement) {
        (_, _, Pkce::Ignore) | (None, None, _) | (Some(_), None, Pkce::Lax) | (None, Some(_), Pkce::Lax) => {
            true
        }
        (Some(challenge), Some(verifier), _) => fits(challenge, verifier),
        (Some(_), None, Pkce::Strict) | (None, Some(_), Pkce::Strict) => false,
    }
}

/// A refresh token can be used once; its successor comes with the answer.
fn refresh(stand_in: &StandIn, settings: &Token, client: &Client, form: &Form) -> Result<Value, OAuthError> {
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
        if session.client_id != client.id || state.is_disabled(&session.email) {
            return Err(refused());
        }
        let scope = form.get("scope").unwrap_or(&session.scope).to_owned();
        if !is_within(&scope, &session.scope) {
            return Err(OAuthError::new("invalid_scope", "the scope goes beyond what was granted"));
        }
        state.refresh_tokens.remove(&key, now);
        let issue = Issue { session_id, session, scope: &scope, nonce: None };
        issue.tokens(stand_in, state, settings).map_err(|error| OAuthError::internal(&error))
    })
}

/// Whether every scope in `scope` is one of `granted`.
fn is_within(scope: &str, granted: &str) -> bool {
    scope.split(' ').all(|wanted| granted.split(' ').any(|scope| scope == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pkce_is_enforced_as_far_as_the_switch_says() {
        // RFC 7636 appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let rows = [
            (Some(challenge), Some(verifier), [true, true, true]),
            (Some(challenge), Some("wrong"), [false, false, true]),
            (Some(challenge), None, [false, true, true]),
            (None, Some(verifier), [false, true, true]),
            (None, None, [true, true, true]),
        ];
        for (challenge, verifier, expected) in rows {
            let code = Code {
                client_id: String::new(),
                redirect_uri: String::new(),
                challenge: challenge.map(str::to_owned),
                nonce: None,
                email: String::new(),
                scope: String::new(),
            };
            let allowed =
                [Pkce::Strict, Pkce::Lax, Pkce::Ignore].map(|pkce| proves_possession(pkce, &code, verifier));
            assert_eq!(allowed, expected, "{challenge:?} {verifier:?}");
        }
    }
}
