//! The real binary: how it starts, refuses to start, stops, and starts again.

pub(crate) mod visitor;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{extract::Request, middleware::Next};
use pangea_mcp_auth::{
    clock::SystemClock,
    config, daemon,
    dev::{StandIn, StandInConfig},
    secret::SystemRandom,
};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use self::visitor::{Visitor, introspect};
use crate::support::{
    http,
    postgres::as_postgres,
    process::{Daemon, Home, Outcome, PANGEA, RS_SECRET, free_port},
};

const DEV: [&str; 6] = ["serve", "--dev", "--listen", "127.0.0.1:0", "--dev-listen", "127.0.0.1:0"];

/// A stand-in for Pangea in this process, which may hold token requests back.
pub(crate) struct Upstream {
    pub(crate) url: String,
    /// Notified when a token request has arrived. It is answered once `release` is notified.
    arrived: Arc<Notify>,
    release: Arc<Notify>,
    stop: CancellationToken,
}

impl Upstream {
    pub(crate) async fn start(public_url: &str) -> Self {
        Self::begin(public_url, false).await
    }

    async fn holding_back(public_url: &str) -> Self {
        Self::begin(public_url, true).await
    }

    async fn begin(public_url: &str, holds: bool) -> Self {
        let listener = daemon::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stand_in = StandInConfig {
            issuer: url.clone(),
            client_id: PANGEA.0.to_owned(),
            client_secret: PANGEA.1.to_owned(),
            redirect_uris: vec![format!("{public_url}/pangea/callback")],
            scopes: vec!["user".to_owned()],
            default_scopes: vec!["user".to_owned()],
            sign_in_as: Some("ada@example.com".to_owned()),
            state_file: None,
        };
        let stand_in = StandIn::new(stand_in, Arc::new(SystemClock), Arc::new(SystemRandom)).unwrap();
        let (arrived, release, stop) =
            (Arc::new(Notify::new()), Arc::new(Notify::new()), CancellationToken::new());
        let mut router = stand_in.router();
        if holds {
            let gate = (Arc::clone(&arrived), Arc::clone(&release));
            router = router.layer(axum::middleware::from_fn(move |request: Request, next: Next| {
                let (arrived, release) = gate.clone();
                async move {
                    if request.uri().path().ends_with("/oauth/token") {
                        arrived.notify_one();
                        release.notified().await;
                    }
                    next.run(request).await
                }
            }));
        }
        tokio::spawn(daemon::serve(vec![listener], router, stop.clone()));
        Self { url, arrived, release, stop }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn public_url() -> String {
    format!("http://127.0.0.1:{}", free_port())
}

/// A home with a correct configuration, although no upstream listens.
fn home() -> Home {
    Home::with_configuration(&public_url(), "http://127.0.0.1:9")
}

async fn get(url: &str) -> (u16, String) {
    let response = http().get(url).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

fn refused(home: &Home, arguments: &[&str], code: i32, sentences: &[&str]) {
    let Outcome { code: actual, out, err } = home.run(arguments);
    assert_eq!(actual, Some(code), "{arguments:?}: {err}");
    assert_eq!(out, "", "standard output is for data");
    for sentence in sentences {
        assert!(err.contains(sentence), "{arguments:?}: {sentence:?} is not in\n{err}");
    }
}

#[tokio::test]
async fn development_needs_no_configuration_and_prints_what_to_paste() {
    let home = Home::new();
    let mut daemon = Daemon::start(home.command(&DEV).args(["--dev-sign-in-as", "ada@example.com"]));
    let word = |line: &str| line.split_whitespace().last().unwrap().to_owned();
    let issuer = word(&daemon.out.wait_for("authorization server"));
    let stand_in = word(&daemon.out.wait_for("stand-in for Pangea"));
    daemon.out.wait_for("auth = RemoteAuthProvider(");
    let verifier = daemon.out.wait_for("jwks_uri=");
    assert!(verifier.contains(&format!("jwks_uri=\"{issuer}/jwks.json\", issuer=\"{issuer}\"")));
    let resource = daemon.out.wait_for("audience=").split('"').nth(1).unwrap().to_owned();
    let credential = daemon.out.wait_for("client_id=");
    let secret = credential.split("client_secret=").nth(1).unwrap();
    assert!(issuer.starts_with("http://localhost:") && stand_in.starts_with("http://localhost:"));

    let (status, metadata) = get(&format!("{issuer}/.well-known/oauth-authorization-server")).await;
    assert_eq!(status, 200, "{metadata}");
    assert!(metadata.contains(&format!("\"issuer\":\"{issuer}\"")), "{metadata}");
    assert_eq!(get(&format!("{stand_in}/.well-known/oauth-authorization-server")).await.0, 200);

    let visitor = Visitor::register(&issuer, &resource).await;
    let tokens = visitor.login().await;
    let seen = introspect(&issuer, ("dev", secret), &tokens.access).await;
    assert_eq!((&seen["active"], &seen["aud"]), (&true.into(), &resource.into()), "{seen}");
    assert_eq!(seen["username"], "ada@example.com");
}

#[test]
fn development_is_ready_within_a_second() {
    // A machine that is busy with other tests gets a second and a third chance.
    let quick = (0..3).any(|_| {
        let (home, started) = (Home::new(), Instant::now());
        let mut daemon = Daemon::start(&mut home.command(&DEV));
        let line = daemon.out.wait_for("authorization server");
        let address = line.rsplit("localhost:").next().unwrap().trim().to_owned();
        TcpStream::connect((Ipv4Addr::LOCALHOST, address.parse().unwrap())).unwrap();
        started.elapsed() < Duration::from_secs(1)
    });
    assert!(quick);
}

#[tokio::test]
async fn development_listens_on_both_loopback_families_and_nowhere_else() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return; // This machine has one family only.
    }
    for own in ["127.0.0.1", "[::1]"] {
        let (home, port) = (Home::new(), free_port());
        let listen = format!("{own}:{port}");
        let arguments = ["serve", "--dev", "--listen", &listen, "--dev-listen", "127.0.0.1:0"];
        let mut daemon = Daemon::start(&mut home.command(&arguments));
        daemon.out.wait_for("Stop with Ctrl-C.");
        for host in ["127.0.0.1", "[::1]", "localhost"] {
            assert_eq!(get(&format!("http://{host}:{port}/readyz")).await.0, 200, "{own} {host}");
        }
        let outside = SocketAddr::new(IpAddr::from([127, 0, 0, 2]), port);
        assert!(TcpStream::connect(outside).is_err(), "{outside} answers");
    }
}

#[test]
fn development_refuses_addresses_that_others_can_reach() {
    let home = Home::new();
    for address in ["0.0.0.0:0", "192.0.2.1:8000", "[::]:0"] {
        let listen = ["serve", "--dev", "--dev-listen", "127.0.0.1:0", "--listen", address];
        refused(&home, &listen, 78, &["--listen", "loopback"]);
        refused(&home, &["serve", "--dev", "--dev-listen", address], 2, &["--dev-listen", "not a loopback"]);
    }
    refused(&home, &["serve", "--dev-listen", "127.0.0.1:0"], 2, &["--dev"]);
}

#[test]
fn development_is_for_browsers_of_this_machine() {
    let home = Home::new();
    let mut command = home.command(&DEV);
    command.env("PANGEA_MCP_AUTH_PUBLIC_URL", "https://code.tunnel.example");
    let Outcome { code, out, err } = Daemon::start(&mut command).wait();
    assert_eq!((code, out.as_str()), (Some(78), ""), "{err}");
    assert!(err.contains("public_url") && err.contains("--dev") && err.contains("init"), "{err}");
}

/// Shows: META-7, TLS-1.
#[test]
fn all_that_is_wrong_with_a_configuration_is_said_at_once_with_its_line() {
    let home = home();
    let port = free_port();
    home.write(
        "config.toml",
        &format!(
            r#"public_url = "http://mcp.example.org"
listen = "127.0.0.1:{port}"
[authn]
issuer_url = "https://pdn.example.org/?a=b"
client_id = "psa_test"
client_secret = "pck_in_clear"
[[resources]]
url = "https://mcp.example.org/mcp#part"
scops = ["user"]
[tokens]
access_lifetime = "ten minutes"
"#
        ),
    );
    let Outcome { code, out, err } = home.run(&["serve", "--config", "config.toml"]);
    assert_eq!((code, out.as_str()), (Some(78), ""), "{err}");
    for (place, key) in [
        ("config.toml:1:", "public_url"),
        ("config.toml:4:", "authn.issuer_url"),
        ("config.toml:6:", "authn.client_secret"),
        ("config.toml:8:", "resources.0.url"),
        ("config.toml:9:", "scopes"),
        ("config.toml:11:", "tokens.access_lifetime"),
        ("config.toml:", "keys.sealing"),
    ] {
        let told = err.lines().any(|line| line.contains(place) && line.contains(key));
        assert!(told, "{place} {key} is not in\n{err}");
    }
    assert!(!err.contains("pck_in_clear"), "a secret is repeated: {err}");
}

/// Shows: JWKS-3, TLS-1.
#[test]
fn a_daemon_does_not_start_on_what_will_be_gone_or_known_tomorrow() {
    type Change = (fn(&Home), i32, &'static [&'static str]);
    let serve = ["serve", "--config", "config.toml"];
    let changes: [Change; 8] = [
        (|home| home.reconfigure("sealing = { file = \"sealing-key\" }", ""), 78, &["keys.sealing"]),
        (
            |home| home.set_mode("sealing-key", 0o644),
            78,
            &["sealing-key can be read by others (mode 644)", "chmod 600"],
        ),
        (
            |home| home.set_mode("authn-client-secret", 0o660),
            78,
            &["authn-client-secret can be read by others"],
        ),
        (|home| home.write("sealing-key", "dG9vIHNob3J0"), 78, &["keys.sealing", "32 bytes"]),
        (
            |home| home.reconfigure("path = \"records.sqlite\"", "kind = \"memory\""),
            78,
            &["repository.kind", "--allow-volatile"],
        ),
        (|home| home.write("records.sqlite", &"no database".repeat(500)), 69, &["not a SQLite database"]),
        (
            |home| home.reconfigure("records.sqlite", "/proc/none/records.sqlite"),
            78,
            &["repository.path", "/proc/none"],
        ),
        (|home| std::fs::remove_file(home.path("config.toml")).unwrap(), 78, &["config.toml", "cannot read"]),
    ];
    for (change, code, sentences) in changes {
        let home = home();
        change(&home);
        refused(&home, &serve, code, sentences);
    }
    // The same home is fine without the change.
    assert_eq!(home().serve().stop().code, Some(0));
}

