//! An MCP client, as far as it talks to an authorization server.

use pangea_mcp_auth::oauth::authorization::CodeChallenge;
use reqwest::Response;
use serde_json::{Value, json};

use super::{
    browser::{Browser, Page},
    query,
    server::{Server, body},
};

/// The PKCE verifier of every test client.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// The challenge of [`VERIFIER`].
pub fn challenge() -> String {
    CodeChallenge::of(VERIFIER).as_str().to_owned()
}

/// A registered client.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Its secret, if it has one.
    pub secret: Option<String>,
    /// Where it is answered.
    pub redirect_uri: String,
}

/// What a client got.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The JWT.
    pub access: String,
    /// The refresh token, `""` when there was none.
    pub refresh: String,
    /// The whole answer.
    pub body: Value,
}

impl Client {
    /// A public client on a loopback port, which may refresh.
    pub async fn public(server: &Server) -> Self {
        Self::registered(server, json!({ "token_endpoint_auth_method": "none" })).await
    }

    /// A client with a secret, which may refresh.
    pub async fn confidential(server: &Server) -> Self {
        Self::registered(server, json!({ "token_endpoint_auth_method": "client_secret_basic" })).await
    }

    /// A client with other metadata.
    pub async fn registered(server: &Server, more: Value) -> Self {
        let mut metadata = json!({
            "client_name": "Test client",
            "redirect_uris": ["http://127.0.0.1:4711/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
        });
        for (name, value) in more.as_object().unwrap() {
            metadata[name] = value.clone();
        }
        let response = server.json("/register", &metadata).send().await.unwrap();
        assert_eq!(response.status(), 201);
        let registered = body(response).await;
        Self {
            id: registered["client_id"].as_str().unwrap().to_owned(),
            secret: registered["client_secret"].as_str().map(str::to_owned),
            redirect_uri: registered["redirect_uris"][0].as_str().unwrap().to_owned(),
        }
    }

    /// The URL of a lawful authorization request, `state` and all; `change` may add, replace (by
    /// name) or remove (empty value) parameters.
    pub fn authorize_url(&self, server: &Server, change: &[(&str, &str)]) -> String {
        let challenge = challenge();
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", &*self.id),
            ("redirect_uri", &*self.redirect_uri),
            ("state", "client-state"),
            ("code_challenge", &*challenge),
            ("code_challenge_method", "S256"),
            ("resource", &*server.resource),
        ];
        pairs.retain(|(name, _)| !change.iter().any(|(changed, _)| changed == name));
        pairs.extend(change.iter().filter(|(_, value)| !value.is_empty()).copied());
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        format!("{}/authorize?{query}", server.url)
    }

    /// The answer to an authorization request that everybody agrees to, up to the redirect. Who may not come
    /// in goes back to the client.
    pub async fn authorize(&self, server: &Server, browser: &mut Browser, change: &[(&str, &str)]) -> Page {
        let page = browser.get(&self.authorize_url(server, change)).await;
        assert_eq!(page.status, 200, "{}", page.html);
        let page = browser.decide(&page, "approve").await;
        let mut followed = browser.follow(page, &self.redirect_uri).await;
        if let Err(question) = &followed
            && question.offers("deny")
        {
            let decision = if question.offers("approve") { "approve" } else { "deny" };
            let page = browser.decide(question, decision).await;
            followed = browser.follow(page, &self.redirect_uri).await;
        }
        match followed {
            Ok(location) => {
                let mut headers = reqwest::header::HeaderMap::new();
                headers.insert("location", location.parse().unwrap());
                Page { url: location, status: reqwest::StatusCode::SEE_OTHER, headers, html: String::new() }
            }
            Err(page) => page,
        }
    }

    /// A fresh code.
    pub async fn code(&self, server: &Server) -> String {
        self.code_with(server, &[]).await
    }

    /// A fresh code for a changed request.
    pub async fn code_with(&self, server: &Server, change: &[(&str, &str)]) -> String {
        let page = self.authorize(server, &mut Browser::new(), change).await;
        let location = page.location().unwrap_or_else(|| panic!("no answer: {}", page.html));
        query(&location).remove("code").unwrap_or_else(|| panic!("no code: {location}"))
    }

    /// Sends a token request with this client's credentials.
    pub async fn token_request(&self, server: &Server, pairs: &[(&str, &str)]) -> Response {
        let mut pairs = pairs.to_vec();
        if self.secret.is_none() {
            pairs.push(("client_id", &self.id));
        }
        let request = server.form("/token", &pairs);
        let request = match &self.secret {
            Some(secret) => request.basic_auth(&self.id, Some(secret)),
            None => request,
        };
        request.send().await.unwrap()
    }

    /// Redeems a code.
    pub async fn redeem(&self, server: &Server, code: &str) -> Response {
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", VERIFIER),
        ];
        self.token_request(server, &pairs).await
    }

    /// Uses a refresh token.
    pub async fn refresh(&self, server: &Server, refresh_token: &str) -> Response {
        self.token_request(server, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// A whole login.
    pub async fn login(&self, server: &Server) -> Tokens {
        let code = self.code(server).await;
        Tokens::of(self.redeem(server, &code).await).await
    }
}

impl Tokens {
    /// The tokens in a successful answer.
    pub async fn of(response: Response) -> Self {
        let status = response.status();
        let body = body(response).await;
        assert_eq!(status, 200, "{body}");
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token"), body: body.clone() }
    }
}
