//! Clients that `pangea-authn-fastmcp` registered: `OAuthClientInformationFull` of the MCP Python SDK as
//! JSON, with the secret in clear text. Its tokens and codes are stored under the same kind of name.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    client::{AuthenticationMethod, Client, ClientId, ClientMetadata, Origin},
    redirect::{PrivateUseSchemes, RedirectUri},
};
use crate::{clock::UnixTime, secret::TokenHash};

/// Members that must be valid. Others are left out if they are not.
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

/// How long an imported client is kept, unless a user signs in with it.
pub const KEPT: Duration = Duration::from_hours(30 * 24);

/// Why a text is not imported as a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoClient {
    /// A token of the library, or a Pangea token that it stores.
    Token,
    /// An authorization code of the library.
    Code,
    /// Not written by the library.
    Foreign,
    /// A client that could not be used, and why.
    Unusable(String),
}

/// Imports the client that is stored under `id` as `text`. It expires at `expires_at`, or earlier with its
/// secret, which becomes a hash.
///
/// # Errors
///
/// When the text is not a client, or a client without an acceptable redirect URI or authentication method.
pub fn client(id: &str, text: &str, expires_at: UnixTime) -> Result<Client, NoClient> {
    let Ok(Value::Object(original)) = serde_json::from_str(text) else { return Err(NoClient::Foreign) };
    if !original.contains_key("redirect_uris") {
        return Err(other(&original));
    }
    let unusable = |sentence: &str| NoClient::Unusable(sentence.to_owned());
    if original.get("client_id") != Some(&json!(id)) {
        return Err(unusable("its client_id is not the name under which it is kept"));
    }
    let client_id = ClientId::parse(id).ok_or_else(|| {
        unusable("its client_id can be none here: 1 to 255 of A-Z, a-z, 0-9, `.`, `_` and `-` make one")
    })?;
    let number = |name: &str| original.get(name).and_then(Value::as_u64).filter(|number| *number > 0);
    let secret = original.get("client_secret").and_then(Value::as_str).filter(|secret| !secret.is_empty());
    let metadata = metadata(&original, secret.is_some())?;
    let is_public = metadata.token_endpoint_auth_method == AuthenticationMethod::None;
    let secret_ends = number("client_secret_expires_at").map(UnixTime::from_secs).filter(|_| !is_public);
    let issued_at = UnixTime::from_secs(number("client_id_issued_at").unwrap_or_default());
    Ok(Client {
        expires_at: Some(secret_ends.map_or(expires_at, |ends| ends.min(expires_at))),
        secret: secret.filter(|_| !is_public).map(TokenHash::of),
        secret_expires_at: secret_ends,
        ..Client::new(client_id, Origin::SelfRegistered, metadata, issued_at)
    })
}

/// Anything in the library's storage that is not a client.
fn other(original: &Map<String, Value>) -> NoClient {
    let has = |name: &str| original.get(name).is_some_and(Value::is_string);
    match (has("token"), has("code")) {
        (true, _) => NoClient::Token,
        (_, true) => NoClient::Code,
        _ => NoClient::Foreign,
    }
}