/// Shows: TLS-4.
#[tokio::test]
async fn https_is_for_good_where_the_public_url_has_it() {
    for (scheme, expected) in [("https", Some("max-age=31536000")), ("http", None)] {
        let (url, home) = (public_url(), Home::with_configuration("http://x", "http://127.0.0.1:9"));
        let host = &url["http://".len()..];
        home.reconfigure("http://x", &format!("{scheme}://{host}"));
        home.reconfigure("listen = \"x\"", &format!("listen = \"{host}\""));
        let _daemon = home.serve();
        for path in ["/jwks.json", "/authorize", "/token", "/nothing"] {
            let response = http().get(format!("{url}{path}")).send().await.unwrap();
            let header = response.headers().get("strict-transport-security");
            assert_eq!(header.map(|value| value.to_str().unwrap()), expected, "{scheme} {path}");
        }
    }
}

/// What is weak is said together with everything else, before anything is served.
#[test]
fn weak_settings_are_among_all_that_is_wrong() {
    let home = home();
    home.write("rs-1-secret", "x");
    home.write("sealing-key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    home.reconfigure("/mcp\"", "/x/../mcp\"");
    home.reconfigure("[repository]", "[access]\ndomains = []\n\n[repository]");
    home.set_mode("config.toml", 0o666);
    let Outcome { code, out, err } = home.run(&["serve", "--config", "config.toml"]);
    assert_eq!((code, out.as_str()), (Some(78), ""), "{err}");
    for key in [
        "resources.0.introspection.client_secret: ",
        "keys.sealing: ",
        "resources.0.url: ",
        "access.domains: ",
        "config.toml can be changed by every user (mode 666)",
    ] {
        assert_eq!(err.lines().filter(|line| line.contains(key)).count(), 1, "{key} in\n{err}");
    }
}

