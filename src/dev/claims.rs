//! What tokens say about a session.

use serde_json::{Value, json};

use super::people;
use crate::clock::UnixTime;

/// What the tokens of one answer say.
pub struct Claims<'a> {
    pub(super) issuer: &'a str,
    /// The client of the session.
    pub client_id: &'a str,
    pub(super) email: &'a str,
    pub(super) groups: Vec<String>,
    /// The scope of the access token.
    pub scope: &'a str,
    /// The nonce of the authorization request.
    pub(super) nonce: Option<&'a str>,
    pub(super) issued_at: UnixTime,
    pub(super) expires_at: UnixTime,
}

impl Claims<'_> {
    /// Whether the scope contains `openid`.
    #[must_use]
    pub fn asks_for_id_token(&self) -> bool {
        self.scope.split(' ').any(|scope| scope == "openid")
    }

    /// The claims of an ID token.
    #[must_use]
    pub fn of_id_token(&self) -> Value {
        let mut claims = self.of_person();
        claims["aud"] = json!(self.client_id);
        if let Some(nonce) = self.nonce {
            claims["nonce"] = json!(nonce);
        }
        claims
    }

    /// The claims about the person, from the issuer and for as long as the access token is valid.
    #[must_use]
    pub fn of_person(&self) -> Value {
        json!({
            "iss": self.issuer,
            "sub": people::user_id(self.email),
            "iat": self.issued_at,
            "exp": self.expires_at,
            "email": self.email,
            "email_verified": true,
            "username": self.email,
            "groups": self.groups,
            "pangea.profile": people::profile(self.email),
        })
    }
}
