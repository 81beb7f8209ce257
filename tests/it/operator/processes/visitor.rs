//! A client and its person's browser, for daemons that may be killed while they answer.

use std::{collections::BTreeMap, sync::Mutex};

use reqwest::{Client, RequestBuilder, Response, header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::support::{VERIFIER, challenge, http, query};

const REDIRECT_URI: &str = "http://127.0.0.1:4711/callback";

/// A registered client.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    issuer: String,
    resource: String,
    pub(crate) client_id: String,
    http: Client,
}

/// What a client got.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// An answer other than success: its status and error. Status 0 is no answer at all.
pub(crate) type Failed = (u16, String);

impl Visitor {
    pub(crate) async fn register(issuer: &str, resource: &str) -> Self {
        Self::register_with(http(), issuer, resource).await
    }

    pub(crate) async fn register_with(http: Client, issuer: &str, resource: &str) -> Self {
        let metadata = json!({
            "client_name": "Claude Code",
            "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        });
        let request =
            http.post(format!("{issuer}/register")).header(header::CONTENT_TYPE, "application/json");
        let registered = answer(request.body(metadata.to_string())).await.unwrap();
        Self {
            issuer: issuer.to_owned(),
            resource: resource.to_owned(),
            client_id: registered["client_id"].as_str().unwrap().to_owned(),
            http,
        }
    }

    /// The same client, which asks another process of the same server.
    pub(crate) fn at(&self, issuer: &str) -> Self {
        Self { issuer: issuer.to_owned(), ..self.clone() }
    }

    /// Host and port of the server.
    pub(crate) fn address(&self) -> &str {
        &self.issuer["http://".len()..]
    }

    /// A whole login.
    pub(crate) async fn login(&self) -> Tokens {
        self.redeem(&self.code().await).await.unwrap()
    }

    /// A fresh code.
    pub(crate) async fn code(&self) -> String {
        self.try_code().await.unwrap()
    }

    /// A fresh code, if everybody lives long enough.
    pub(crate) async fn try_code(&self) -> Result<String, Failed> {
        let jar = Jar::default();
        let pairs = [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", REDIRECT_URI),
            ("code_challenge", &challenge()),
            ("code_challenge_method", "S256"),
            ("resource", &self.resource),
        ];
        let page = jar.send(self.http.get(format!("{}/authorize?{}", self.issuer, encoded(&pairs)))).await?;
        let html = page.text().await.map_err(no_answer)?;
        let Some(transaction) = html.split("name=\"transaction\" value=\"").nth(1) else {
            return Err((200, html));
        };
        let transaction = transaction.split('"').next().unwrap();
        let consent = form(
            self.http.post(format!("{}/consent", self.issuer)).header(header::ORIGIN, &self.issuer),
            &[("transaction", transaction), ("decision", "approve")],
        );
        let mut response = jar.send(consent).await?;
        for _ in 0..4 {
            let Some(location) = response.headers().get(header::LOCATION) else { break };
            let location = location.to_str().unwrap().to_owned();
            if location.starts_with(REDIRECT_URI) {
                let mut answer = query(&location);
                return answer.remove("code").ok_or((303, location));
            }
            response = jar.send(self.http.get(location)).await?;
        }
        Err((response.status().as_u16(), response.text().await.map_err(no_answer)?))
    }

    /// Redeems a code.
    pub(crate) async fn redeem(&self, code: &str) -> Result<Tokens, Failed> {
        self.tokens(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ])
        .await
    }

    /// Uses a refresh token.
    pub(crate) async fn refresh(&self, refresh_token: &str) -> Result<Tokens, Failed> {
        self.tokens(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// Revokes a token; the status of the answer.
    pub(crate) async fn revoke(&self, token: &str) -> u16 {
        let pairs = [("token", token), ("client_id", &self.client_id)];
        let request = form(self.http.post(format!("{}/revoke", self.issuer)), &pairs);
        request.send().await.map_or(0, |response| response.status().as_u16())
    }

    async fn tokens(&self, pairs: &[(&str, &str)]) -> Result<Tokens, Failed> {
        let mut pairs = pairs.to_vec();
        pairs.push(("client_id", &self.client_id));
        let body = answer(form(self.http.post(format!("{}/token", self.issuer)), &pairs)).await?;
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        Ok(Tokens { access: text("access_token"), refresh: text("refresh_token") })
    }
}

/// What introspection says of a token.
pub(crate) async fn introspect(issuer: &str, (id, secret): (&str, &str), token: &str) -> Value {
    let request = http().post(format!("{issuer}/introspect")).basic_auth(id, Some(secret));
    answer(form(request, &[("token", token)])).await.unwrap()
}

/// Cookies of one login; they all go to one host.
#[derive(Default)]
struct Jar(Mutex<BTreeMap<String, String>>);

impl Jar {
    async fn send(&self, request: RequestBuilder) -> Result<Response, Failed> {
        let cookies: Vec<_> =
            self.0.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = request.header(header::COOKIE, cookies.join("; ")).send().await.map_err(no_answer)?;
        for set in response.headers().get_all(header::SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.0.lock().unwrap().insert(name.to_owned(), value.to_owned());
        }
        Ok(response)
    }
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn form(request: RequestBuilder, pairs: &[(&str, &str)]) -> RequestBuilder {
    request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(encoded(pairs))
}

async fn answer(request: RequestBuilder) -> Result<Value, Failed> {
    let response = request.send().await.map_err(no_answer)?;
    let status = response.status();
    let body: Value = serde_json::from_str(&response.text().await.map_err(no_answer)?).unwrap_or_default();
    if status.is_success() {
        return Ok(body);
    }
    Err((status.as_u16(), body["error"].as_str().unwrap_or_default().to_owned()))
}

#[expect(clippy::needless_pass_by_value, reason = "called by map_err")]
fn no_answer(error: reqwest::Error) -> Failed {
    (0, error.to_string())
}
