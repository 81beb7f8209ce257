//! The stand-in and the stage over HTTP: every rule they keep and every switch they have.

mod authorize;
mod original;
mod service;
mod switches;
mod token;
mod vault;
mod vault_outside;
mod vault_switches;

use std::{collections::HashMap, sync::Arc};

use axum::Router;
use pangea_mcp_auth::{
    clock::{Clock, ManualClock, UnixTime},
    dev::{StandIn, StandInConfig},
    secret::{Random, SystemRandom},
};
use reqwest::{Client, Method, RequestBuilder, Response, header};
use serde_json::Value;
use tokio::net::TcpListener;
use url::Url;

use super::Stage;
use crate::support::http;

const CLIENT_ID: &str = "psa_wuk7tvtpswyjtlsx52b7yyi2l7zotv4a";
const CLIENT_SECRET: &str = "pck_aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb";
const CALLBACK: &str = "http://localhost:8000/pangea/callback";
const STATE: &str = "a-state-of-ours";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A stage or a stand-in that listens, and a browser that follows no redirect.
struct Served<P = Stage> {
    stage: P,
    issuer: String,
    clock: Arc<ManualClock>,
    http: Client,
}

fn config(issuer: &str) -> StandInConfig {
    StandInConfig {
        issuer: issuer.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        redirect_uris: vec![CALLBACK.to_owned(), format!("{CALLBACK}?tenant=1")],
        scopes: ["user", "openid", "files:*"].map(str::to_owned).to_vec(),
        default_scopes: vec!["user".to_owned()],
        sign_in_as: None,
        state_file: None,
    }
}

/// Starts a stage, with `change` made to its configuration.
async fn serve(change: impl FnOnce(&mut StandInConfig)) -> Served {
    begin(change, Stage::new, Stage::router).await
}

/// The same where Ada is signed in without a page.
async fn serve_ada() -> Served {
    serve(sign_in_ada).await
}

/// Starts a stand-in as `serve --dev` does, with `change` made to its configuration.
async fn serve_stand_in(change: impl FnOnce(&mut StandInConfig)) -> Served<StandIn> {
    begin(change, |config, clock, random| StandIn::new(config, clock, random).unwrap(), StandIn::router).await
}

/// The same where Ada is signed in without a page.
async fn serve_stand_in_to_ada() -> Served<StandIn> {
    serve_stand_in(sign_in_ada).await
}

fn sign_in_ada(config: &mut StandInConfig) {
    config.sign_in_as = Some("ada@example.com".to_owned());
}

async fn begin<P>(
    change: impl FnOnce(&mut StandInConfig),
    make: impl FnOnce(StandInConfig, Arc<dyn Clock>, Arc<dyn Random>) -> P,
    router: impl FnOnce(&P) -> Router,
) -> Served<P> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let mut config = config(&issuer);
    change(&mut config);
    let clock = Arc::new(ManualClock::at(UnixTime::from_secs(1_800_000_000)));
    let stage = make(config, clock.clone(), Arc::new(SystemRandom));
    let router = router(&stage);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Served { stage, issuer, clock, http: http() }
}

fn encoded(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// The parameters with some replaced or added; an empty value removes one.
fn with<'a>(base: &[(&'a str, &'a str)], changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = base.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    kept.chain(changes).filter(|(_, value)| !value.is_empty()).copied().collect()
}

impl<P> Served<P> {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.issuer))
    }

    async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    async fn get_json(&self, path: &str) -> Value {
        json_of(self.get(path).await).await.1
    }

    async fn post_json(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self
            .request(Method::POST, path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_string());
        json_of(request.send().await.unwrap()).await
    }

    async fn authorize(&self, changes: &[(&str, &str)]) -> Response {
        self.get(&authorize_url(changes)).await
    }

    /// Answers the sign-in page.
    async fn answer_page(&self, form: &[(&str, &str)]) -> Response {
        self.post_form(&authorize_url(&[]), form).await
    }

    async fn post_form(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.form_request(path, form).send().await.unwrap()
    }

    fn form_request(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.request(Method::POST, path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(encoded(form))
    }

    /// Signs in and takes the code out of the redirect.
    async fn code(&self, changes: &[(&str, &str)]) -> String {
        callback(&self.authorize(changes).await)["code"].clone()
    }

    /// A token request with Basic authentication.
    async fn token(&self, form: &[(&str, &str)]) -> (u16, Value) {
        self.as_client("/v2/oauth/token", form).await
    }

    async fn as_client(&self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let request = self.form_request(path, form).basic_auth(CLIENT_ID, Some(CLIENT_SECRET));
        json_of(request.send().await.unwrap()).await
    }

    /// Redeems a code, with some parameters changed.
    async fn redeem(&self, code: &str, changes: &[(&str, &str)]) -> (u16, Value) {
        let usual = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.token(&with(&usual, changes)).await
    }

    async fn refresh(&self, refresh_token: &Value) -> (u16, Value) {
        let refresh_token = refresh_token.as_str().unwrap();
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// Signs in and redeems the code.
    async fn tokens(&self, authorize: &[(&str, &str)]) -> Value {
        let code = self.code(authorize).await;
        let (status, tokens) = self.redeem(&code, &[]).await;
        assert_eq!(status, 200, "{tokens}");
        tokens
    }

    async fn introspect(&self, token: &Value) -> Value {
        self.as_client("/v2/oauth/token/introspect", &[("token", token.as_str().unwrap())]).await.1
    }
}

/// Path and query of an authorization request with some parameters changed.
fn authorize_url(changes: &[(&str, &str)]) -> String {
    let usual = [
        ("client_id", CLIENT_ID),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("state", STATE),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    format!("/v2/oauth/authorize?{}", encoded(&with(&usual, changes)))
}

/// Where a redirect leads, and its parameters.
fn callback(response: &Response) -> HashMap<String, String> {
    assert_eq!(response.status(), 303);
    let location = Url::parse(response.headers()[header::LOCATION].to_str().unwrap()).unwrap();
    assert!(location.as_str().starts_with(CALLBACK), "{location}");
    location.query_pairs().into_owned().collect()
}

async fn json_of(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Status and `error` member of an OAuth error.
fn error_of((status, body): (u16, Value)) -> (u16, String) {
    (status, body["error"].as_str().unwrap_or_default().to_owned())
}

fn refused(status: u16, error: &str) -> (u16, String) {
    (status, error.to_owned())
}
