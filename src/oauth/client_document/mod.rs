//! Client metadata documents (draft-ietf-oauth-client-id-metadata-document section 4): a client describes itself at the
//! URL that is its ID. Checks and completes what was fetched there.

mod authentication;

use serde_json::{Map, Value};

use self::authentication::Authentication;
use super::{
    client::{ClientMetadata, GrantType},
    client_id::DocumentId,
    client_keys::{ClientKeys, UnusableKeys},
    display_text::display_text,
    redirect::{InvalidRedirectUri, PrivateUseSchemes, RedirectUri},
    registration::{LONGEST_TEXT, MOST_REDIRECT_URIS, Members, contacts, scope},
};

/// Largest document, in bytes (draft section 6.6).
pub const LARGEST_DOCUMENT: usize = 5 * 1024;

/// Members that are secrets, or speak of one (draft section 4.1).
const SECRETS: [&str; 2] = ["client_secret", "client_secret_expires_at"];

/// What was fetched from the URL of a client.
#[derive(Debug, Clone, Copy)]
pub struct Fetched<'a> {
    /// The header.
    pub content_type: Option<&'a str>,
    /// The complete body.
    pub body: &'a [u8],
}

/// Why a document cannot be used. The texts are for the client's developer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDocument {
    /// More than [`LARGEST_DOCUMENT`] bytes.
    #[error("the document is larger than {LARGEST_DOCUMENT} bytes")]
    TooLarge,
    /// Compressed, which was not asked for.
    #[error("the document is compressed: send it without Content-Encoding")]
    Compressed,
    /// Neither `application/json` nor `application/*+json`.
    #[error("its Content-Type is not application/json")]
    ContentType,
    /// Not JSON, or another value.
    #[error("the document is not a JSON object")]
    NotAnObject,
    /// A required member.
    #[error("the member {0} is missing")]
    Missing(&'static str),
    /// A member of another type.
    #[error("the member {name} is not {expected}")]
    Type {
        /// The member.
        name: &'static str,
        /// The type that it must have.
        expected: &'static str,
    },
    /// The document is of another client.
    #[error("the member client_id is not exactly the URL of the document")]
    OtherClient,
    /// Everyone can read the document.
    #[error("the member {0} is for secrets, and the document is public: remove it")]
    Secret(&'static str),
    /// The keys in the document.
    #[error("the member jwks cannot be used: {0}")]
    Keys(UnusableKeys),
    /// Without keys an assertion cannot be verified.
    #[error("the client authenticates with private_key_jwt: publish its keys as jwks or jwks_uri")]
    NoKeys,
    /// It would be fetched.
    #[error("the member jwks_uri is not an https URL")]
    KeysUri,
    /// RFC 7591 section 2.
    #[error("the members jwks and jwks_uri exclude each other")]
    TwoKeySets,
    /// It needs a secret, and a document cannot have one.
    #[error(
        "the member token_endpoint_auth_method names a method with a shared secret: use none or private_key_jwt"
    )]
    SharedSecret,
    /// No method that both sides can use.
    #[error(
        "the member token_endpoint_auth_method names a method that is not supported here: use none or private_key_jwt"
    )]
    Method,
    /// Empty or too long.
    #[error("the member redirect_uris must contain 1 to {MOST_REDIRECT_URIS} URIs")]
    RedirectUris,
    /// One of them.
    #[error("redirect_uris[{index}]: {problem}")]
    RedirectUri {
        /// Counted from 0.
        index: usize,
        /// The problem.
        problem: InvalidRedirectUri,
    },
    /// It is the only grant type with which a client signs users in.
    #[error("the member grant_types must contain authorization_code")]
    GrantTypes,
    /// It is the only response type here.
    #[error("the member response_types must contain code")]
    ResponseTypes,
}

type Result<T> = std::result::Result<T, InvalidDocument>;

/// What a client says about itself in its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Validated.
    pub metadata: ClientMetadata,
    /// The keys in the document itself, of a client that can sign assertions.
    pub jwks: Option<ClientKeys>,
}

