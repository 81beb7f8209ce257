//! What the log and the database say, and what they must never say.

mod audit;
pub(crate) mod canaries;
mod daemon;
mod lifecycle;
mod reference;

use std::{
    io::Write,
    path::Path,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use pangea_mcp_auth::{
    config::{Log, LogFormat},
    telemetry,
};
use serde_json::{Value, json};
use tracing::{Dispatch, subscriber::DefaultGuard};
use tracing_subscriber::fmt::MakeWriter;

use self::canaries::{Canaries, STATE, everything};
pub(crate) use self::daemon::Daemon;
use crate::{
    stage::{AccessTokenForm, Fault, IdToken},
    support::{Browser, Client, Options, Page, RS_SECRET, Server, Tokens, query},
};

/// Everything that was logged on this thread, at every level.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).expect("the log is UTF-8")
    }

    fn events(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Captured {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// With a single subscriber, `tracing` asks the thread that reaches a line first whether it is wanted, and
/// keeps the answer for all threads. A second one makes it ask subscribers, not threads.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));

/// Captures the log of this thread, which also runs the test's server. The format is the daemon's.
fn capture(as_json: bool) -> (Captured, DefaultGuard) {
    capture_at("trace", as_json)
}

/// The same at a level.
fn capture_at(level: &str, as_json: bool) -> (Captured, DefaultGuard) {
    LazyLock::force(&SECOND);
    let captured = Captured::default();
    let format = if as_json { LogFormat::Json } else { LogFormat::Text };
    let log = Log { format, level: level.to_owned() };
    let guard = tracing::subscriber::set_default(telemetry::subscriber(&log, captured.clone()));
    (captured, guard)
}

/// The bytes of a database, its journal included.
pub(crate) fn stored_bytes(folder: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|file| file.to_string_lossy().contains(".sqlite"))
        .flat_map(|file| std::fs::read(file).unwrap())
        .collect()
}

/// Whether bytes hold others.
pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Shows: LOG-1.
#[tokio::test]
async fn no_secret_is_logged_at_any_level() {
    for as_json in [false, true] {
        let (captured, _guard) = capture(as_json);
        let server = Server::start().await;
        let mut canaries = everything(&server.url, &server.resource, ("rs-1", RS_SECRET)).await;
        canaries.add("pangea secret", "pck_test");
        canaries.add("sealing key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
        let text = captured.text();
        assert!(
            text.contains("refresh_retry") && text.contains("client_id"),
            "the log has something: {text}"
        );
        canaries.assert_absent(text.as_bytes(), "the log");
    }
}

/// Shows: LOG-1.
#[tokio::test]
async fn no_secret_is_logged_when_the_upstream_fails() {
    let (captured, _guard) = capture(false);
    let server = Server::start().await;
    let client = Client::confidential(&server).await;
    let mut canaries = Canaries::default();
    canaries.add("client secret", client.secret.as_ref().unwrap());
    let switches = server.upstream.switches();
    for fault in faults() {
        switches.token.set(|token| token.fault = fault);
        login_recording(&server, &client, &mut canaries).await;
        switches.reset();
    }
    for id_token in [IdToken::WrongNonce, IdToken::WrongAudience, IdToken::BadSignature, IdToken::Expired] {
        switches.token.set(|token| token.id_token = id_token);
        login_recording(&server, &client, &mut canaries).await;
        switches.reset();
    }
    switches.token.set(|token| token.access_token = AccessTokenForm::Jwt);
    let tokens = client.login(&server).await;
    canaries.add("access token", &tokens.access);
    canaries.add("refresh token", &tokens.refresh);
    for fault in faults() {
        server.advance(Duration::from_secs(61));
        switches.token.set(|token| token.fault = fault);
        if client.refresh(&server, &tokens.refresh).await.status() != 200 {
            break;
        }
    }
    let text = captured.text();
    assert!(text.contains("upstream"), "{text}");
    canaries.assert_absent(text.as_bytes(), "the log");
}

fn faults() -> Vec<Fault> {
    vec![
        Fault::Status(500),
        Fault::Status(503),
        Fault::Error { status: 400, error: "canary-of-the-upstream".to_owned() },
        Fault::Error { status: 401, error: "invalid_client".to_owned() },
        Fault::NotJson,
        Fault::Huge,
        Fault::Redirect,
        Fault::Drop,
    ]
}

/// A login up to its answer, good or bad.
async fn login_recording(server: &Server, client: &Client, canaries: &mut Canaries) -> Page {
    let mut browser = Browser::new();
    let mut page = browser.get(&client.authorize_url(server, &[("state", STATE)])).await;
    canaries.of_page(&page);
    page = browser.decide(&page, "approve").await;
    canaries.of_page(&page);
    while let Some(location) = page.location().filter(|location| !location.starts_with(&client.redirect_uri))
    {
        page = browser.get(&location).await;
        canaries.of_page(&page);
    }
    page
}

/// Promise 6: at rest, codes, tokens and client secrets are hashes, and upstream tokens and keys are sealed.
/// Shows: CAUTH-9, LOG-1.
#[tokio::test]
async fn no_secret_is_on_disk_in_clear() {
    for form in [AccessTokenForm::Opaque, AccessTokenForm::Jwt] {
        let server = Server::start().await;
        server.upstream.switches().token.set(|token| token.access_token = form);
        let canaries = everything(&server.url, &server.resource, ("rs-1", RS_SECRET)).await;
        let stored = stored_bytes(server.folder.path());
        assert!(contains(&stored, b"ada@example.com"), "the grant is there");
        canaries.assert_absent(&stored, "the database");
        for private in ["\"d\":", "PRIVATE"] {
            assert!(!contains(&stored, private.as_bytes()), "a private key is stored in clear");
        }
    }
}

/// Shows: LOG-1.
#[tokio::test]
async fn the_daemon_at_its_most_talkative_logs_no_secret() {
    let daemon = Daemon::start(&["-vv"]);
    let resource = "http://localhost:9000/mcp";
    let canaries = everything(&daemon.url, resource, ("dev", &daemon.secret)).await;
    let (log, stored) = daemon.stop();
    assert!(log.contains("refresh_retry") && log.contains("revocation"), "{log}");
    canaries.assert_absent(log.as_bytes(), "the log");
    assert!(contains(&stored, b"ada@example.com"), "the grant is there");
    canaries.assert_absent(&stored, "the database");
}

/// Shows: LOG-2.
#[tokio::test]
async fn what_strangers_write_stays_on_its_line() {
    const EVIL: &str =
        "x\r\n2026-01-01T00:00:00Z  INFO audit: injected event\u{1b}[2J\u{9b}31m\u{85}\u{2028}\u{0}";
    let (captured, _guard) = capture(false);
    let server = Server::start().await;
    let client =
        Client::registered(&server, json!({ "client_name": EVIL, "software_id": EVIL, "scope": "user" }))
            .await;
    let encoded: String = form_urlencoded::byte_serialize(EVIL.as_bytes()).collect();
    for path in ["/authorize", "/pangea/callback", "/token", "/nowhere", "/.well-known/nowhere"] {
        server
            .get(&format!("{path}?client_id={encoded}&state={encoded}&error={encoded}&{encoded}={encoded}"))
            .await;
    }
    for change in [
        &[("resource", EVIL), ("scope", EVIL), ("response_type", EVIL)][..],
        &[("resource", EVIL)],
        &[("redirect_uri", EVIL)],
    ] {
        Browser::new().get(&client.authorize_url(&server, change)).await;
    }
    for path in ["/token", "/revoke", "/introspect"] {
        let pairs = [
            ("grant_type", EVIL),
            ("token", EVIL),
            ("refresh_token", EVIL),
            ("client_id", EVIL),
            ("client_secret", EVIL),
        ];
        server.form(path, &pairs).send().await.unwrap();
        server.form(path, &pairs[..3]).basic_auth(EVIL, Some(EVIL)).send().await.unwrap();
    }
    let mut browser = Browser::new();
    let page = browser.get(&client.authorize_url(&server, &[("state", EVIL)])).await;
    let page = browser.decide(&page, "approve").await;
    let upstream = query(&page.location().unwrap());
    let back = format!(
        "{}/pangea/callback?state={}&error={encoded}&error_description={encoded}",
        server.url, upstream["state"]
    );
    browser.get(&back).await;
    server
        .upstream
        .switches()
        .token
        .set(|token| token.fault = Fault::Error { status: 400, error: EVIL.to_owned() });
    let mut canaries = Canaries::default();
    login_recording(&server, &client, &mut canaries).await;
    let text = captured.text();
    assert!(text.contains("injected event"), "what strangers wrote is in the log: {text}");
    for line in text.lines() {
        assert!(
            line.starts_with("20") && !line.starts_with("2026-01-01T00:00:00Z"),
            "a line was forged: {line:?}"
        );
        let hidden = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        assert!(!line.chars().any(hidden), "{line:?}");
    }
}

/// Shows: LOG-3.
#[tokio::test]
async fn each_step_of_a_grants_life_is_an_event_under_the_grants_name() {
    let (captured, _guard) = capture(true);
    let options = Options { sections: "[access]\nemails = [\"ada@example.com\"]", ..Options::default() };
    let server = Server::with(options).await;
    let client = Client::confidential(&server).await;
    let tokens = client.login(&server).await;
    let second = Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
    Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
    let revoke =
        server.form("/revoke", &[("token", &second.access)]).basic_auth(&client.id, client.secret.as_ref());
    revoke.send().await.unwrap();
    Tokens::of(client.refresh(&server, &second.refresh).await).await;
    server.advance(Duration::from_secs(121));
    assert_eq!(client.refresh(&server, &tokens.refresh).await.status(), 400);
    server
        .form("/token", &[("grant_type", "refresh_token")])
        .basic_auth(&client.id, Some("wrong"))
        .send()
        .await
        .unwrap();
    let mut browser = Browser::new();
    let page = browser.get(&client.authorize_url(&server, &[])).await;
    browser.decide(&page, "deny").await;
    server
        .upstream
        .switches()
        .authorize
        .set(|authorize| authorize.sign_in_as = Some("eve@example.com".to_owned()));
    client.authorize(&server, &mut Browser::new(), &[]).await;

    let events: Vec<Value> =
        captured.events().into_iter().filter(|event| event["target"] == "audit").collect();
    let name = |event: &Value| event["event"].as_str().unwrap().to_owned();
    let jti = crate::support::claims(&tokens.access)["jti"].as_str().unwrap().to_owned();
    let grant = jti.split('.').next().unwrap();
    let life: Vec<String> = events.iter().filter(|event| event["grant"] == grant).map(name).collect();
    assert_eq!(
        life,
        [
            "consent",
            "code",
            "tokens",
            "refresh",
            "refresh_retry",
            "revocation",
            "refresh",
            "refresh_reuse",
            "revocation",
            "refusal"
        ]
    );
    let all: Vec<String> = events.iter().map(name).collect();
    for kind in ["registration", "failed_authentication", "policy_denial"] {
        assert!(all.iter().any(|event| event == kind), "{kind} is not in {all:?}");
    }
    let of = |kind: &str| events.iter().find(|event| event["event"] == kind).unwrap();
    assert_eq!(of("tokens")["jti"], jti);
    assert_eq!(of("tokens")["client_id"], client.id);
    assert_eq!(of("consent")["decision"], "approve");
    assert_eq!(of("consent")["redirect_host"], "127.0.0.1:4711");
    assert!(events.iter().any(|event| event["event"] == "consent" && event["decision"] == "deny"));
    let of_token = crate::support::claims(&second.access)["jti"].clone();
    assert!(events.iter().any(|event| event["event"] == "revocation" && event["jti"] == of_token));
}

/// Shows: LOG-3.
#[tokio::test]
async fn a_refresh_token_that_comes_back_late_is_a_warning_with_its_address() {
    let (captured, _guard) = capture(true);
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let first = client.login(&server).await;
    let lost = Tokens::of(client.refresh(&server, &first.refresh).await).await;
    server.advance(Duration::from_mins(2));
    Tokens::of(client.refresh(&server, &first.refresh).await).await;
    assert_eq!(client.refresh(&server, &lost.refresh).await.status(), 400);
    let events = captured.events();
    for (kind, generation) in [("refresh_late_retry", 0), ("refresh_reuse", 1)] {
        let told: Vec<&Value> = events.iter().filter(|event| event["event"] == kind).collect();
        assert_eq!(told.len(), 1, "{kind}: {told:?}");
        assert_eq!((&told[0]["target"], &told[0]["level"]), (&json!("audit"), &json!("WARN")));
        assert_eq!(told[0]["address"], "127.0.0.1");
        assert_eq!((&told[0]["client_id"], &told[0]["generation"]), (&json!(client.id), &json!(generation)));
    }
}

/// Shows: LOG-3.
#[tokio::test]
async fn the_reference_of_an_error_is_in_the_log() {
    let (captured, _guard) = capture(true);
    let server = Server::start().await;
    let json = server.form("/token", &[("grant_type", "x")]).send().await.unwrap();
    let of_json = json.headers()["x-request-id"].to_str().unwrap().to_owned();
    let page = Browser::new().get(&format!("{}/authorize", server.url)).await;
    let form =
        server.form("/consent", &[("decision", "perhaps")]).send().await.unwrap().text().await.unwrap();
    let events = captured.events();
    let logged: Vec<_> = events
        .iter()
        .filter(|event| event["code"].is_string())
        .filter_map(|event| Some((event["endpoint"].as_str()?, event["reference"].as_str()?)))
        .collect();
    assert_eq!(
        logged.iter().map(|(endpoint, _)| *endpoint).collect::<Vec<_>>(),
        ["token", "authorize", "consent"]
    );
    assert_eq!(logged[0].1, of_json);
    assert!(page.html.contains(logged[1].1), "{}", page.html);
    assert!(form.contains(logged[2].1), "{form}");
}

/// Shows: LOG-4.
#[tokio::test]
async fn a_failure_upstream_is_told_without_what_the_upstream_said() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let mut browser = Browser::new();
    let page = browser.get(&client.authorize_url(&server, &[])).await;
    let upstream = browser.decide(&page, "approve").await.location().unwrap();
    let upstream = url::Url::parse(&upstream).unwrap();
    let secrets = [
        "canary",
        &format!(":{}", upstream.port().unwrap()),
        "stand-in",
        "panicked",
        ".rs:",
        "reqwest",
        "hyper",
    ];
    let mut told = std::collections::BTreeSet::new();
    for fault in faults() {
        let shown = format!("{fault:?}");
        server.upstream.switches().token.set(|token| token.fault = fault);
        let answer = login_recording(&server, &client, &mut Canaries::default()).await;
        let answer = answer.location().unwrap_or_else(|| panic!("{shown} ended on a page: {}", answer.html));
        let pairs = query(&answer);
        for secret in secrets {
            assert!(!pairs["error_description"].contains(secret), "{shown}: {pairs:?}");
        }
        assert!(
            ["server_error", "temporarily_unavailable", "access_denied"].contains(&&*pairs["error"]),
            "{pairs:?}"
        );
        let (sentence, _) = pairs["error_description"].split_once(" (reference ").unwrap();
        told.insert(sentence.to_owned());
        server.upstream.switches().reset();
    }
    assert_eq!(told.len(), 1, "one sentence for all: {told:?}");
}

/// Shows: LOG-4.
#[tokio::test]
async fn a_broken_database_is_told_without_its_inside() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let url = client.authorize_url(&server, &[]);
    let connection = rusqlite::Connection::open(server.folder.path().join("test.sqlite")).unwrap();
    connection.execute_batch("ALTER TABLE record RENAME TO elsewhere").unwrap();
    let page = Browser::new().get(&url).await;
    let token = client.refresh(&server, "x").await;
    let ready = server.get("/readyz").await;
    let register =
        server.json("/register", &json!({ "redirect_uris": ["http://localhost/"] })).send().await.unwrap();
    let statuses = [page.status, token.status(), ready.status(), register.status()];
    assert_eq!(statuses.map(|status| status.as_u16()), [503, 503, 503, 503]);
    let mut texts = vec![page.html];
    for response in [token, ready, register] {
        texts.push(response.text().await.unwrap());
    }
    for text in texts {
        for inner in
            ["sqlite", "SQLite", "no such table", "elsewhere", ".rs:", server.folder.path().to_str().unwrap()]
        {
            assert!(!text.contains(inner), "{inner} is in {text}");
        }
    }
}

