//! Clients that `pangea-authn-fastmcp` registered: `OAuthClientInformationFull` of the MCP Python SDK,
//! as JSON, with the secret in clear.

use serde_json::{Map, Value, json};

use super::{
    client::{AuthenticationMethod, Client, ClientId, ClientMetadata, Origin},
    redirect::{PrivateUseSchemes, RedirectUri},
};
use crate::{clock::UnixTime, secret::TokenHash};

/// What a client cannot do without; anything else is left out if it cannot be understood.
const NEEDED: [&str; 3] = ["redirect_uris", "token_endpoint_auth_method", "grant_types"];
const OPTIONAL: [&str; 11] = [
    "response_types",
    "client_name",
    "scope",
    "application_type",
    "client_uri",
    "logo_uri",
    "tos_uri",
    "policy_uri",
    "contacts",
    "software_id",
    "software_version",
];

/// The client that is stored under `id` as `text`, kept until `expires_at` or until its secret
/// expires; of the secret the hash is kept. `None` for anything that is no such client, or one that
/// nobody could answer: without an acceptable redirect URI, or with a method of authentication that
/// is not offered here.
#[must_use]
pub fn client(id: &str, text: &str, expires_at: UnixTime) -> Option<Client> {
    let Ok(Value::Object(original)) = serde_json::from_str(text) else { return None };
    let client_id = ClientId::parse(id).filter(|_| original.get("client_id") == Some(&json!(id)))?;
    let number = |name: &str| original.get(name).and_then(Value::as_u64).filter(|number| *number > 0);
    let secret = original.get("client_secret").and_then(Value::as_str).filter(|secret| !secret.is_empty());
    let metadata = metadata(&original, secret.is_some())?;
    let is_public = metadata.token_endpoint_auth_method == AuthenticationMethod::None;
    let secret_ends = number("client_secret_expires_at").map(UnixTime::from_secs).filter(|_| !is_public);
    Some(Client {
        client_id,
        origin: Origin::SelfRegistered,
        issued_at: UnixTime::from_secs(number("client_id_issued_at").unwrap_or_default()),
        expires_at: Some(secret_ends.map_or(expires_at, |ends| ends.min(expires_at))),
        secret: secret.filter(|_| !is_public).map(TokenHash::of),
        metadata,
    })
}

fn metadata(original: &Map<String, Value>, has_secret: bool) -> Option<ClientMetadata> {
    let mut body = Map::new();
    for name in NEEDED {
        body.extend(original.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    body.insert("redirect_uris".to_owned(), acceptable(original.get("redirect_uris")?));
    if !has_secret {
        body.insert("token_endpoint_auth_method".to_owned(), json!("none"));
    }
    let mut metadata = parse(&body)?;
    for name in OPTIONAL {
        let Some(value) = original.get(name) else { continue };
        body.insert(name.to_owned(), value.clone());
        match parse(&body) {
            Some(more) => metadata = more,
            None => _ = body.remove(name),
        }
    }
    Some(metadata)
}

/// The redirect URIs that would be accepted today.
fn acceptable(uris: &Value) -> Value {
    let fits = |uri: &&Value| {
        uri.as_str().is_some_and(|uri| RedirectUri::parse(uri, &PrivateUseSchemes::Any).is_ok())
    };
    uris.as_array().into_iter().flatten().filter(fits).cloned().collect()
}

fn parse(body: &Map<String, Value>) -> Option<ClientMetadata> {
    ClientMetadata::parse(json!(body).to_string().as_bytes(), &PrivateUseSchemes::Any).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::client::GrantType;

    const LATER: UnixTime = UnixTime::from_secs(2_000_000_000);

    /// As the Python SDK writes it: every member, most of them null.
    fn original() -> Value {
        json!({
            "redirect_uris": ["http://localhost:3000/cb"],
            "token_endpoint_auth_method": "client_secret_post",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "scope": "user",
            "client_name": "Inspector",
            "client_uri": null, "logo_uri": null, "contacts": null, "tos_uri": null, "policy_uri": null,
            "jwks_uri": null, "jwks": null, "software_id": null, "software_version": null,
            "client_id": "0b7c9a3e-3f0e-4d1c-9f3a-1c1d1e1f2021",
            "client_secret": "canary",
            "client_id_issued_at": 1_760_000_000,
            "client_secret_expires_at": null,
        })
    }

    fn read(original: &Value) -> Option<Client> {
        client("0b7c9a3e-3f0e-4d1c-9f3a-1c1d1e1f2021", &original.to_string(), LATER)
    }

    #[test]
    fn a_client_is_what_it_was_and_its_secret_a_hash() {
        let client = read(&original()).unwrap();
        assert_eq!(client.metadata.client_name.as_deref(), Some("Inspector"));
        assert!(client.return_address(Some("http://localhost:4000/cb")).is_ok());
        assert!(client.may_use(GrantType::RefreshToken));
        assert!(client.authenticate(Some("canary")).is_ok() && client.authenticate(Some("other")).is_err());
        assert_eq!((client.issued_at.as_secs(), client.expires_at), (1_760_000_000, Some(LATER)));
        assert!(!serde_json::to_string(&client).unwrap().contains("canary"));
    }

    #[test]
    fn a_public_client_stays_public() {
        let mut public = original();
        public["token_endpoint_auth_method"] = json!("none");
        public["client_secret"] = Value::Null;
        assert!(read(&public).unwrap().authenticate(None).is_ok());
        public["token_endpoint_auth_method"] = Value::Null;
        assert!(read(&public).unwrap().authenticate(None).is_ok());
    }

    #[test]
    fn a_secret_that_ends_ends_the_client() {
        let mut ending = original();
        ending["client_secret_expires_at"] = json!(1_900_000_000);
        assert_eq!(read(&ending).unwrap().expires_at, Some(UnixTime::from_secs(1_900_000_000)));
        ending["client_secret_expires_at"] = json!(0);
        assert_eq!(read(&ending).unwrap().expires_at, Some(LATER));
    }

    #[test]
    fn what_is_odd_is_left_out_and_the_rest_stays() {
        let mut odd = original();
        odd["redirect_uris"] = json!(["javascript:alert(1)", "http://localhost:3000/cb"]);
        odd["client_uri"] = json!("ftp://example.com");
        odd["contacts"] = json!("somebody");
        let client = read(&odd).unwrap();
        assert_eq!(client.metadata.redirect_uris.len(), 1);
        assert_eq!((client.metadata.client_uri, client.metadata.scope.as_deref()), (None, Some("user")));
    }

    #[test]
    fn whatever_is_no_such_client_is_none() {
        for (name, value) in [
            ("client_id", json!("another")),
            ("client_id", Value::Null),
            ("redirect_uris", Value::Null),
            ("redirect_uris", json!(["javascript:alert(1)"])),
            ("redirect_uris", json!("http://localhost/")),
            ("token_endpoint_auth_method", json!("private_key_jwt")),
        ] {
            let mut other = original();
            other[name] = value;
            assert!(read(&other).is_none(), "{other}");
        }
        for text in ["", "[]", "{}", "\"x\"", "{\"token\":\"ptu_\"}"] {
            assert!(client("id", text, LATER).is_none(), "{text}");
        }
    }
}
