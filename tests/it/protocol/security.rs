//! What an attacker tries who has read the source: each test is one attempt.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::sleep};

use crate::support::{Browser, Client, Options, RS_SECRET, Server, Tokens, body, claims};

/// A client that hangs up as soon as the upstream is asked leaves no check half done: else it could
/// go on refreshing for a person whom the upstream has disabled.
#[tokio::test]
async fn a_client_that_hangs_up_does_not_escape_the_check_of_its_session() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let tokens = client.login(&server).await;
    server.advance(Duration::from_secs(61));
    server.upstream.disable("ada@example.com");
    server.upstream.switches().introspection.set(|introspection| introspection.delay_ms = 300);
    let asked = || server.upstream.requests().of("/v2/oauth/token/introspect");
    let before = asked();
    let form = format!("grant_type=refresh_token&client_id={}&refresh_token={}", client.id, tokens.refresh);
    let mut connection = TcpStream::connect(server.origin.trim_start_matches("http://")).await.unwrap();
    let request = format!(
        "POST /token HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    while asked() == before {
        sleep(Duration::from_millis(5)).await;
    }
    drop(connection);
    for _ in 0..400 {
        if server.introspect(&tokens.access).await["active"] == false {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("the grant of a disabled person lives on");
}

/// A client that fails on purpose behind a local proxy locks out no other client of that proxy.
#[tokio::test]
async fn wrong_secrets_behind_an_unknown_local_proxy_lock_nobody_out() {
    let sections = "[limits.failed_authentications]\nper_minute = 1\nburst = 3";
    let server = Server::with(Options { sections, ..Options::default() }).await;
    for status in [401, 401, 401, 429, 429] {
        let guess = server.form("/introspect", &[("token", "x")]).basic_auth("rs-1", Some("wrong"));
        assert_eq!(guess.send().await.unwrap().status(), status);
    }
    let right = server.form("/introspect", &[("token", "x")]).basic_auth("rs-1", Some(RS_SECRET));
    assert_eq!(right.send().await.unwrap().status(), 200);
}

/// Wrong secrets from everywhere, for every client: the right one is still served from anywhere.
#[tokio::test]
async fn wrong_secrets_refuse_no_right_one_wherever_they_come_from() {
    let top = "trusted_proxies = [\"127.0.0.1/32\"]";
    let sections = "[limits.failed_authentications]\nper_minute = 1\nburst = 1";
    let server = Server::with(Options { top, sections, ..Options::default() }).await;
    let client = Client::confidential(&server).await;
    let ask = async |from: &str, id: &str, secret: &str| {
        let request = server.form("/introspect", &[("token", "x")]).basic_auth(id, Some(secret));
        request.header("x-forwarded-for", from).send().await.unwrap().status().as_u16()
    };
    for network in 0..300 {
        ask(&format!("2001:db8:0:{network:x}::1"), "rs-1", "wrong").await;
        ask("203.0.113.9", &format!("stranger-{network}"), "wrong").await;
    }
    for network in 0..300 {
        assert_eq!(ask(&format!("2001:db8:0:{network:x}::2"), "rs-1", RS_SECRET).await, 200);
    }
    assert_eq!(ask("203.0.113.9", "rs-1", RS_SECRET).await, 200);
    assert_eq!(ask("203.0.113.9", "rs-1", "wrong").await, 401, "others' failures are not its own");
    assert_eq!(ask("203.0.113.9", "rs-1", "wrong").await, 429);
    for path in ["/token", "/revoke"] {
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("token", "x")];
        for (secret, limited) in
            [("wrong", false), ("wrong", true), (client.secret.as_deref().unwrap(), false)]
        {
            let request = server.form(path, &pairs).basic_auth(&client.id, Some(secret));
            let from = if path == "/token" { "198.51.100.1" } else { "198.51.100.2" };
            let status = request.header("x-forwarded-for", from).send().await.unwrap().status();
            assert_eq!(status == 429, limited, "{path}");
        }
    }
}

/// A client with an IPv6 network has 2^64 addresses, and one count of wrong secrets.
#[tokio::test]
async fn addresses_of_one_ipv6_network_share_their_wrong_guesses() {
    let top = "trusted_proxies = [\"127.0.0.1/32\"]";
    let sections = "[limits.failed_authentications]\nper_minute = 1\nburst = 3";
    let server = Server::with(Options { top, sections, ..Options::default() }).await;
    let mut statuses = Vec::new();
    for host in 1..=5 {
        let guess = server.form("/introspect", &[("token", "x")]).basic_auth("rs-1", Some("wrong"));
        let guess = guess.header("x-forwarded-for", format!("2001:db8::{host}")).send().await.unwrap();
        statuses.push(guess.status().as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 429, 429]);
}

