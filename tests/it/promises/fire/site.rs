//! Three daemons as their clients see them: one name, and each request goes to the next one.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use pangea_mcp_auth::{
    flow::administration::{Administration, Revocation},
    oauth::token::GrantId,
};
use reqwest::{RequestBuilder, Response, header};
use serde_json::{Value, json};

use super::history::{Operation, Outcome, Recorder};
use crate::support::{RS_SECRET, VERIFIER, challenge, query};

const REDIRECT_URI: &str = "http://127.0.0.1:4711/callback";
/// Longer than any daemon takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The daemons, and the processes that watch them.
pub(super) struct Site {
    /// The public URL of all.
    pub(super) issuer: String,
    /// Where each of them listens.
    pub(super) daemons: Vec<String>,
    pub(super) operator: Administration,
    pub(super) recorder: Recorder,
    client_id: String,
    http: reqwest::Client,
    turn: AtomicUsize,
}

/// A request that came to nothing, and at which daemon.
type Failed = (usize, Outcome);

impl Site {
    /// Registers the client that everybody uses.
    pub(super) async fn new(issuer: String, daemons: Vec<String>, operator: Administration) -> Arc<Self> {
        let http = http();
        let client_id = register(&http, &daemons[0]).await;
        let (recorder, turn) = (Recorder::new(), AtomicUsize::new(0));
        Arc::new(Self { issuer, daemons, operator, recorder, client_id, http, turn })
    }

    /// Whose turn it is.
    fn next(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed) % self.daemons.len()
    }

    /// A whole login, each step at another daemon; the code.
    pub(super) async fn log_in(&self) -> Outcome {
        let called = self.recorder.now();
        let (daemon, outcome) = match self.try_log_in().await {
            Ok((daemon, code)) => (daemon, Outcome::Code(code)),
            Err(failed) => failed,
        };
        self.recorder.note(called, Some(daemon), Operation::LogIn, outcome.clone());
        outcome
    }

    async fn try_log_in(&self) -> Result<(usize, String), Failed> {
        let mut jar = Jar::default();
        let resource = format!("{}/mcp", self.issuer);
        let pairs = [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", REDIRECT_URI),
            ("code_challenge", &challenge()),
            ("code_challenge_method", "S256"),
            ("resource", &resource),
        ];
        let daemon = self.next();
        let request = self.http.get(format!("{}/authorize?{}", self.daemons[daemon], encoded(&pairs)));
        let (_, html) = jar.send(daemon, request).await?;
        let transaction = html.split("name=\"transaction\" value=\"").nth(1).expect("a consent form");
        let pairs = [("transaction", transaction.split('"').next().unwrap()), ("decision", "approve")];
        let daemon = self.next();
        let consent = self.http.post(format!("{}/consent", self.daemons[daemon]));
        let (upstream, _) =
            jar.send(daemon, form(consent.header(header::ORIGIN, &self.issuer), &pairs)).await?;
        let (callback, _) = jar.send(daemon, self.http.get(upstream)).await?;
        let daemon = self.next();
        let here = callback.replace(&self.issuer, &self.daemons[daemon]);
        let (answer, _) = jar.send(daemon, self.http.get(here)).await?;
        let mut answer = query(&answer);
        answer.remove("code").map(|code| (daemon, code)).ok_or_else(|| {
            let error = answer.remove("error").unwrap_or_default();
            (daemon, Outcome::Refused { status: 303, error, retry_after: None })
        })
    }

    pub(super) async fn redeem(&self, code: &str) -> Outcome {
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
            ("client_id", &self.client_id),
        ];
        self.tokens(Operation::Redeem { code: code.to_owned() }, &pairs).await
    }

    pub(super) async fn refresh(&self, token: &str) -> Outcome {
        let pairs =
            [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", &self.client_id)];
        self.tokens(Operation::Refresh { token: token.to_owned() }, &pairs).await
    }

    async fn tokens(&self, operation: Operation, pairs: &[(&str, &str)]) -> Outcome {
        let text = |body: &Value, name: &str| body[name].as_str().unwrap_or_default().to_owned();
        self.ask(self.next(), "token", operation, pairs, |body| Outcome::Tokens {
            access: text(body, "access_token"),
            refresh: text(body, "refresh_token"),
        })
        .await
    }

    pub(super) async fn revoke(&self, token: &str) -> Outcome {
        let pairs = [("token", token), ("client_id", &self.client_id)];
        let operation = Operation::Revoke { token: token.to_owned() };
        self.ask(self.next(), "revoke", operation, &pairs, |_| Outcome::Revoked).await
    }

    /// As the resource server, at one daemon.
    pub(super) async fn introspect(&self, daemon: usize, token: &str) -> Outcome {
        let pairs = [("token", token), ("client_id", "rs-1"), ("client_secret", RS_SECRET)];
        let operation = Operation::Introspect { token: token.to_owned() };
        self.ask(daemon, "introspect", operation, &pairs, |body| Outcome::Active(body["active"] == true))
            .await
    }

    /// What `tokens revoke` does: it changes the record, and no daemon is asked.
    pub(super) async fn end(&self, grant: &GrantId) -> Outcome {
        let called = self.recorder.now();
        let outcome = match self.operator.revoke_grant(grant).await {
            Ok(Revocation::Done(_) | Revocation::Already(_)) => Outcome::Revoked,
            Ok(Revocation::Absent) => refused(404, "absent"),
            Err(error) => Outcome::Lost { reason: error.to_string() },
        };
        self.recorder.note(called, None, Operation::End { grant: grant.to_string() }, outcome.clone());
        outcome
    }

    async fn ask(
        &self,
        daemon: usize,
        endpoint: &str,
        operation: Operation,
        pairs: &[(&str, &str)],
        success: impl FnOnce(&Value) -> Outcome,
    ) -> Outcome {
        let request = form(self.http.post(format!("{}/{endpoint}", self.daemons[daemon])), pairs);
        let called = self.recorder.now();
        let outcome = answer(request, success).await;
        self.recorder.note(called, Some(daemon), operation, outcome.clone());
        outcome
    }
}