#[test]
fn at_start_it_says_who_may_sign_in_and_what_comes_from_the_environment() {
    let home = home();
    let said = home.serve().stop().err;
    assert!(said.lines().any(|line| line.contains("WARN") && line.contains("who may sign in")), "{said}");

    home.reconfigure("[repository]", "[access]\ndomains = [\"example.org\"]\n\n[repository]");
    home.write("rs-1-secret", "0123456789abcdef");
    let mut command = home.command(&["serve", "--config", "config.toml"]);
    command.env("PANGEA_AUTHN_CLIENT_ID", "psa_stale").env("PANGEA_AUTHN_CLIENT_SECRET", "pck_canary");
    let mut daemon = Daemon::start(&mut command);
    let said = daemon.err.wait_for("who may sign in");
    assert!(said.contains("INFO") && said.contains("example.org"), "{said}");
    let said = daemon.stop().err;
    for words in [
        &["PANGEA_AUTHN_CLIENT_ID", "authn.client_id", "config.toml:6", "overrides"][..],
        &["PANGEA_AUTHN_CLIENT_SECRET", "authn.client_secret", "overrides"],
        &["WARN", "resources.0.introspection.client_secret", "fewer than 32"],
    ] {
        let told = said.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(told, "{words:?} in\n{said}");
    }
    assert!(!said.contains("psa_stale") && !said.contains("pck_canary"), "{said}");
}