/// A name of 30 kilobytes is no entry for the log.
#[tokio::test]
async fn what_strangers_call_themselves_does_not_fill_the_log() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).finish();
    let server = Server::start().await;
    let logging = tracing::subscriber::set_default(subscriber);
    let long = "n".repeat(30_000);
    for id in [&*long, "stranger"] {
        let request = server.form("/token", &[("grant_type", "authorization_code")]);
        assert_eq!(request.basic_auth(id, Some("wrong")).send().await.unwrap().status(), 401);
    }
    drop(logging);
    let log = log.text();
    assert!(log.contains("failed_authentication") && log.contains("stranger"), "{log}");
    assert!(log.len() < 2_000, "{} bytes", log.len());
}

/// The operator takes a user off the list, and a refresh token does not outlive that.
#[tokio::test]
async fn whoever_is_no_longer_admitted_loses_access_at_the_next_refresh() {
    const RESOURCE: &str = "https://mcp.example/mcp";
    let resources = Some("[[resources]]\nurl = \"https://mcp.example/mcp\"\nscopes = [\"user\"]");
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let with = |sections| {
        Server::with(Options { resources, sections, folder: Some(Arc::clone(&folder)), ..Options::default() })
    };
    for (at_first, unchanged, stricter) in [
        (
            "emails = [\"ada@example.com\"]",
            "emails = [\"ADA@example.com\"]",
            "emails = [\"bob@example.com\"]",
        ),
        ("groups = [\"staff\", \"guests\"]", "groups = [\"guests\", \"staff\"]", "groups = [\"guests\"]"),
        ("everybody = true", "domains = [\"example.com\"]", "domains = [\"example.org\"]"),
    ]
    .map(|(first, second, third)| (section(first), section(second), section(third)))
    {
        let server = with(at_first).await;
        server.upstream.set_groups("ada@example.com", &["staff", "choir"]);
        let client = Client::public(&server).await;
        let code = client.code_with(&server, &[("resource", RESOURCE)]).await;
        let tokens = Tokens::of(client.redeem(&server, &code).await).await;
        let tokens = Tokens::of(client.refresh(&with(unchanged).await, &tokens.refresh).await).await;
        for (server, why) in [(with(stricter).await, stricter), (server, "it has ended for good")] {
            let refused = client.refresh(&server, &tokens.refresh).await;
            assert_eq!(
                (refused.status().as_u16(), error(refused).await),
                (400, "invalid_grant".into()),
                "{why}"
            );
        }
    }
}

/// Grant IDs are in tokens and logs. Knowing one must disclose nothing and allow nothing.
#[tokio::test]
async fn a_made_up_code_tells_nothing_of_the_grant_that_it_names() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let attacker = Client::public(&server).await;
    let tokens = client.login(&server).await;
    let grant = claims(&tokens.access)["jti"].as_str().unwrap().split('.').next().unwrap().to_owned();
    let try_code = async |grant: &str| {
        let code = format!("mcp_ac_{grant}{}", "A".repeat(43));
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("code_verifier", crate::support::VERIFIER),
            ("resource", "https://elsewhere.example/mcp"),
        ];
        body(attacker.token_request(&server, &pairs).await).await
    };
    let of_nobody = try_code(&"0".repeat(32)).await;
    assert_eq!(try_code(&grant).await, of_nobody);
    assert_eq!(server.introspect(&tokens.access).await["active"], true);
    let pairs = [("token", &*tokens.refresh), ("client_id", &*client.id)];
    assert_eq!(server.form("/revoke", &pairs).send().await.unwrap().status(), 200);
    assert_eq!(try_code(&grant).await, of_nobody, "nor that it was revoked");
}

/// A request that does not fit into the browser's cookies is refused at once, not after consent. No site can fill
/// a browser with cookies that no server accepts.
#[tokio::test]
async fn a_request_that_no_browser_can_hold_is_refused_before_consent() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    for (length, status) in [(7_000, 200), (50_000, 400)] {
        let state = "s".repeat(length);
        let url = client.authorize_url(&server, &[("state", &state)]);
        let (endpoint, query) = url.split_once('?').unwrap();
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let page = Browser::new().post(endpoint, &pairs).await;
        assert_eq!(page.status, status, "{length}");
    }
    let state = "s".repeat(7_000);
    let answer = client.authorize(&server, &mut Browser::new(), &[("state", &state)]).await;
    assert!(answer.location().is_some_and(|location| location.contains(&state)));
}

fn section(lines: &str) -> &'static str {
    Box::leak(format!("[access]\n{lines}").into_boxed_str())
}

async fn error(response: reqwest::Response) -> Value {
    body(response).await["error"].clone()
}

/// A log that is read again.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
