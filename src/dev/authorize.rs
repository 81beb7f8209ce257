//! The authorization endpoint: checks the request, asks who is there, sends the browser back.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{RawQuery, State},
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use url::Url;

use super::{
    StandIn,
    clients::{Client, is_scope},
    form::Form,
    ids,
    page::{problem_page, sign_in_page},
    people,
    state::Code,
};

/// How long a code is valid.
const CODE_LIFE: Duration = Duration::from_mins(1);
/// Prefilled before the first sign-in.
const EXAMPLE_EMAIL: &str = "ada@example.com";

/// `GET /v2/oauth/authorize`: the sign-in page, unless it is known already who is there.
pub(super) async fn ask(State(stand_in): State<StandIn>, RawQuery(query): RawQuery) -> Response {
    let request = match AuthorizationRequest::read(&stand_in, query.as_deref()) {
        Ok(request) => request,
        Err(refusal) => return refusal.answer(),
    };
    let hinted = request.login_hint.as_ref().filter(|_| !request.asks_again);
    let known = hinted.or(stand_in.0.sign_in_as.as_ref());
    if let Some(email) = known.and_then(|known| people::email(known)) {
        return request.sign_in(&stand_in, &email);
    }
    let last_email = stand_in.0.state.read(|state| state.last_email.clone());
    let offered = request.login_hint.as_deref().and_then(people::email).or(last_email);
    sign_in_page(&request.back.host(), offered.as_deref().unwrap_or(EXAMPLE_EMAIL), None)
}

/// `POST /v2/oauth/authorize`: what the person answered on that page, whose form leads back to the
/// same URL.
pub(super) async fn answer(
    State(stand_in): State<StandIn>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    let request = match AuthorizationRequest::read(&stand_in, query.as_deref()) {
        Ok(request) => request,
        Err(refusal) => return refusal.answer(),
    };
    let form = Form::parse(&body).unwrap_or_default();
    if form.get("decision") == Some("deny") {
        return request.back.error("access_denied", "The person declined.");
    }
    let typed = form.get("email").unwrap_or_default();
    match people::email(typed) {
        Some(email) => request.sign_in(&stand_in, &email),
        None => sign_in_page(
            &request.back.host(),
            typed,
            Some("Enter an email address, such as ada@example.com."),
        ),
    }
}

/// A request that may be answered with a code.
struct AuthorizationRequest {
    back: ReturnAddress,
    client_id: String,
    redirect_uri: String,
    scope: String,
    challenge: Option<String>,
    nonce: Option<String>,
    login_hint: Option<String>,
    /// `prompt=login`: a known user is asked again.
    asks_again: bool,
}

/// Where the browser goes back to, and the state that it takes along.
struct ReturnAddress {
    uri: Url,
    state: String,
}

/// Why a request cannot be answered with a code.
enum Refusal {
    /// There is no valid redirect URI: the user gets a page.
    Page(&'static str, String),
    /// The client gets an error.
    Redirect(Box<ReturnAddress>, &'static str, &'static str),
}

impl Refusal {
    fn answer(self) -> Response {
        match self {
            Self::Page(problem, detail) => problem_page(problem, &detail),
            Self::Redirect(back, error, description) => back.error(error, description),
        }
    }
}

impl AuthorizationRequest {
    fn read(stand_in: &StandIn, query: Option<&str>) -> Result<Self, Refusal> {
        let form = Form::parse(query.unwrap_or_default().as_bytes())
            .map_err(|error| Refusal::Page("A parameter came twice.", error.to_string()))?;
        let own = |name| form.get(name).map(str::to_owned);
        let client_id = own("client_id").unwrap_or_default();
        let client = stand_in
            .client(&client_id)
            .ok_or_else(|| Refusal::Page("There is no such client.", format!("client_id: {client_id}")))?;
        let redirect_uri = own("redirect_uri").unwrap_or_default();
        let back = ReturnAddress::new(&client, &redirect_uri, own("state").unwrap_or_default())?;
        match check(&client, &form) {
            Ok(scope) => Ok(Self {
                back,
                client_id,
                redirect_uri,
                scope,
                challenge: own("code_challenge"),
                nonce: own("nonce"),
                login_hint: own("login_hint"),
                asks_again: form.get("prompt").is_some_and(|prompt| prompt.split(' ').any(|p| p == "login")),
            }),
            Err((error, description)) => Err(Refusal::Redirect(Box::new(back), error, description)),
        }
    }

