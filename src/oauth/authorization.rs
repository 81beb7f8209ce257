//! Authorization requests (OAuth 2.1 section 4.1.1). A value of [`AuthorizationRequest`] is valid.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{
    client::ClientId,
    error::{ErrorCode, OAuthError, refuse},
    params::Params,
    redirect::ReturnAddress,
    resource::Resource,
    scope::{Scope, ScopeOffer},
};
use crate::secret::{constant_time_eq, encode, sha256};

/// Parameters that this server reads, and that a client may therefore send only once.
const KNOWN: [&str; 13] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "login_hint",
    "response_mode",
    "request",
    "request_uri",
    "nonce",
];

/// Longest resource that an error repeats, in bytes.
const LONGEST_ECHO: usize = 200;
/// Longest `login_hint` that is passed on, in bytes. An email address fits.
const LONGEST_HINT: usize = 320;

/// A PKCE challenge, method `S256` (RFC 7636 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodeChallenge(String);

impl CodeChallenge {
    /// Accepts 43 base64url characters; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits =
            text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        fits.then(|| Self(text.to_owned()))
    }

    /// The challenge for a verifier.
    #[must_use]
    pub fn of(verifier: &str) -> Self {
        Self(encode(&sha256(verifier.as_bytes())))
    }

    /// 43 base64url characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the challenge was made from `verifier`, in constant time.
    #[must_use]
    pub fn is_met_by(&self, verifier: &str) -> bool {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        (43..=128).contains(&verifier.len())
            && verifier.bytes().all(allowed)
            && constant_time_eq(Self::of(verifier).0.as_bytes(), self.0.as_bytes())
    }
}

/// An MCP server that tokens are issued for, and what they can allow there.
#[derive(Debug, Clone)]
pub struct Offer {
    pub resource: Resource,
    /// What a client can get.
    pub scopes: ScopeOffer,
}

/// The MCP servers that tokens are issued for, and the rules for finding the one that a client names.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    /// From `[[resources]]`.
    pub configured: Vec<Offer>,
    /// The resource of clients that name none.
    pub default: Option<Resource>,
    /// In development, every loopback URL is a resource with these scopes.
    pub any_loopback: Option<ScopeOffer>,
}

impl Resources {
    /// The resource that a request names, with its scopes.
    ///
    /// # Errors
    ///
    /// `invalid_target` when there is no such resource, none was named and there is no default, or
    /// several were named (RFC 8707 section 2).
    pub fn resolve<'a>(&self, mut requested: impl Iterator<Item = &'a str>) -> Result<Offer, OAuthError> {
        match (requested.next(), requested.next()) {
            (None, _) => self.unnamed(),
            (Some(name), None) => self.named(name),
            (Some(_), Some(_)) => refuse(ErrorCode::InvalidTarget, "name one resource only"),
        }
    }

    /// Whether tokens are still issued for the resource of a grant.
    #[must_use]
    pub fn serve(&self, resource: &Resource) -> bool {
        self.find(resource.as_str()).is_some() || self.any_loopback.is_some() && resource.is_loopback()
    }

    /// Whether `name` names `resource`.
    #[must_use]
    pub fn mean(&self, resource: &Resource, name: &str) -> bool {
        match self.find(name) {
            Some(offer) => offer.resource.is_same_as(resource),
            None => self.any_loopback.is_some() && resource.is_loopback() && resource.is_named_by(name),
        }
    }

    /// The scopes of all resources, without duplicates.
    #[must_use]
    pub fn all_scopes(&self) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let offers = self.configured.iter().map(|offer| &offer.scopes).chain(&self.any_loopback);
        for word in offers.flat_map(|offer| offer.known().words()) {
            if !words.iter().any(|known| known == word) {
                words.push(word.to_owned());
            }
        }
        words
    }

    fn unnamed(&self) -> Result<Offer, OAuthError> {
        match (&self.default, self.configured.as_slice()) {
            (Some(resource), _) => self.named(resource.as_str()),
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err(self.not_served("name a resource with the parameter 'resource'")),
        }
    }

    fn named(&self, name: &str) -> Result<Offer, OAuthError> {
        if let Some(found) = self.find(name) {
            return Ok(found.clone());
        }
        match (&self.any_loopback, Resource::of_loopback(name)) {
            (Some(scopes), Some(resource)) => Ok(Offer { resource, scopes: scopes.clone() }),
            _ if name.len() <= LONGEST_ECHO && Resource::parse(name).is_ok() => {
                Err(self.not_served(format!("the resource {name} is not served here")))
            }
            _ => Err(self.not_served("this resource is not served here")),
        }
    }

    /// The configured resource that a client names, in the configured spelling, as most clients do, or in
    /// another. Of two that differ only in their query, the one with that query.
    fn find(&self, name: &str) -> Option<&Offer> {
        let exactly = self.configured.iter().find(|offer| offer.resource.as_str() == name);
        exactly.or_else(|| {
            let meant = self.configured.iter().filter(|offer| offer.resource.is_named_by(name));
            meant.max_by_key(|offer| offer.resource.has_query())
        })
    }

    /// Anyone can ask, so the error repeats only what the client sent. The configured resources are in the
    /// log.
    fn not_served(&self, description: impl Into<Cow<'static, str>>) -> OAuthError {
        let names: Vec<&str> = self.configured.iter().map(|offer| offer.resource.as_str()).collect();
        let any = if self.any_loopback.is_some() { ", any URL on this machine" } else { "" };
        OAuthError::new(ErrorCode::InvalidTarget, description)
            .caused_by(format!("the configured resources are {}{any}", names.join(", ")))
    }
}