impl Description {
    /// Reads the document of the client `id`. Unknown members and unsupported grant types are ignored. So are members
    /// that are only shown, if they are unusable. A member that is `null` or an empty string counts as absent.
    ///
    /// # Errors
    ///
    /// The first problem.
    pub fn of_document(id: &DocumentId, fetched: Fetched<'_>, schemes: &PrivateUseSchemes) -> Result<Self> {
        if !fetched.content_type.is_some_and(is_json) {
            return Err(InvalidDocument::ContentType);
        }
        if fetched.body.len() > LARGEST_DOCUMENT {
            return Err(InvalidDocument::TooLarge);
        }
        let Ok(Value::Object(object)) = serde_json::from_slice(fetched.body) else {
            return Err(InvalidDocument::NotAnObject);
        };
        let members = Members(&object);
        if required_text(&members, "client_id")? != id.as_str() {
            return Err(InvalidDocument::OtherClient);
        }
        refuse_secrets(&object)?;
        let client_name = display_text(required_text(&members, "client_name")?, LONGEST_TEXT);
        if client_name.is_empty() {
            return Err(InvalidDocument::Missing("client_name"));
        }
        let redirect_uris = redirect_uris(&members, schemes)?;
        require(&members, "grant_types", GrantType::AuthorizationCode.as_str(), InvalidDocument::GrantTypes)?;
        require(&members, "response_types", "code", InvalidDocument::ResponseTypes)?;
        let authentication = Authentication::of(&members)?;
        let shown = |name| members.url(name).ok().flatten();
        let told = |name| members.text(name).ok().flatten();
        let metadata = ClientMetadata {
            client_name: Some(client_name),
            redirect_uris,
            token_endpoint_auth_method: authentication.method,
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            response_types: vec!["code".to_owned()],
            scope: scope(&members).ok().flatten(),
            application_type: told("application_type").filter(|kind| kind == "native" || kind == "web"),
            client_uri: shown("client_uri"),
            logo_uri: shown("logo_uri"),
            tos_uri: shown("tos_uri"),
            policy_uri: shown("policy_uri"),
            contacts: contacts(&members).unwrap_or_default(),
            software_id: told("software_id"),
            software_version: told("software_version"),
            jwks_uri: authentication.jwks_uri,
        };
        Ok(Self { metadata, jwks: authentication.jwks })
    }
}

/// `application/json` or `application/*+json`, with or without parameters.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = essence.strip_prefix("application/");
    subtype.is_some_and(|subtype| subtype == "json" || subtype.len() > 5 && subtype.ends_with("+json"))
}

fn required_text<'a>(members: &Members<'a>, name: &'static str) -> Result<&'a str> {
    match members.get(name) {
        None => Err(InvalidDocument::Missing(name)),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(InvalidDocument::Type { name, expected: "a string" }),
    }
}

fn refuse_secrets(object: &Map<String, Value>) -> Result<()> {
    let is_given = |name: &&str| object.get(*name).is_some_and(|value| !value.is_null());
    SECRETS.into_iter().find(is_given).map_or(Ok(()), |name| Err(InvalidDocument::Secret(name)))
}

fn redirect_uris(members: &Members<'_>, schemes: &PrivateUseSchemes) -> Result<Vec<RedirectUri>> {
    const NAME: &str = "redirect_uris";
    let uris = list(members, NAME)?.ok_or(InvalidDocument::Missing(NAME))?;
    if uris.is_empty() || uris.len() > MOST_REDIRECT_URIS {
        return Err(InvalidDocument::RedirectUris);
    }
    let parse = |(index, uri): (usize, &String)| {
        RedirectUri::parse(uri, schemes).map_err(|problem| InvalidDocument::RedirectUri { index, problem })
    };
    uris.iter().enumerate().map(parse).collect()
}

/// A list that is given must have this element.
fn require(
    members: &Members<'_>,
    name: &'static str,
    element: &str,
    otherwise: InvalidDocument,
) -> Result<()> {
    let given = list(members, name)?;
    if given.is_none_or(|given| given.iter().any(|given| given == element)) { Ok(()) } else { Err(otherwise) }
}