#[test]
fn a_volatile_repository_is_served_when_asked_for() {
    let home = home();
    home.reconfigure("path = \"records.sqlite\"", "kind = \"memory\"");
    let mut daemon = home.serve_with(&["--allow-volatile"]);
    daemon.err.said("the repository is in memory");
}

#[test]
fn a_taken_port_is_named() {
    for arguments in [&["serve", "--config", "config.toml"][..], &["serve", "--dev"]] {
        let home = home();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let mut all = arguments.to_vec();
        all.extend(["--listen", &address]);
        if arguments.contains(&"--dev") {
            all.extend(["--dev-listen", "127.0.0.1:0"]);
        }
        refused(&home, &all, 1, &[&format!("cannot listen on {address}"), "in use"]);
    }
}

/// Shows: JWKS-3.
#[test]
fn another_sealing_key_is_refused_on_an_existing_database() {
    let home = home();
    assert_eq!(home.serve().stop().code, Some(0));
    let key = home.read("sealing-key");
    home.write("sealing-key", &key.replace('A', "B"));
    refused(
        &home,
        &["serve", "--config", "config.toml"],
        78,
        &["keys.sealing does not contain its sealing key"],
    );
    home.write("sealing-key", &key);
    assert_eq!(home.serve().stop().code, Some(0), "refusing has changed nothing");
}

#[test]
fn the_printed_example_is_the_one_that_is_tested() {
    let Outcome { code, out, err } = Home::new().run(&["serve", "--example-config"]);
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), config::EXAMPLE, ""));
    let help = Home::new().run(&["serve", "--help"]);
    assert!(help.out.contains("--example-config"), "{}", help.out);
}