/// A valid request of a registered client, to be answered at one of its return addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    pub client_id: ClientId,
    /// Where the answer goes.
    pub return_address: ReturnAddress,
    /// Returned unchanged.
    pub state: Option<String>,
    /// What the client would get of the scope that it asked for.
    pub scope: Scope,
    pub resource: Resource,
    /// RFC 7636 section 4.2.
    pub code_challenge: CodeChallenge,
    /// Whether the user must sign in again at the upstream (`prompt=login` or `select_account`).
    pub fresh_sign_in: bool,
    /// The account that the client expects, for the upstream alone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub login_hint: Option<String>,
}

impl AuthorizationRequest {
    /// Checks everything except client and return address. An error can be answered there.
    pub fn parse(
        params: &Params<'_>,
        client_id: ClientId,
        return_address: ReturnAddress,
        resources: &Resources,
    ) -> Result<Self, OAuthError> {
        params.refuse_repeated(&KNOWN)?;
        if params.one("request")?.is_some() {
            return refuse(ErrorCode::RequestNotSupported, "request objects are not supported");
        }
        if params.one("request_uri")?.is_some() {
            return refuse(ErrorCode::RequestUriNotSupported, "request objects are not supported");
        }
        match params.one("response_type")? {
            Some("code") => {}
            Some(_) => return refuse(ErrorCode::UnsupportedResponseType, "response_type must be 'code'"),
            None => return refuse(ErrorCode::InvalidRequest, "response_type is missing"),
        }
        if params.one("response_mode")?.is_some_and(|mode| mode != "query") {
            return refuse(ErrorCode::InvalidRequest, "response_mode must be 'query'");
        }
        let code_challenge = code_challenge(params)?;
        let fresh_sign_in = prompt(params)?;
        let Offer { resource, scopes } = resources.resolve(params.all("resource"))?;
        let scope = params.one("scope")?.map(Scope::parse).transpose()?;
        Ok(Self {
            client_id,
            return_address,
            state: params.one("state")?.map(str::to_owned),
            scope: scopes.grant(scope.as_ref()),
            resource,
            code_challenge,
            fresh_sign_in,
            login_hint: params.one("login_hint")?.filter(|hint| is_usable_hint(hint)).map(str::to_owned),
        })
    }
}

/// Whether a hint could name an account. Others are ignored, which OpenID Connect Core section 3.1.2.1
/// allows.
fn is_usable_hint(hint: &str) -> bool {
    hint.len() <= LONGEST_HINT && !hint.chars().any(char::is_control)
}

/// PKCE is required (OAuth 2.1 section 7.5), and `plain` proves nothing.
fn code_challenge(params: &Params<'_>) -> Result<CodeChallenge, OAuthError> {
    let Some(challenge) = params.one("code_challenge")? else {
        return refuse(ErrorCode::InvalidRequest, "code_challenge is missing: PKCE is required");
    };
    if params.one("code_challenge_method")? != Some("S256") {
        let description = "transform algorithm not supported: code_challenge_method must be 'S256'";
        return refuse(ErrorCode::InvalidRequest, description);
    }
    match CodeChallenge::parse(challenge) {
        Some(challenge) => Ok(challenge),
        None => refuse(ErrorCode::InvalidRequest, "code_challenge must be 43 base64url characters"),
    }
}