fn list(members: &Members<'_>, name: &'static str) -> Result<Option<Vec<String>>> {
    members.texts(name).map_err(|_| InvalidDocument::Type { name, expected: "a list of strings" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::oauth::client_id::ClientId;

    const URL: &str = "https://app.example/client.json";

    fn id() -> DocumentId {
        ClientId::of_document(URL).unwrap().document().unwrap().clone()
    }

    fn read_bytes(content_type: Option<&str>, body: &[u8]) -> Result<ClientMetadata> {
        Description::of_document(&id(), Fetched { content_type, body }, &PrivateUseSchemes::Any)
            .map(|description| description.metadata)
    }

    fn read(document: &Value) -> Result<ClientMetadata> {
        read_bytes(Some("application/json"), document.to_string().as_bytes())
    }

    fn document() -> Value {
        json!({ "client_id": URL, "client_name": "App", "redirect_uris": ["http://localhost/callback"] })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut document = document();
        document[name] = value;
        document
    }

    #[test]
    fn cimd_6_the_content_type_is_json() {
        for (content_type, accepted) in [
            (Some("application/json"), true),
            (Some("Application/JSON; charset=utf-8"), true),
            (Some("application/client-metadata+json"), true),
            (Some("application/+json"), false),
            (Some("text/json"), false),
            (Some("text/html"), false),
            (Some("application/jsonp"), false),
            (Some(""), false),
            (None, false),
        ] {
            let read = read_bytes(content_type, document().to_string().as_bytes());
            assert_eq!(read.is_ok(), accepted, "{content_type:?} {read:?}");
        }
    }

    #[test]
    fn cimd_6_a_document_is_an_object_with_three_members() {
        for body in ["", "[]", "null", "{", "\u{feff}{}", "<html>"] {
            let read = read_bytes(Some("application/json"), body.as_bytes());
            assert_eq!(read, Err(InvalidDocument::NotAnObject), "{body}");
        }
        for name in ["client_id", "client_name", "redirect_uris"] {
            for absent in [json!(null), json!("")] {
                let read = read(&with(name, absent));
                assert_eq!(read, Err(InvalidDocument::Missing(name)), "{name}");
            }
            assert!(matches!(read(&with(name, json!(7))), Err(InvalidDocument::Type { .. })), "{name}");
        }
        let hidden = read(&with("client_name", json!("\u{202e}\u{200b}")));
        assert_eq!(hidden, Err(InvalidDocument::Missing("client_name")));
        let metadata = read(&document()).unwrap();
        assert_eq!(metadata.client_name.as_deref(), Some("App"));
        assert_eq!(metadata.grant_types, [GrantType::AuthorizationCode, GrantType::RefreshToken]);
    }

    /// Shows: CIMD-5.
    #[test]
    fn five_kilobytes_are_enough() {
        let padded = |length: usize| {
            let mut body = document().to_string().into_bytes();
            body.resize(length, b' ');
            read_bytes(Some("application/json"), &body)
        };
        assert!(padded(LARGEST_DOCUMENT).is_ok());
        assert_eq!(padded(LARGEST_DOCUMENT + 1), Err(InvalidDocument::TooLarge));
    }

    #[test]
    fn cimd_7_a_document_names_its_own_url_exactly() {
        for other in [
            "https://app.example/client.json/",
            "https://app.example:443/client.json",
            "https://App.example/client.json",
            "https://app.example/client.jso%6e",
            "https://app.example/client.json?",
            "http://app.example/client.json",
            " https://app.example/client.json",
        ] {
            assert_eq!(read(&with("client_id", json!(other))), Err(InvalidDocument::OtherClient), "{other}");
        }
    }

    #[test]
    fn cimd_8_a_document_has_no_secret() {
        let public = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": "x", "y": "y" }] });
        for (name, value, outcome) in [
            ("client_secret", json!("s"), Err(InvalidDocument::Secret("client_secret"))),
            ("client_secret", json!(""), Err(InvalidDocument::Secret("client_secret"))),
            ("client_secret", json!(null), Ok(())),
            ("client_secret_expires_at", json!(0), Err(InvalidDocument::Secret("client_secret_expires_at"))),
            ("token_endpoint_auth_method", json!("client_secret_basic"), Err(InvalidDocument::SharedSecret)),
            ("token_endpoint_auth_method", json!("client_secret_post"), Err(InvalidDocument::SharedSecret)),
            ("token_endpoint_auth_method", json!("client_secret_jwt"), Err(InvalidDocument::SharedSecret)),
            ("token_endpoint_auth_method", json!("tls_client_auth"), Err(InvalidDocument::Method)),
            ("token_endpoint_auth_method", json!("none"), Ok(())),
            (
                "jwks",
                json!({ "keys": [{ "kty": "EC", "d": "x" }] }),
                Err(InvalidDocument::Keys(UnusableKeys::Private)),
            ),
            (
                "jwks",
                json!({ "keys": [{ "kty": "oct", "k": "x" }] }),
                Err(InvalidDocument::Keys(UnusableKeys::Private)),
            ),
            ("jwks", public.clone(), Ok(())),
        ] {
            assert_eq!(read(&with(name, value.clone())).map(|_| ()), outcome, "{name} {value}");
        }
        assert_eq!(read(&with("jwks", json!([]))), Err(InvalidDocument::Keys(UnusableKeys::NotASet)));
        let mut both = with("jwks", public);
        both["jwks_uri"] = json!("https://app.example/keys");
        assert_eq!(read(&both), Err(InvalidDocument::TwoKeySets));
    }

    #[test]
    fn cimd_10_redirect_uris_follow_the_rules_of_registration() {
        for uri in
            ["http://localhost/callback", "https://app.example/cb", "cursor://host/callback", "com.app:/cb"]
        {
            assert!(read(&with("redirect_uris", json!([uri]))).is_ok(), "{uri}");
        }
        for uri in
            ["javascript:alert(1)", "http://app.example/", "https://a.example/#f", "/cb", "https://*.a/"]
        {
            let read = read(&with("redirect_uris", json!(["https://app.example/cb", uri])));
            assert!(matches!(read, Err(InvalidDocument::RedirectUri { index: 1, .. })), "{uri}: {read:?}");
        }
        for uris in [json!([]), json!(vec!["http://localhost/"; 33])] {
            assert_eq!(read(&with("redirect_uris", uris)), Err(InvalidDocument::RedirectUris));
        }
        assert!(matches!(read(&with("redirect_uris", json!([1]))), Err(InvalidDocument::Type { .. })));
    }

    #[test]
    fn grant_types_that_are_not_offered_are_ignored() {
        let jwt_bearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        let claude = with("grant_types", json!(["authorization_code", "refresh_token", jwt_bearer]));
        let both = [GrantType::AuthorizationCode, GrantType::RefreshToken];
        assert_eq!(read(&claude).unwrap().grant_types, both);
        assert_eq!(read(&with("grant_types", json!([jwt_bearer]))), Err(InvalidDocument::GrantTypes));
        assert!(read(&with("response_types", json!(["code", "token"]))).is_ok());
        assert_eq!(read(&with("response_types", json!(["token"]))), Err(InvalidDocument::ResponseTypes));
    }

    #[test]
    fn what_is_only_shown_refuses_no_document() {
        for (name, value) in [
            ("client_uri", json!("javascript:alert(1)")),
            ("logo_uri", json!("/logo.png")),
            ("tos_uri", json!(7)),
            ("policy_uri", json!("http://app.example/")),
            ("contacts", json!("me")),
            ("scope", json!("a\"b")),
            ("software_id", json!("x".repeat(300))),
            ("application_type", json!("desktop")),
        ] {
            let metadata = read(&with(name, value.clone())).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(metadata, read(&document()).unwrap(), "{name} {value}");
        }
    }

    proptest! {
        #[test]
        fn no_document_makes_it_panic(body: Vec<u8>, name in "[a-z_]{1,12}", text: String) {
            let _ = read_bytes(Some("application/json"), &body);
            let _ = read(&with(&name, json!(text)));
            let _ = read(&with("redirect_uris", json!([text])));
        }
    }
}
