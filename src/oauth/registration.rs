//! Dynamic client registration (RFC 7591): validates and completes client metadata.

use serde_json::{Map, Value};

use super::{
    client::{AuthenticationMethod, ClientMetadata, GrantType},
    client_keys::{ClientKeys, UnusableKeys},
    display_text::display_text,
    error::{ErrorCode, OAuthError, refuse},
    redirect::{Destination, PrivateUseSchemes, RedirectUri},
    scope::Scope,
};

pub(super) const MOST_REDIRECT_URIS: usize = 32;
/// Longest text member, in characters.
pub(super) const LONGEST_TEXT: usize = 256;
/// Longest scope, in characters, as a string or as a list.
const LONGEST_SCOPE: usize = 1024;
/// Longest URL member, in bytes.
const LONGEST_URL: usize = 2048;
const MOST_CONTACTS: usize = 10;

impl ClientMetadata {
    /// Parses the JSON object that a client sent. Unknown members, and members that only the server may set, are
    /// ignored. A member that is `null` or an empty string counts as absent. So does a member that is only shown or
    /// recorded, if its value is unusable.
    ///
    /// # Errors
    ///
    /// `invalid_redirect_uri` or `invalid_client_metadata`.
    pub fn parse(body: &[u8], schemes: &PrivateUseSchemes) -> Result<Self, OAuthError> {
        let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
            return metadata_error("the body is not a JSON object");
        };
        let members = Members(&object);
        let grant_types = grant_types(&members)?;
        let redirect_uris = redirect_uris(&members, schemes)?;
        refuse_keys(&members)?;
        let metadata = Self {
            client_name: members
                .text("client_name")?
                .map(|name| display_text(&name, LONGEST_TEXT))
                .filter(|name| !name.is_empty()),
            application_type: application_type(&members, &redirect_uris)?,
            redirect_uris,
            token_endpoint_auth_method: authentication_method(&members)?,
            response_types: response_types(&members, &grant_types)?,
            grant_types,
            scope: scope(&members)?,
            client_uri: members.shown("client_uri", Members::url)?,
            logo_uri: members.shown("logo_uri", Members::url)?,
            tos_uri: members.shown("tos_uri", Members::url)?,
            policy_uri: members.shown("policy_uri", Members::url)?,
            contacts: contacts(&members)?,
            software_id: members.shown("software_id", Members::text)?,
            software_version: members.shown("software_version", Members::text)?,
            jwks_uri: None,
        };
        Ok(metadata)
    }

    /// The metadata of a machine client, which an operator registers.
    #[must_use]
    pub fn of_machine(name: Option<&str>, method: AuthenticationMethod) -> Self {
        Self {
            client_name: name.map(|name| display_text(name, LONGEST_TEXT)).filter(|name| !name.is_empty()),
            redirect_uris: Vec::new(),
            token_endpoint_auth_method: method,
            response_types: Vec::new(),
            grant_types: vec![GrantType::ClientCredentials],
            scope: None,
            application_type: None,
            client_uri: None,
            logo_uri: None,
            tos_uri: None,
            policy_uri: None,
            contacts: Vec::new(),
            software_id: None,
            software_version: None,
            jwks_uri: None,
        }
    }
}

fn redirect_uris(members: &Members<'_>, schemes: &PrivateUseSchemes) -> Result<Vec<RedirectUri>, OAuthError> {
    let texts = match members.get("redirect_uris") {
        None => Vec::new(),
        Some(Value::Array(values)) if values.iter().all(Value::is_string) => {
            values.iter().filter_map(Value::as_str).collect()
        }
        Some(_) => return refuse(ErrorCode::InvalidRedirectUri, "redirect_uris is not a list of strings"),
    };
    if texts.is_empty() || texts.len() > MOST_REDIRECT_URIS {
        let limit = format!("redirect_uris must hold 1 to {MOST_REDIRECT_URIS} URIs");
        return refuse(ErrorCode::InvalidRedirectUri, limit);
    }
    let parse = |text: &str| {
        RedirectUri::parse(text, schemes)
            .map_err(|problem| OAuthError::new(ErrorCode::InvalidRedirectUri, problem.to_string()))
    };
    texts.into_iter().map(parse).collect()
}