/// Whether the answer is a clear yes or no.
pub(super) fn is_answered(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Lost { .. } | Outcome::Refused { status: 303 | 503, .. })
}

/// Cookies of one login; they all go to one host.
#[derive(Default)]
struct Jar(BTreeMap<String, String>);

impl Jar {
    /// Where the answer leads, and what it shows.
    async fn send(&mut self, daemon: usize, request: RequestBuilder) -> Result<(String, String), Failed> {
        let cookies: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = request.header(header::COOKIE, cookies.join("; "));
        let response = request.send().await.map_err(|error| (daemon, lost(&error)))?;
        for set in response.headers().get_all(header::SET_COOKIE) {
            let (name, value) = set.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.0.insert(name.to_owned(), value.to_owned());
        }
        let (status, retry_after) = (response.status().as_u16(), header_of(&response, header::RETRY_AFTER));
        let location = header_of(&response, header::LOCATION).unwrap_or_default();
        let text = response.text().await.map_err(|error| (daemon, lost(&error)))?;
        if status < 400 {
            return Ok((location, text));
        }
        // A page has no code: it says so in words.
        let error = if status == 503 { "temporarily_unavailable" } else { "a page" };
        Err((daemon, Outcome::Refused { status, error: error.to_owned(), retry_after }))
    }
}

async fn register(http: &reqwest::Client, daemon: &str) -> String {
    let metadata = json!({
        "redirect_uris": [REDIRECT_URI],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    });
    let request = http.post(format!("{daemon}/register"));
    let request = request.header(header::CONTENT_TYPE, "application/json").body(metadata.to_string());
    let text = request.send().await.unwrap().text().await.unwrap();
    let registered: Value = serde_json::from_str(&text).unwrap();
    registered["client_id"].as_str().expect("a client").to_owned()
}

async fn answer(request: RequestBuilder, success: impl FnOnce(&Value) -> Outcome) -> Outcome {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return lost(&error),
    };
    let (status, retry_after) = (response.status().as_u16(), header_of(&response, header::RETRY_AFTER));
    let body: Value = match response.text().await {
        Ok(text) => serde_json::from_str(&text).unwrap_or_default(),
        Err(error) => return lost(&error),
    };
    if status == 200 {
        return success(&body);
    }
    let error = body["error"].as_str().unwrap_or_default().to_owned();
    Outcome::Refused { status, error, retry_after }
}

fn refused(status: u16, error: &str) -> Outcome {
    Outcome::Refused { status, error: error.to_owned(), retry_after: None }
}

fn lost(error: &reqwest::Error) -> Outcome {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    Outcome::Lost { reason: format!("{error}: {source}") }
}

fn header_of(response: &Response, name: header::HeaderName) -> Option<String> {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn form(request: RequestBuilder, pairs: &[(&str, &str)]) -> RequestBuilder {
    request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(encoded(pairs))
}

#[expect(clippy::disallowed_methods, reason = "the other end of the wire")]
fn http() -> reqwest::Client {
    let none = reqwest::redirect::Policy::none();
    reqwest::Client::builder().redirect(none).timeout(PATIENCE).build().unwrap()
}
