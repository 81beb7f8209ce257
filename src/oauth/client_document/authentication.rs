//! How a client with a document authenticates: with keys that it publishes, or not at all.

use super::{InvalidDocument, Result, list, required_text};
use crate::oauth::{
    client::AuthenticationMethod,
    client_keys::{ClientKeys, UnusableKeys},
    registration::Members,
};

/// How a client authenticates, and the keys of one that can sign assertions.
pub(super) struct Authentication {
    pub(super) method: AuthenticationMethod,
    pub(super) jwks: Option<ClientKeys>,
    pub(super) jwks_uri: Option<String>,
}

impl Authentication {
    /// A client that can also do without keys need not sign, so unusable keys do no harm.
    pub(super) fn of(members: &Members<'_>) -> Result<Self> {
        const SIGNING: &str = AuthenticationMethod::PrivateKeyJwt.as_str();
        let methods = methods(members)?;
        let jwks = match members.get("jwks").map(ClientKeys::of_set) {
            Some(Err(error @ (UnusableKeys::NotASet | UnusableKeys::Private))) => {
                return Err(InvalidDocument::Keys(error));
            }
            jwks => jwks,
        };
        let jwks_uri = members.get("jwks_uri").map(|_| https_url(members, "jwks_uri"));
        if jwks.is_some() && jwks_uri.is_some() {
            return Err(InvalidDocument::TwoKeySets);
        }
        let signs = methods.iter().any(|method| method == SIGNING);
        if methods.iter().any(|method| method == AuthenticationMethod::None.as_str()) {
            return Ok(Self {
                method: AuthenticationMethod::None,
                jwks: jwks.and_then(std::result::Result::ok).filter(|_| signs),
                jwks_uri: jwks_uri.flatten().filter(|_| signs),
            });
        }
        if !signs {
            return Err(InvalidDocument::Method);
        }
        if jwks.is_none() && jwks_uri.is_none() {
            return Err(InvalidDocument::NoKeys);
        }
        Ok(Self {
            method: AuthenticationMethod::PrivateKeyJwt,
            jwks: jwks.transpose().map_err(InvalidDocument::Keys)?,
            jwks_uri: jwks_uri.map(|uri| uri.ok_or(InvalidDocument::KeysUri)).transpose()?,
        })
    }
}

/// The methods that the client can use. The default for a document is `none`, because the default of RFC 7591 needs a
/// secret.
fn methods(members: &Members<'_>) -> Result<Vec<String>> {
    const PREFERRED: &str = "token_endpoint_auth_method";
    let mut methods = list(members, "token_endpoint_auth_methods_supported")?.unwrap_or_default();
    match members.get(PREFERRED).map(|_| required_text(members, PREFERRED)).transpose()? {
        Some(method) if method.starts_with("client_secret_") => return Err(InvalidDocument::SharedSecret),
        Some(method) => methods.push(method.to_owned()),
        None if methods.is_empty() => methods.push(AuthenticationMethod::None.as_str().to_owned()),
        None => {}
    }
    Ok(methods)
}

