//! OAuth clients: who may ask, how they authenticate, and the management endpoints.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{RawQuery, State},
    http::{
        HeaderMap, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE},
    },
    response::Response,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    StandIn, StandInConfig,
    envelope::timestamp,
    form::Form,
    ids,
    reply::{OAuthError, json_reply},
    service_token::holds_service_token,
};
use crate::{clock::UnixTime, secret::TokenHash};

/// How long the secret of a registered client is valid: Pangea's maximum, one year.
const SECRET_LIFE: Duration = Duration::from_hours(365 * 24);

/// A client of the OAuth server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) secret: TokenHash,
    pub(super) redirect_uris: Vec<String>,
    pub(super) scopes: Vec<String>,
    pub(super) default_scopes: Vec<String>,
    pub(super) created_at: UnixTime,
}

impl Client {
    /// The client that the configuration names.
    pub(super) fn configured(config: &StandInConfig, now: UnixTime) -> Self {
        Self {
            id: config.client_id.clone(),
            name: "Configured client".to_owned(),
            secret: TokenHash::of(&config.client_secret),
            redirect_uris: config.redirect_uris.clone(),
            scopes: config.scopes.clone(),
            default_scopes: config.default_scopes.clone(),
            created_at: now,
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "client_id": self.id,
            "client_name": self.name,
            "client_type": "service account",
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.created_at),
            "scope": self.scopes.join(" "),
            "default_scope": self.default_scopes.join(" "),
            "token_endpoint_auth_method": "client_secret_basic",
            "redirect_uris": self.redirect_uris,
            "grant_types": ["authorization_code"],
            "response_types": ["code"],
            "client_token_expires_in": null,
        })
    }
}

/// Whether the text is one scope in Pangea's grammar, which is narrower than the standard's.
pub(super) fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b":*/_=-".contains(&b))
}

/// Reads the form of a client and authenticates it: `client_secret_basic` or `client_secret_post`,
/// not both (RFC 6749 section 2.3).
pub(super) fn authenticated(
    stand_in: &StandIn,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(Client, Form), OAuthError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(OAuthError::new("invalid_request", "the body is not a form"));
    }
    let form = Form::parse(body).map_err(|error| OAuthError::new("invalid_request", error.to_string()))?;
    let (id, secret) = match (headers.get(AUTHORIZATION), form.get("client_secret")) {
        (Some(_), Some(_)) => {
            return Err(OAuthError::new("invalid_request", "two ways of client authentication"));
        }
        (Some(header), None) => basic(header.as_bytes()).ok_or_else(OAuthError::invalid_client)?,
        (None, Some(secret)) => (form.get("client_id").unwrap_or_default().to_owned(), secret.to_owned()),
        (None, None) => return Err(OAuthError::invalid_client()),
    };
    if form.get("client_id").is_some_and(|named| named != id) {
        return Err(OAuthError::new("invalid_request", "two different clients are named"));
    }
    let client = stand_in.client(&id).filter(|client| client.secret.matches(&secret));
    Ok((client.ok_or_else(OAuthError::invalid_client)?, form))
}

/// Id and secret of `Authorization: Basic`, taken as they are: no character that Pangea uses in
/// them is changed by the form encoding of RFC 6749 section 2.3.1.
fn basic(header: &[u8]) -> Option<(String, String)> {
    let (scheme, credentials) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let credentials = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    credentials.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}

/// `GET /v2/oauth/clients`, all of them or the one with `client_id`.
pub(super) async fn list(
    State(stand_in): State<StandIn>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, OAuthError> {
    require_service_token(&headers)?;
    let query = Form::parse(query.unwrap_or_default().as_bytes())
        .map_err(|error| OAuthError::new("invalid_request", error.to_string()))?;
    let wanted = |client: &&Client| query.get("client_id").is_none_or(|id| client.id == id);
    let clients: Vec<Value> = stand_in.0.state.read(|state| {
        let all = std::iter::once(&stand_in.0.client).chain(state.clients.values());
        all.filter(wanted).map(Client::to_json).collect()
    });
    Ok(json_reply(StatusCode::OK, &json!({"count": clients.len(), "clients": clients})))
}

/// What a registration may say; the rest of RFC 7591 is ignored.
#[derive(Deserialize)]
struct Registration {
    #[serde(default)]
    client_name: String,
    #[serde(default)]
    redirect_uris: Vec<String>,
    #[serde(default)]
    scope: String,
    default_scope: Option<String>,
    token_endpoint_auth_method: Option<String>,
    #[serde(default)]
    grant_types: Vec<String>,
}

/// `POST /v2/oauth/clients/register`.
pub(super) async fn register(
    State(stand_in): State<StandIn>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, OAuthError> {
    require_service_token(&headers)?;
    let registration: Registration = serde_json::from_slice(&body)
        .map_err(|error| OAuthError::new("invalid_client_metadata", error.to_string()))?;
    let now = stand_in.now();
    let secret = ids::fresh("pck", &*stand_in.0.random);
    let client = new_client(&stand_in, registration, &secret, now)?;
    let mut answer = client.to_json();
    answer["client_secret"] = json!(secret);
    answer["client_secret_expires_at"] = json!(timestamp(now.plus(SECRET_LIFE)));
    answer["client_secret_name"] = json!(client.name);
    stand_in.0.state.change(|state| state.clients.insert(client.id.clone(), client));
    Ok(json_reply(StatusCode::CREATED, &answer))
}

fn new_client(
    stand_in: &StandIn,
    registration: Registration,
    secret: &str,
    now: UnixTime,
) -> Result<Client, OAuthError> {
    let refused = |description: &str| OAuthError::new("invalid_client_metadata", description);
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let scopes = words(&registration.scope);
    if scopes.is_empty() || !scopes.iter().all(|scope| is_scope(scope)) {
        return Err(refused("at least one scope of [a-zA-Z0-9:*/_=-] is needed"));
    }
    let default_scopes = registration.default_scope.as_deref().map_or_else(|| scopes.clone(), words);
    if default_scopes.iter().any(|scope| !scopes.contains(scope)) {
        return Err(refused("a default scope is not among the scopes"));
    }
    let method = registration.token_endpoint_auth_method.as_deref().unwrap_or("client_secret_basic");
    if !["client_secret_basic", "client_secret_post"].contains(&method) {
        return Err(refused("the authentication method is not supported"));
    }
    if registration.grant_types.iter().any(|grant| grant != "authorization_code") {
        return Err(refused("the grant type is not supported"));
    }
    let absolute = |uri: &String| url::Url::parse(uri).is_ok();
    if registration.redirect_uris.is_empty() || !registration.redirect_uris.iter().all(absolute) {
        return Err(OAuthError::new("invalid_redirect_uri", "absolute redirect URIs are needed"));
    }
    Ok(Client {
        id: ids::fresh("psa", &*stand_in.0.random),
        name: registration.client_name,
        secret: TokenHash::of(secret),
        redirect_uris: registration.redirect_uris,
        scopes,
        default_scopes,
        created_at: now,
    })
}

fn require_service_token(headers: &HeaderMap) -> Result<(), OAuthError> {
    if holds_service_token(headers) { Ok(()) } else { Err(OAuthError::invalid_client()) }
}
