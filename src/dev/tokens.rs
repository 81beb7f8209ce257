//! Makes access, refresh and ID tokens, and the JSON that carries them.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    StandIn, ids, people,
    state::{AccessToken, Session, State, hash},
    switches::{AccessTokenForm, ExpiresIn, IdToken, Token},
};
use crate::{clock::UnixTime, jose::SigningRefused};

/// How long an access token is valid.
const ACCESS_TOKEN_LIFE: Duration = Duration::from_hours(1);
/// How long a session lasts without a refresh.
const SESSION_LIFE: Duration = Duration::from_hours(30 * 24);
/// The age of an ID token that is to be expired.
const LONG_AGO: Duration = Duration::from_hours(2);

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
    /// Issues tokens in the form that the switches ask for, remembers them, and gives the token
    /// response (RFC 6749 section 5.1).
    pub(super) fn tokens(
        self,
        stand_in: &StandIn,
        state: &mut State,
        settings: &Token,
    ) -> Result<Value, SigningRefused> {
        let now = stand_in.now();
        let claims = Claims { stand_in, issue: &self, groups: state.groups(&self.session.email), now };
        let random = &*stand_in.0.random;
        let access_token = match settings.access_token {
            AccessTokenForm::Opaque => ids::fresh("ptu", random),
            AccessTokenForm::Jwt => stand_in.0.keys.sign(&claims.of_access_token())?,
            AccessTokenForm::JwtOfAnotherIssuer => {
                let mut of_another = claims.of_access_token();
                of_another["iss"] = json!("https://another-issuer.example");
                stand_in.0.keys.sign(&of_another)?
            }
        };
        let mut response = Map::new();
        if let Some(id_token) = claims.id_token(settings.id_token)? {
            response.insert("id_token".to_owned(), json!(id_token));
        }
        let access = AccessToken {
            session_id: self.session_id.clone(),
            scope: self.scope.to_owned(),
            issued_at: now,
            expires_at: now.plus(ACCESS_TOKEN_LIFE),
        };
        state.access_tokens.insert(hash(&access_token), access, now.plus(ACCESS_TOKEN_LIFE), now);
        if settings.refresh_token {
            let refresh_token = ids::fresh("ptr", random);
            let session_id = self.session_id.clone();
            state.refresh_tokens.insert(hash(&refresh_token), session_id, now.plus(SESSION_LIFE), now);
            response.insert("refresh_token".to_owned(), json!(refresh_token));
        }
        match settings.expires_in {
            ExpiresIn::Number => Some(json!(ACCESS_TOKEN_LIFE.as_secs())),
            ExpiresIn::String => Some(json!(ACCESS_TOKEN_LIFE.as_secs().to_string())),
            ExpiresIn::Absent => None,
        }
        .map(|expires_in| response.insert("expires_in".to_owned(), expires_in));
        response.insert("access_token".to_owned(), json!(access_token));
        response.insert("token_type".to_owned(), json!("Bearer"));
        response.insert("scope".to_owned(), json!(self.scope));
        state.sessions.insert(self.session_id, self.session, now.plus(SESSION_LIFE), now);
        Ok(Value::Object(response))
    }
}

/// What tokens say about a person.
struct Claims<'a> {
    stand_in: &'a StandIn,
    issue: &'a Issue<'a>,
    groups: Vec<String>,
    now: UnixTime,
}

impl Claims<'_> {
    /// An access token's audience is a list of its own in Pangea, not the client: here, the issuer.
    fn of_access_token(&self) -> Value {
        let mut claims = self.of_person();
        claims["aud"] = json!([self.stand_in.0.issuer]);
        claims["client_id"] = json!(self.issue.session.client_id);
        claims["scope"] = json!(self.issue.scope);
        claims["jti"] = json!(ids::fresh("pmt", &*self.stand_in.0.random));
        claims
    }

    fn id_token(&self, form: IdToken) -> Result<Option<String>, SigningRefused> {
        let mut claims = self.of_person();
        claims["aud"] = json!(self.issue.session.client_id);
        if let Some(nonce) = self.issue.nonce {
            claims["nonce"] = json!(nonce);
        }
        match form {
            IdToken::Absent => return Ok(None),
            IdToken::WhenAsked if !self.issue.scope.split(' ').any(|scope| scope == "openid") => {
                return Ok(None);
            }
            IdToken::WhenAsked
            | IdToken::Present
            | IdToken::BadSignature
            | IdToken::UnknownKey
            | IdToken::Critical
            | IdToken::AccessTokenType => {}
            IdToken::WrongNonce => claims["nonce"] = json!("a-nonce-that-was-never-sent"),
            IdToken::WithoutNonce => leave_out(&mut claims, "nonce"),
            IdToken::WithoutEmail => leave_out(&mut claims, "email"),
            IdToken::WrongAudience => claims["aud"] = json!("psa_another"),
            IdToken::WrongParty => {
                claims["aud"] = json!([claims["aud"], "psa_another"]);
                claims["azp"] = json!("psa_another");
            }
            IdToken::RightParty => claims["azp"] = claims["aud"].clone(),
            IdToken::WrongIssuer => claims["iss"] = json!("https://another-issuer.example"),
            IdToken::Expired => {
                let issued_at = self.now.as_secs().saturating_sub(LONG_AGO.as_secs());
                claims["iat"] = json!(issued_at);
                claims["exp"] = json!(issued_at + ACCESS_TOKEN_LIFE.as_secs());
            }
        }
        let keys = &self.stand_in.0.keys;
        match form {
            IdToken::BadSignature => keys.sign_wrongly(&claims),
            IdToken::UnknownKey => keys.sign_under_another_name(&claims),
            IdToken::Critical => keys.sign_critically(&claims),
            IdToken::AccessTokenType => keys.sign_as("at+jwt", &claims),
            _ => keys.sign(&claims),
        }
        .map(Some)
    }

    fn of_person(&self) -> Value {
        let email = &self.issue.session.email;
        let mut claims = json!({
            "iss": self.stand_in.0.issuer,
            "sub": people::user_id(email),
            "iat": self.now,
            "exp": self.now.plus(ACCESS_TOKEN_LIFE),
            "email": email,
            "username": email,
            "groups": self.groups,
            "pangea.profile": people::profile(email),
        });
        let verified = self.stand_in.0.switches.addresses.take().email_verified;
        if !verified.is_null() {
            claims["email_verified"] = verified;
        }
        claims
    }
}

fn leave_out(claims: &mut Value, name: &str) {
    if let Some(claims) = claims.as_object_mut() {
        claims.remove(name);
    }
}