/// What the client is, which changes nothing here. One that says `web` and has no `https` redirect URI is `native`.
fn application_type(
    members: &Members<'_>,
    redirect_uris: &[RedirectUri],
) -> Result<Option<String>, OAuthError> {
    let is_web = || redirect_uris.iter().any(|uri| uri.destination() == Destination::Web);
    match members.text("application_type")? {
        Some(kind) if kind == "web" && !is_web() => Ok(Some("native".to_owned())),
        Some(kind) if kind != "web" && kind != "native" => {
            metadata_error("application_type must be 'native' or 'web'")
        }
        kind => Ok(kind),
    }
}

fn authentication_method(members: &Members<'_>) -> Result<AuthenticationMethod, OAuthError> {
    Ok(match members.text("token_endpoint_auth_method")?.as_deref() {
        None | Some("client_secret_basic") => AuthenticationMethod::ClientSecretBasic,
        Some("client_secret_post") => AuthenticationMethod::ClientSecretPost,
        Some("none") => AuthenticationMethod::None,
        Some(_) => {
            return metadata_error(
                "token_endpoint_auth_method must be 'none', 'client_secret_basic' or 'client_secret_post'",
            );
        }
    })
}

/// Every client gets both grant types: without `refresh_token` its user would have to sign in every few
/// minutes. Other grant types are dropped. The answer says what was registered (RFC 7591 section 3.2.1).
fn grant_types(members: &Members<'_>) -> Result<Vec<GrantType>, OAuthError> {
    let named = members.texts("grant_types")?;
    let wants_code =
        |names: Vec<String>| names.iter().any(|name| name == GrantType::AuthorizationCode.as_str());
    if named.is_none_or(wants_code) {
        return Ok(vec![GrantType::AuthorizationCode, GrantType::RefreshToken]);
    }
    metadata_error("grant_types must contain 'authorization_code'")
}

fn response_types(members: &Members<'_>, grant_types: &[GrantType]) -> Result<Vec<String>, OAuthError> {
    let wants_code = grant_types.contains(&GrantType::AuthorizationCode);
    match members.texts("response_types")? {
        Some(types) if types.iter().any(|kind| kind != "code") || types.is_empty() && wants_code => {
            metadata_error("response_types must be ['code']")
        }
        _ => Ok(vec!["code".to_owned()]),
    }
}

/// Some clients send a list instead of a string.
pub(super) fn scope(members: &Members<'_>) -> Result<Option<String>, OAuthError> {
    let text = match members.get("scope") {
        Some(Value::Array(_)) => members.texts("scope")?.map(|words| words.join(" ")),
        _ => members.limited("scope", LONGEST_SCOPE)?,
    };
    let Some(text) = text else { return Ok(None) };
    if text.chars().count() > LONGEST_SCOPE {
        return metadata_error("scope is too long");
    }
    match Scope::parse(&text) {
        Ok(scope) => Ok(Some(scope.to_string()).filter(|scope| !scope.is_empty())),
        Err(_) => metadata_error("scope holds a character that is not allowed"),
    }
}

/// None if there are too many, or one is too long.
pub(super) fn contacts(members: &Members<'_>) -> Result<Vec<String>, OAuthError> {
    let contacts = members.texts("contacts")?.unwrap_or_default();
    let fits = contacts.len() <= MOST_CONTACTS
        && contacts.iter().all(|contact| contact.chars().count() <= LONGEST_TEXT);
    Ok(if fits { contacts } else { Vec::new() })
}

/// Keys are for `private_key_jwt`, which cannot be registered. Contradictions and private keys are refused
/// anyway, because they are mistakes of the client.
fn refuse_keys(members: &Members<'_>) -> Result<(), OAuthError> {
    let keys = members.get("jwks");
    if members.url("jwks_uri")?.is_some() && keys.is_some() {
        return metadata_error("jwks and jwks_uri exclude each other");
    }
    match keys.map(ClientKeys::of_set) {
        Some(Err(UnusableKeys::Private)) => metadata_error("jwks holds a private key"),
        Some(Err(UnusableKeys::NotASet)) => metadata_error("jwks is not a key set"),
        _ => Ok(()),
    }
}

fn metadata_error<T>(description: impl Into<std::borrow::Cow<'static, str>>) -> Result<T, OAuthError> {
    refuse(ErrorCode::InvalidClientMetadata, description)
}

