//! The metadata documents (RFC 8414, `OpenID` Connect Discovery) and the key set.

use axum::{extract::State, http::StatusCode, response::Response};
use serde_json::{Value, json};

use super::{StandIn, reply::json_reply};

/// `GET /.well-known/oauth-authorization-server` and `…/openid-configuration`. Whether `AuthN` has
/// either is not known.
pub(super) async fn metadata(State(stand_in): State<StandIn>) -> Response {
    json_reply(StatusCode::OK, &document(&stand_in))
}

fn document(stand_in: &StandIn) -> Value {
    let issuer = &stand_in.0.issuer;
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/v2/oauth/authorize"),
        "token_endpoint": format!("{issuer}/v2/oauth/token"),
        "introspection_endpoint": format!("{issuer}/v2/oauth/token/introspect"),
        "revocation_endpoint": format!("{issuer}/v2/oauth/token/revoke"),
        "registration_endpoint": format!("{issuer}/v2/oauth/clients/register"),
        "jwks_uri": format!("{issuer}/v2/oauth/jwks.json"),
        "scopes_supported": stand_in.0.client.scopes,
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
}

/// `GET /v2/oauth/jwks.json` and `/v1beta/oauth/jwks.json`.
pub(super) async fn jwks(State(stand_in): State<StandIn>) -> Response {
    json_reply(StatusCode::OK, stand_in.0.keys.key_set())
}