/// Shows: JWKS-3, CODE-6, CODE-7, REFRESH-2.
#[tokio::test]
async fn keys_codes_and_tokens_survive_a_restart_and_so_does_what_was_spent() {
    let url = public_url();
    let upstream = Upstream::start(&url).await;
    let home = Home::with_configuration(&url, &upstream.url);
    let introspected = |access: String| {
        let url = url.clone();
        async move { introspect(&url, ("rs-1", RS_SECRET), &access).await["active"] == true }
    };

    let daemon = home.serve();
    let visitor = Visitor::register(&url, &format!("{url}/mcp")).await;
    let keys = get(&format!("{url}/jwks.json")).await;
    let (spent, waiting) = (visitor.code().await, visitor.code().await);
    let yielded = visitor.redeem(&spent).await.unwrap();
    let kept = visitor.login().await;
    let revoked = visitor.login().await;
    assert_eq!(visitor.revoke(&revoked.access).await, 200);
    daemon.kill();

    let daemon = home.serve();
    assert_eq!(get(&format!("{url}/jwks.json")).await, keys);
    assert!(introspected(kept.access.clone()).await);
    assert!(!introspected(revoked.access.clone()).await, "a revocation was undone");
    let rotated = visitor.refresh(&kept.refresh).await.unwrap();
    let late = visitor.redeem(&waiting).await.unwrap();
    assert!(introspected(late.access).await);
    assert_eq!(visitor.redeem(&spent).await.unwrap_err(), (400, "invalid_grant".to_owned()));
    assert!(!introspected(yielded.access).await, "a replayed code leaves what it yielded");
    assert_eq!(daemon.stop().code, Some(0));

    let _daemon = home.serve();
    assert!(introspected(rotated.access).await);
    assert_eq!(visitor.redeem(&waiting).await.unwrap_err().0, 400);
    assert_eq!(visitor.refresh(&yielded.refresh).await.unwrap_err(), (400, "invalid_grant".to_owned()));
}

/// Shows: REVOKE-6.
#[tokio::test]
async fn a_daemon_whose_database_fails_is_not_ready_and_promises_nothing() {
    let url = public_url();
    let upstream = Upstream::start(&url).await;
    let home = Home::with_configuration(&url, &upstream.url);
    let _daemon = home.serve();
    let visitor = Visitor::register(&url, &format!("{url}/mcp")).await;
    let tokens = visitor.login().await;
    let ready = async || {
        // The daemon repeats an answer for up to a second.
        tokio::time::sleep(Duration::from_secs(1)).await;
        get(&format!("{url}/readyz")).await.0
    };
    assert_eq!(ready().await, 200);

    let elsewhere = rusqlite::Connection::open(home.path("records.sqlite")).unwrap();
    elsewhere.execute_batch("ALTER TABLE record RENAME TO gone").unwrap();
    assert_eq!(ready().await, 503);
    assert_eq!(get(&format!("{url}/healthz")).await.0, 200, "the process is alive all the same");
    assert_eq!(visitor.revoke(&tokens.refresh).await, 503, "a revocation is not promised");

    elsewhere.execute_batch("ALTER TABLE gone RENAME TO record").unwrap();
    assert_eq!(ready().await, 200);
    let seen = introspect(&url, ("rs-1", RS_SECRET), &tokens.access).await;
    assert_eq!(seen["active"], true);
    assert_eq!(visitor.revoke(&tokens.refresh).await, 200);
}