/// Guessing addresses discloses nothing before the upstream has vouched for a person. A disabled person learns
/// no more than one who may not sign in here.
/// Shows: LOG-4.
#[tokio::test]
async fn nobody_learns_who_has_an_account() {
    let options = Options { sections: "[access]\nemails = [\"ada@example.com\"]", ..Options::default() };
    let server = Server::with(options).await;
    let client = Client::public(&server).await;
    let mut pages = std::collections::BTreeSet::new();
    for hint in ["ada@example.com", "unknown@example.com"] {
        let page = Browser::new().get(&client.authorize_url(&server, &[("login_hint", hint)])).await;
        let transaction = page.transaction();
        pages.insert(page.html.replace(&transaction, "").replace(hint, ""));
    }
    assert_eq!(pages.len(), 1, "the page is the same for everybody");
    let mut answers = std::collections::BTreeSet::new();
    for person in ["eve@example.com", "mallory@example.com"] {
        server.upstream.switches().authorize.set(|authorize| authorize.sign_in_as = Some(person.to_owned()));
        let answer = client.authorize(&server, &mut Browser::new(), &[]).await.location().unwrap();
        assert!(!answer.contains(person) && !answer.contains("example.com"), "{answer}");
        let mut told = query(&answer);
        let (sentence, _) = told["error_description"].split_once(" (reference ").unwrap();
        let sentence = sentence.to_owned();
        told.insert("error_description".to_owned(), sentence);
        answers.insert(told);
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
}