fn https_url(members: &Members<'_>, name: &str) -> Option<String> {
    members.url(name).ok().flatten().filter(|url| url.starts_with("https://"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::oauth::{
        client_document::{Description, Fetched},
        client_id::ClientId,
        redirect::PrivateUseSchemes,
    };

    const URL: &str = "https://app.example/client.json";

    fn describe(document: &Value) -> Result<Description> {
        let (id, body) = (ClientId::of_document(URL).unwrap(), document.to_string());
        let fetched = Fetched { content_type: Some("application/json"), body: body.as_bytes() };
        Description::of_document(id.document().unwrap(), fetched, &PrivateUseSchemes::Any)
    }

    fn with(name: &str, value: &Value) -> Value {
        let mut document =
            json!({ "client_id": URL, "client_name": "App", "redirect_uris": ["http://localhost/callback"] });
        document[name] = value.clone();
        document
    }

    /// Shows: CIMD-9.
    #[test]
    fn cimd_9_a_client_that_signs_has_keys() {
        let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "A".repeat(43) }] });
        let signs = with("token_endpoint_auth_method", &json!("private_key_jwt"));
        let signing = |name: &str, value: &Value| {
            let mut document = signs.clone();
            document[name] = value.clone();
            describe(&document)
        };
        assert_eq!(describe(&signs).unwrap_err(), InvalidDocument::NoKeys);
        let listed = signing("jwks", &keys).unwrap();
        assert_eq!(listed.metadata.token_endpoint_auth_method, AuthenticationMethod::PrivateKeyJwt);
        assert_eq!((listed.jwks.unwrap().count(), listed.metadata.jwks_uri), (1, None));
        // Another host may publish the keys.
        let uri = "https://keys.example/jwks?v=1";
        let published = signing("jwks_uri", &json!(uri)).unwrap();
        assert_eq!((published.jwks, published.metadata.jwks_uri.as_deref()), (None, Some(uri)));
        for uri in ["http://keys.example/", "http://localhost/keys", "https://u@keys.example/", "/keys", "x:"]
        {
            assert_eq!(signing("jwks_uri", &json!(uri)).unwrap_err(), InvalidDocument::KeysUri, "{uri}");
        }
        for (keys, problem) in [
            (json!({ "keys": [] }), UnusableKeys::NoneUsable),
            (json!({ "keys": [{ "kty": "EC", "crv": "P-384" }] }), UnusableKeys::NoneUsable),
            (json!({ "keys": vec![&keys["keys"][0]; 11] }), UnusableKeys::TooMany),
        ] {
            assert_eq!(signing("jwks", &keys).unwrap_err(), InvalidDocument::Keys(problem));
        }
    }

    /// Shows: CIMD-9.
    #[test]
    fn cimd_9_a_client_that_can_also_do_without_keys_need_not_sign() {
        let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "A".repeat(43) }] });
        let of = |preferred: Value, others: Value, more: (&str, Value)| {
            let mut document = with("token_endpoint_auth_method", &preferred);
            document["token_endpoint_auth_methods_supported"] = others;
            document[more.0] = more.1;
            describe(&document).map(|description| {
                let method = description.metadata.token_endpoint_auth_method.as_str();
                (method, description.jwks.is_some(), description.metadata.jwks_uri.is_some())
            })
        };
        let (signing, none, absent) = (json!("private_key_jwt"), json!("none"), Value::Null);
        let both = json!(["none", "private_key_jwt"]);
        let listed = || ("jwks", keys.clone());
        let published = || ("jwks_uri", json!("https://keys.example/"));
        for (preferred, others, more, expected) in [
            (&signing, &both, listed(), Ok(("none", true, false))),
            (&signing, &both, published(), Ok(("none", false, true))),
            (&signing, &json!(["none"]), listed(), Ok(("none", true, false))),
            (&none, &json!(["private_key_jwt"]), listed(), Ok(("none", true, false))),
            (&absent, &json!(["private_key_jwt"]), listed(), Ok(("private_key_jwt", true, false))),
            (
                &json!("tls_client_auth"),
                &json!(["private_key_jwt"]),
                listed(),
                Ok(("private_key_jwt", true, false)),
            ),
            // Unusable keys of a client that need not sign are left out.
            (&signing, &both, ("jwks_uri", json!("http://keys.example/")), Ok(("none", false, false))),
            (&signing, &both, ("jwks", json!({ "keys": [] })), Ok(("none", false, false))),
            // Keys of a client that cannot sign have another purpose.
            (&none, &absent, listed(), Ok(("none", false, false))),
            (&absent, &absent, published(), Ok(("none", false, false))),
            (&absent, &json!(["client_secret_basic"]), listed(), Err(InvalidDocument::Method)),
            (&json!("client_secret_post"), &both, listed(), Err(InvalidDocument::SharedSecret)),
        ] {
            assert_eq!(of(preferred.clone(), others.clone(), more), expected, "{preferred} {others}");
        }
    }
}