/// Reads members of the object by type.
pub(super) struct Members<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Members<'a> {
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, OAuthError> {
        self.limited(name, LONGEST_TEXT)
    }

    fn limited(&self, name: &str, longest: usize) -> Result<Option<String>, OAuthError> {
        match self.get(name) {
            None => Ok(None),
            // A long name is cut where it is shown. Other long texts are dropped.
            Some(Value::String(text)) if name == "client_name" || text.chars().count() <= longest => {
                Ok(Some(text.clone()))
            }
            Some(Value::String(_)) => metadata_error(format!("{name} is too long")),
            Some(_) => metadata_error(format!("{name} is not a string")),
        }
    }

    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, OAuthError> {
        let wrong =
            || OAuthError::new(ErrorCode::InvalidClientMetadata, format!("{name} is not a list of strings"));
        let Some(value) = self.get(name) else { return Ok(None) };
        let values = value.as_array().ok_or_else(wrong)?;
        values
            .iter()
            .map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A member that nothing depends on. Only another type than a string is an error.
    fn shown(
        &self,
        name: &str,
        read: impl Fn(&Self, &str) -> Result<Option<String>, OAuthError>,
    ) -> Result<Option<String>, OAuthError> {
        match self.get(name) {
            Some(Value::String(_)) => Ok(read(self, name).ok().flatten()),
            _ => read(self, name),
        }
    }

    pub(super) fn url(&self, name: &str) -> Result<Option<String>, OAuthError> {
        let Some(text) = self.limited(name, LONGEST_URL)? else { return Ok(None) };
        let good = url::Url::parse(&text).is_ok_and(|url| {
            url.has_host()
                && url.username().is_empty()
                && (url.scheme() == "https" || url.scheme() == "http" && super::resource::is_loopback(&url))
        });
        let plain = text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\'));
        if good && plain { Ok(Some(text)) } else { metadata_error(format!("{name} is not an https URL")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parse(body: &Value) -> Result<ClientMetadata, ErrorCode> {
        ClientMetadata::parse(body.to_string().as_bytes(), &PrivateUseSchemes::Any)
            .map_err(|error| error.code())
    }

    fn with(name: &str, value: Value) -> Value {
        let mut body = json!({ "redirect_uris": ["http://localhost/cb"] });
        body[name] = value;
        body
    }

    #[test]
    fn dcr_2_anything_but_an_object_is_refused() {
        for body in ["", "[]", "null", "\"x\"", "{", "{\"redirect_uris\":[\"http://localhost/\"]", "\u{1}"] {
            let error = ClientMetadata::parse(body.as_bytes(), &PrivateUseSchemes::Any).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidClientMetadata, "{body}");
        }
    }

    #[test]
    fn what_real_clients_send_is_accepted() {
        for body in [
            json!({"response_types":["code"],"scope":"mcp:read offline_access","client_name":"FastMCP Client",
                "redirect_uris":["http://localhost:39733/callback"],"token_endpoint_auth_method":"none",
                "grant_types":["authorization_code","refresh_token"],"application_type":"native"}),
            json!({"redirect_uris":["cursor://anysphere.cursor-mcp/oauth/callback","https://www.cursor.com/agents/cb",
                "http://localhost:8787/callback"],"application_type":"web","token_endpoint_auth_method":"none"}),
            json!({"redirect_uris":["cursor://anysphere.cursor-mcp/oauth/callback"],"application_type":"web"}),
            json!({"redirect_uris":["https://claude.ai/api/mcp/auth_callback"],"client_name":"Claude (Web)","client_uri":"",
                "logo_uri":null,"contacts":null,"scope":["a","b"]}),
            json!({"redirect_uris":["http://127.0.0.1/","http://127.0.0.1:33418/","https://vscode.dev/redirect"],
                "client_name#fr":"Éditeur","software_statement":"e30.e30.","unknown":{"deep":[1]}}),
        ] {
            assert!(parse(&body).is_ok(), "{body}");
        }
    }

    #[test]
    fn dcr_8_and_9_defaults_are_those_of_the_rfc() {
        let metadata = parse(&with("client_id", json!("mine"))).unwrap();
        assert_eq!(metadata.token_endpoint_auth_method, AuthenticationMethod::ClientSecretBasic);
        assert_eq!(metadata.grant_types, [GrantType::AuthorizationCode, GrantType::RefreshToken]);
        assert_eq!(metadata.response_types, ["code"]);
    }

    #[test]
    fn dcr_9_and_10_both_grants_are_registered_and_none_for_machines() {
        let both = [GrantType::AuthorizationCode, GrantType::RefreshToken];
        let alone = json!(["authorization_code"]);
        assert_eq!(parse(&with("grant_types", alone)).unwrap().grant_types, both);
        let all = json!([
            "authorization_code",
            "client_credentials",
            "refresh_token",
            "implicit",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "password"
        ]);
        let metadata = parse(&with("grant_types", all)).unwrap();
        assert_eq!(metadata.grant_types, both);
    }

    #[test]
    fn dcr_5_9_11_13_14_what_is_refused() {
        use ErrorCode::{InvalidClientMetadata as Metadata, InvalidRedirectUri as Redirect};
        for (name, value, code) in [
            ("redirect_uris", json!([]), Redirect),
            ("redirect_uris", json!("http://localhost/"), Redirect),
            ("redirect_uris", json!([1]), Redirect),
            ("redirect_uris", json!(null), Redirect),
            ("redirect_uris", json!(["http://localhost/", "javascript:alert(1)"]), Redirect),
            ("redirect_uris", json!(vec!["http://localhost/"; 33]), Redirect),
            ("application_type", json!("desktop"), Metadata),
            ("token_endpoint_auth_method", json!("bogus"), Metadata),
            ("token_endpoint_auth_method", json!("private_key_jwt"), Metadata),
            ("grant_types", json!(["refresh_token"]), Metadata),
            ("grant_types", json!([]), Metadata),
            ("grant_types", json!("authorization_code"), Metadata),
            ("response_types", json!(["token"]), Metadata),
            ("response_types", json!(["code", "id_token"]), Metadata),
            ("response_types", json!([]), Metadata),
            ("client_name", json!(7), Metadata),
            ("client_uri", json!(7), Metadata),
            ("jwks_uri", json!("http://app.example"), Metadata),
            ("scope", json!("a\"b"), Metadata),
            ("contacts", json!("me"), Metadata),
            ("software_id", json!(7), Metadata),
            ("jwks", json!({"keys":[{"kty":"EC","d":"x"}]}), Metadata),
            ("jwks", json!({"keys":"x"}), Metadata),
        ] {
            assert_eq!(parse(&with(name, value.clone())), Err(code), "{name} {value}");
        }
        let both =
            json!({"redirect_uris":["http://localhost/"],"jwks_uri":"https://a.example/","jwks":{"keys":[]}});
        assert_eq!(parse(&both), Err(Metadata));
    }

    #[test]
    fn what_is_only_shown_or_recorded_is_left_out_if_it_is_unusable() {
        let plain = parse(&with("client_uri", json!(null))).unwrap();
        for (name, value) in [
            ("client_uri", json!("http://app.example")),
            ("client_uri", json!("javascript:alert(1)")),
            ("logo_uri", json!("/logo.png")),
            ("tos_uri", json!("https://a.example/\"onclick=")),
            ("policy_uri", json!("https://u:p@a.example/")),
            ("contacts", json!(vec!["a"; 11])),
            ("contacts", json!(["a", "é".repeat(257)])),
            ("software_id", json!("x".repeat(257))),
            ("software_version", json!("x".repeat(257))),
        ] {
            assert_eq!(parse(&with(name, value.clone())).as_ref(), Ok(&plain), "{name} {value}");
        }
    }

    #[test]
    fn ten_contacts_of_256_characters_are_kept() {
        let contacts = vec!["é".repeat(256); 10];
        assert_eq!(parse(&with("contacts", json!(contacts))).unwrap().contacts, contacts);
    }

    #[test]
    fn dcr_12_names_lose_what_cannot_be_read() {
        let name = |text: &str| parse(&with("client_name", json!(text))).unwrap().client_name;
        assert_eq!(name("A\u{202e}B\r\n\u{200b}C (beta)").as_deref(), Some("AB C (beta)"));
        assert_eq!(name("A\u{e0041}\u{3164}B").as_deref(), Some("AB"));
        assert_eq!(name(&"é".repeat(999)).map(|name| name.chars().count()), Some(256));
        assert_eq!(name("\u{202e} \n"), None);
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body: Vec<u8>, name in "[a-z_]{1,12}", text: String) {
            let _ = ClientMetadata::parse(&body, &PrivateUseSchemes::Any);
            let _ = parse(&with(&name, json!(text)));
            let _ = parse(&with("redirect_uris", json!([text])));
        }
    }
}