fn metadata(original: &Map<String, Value>, has_secret: bool) -> Result<ClientMetadata, NoClient> {
    let mut body = Map::new();
    for name in NEEDED {
        body.extend(original.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    body.insert("redirect_uris".to_owned(), acceptable(&original["redirect_uris"]));
    if !has_secret {
        body.insert("token_endpoint_auth_method".to_owned(), json!("none"));
    }
    let mut metadata = parse(&body)?;
    for name in OPTIONAL {
        let Some(value) = original.get(name) else { continue };
        body.insert(name.to_owned(), value.clone());
        match parse(&body) {
            Ok(more) => metadata = more,
            Err(_) => _ = body.remove(name),
        }
    }
    Ok(metadata)
}

/// The redirect URIs that registration would accept today.
fn acceptable(uris: &Value) -> Value {
    let fits = |uri: &&Value| {
        uri.as_str().is_some_and(|uri| RedirectUri::parse(uri, &PrivateUseSchemes::Any).is_ok())
    };
    uris.as_array().into_iter().flatten().filter(fits).cloned().collect()
}

fn parse(body: &Map<String, Value>) -> Result<ClientMetadata, NoClient> {
    ClientMetadata::parse(json!(body).to_string().as_bytes(), &PrivateUseSchemes::Any)
        .map_err(|error| NoClient::Unusable(error.description().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::{client::GrantType, credentials::PresentedSecret};

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

    fn read(original: &Value) -> Result<Client, NoClient> {
        client("0b7c9a3e-3f0e-4d1c-9f3a-1c1d1e1f2021", &original.to_string(), LATER)
    }

    #[test]
    fn a_client_is_kept_for_thirty_days() {
        assert_eq!(KEPT.as_secs(), 2_592_000);
    }

    #[test]
    fn a_client_is_what_it_was_and_its_secret_a_hash() {
        let client = read(&original()).unwrap();
        assert_eq!(client.metadata.client_name.as_deref(), Some("Inspector"));
        assert!(client.return_address(Some("http://localhost:4000/cb")).is_ok());
        assert!(client.may_use(GrantType::RefreshToken));
        assert!(
            client.authenticate(Some(&PresentedSecret::of_body("canary")), LATER).is_ok()
                && client.authenticate(Some(&PresentedSecret::of_body("other")), LATER).is_err()
        );
        assert_eq!((client.issued_at.as_secs(), client.expires_at), (1_760_000_000, Some(LATER)));
        assert!(!serde_json::to_string(&client).unwrap().contains("canary"));
    }

    #[test]
    fn a_public_client_stays_public() {
        let mut public = original();
        public["token_endpoint_auth_method"] = json!("none");
        public["client_secret"] = Value::Null;
        assert!(read(&public).unwrap().authenticate(None, LATER).is_ok());
        public["token_endpoint_auth_method"] = Value::Null;
        assert!(read(&public).unwrap().authenticate(None, LATER).is_ok());
    }

    #[test]
    fn a_secret_that_ends_ends_the_client() {
        let mut ending = original();
        ending["client_secret_expires_at"] = json!(1_900_000_000);
        let ends = UnixTime::from_secs(1_900_000_000);
        let client = read(&ending).unwrap();
        assert_eq!((client.expires_at, client.secret_expires_at), (Some(ends), Some(ends)));
        let a_second = Duration::from_secs(1);
        assert!(client.authenticate(Some(&PresentedSecret::of_body("canary")), ends.minus(a_second)).is_ok());
        let refused = client.authenticate(Some(&PresentedSecret::of_body("canary")), ends).unwrap_err();
        assert_eq!(refused.code().as_str(), "invalid_client");
        ending["client_secret_expires_at"] = json!(0);
        assert_eq!(read(&ending).unwrap().expires_at, Some(LATER));
    }

    #[test]
    fn what_is_odd_is_left_out_and_the_rest_stays() {
        let mut odd = original();
        odd["redirect_uris"] = json!(["javascript:alert(1)", "http://localhost:3000/cb"]);
        odd["client_uri"] = json!("ftp://example.com");
        odd["contacts"] = json!("ada");
        let client = read(&odd).unwrap();
        assert_eq!(client.metadata.redirect_uris.len(), 1);
        assert_eq!((client.metadata.client_uri, client.metadata.scope.as_deref()), (None, Some("user")));
    }

    #[test]
    fn a_client_that_nobody_could_answer_is_not_taken_and_it_is_said_why() {
        for (name, value, why) in [
            ("client_id", json!("another"), "its client_id is not the name"),
            ("client_id", Value::Null, "its client_id is not the name"),
            ("redirect_uris", Value::Null, "redirect_uris must hold"),
            ("redirect_uris", json!(["javascript:alert(1)"]), "redirect_uris must hold"),
            ("redirect_uris", json!("http://localhost/"), "redirect_uris must hold"),
            ("token_endpoint_auth_method", json!("private_key_jwt"), "token_endpoint_auth_method"),
        ] {
            let mut other = original();
            other[name] = value;
            let Err(NoClient::Unusable(said)) = read(&other) else { panic!("{other}") };
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn an_id_that_no_record_can_have_is_not_taken_either() {
        for id in ["a~b", "a/b", "a b", "ä", ""] {
            let mut other = original();
            other["client_id"] = json!(id);
            let Err(NoClient::Unusable(said)) = client(id, &other.to_string(), LATER) else { panic!("{id}") };
            assert!(said.contains("its client_id can be none here"), "{said}");
        }
    }

    #[test]
    fn what_else_the_library_keeps_is_told_apart() {
        let text = "{\"token\":\"mcp_00\",\"client_id\":\"x\",\"scopes\":[\"user\"],\"expires_at\":null}";
        for (text, expected) in [
            (text, NoClient::Token),
            ("{\"token\":\"ptu_\"}", NoClient::Token),
            ("{\"code\":\"mcp_00\",\"client_id\":\"x\",\"redirect_uri\":\"http://x\"}", NoClient::Code),
            ("", NoClient::Foreign),
            ("[]", NoClient::Foreign),
            ("{}", NoClient::Foreign),
            ("\"x\"", NoClient::Foreign),
            ("{\"version\":\"x\"}\n{\"redirect_uris\":[]}", NoClient::Foreign),
        ] {
            assert_eq!(client("id", text, LATER).unwrap_err(), expected, "{text}");
        }
    }
}