    /// Sends the browser back with a code, unless the person is disabled.
    fn sign_in(self, stand_in: &StandIn, email: &str) -> Response {
        if stand_in.0.conduct.is_disabled(email) {
            return self.back.error("access_denied", "The person is disabled.");
        }
        let Self { back, client_id, redirect_uri, scope, challenge, nonce, .. } = self;
        let now = stand_in.now();
        let code = ids::fresh("pmc", &*stand_in.0.random);
        stand_in.0.state.change(|state| {
            let person = state.person(email, now);
            person.last_login_at = Some(now);
            person.login_count += 1;
            state.last_email = Some(email.to_owned());
            let email = email.to_owned();
            let value = Code { client_id, redirect_uri, challenge, nonce, email, scope };
            state.codes.insert(code.clone(), value, now.plus(CODE_LIFE), now);
        });
        back.redirect(&[("code", &code)])
    }
}

/// The granted scope, or an OAuth error with its description.
fn check(client: &Client, form: &Form) -> Result<String, (&'static str, &'static str)> {
    if form.get("response_type") != Some("code") {
        return Err(("unsupported_response_type", "The response type is not code."));
    }
    let challenge = form.get("code_challenge");
    let is_s256 = form.get("code_challenge_method") == Some("S256");
    if challenge.is_some_and(|challenge| !is_s256 || !is_challenge(challenge)) {
        return Err(("invalid_request", "The code challenge is not one of S256."));
    }
    let Some(scope) = form.get("scope") else {
        return Ok(client.default_scopes.join(" "));
    };
    if !scope.split(' ').all(is_scope) {
        return Err(("invalid_scope", "The scope has a character that Pangea does not know."));
    }
    if !scope.split(' ').all(|scope| client.scopes.iter().any(|allowed| allowed == scope)) {
        return Err(("invalid_scope", "The scope is not one that the client may ask for."));
    }
    Ok(scope.to_owned())
}

/// Whether the text could be an S256 challenge: 43 characters of base64url (RFC 7636 section 4.2).
fn is_challenge(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl ReturnAddress {
    fn new(client: &Client, redirect_uri: &str, state: String) -> Result<Self, Refusal> {
        let refused = || {
            let detail = format!("redirect_uri: {redirect_uri}");
            Refusal::Page("The redirect URI is not one of the client's allowed redirect URIs.", detail)
        };
        let allowed = client.redirect_uris.iter().any(|allowed| allowed == redirect_uri);
        let uri = Url::parse(redirect_uri).ok().filter(|_| allowed).ok_or_else(refused)?;
        if !is_state(&state) {
            let detail = format!("state: {state}");
            return Err(Refusal::Page(
                "The state is not 8 to 999 letters, digits and characters of _ - + / = .",
                detail,
            ));
        }
        Ok(Self { uri, state })
    }

    fn host(&self) -> String {
        let host = self.uri.host_str().unwrap_or_else(|| self.uri.scheme());
        self.uri.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    fn error(self, error: &str, description: &str) -> Response {
        self.redirect(&[("error", error), ("error_description", description)])
    }

    fn redirect(mut self, parameters: &[(&str, &str)]) -> Response {
        self.uri.query_pairs_mut().extend_pairs(parameters).append_pair("state", &self.state);
        (StatusCode::SEE_OTHER, [(LOCATION, self.uri.as_str())]).into_response()
    }
}

/// `^[a-zA-Z0-9_\-+/=.]{8,999}$`
fn is_state(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-+/=.".contains(&b));
    plain && (8..=999).contains(&text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_pangeas_characters_and_length() {
        let (short, long) = ("a".repeat(8), "a".repeat(999));
        for state in [short.as_str(), long.as_str(), "aZ09_-+/=."] {
            assert!(is_state(state), "{state}");
        }
        let too_long = "a".repeat(1000);
        for state in ["", "aaaaaaa", &too_long, "aaaa aaaa", "aaaa~aaaa", "aaaaaaaaé", "aaaaaaaa\n"] {
            assert!(!is_state(state), "{state}");
        }
    }

    #[test]
    fn a_challenge_is_43_characters_of_base64url() {
        assert!(is_challenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
        assert!(!is_challenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c"));
        assert!(!is_challenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c="));
    }
}
