//! Issues access, refresh and ID tokens, and the JSON that carries them.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    StandIn,
    claims::Claims,
    ids,
    state::{AccessToken, Session, State, hash},
};
use crate::jose::SigningRefused;

/// How long an access token is valid.
const ACCESS_TOKEN_LIFE: Duration = Duration::from_hours(1);
/// How long a session lasts without a refresh.
const SESSION_LIFE: Duration = Duration::from_hours(30 * 24);

/// A session about to get its tokens.
pub(super) struct Issue<'a> {
    pub(super) session_id: String,
    pub(super) session: Session,
    /// The scope of the access token; within that of the session.
    pub(super) scope: &'a str,
    /// To be echoed in the ID token.
    pub(super) nonce: Option<&'a str>,
}

impl Issue<'_> {
    /// Issues tokens, remembers them, and gives the token response (RFC 6749 section 5.1).
    pub(super) fn tokens(self, stand_in: &StandIn, state: &mut State) -> Result<Value, SigningRefused> {
        let now = stand_in.now();
        let (conduct, keys, random) = (&stand_in.0.conduct, &stand_in.0.keys, &*stand_in.0.random);
        let expires_at = now.plus(ACCESS_TOKEN_LIFE);
        let claims = Claims {
            issuer: &stand_in.0.issuer,
            client_id: &self.session.client_id,
            email: &self.session.email,
            groups: conduct.groups(&self.session.email),
            scope: self.scope,
            nonce: self.nonce,
            issued_at: now,
            expires_at,
        };
        let access_token = conduct.access_token(ids::fresh("ptu", random), &claims, keys)?;
        let refresh_token = ids::fresh("ptr", random);
        let mut response = Map::new();
        if let Some(id_token) = conduct.id_token(&claims, keys)? {
            response.insert("id_token".to_owned(), json!(id_token));
        }
        response.insert("access_token".to_owned(), json!(access_token));
        response.insert("refresh_token".to_owned(), json!(refresh_token));
        response.insert("token_type".to_owned(), json!("Bearer"));
        response.insert("expires_in".to_owned(), json!(ACCESS_TOKEN_LIFE.as_secs()));
        response.insert("scope".to_owned(), json!(self.scope));
        let access = AccessToken {
            session_id: self.session_id.clone(),
            scope: self.scope.to_owned(),
            issued_at: now,
            expires_at,
        };
        let session_ends = now.plus(SESSION_LIFE);
        state.access_tokens.insert(hash(&access_token), access, expires_at, now);
        state.refresh_tokens.insert(hash(&refresh_token), self.session_id.clone(), session_ends, now);
        state.sessions.insert(self.session_id, self.session, session_ends, now);
        Ok(Value::Object(response))
    }
}