/// A daemon that waits for its upstream while a client waits for it.
async fn in_flight() -> (Upstream, Home, Daemon, Visitor, JoinHandle<Option<String>>) {
    let url = public_url();
    let upstream = Upstream::holding_back(&url).await;
    let home = Home::with_configuration(&url, &upstream.url);
    let daemon = home.serve();
    let visitor = Visitor::register(&url, &format!("{url}/mcp")).await;
    let person = visitor.clone();
    let login = tokio::spawn(async move { person.try_code().await.ok() });
    upstream.arrived.notified().await;
    (upstream, home, daemon, visitor, login)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_signal_lets_requests_in_flight_finish() {
    for signal in ["TERM", "INT"] {
        let (upstream, home, mut daemon, visitor, login) = in_flight().await;
        daemon.signal(signal);
        daemon.err.wait_for("stopping");
        while TcpStream::connect(visitor.address()).is_ok() {
            assert!(daemon.is_running());
        }
        assert!(!login.is_finished(), "answered before the upstream answered");
        upstream.release.notify_one();
        let code = login.await.unwrap().expect("the login is completed");
        assert_eq!(daemon.wait().code, Some(0));
        // What was answered holds.
        let _daemon = home.serve();
        visitor.redeem(&code).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_signal_stops_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "TERM")] {
        let (_upstream, _home, mut daemon, _, login) = in_flight().await;
        daemon.signal(first);
        daemon.err.wait_for("stopping");
        assert!(daemon.is_running());
        daemon.signal(second);
        assert_eq!(daemon.wait().code, Some(130));
        assert_eq!(login.await.unwrap(), None, "no client was left to answer");
    }
}

/// A page on the web whose name was made to point to this machine gets nothing of a daemon that lets
/// everyone sign in.
#[tokio::test]
async fn development_answers_loopback_names_only() {
    let home = Home::new();
    let mut daemon = Daemon::start(&mut home.command(&DEV));
    let line = daemon.out.wait_for("authorization server");
    let origin = line.split_whitespace().last().unwrap().replace("localhost", "127.0.0.1");
    let port = origin.rsplit(':').next().unwrap();
    for (host, status) in [
        (format!("localhost:{port}"), 200),
        (format!("127.0.0.1:{port}"), 200),
        (format!("[::1]:{port}"), 200),
        (format!("rebound.example:{port}"), 421),
        (format!("localhost.example:{port}"), 421),
    ] {
        let request = http().get(format!("{origin}/jwks.json")).header("host", &host);
        assert_eq!(request.send().await.unwrap().status(), status, "{host}");
    }
}

/// Keys are in memory, so no copy of it may come to lie on a disk; and idle clients cannot use up a low
/// soft limit.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_daemon_leaves_no_core_and_raises_its_limit_of_open_files() {
    let home = Home::new();
    let mut daemon = limited(&home, "ulimit -Sn 256; ulimit -Sc unlimited");
    daemon.out.wait_for("authorization server");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.id())).unwrap();
    let soft = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(soft("Max core file size"), "0");
    assert!(soft("Max open files").parse::<u64>().unwrap() > 256, "{limits}");
}

#[test]
fn a_daemon_that_may_open_few_files_says_how_many_connections_it_takes() {
    let home = Home::new();
    let mut daemon = limited(&home, "ulimit -n 256");
    assert!(daemon.err.wait_for("connections=128").contains(" WARN "));
}

/// A daemon for development that starts under these limits of a shell.
fn limited(home: &Home, limits: &str) -> Daemon {
    let serve = home.command(&DEV);
    let mut command = Command::new("/bin/sh");
    command.env_clear().envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.args(["-c", &format!("{limits}; exec \"$@\""), "sh"]);
    Daemon::start(command.arg(serve.get_program()).args(serve.get_args()))
}

/// What the system shows of a process that is closed to debuggers is root's, whoever runs it.
#[test]
#[cfg(target_os = "linux")]
fn the_memory_of_a_daemon_is_closed_to_its_own_user() {
    let home = Home::new();
    let serve = home.command(&DEV);
    let mut command = as_postgres(Path::new(serve.get_program()));
    let _ = Command::new("chown").args(["-R", "postgres"]).arg(home.path("")).stderr(Stdio::null()).status();
    command.args(DEV).env_clear().env("HOME", home.path("")).current_dir(home.path(""));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut daemon = Daemon::start(&mut command);
    daemon.out.wait_for("authorization server");
    let memory = std::fs::metadata(format!("/proc/{}/environ", daemon.id())).unwrap();
    assert_eq!(memory.uid(), 0);
}