/// Whether the client asks for a fresh sign-in (OpenID Connect Core section 3.1.2.1). The user is always
/// asked for consent, so `none` always fails.
fn prompt(params: &Params<'_>) -> Result<bool, OAuthError> {
    let values: Vec<&str> =
        params.one("prompt")?.unwrap_or_default().split(' ').filter(|v| !v.is_empty()).collect();
    match values.as_slice() {
        ["none"] => refuse(ErrorCode::LoginRequired, "the person must be asked"),
        values if values.contains(&"none") => {
            refuse(ErrorCode::InvalidRequest, "prompt 'none' excludes every other value")
        }
        values => Ok(values.contains(&"login") || values.contains(&"select_account")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::redirect::{PrivateUseSchemes, RedirectUri};

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn resources() -> Resources {
        let scopes = Scope::parse("user admin").unwrap();
        let entry = |url: &str| Offer {
            resource: Resource::parse(url).unwrap(),
            scopes: ScopeOffer::Listed { scopes: scopes.clone(), default: scopes.clone() },
        };
        Resources { configured: vec![entry("https://h/a"), entry("https://h/b")], ..Resources::default() }
    }

    fn parse(query: &str) -> Result<AuthorizationRequest, ErrorCode> {
        let query = format!(
            "response_type=code&code_challenge={CHALLENGE}&code_challenge_method=S256&resource=https://h/a&{query}"
        );
        parse_all(&query)
    }

    fn parse_all(query: &str) -> Result<AuthorizationRequest, ErrorCode> {
        let address = RedirectUri::parse("http://localhost/cb", &PrivateUseSchemes::Any).unwrap().itself();
        let params = Params::parse(query.as_bytes()).unwrap();
        AuthorizationRequest::parse(&params, ClientId::parse("c").unwrap(), address, &resources())
            .map_err(|error| error.code())
    }

    #[test]
    fn a_lawful_request_keeps_what_it_asked_for() {
        let request = parse("scope=user+other&state=a%20b%C3%BC&unknown=1&unknown=2").unwrap();
        assert_eq!(request.scope.to_string(), "user");
        assert_eq!(request.state.as_deref(), Some("a bü"));
        assert_eq!(request.resource.as_str(), "https://h/a");
        assert_eq!(parse("").unwrap().scope.to_string(), "user admin");
        assert_eq!(parse("scope=openid+email").unwrap().scope.to_string(), "user admin");
        assert_eq!(parse("state=").unwrap().state, None);
    }

    #[test]
    fn a_name_means_a_resource_that_is_served_and_no_other() {
        let resource = |url: &str| Resource::parse(url).unwrap();
        let (served, local) = (resource("https://h/a"), resource("http://localhost:1/mcp"));
        let any = Resources {
            any_loopback: Some(ScopeOffer::Any { default: Scope::parse("user").unwrap() }),
            ..resources()
        };
        for (resources, resource, name, meant) in [
            (&any, &served, "https://h/a", true),
            (&any, &served, "https://h/b", false),
            (&any, &served, "https://h/c", false),
            (&any, &resource("https://h/c"), "https://h/c", false),
            (&any, &local, "http://LOCALHOST:1/mcp", true),
            (&any, &local, "http://localhost:2/mcp", false),
            (&resources(), &local, "http://localhost:1/mcp", false),
        ] {
            assert_eq!(resources.mean(resource, name), meant, "{resource} {name}");
        }
    }

    #[test]
    fn an_unknown_resource_is_quoted_if_it_is_one_and_not_too_long() {
        let at_length = |length: usize| format!("https://h/{}", "x".repeat(length - "https://h/".len()));
        for (name, quoted) in [
            (at_length(LONGEST_ECHO), true),
            (at_length(LONGEST_ECHO + 1), false),
            ("call 555-1234".to_owned(), false),
        ] {
            let error = resources().resolve([name.as_str()].into_iter()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidTarget);
            assert_eq!(error.description().contains(&name), quoted, "{error}");
        }
    }

    #[test]
    fn authz_9_11_12_13_14_17_24_25_each_defect_has_its_code() {
        use ErrorCode::*;
        let pkce = format!("code_challenge={CHALLENGE}&code_challenge_method=S256");
        let short = &CHALLENGE[1..];
        for (query, code) in [
            (format!("{pkce}&resource=https://h/a"), InvalidRequest),
            (format!("response_type=token&{pkce}"), UnsupportedResponseType),
            (format!("response_type=code+token&{pkce}"), UnsupportedResponseType),
            (format!("response_type=code&response_type=code&{pkce}"), InvalidRequest),
            ("response_type=code&resource=https://h/a".to_owned(), InvalidRequest),
            (format!("response_type=code&code_challenge={CHALLENGE}"), InvalidRequest),
            (
                format!("response_type=code&code_challenge={CHALLENGE}&code_challenge_method=plain"),
                InvalidRequest,
            ),
            (
                format!("response_type=code&code_challenge={CHALLENGE}&code_challenge_method=s256"),
                InvalidRequest,
            ),
            (format!("response_type=code&code_challenge={short}&code_challenge_method=S256"), InvalidRequest),
            (
                format!("response_type=code&code_challenge={short}%3D&code_challenge_method=S256"),
                InvalidRequest,
            ),
            (
                format!("response_type=code&code_challenge={short}%2B&code_challenge_method=S256"),
                InvalidRequest,
            ),
            (format!("response_type=code&{pkce}"), InvalidTarget),
        ] {
            assert_eq!(parse_all(&query), Err(code), "{query}");
        }
        for (query, code) in [
            ("scope=a%22", InvalidScope),
            ("resource=https://h/b", InvalidTarget),
            ("prompt=none", LoginRequired),
            ("prompt=none+login", InvalidRequest),
            ("prompt=login&prompt=login", InvalidRequest),
            ("response_mode=fragment", InvalidRequest),
            ("response_mode=form_post", InvalidRequest),
            ("request=e30", RequestNotSupported),
            ("request_uri=https://a", RequestUriNotSupported),
            ("state=a&state=a", InvalidRequest),
        ] {
            assert_eq!(parse(query), Err(code), "{query}");
        }
        assert_eq!(parse("prompt=consent+unknown").map(|request| request.fresh_sign_in), Ok(false));
        assert_eq!(parse("prompt=select_account").map(|request| request.fresh_sign_in), Ok(true));
    }

    #[test]
    fn authz_17_and_19_resources_are_named_or_have_a_default() {
        let resolve = |resources: &Resources, names: &[&str]| {
            resources
                .resolve(names.iter().copied())
                .map(|offer| offer.resource.to_string())
                .map_err(|e| e.code())
        };
        let mut resources = resources();
        for names in
            [&[][..], &["https://h/c"], &["/a"], &["https://h/a", "https://h/a"], &["http://localhost/x"]]
        {
            assert_eq!(resolve(&resources, names), Err(ErrorCode::InvalidTarget), "{names:?}");
        }
        for spelling in
            ["HTTPS://H/a", "https://h:443/a", "https://h/a/", "https://h/a#f", "https://h/a?utm_source=b"]
        {
            assert_eq!(resolve(&resources, &[spelling]), Ok("https://h/a".to_owned()), "{spelling}");
        }
        let mut with_query = resources.configured[0].clone();
        with_query.resource = Resource::parse("https://h/a?tenant=1").unwrap();
        resources.configured.push(with_query);
        for (name, meant) in [
            ("https://h/a?tenant=1", "https://h/a?tenant=1"),
            ("https://h/a?tenant=2", "https://h/a"),
            ("https://h/a", "https://h/a"),
        ] {
            assert_eq!(resolve(&resources, &[name]), Ok(meant.to_owned()));
        }
        resources.default = Resource::parse("https://h/b").ok();
        assert_eq!(resolve(&resources, &[]), Ok("https://h/b".to_owned()));
        resources.configured.truncate(1);
        resources.default = None;
        assert_eq!(resolve(&resources, &[]), Ok("https://h/a".to_owned()));
        resources.any_loopback = Some(ScopeOffer::Any { default: Scope::default() });
        assert_eq!(resolve(&resources, &["http://localhost:9/x?a#b"]), Ok("http://localhost:9/x".to_owned()));
        assert_eq!(resolve(&resources, &["http://example.com/x"]), Err(ErrorCode::InvalidTarget));
    }

    #[test]
    fn code_2_a_verifier_has_43_to_128_unreserved_characters() {
        let good = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(CodeChallenge::parse(CHALLENGE).unwrap().is_met_by(good));
        assert!(!CodeChallenge::parse(CHALLENGE).unwrap().is_met_by(&good.replace('d', "e")));
        for verifier in ["", &good[1..], &"a".repeat(129), &format!("{good} "), &format!("{good}+")] {
            assert!(!CodeChallenge::of(verifier).is_met_by(verifier), "{verifier}");
        }
        assert!(CodeChallenge::of(&"~".repeat(128)).is_met_by(&"~".repeat(128)));
    }
}
