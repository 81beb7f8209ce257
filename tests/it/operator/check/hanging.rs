//! Peers that take a connection and never say a word: the report comes all the same.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{Checked, Well, check, well_with};
use crate::support::{
    PostgresServer, RecordServer, Records, pangea,
    process::{Daemon, Home, PANGEA, free_port},
};

/// Far more than the 15 seconds that are promised: machines that run tests have other things to do.
const FAR_TOO_LONG: Duration = Duration::from_secs(40);

/// A server that listens and never answers: connections wait in the queue.
async fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

fn checked(home: &Home, more: &[&str]) -> Checked {
    let started = Instant::now();
    let checked = check(home, more);
    assert!(started.elapsed() < FAR_TOO_LONG, "{:?}", started.elapsed());
    assert_eq!(checked.code, Some(1), "{}", checked.report);
    checked
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_at_once() {
    let (_silent, address) = silent().await;
    let origin = format!("http://{address}");
    let home = Home::with_configuration(&origin, &origin);
    home.write("database-password", "open sesame");
    home.reconfigure(
        "path = \"records.sqlite\"",
        &format!("kind = \"postgres\"\nurl = \"postgres://u@{address}/d\"\npassword = {{ file = \"database-password\" }}"),
    );
    let checked = checked(&home, &["--resource", &format!("{origin}/mcp")]);
    assert_eq!(checked.status("configuration"), ["pass"]);
    for name in [
        "upstream.issuer",
        "upstream.authorize",
        "upstream.credentials",
        "repository",
        "public.metadata",
        "resource.challenge",
    ] {
        assert_eq!(checked.status(name), ["fail"], "{name} {}", checked.report);
    }
    assert!(!checked.report.to_string().contains("open sesame"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_them_alone_and_the_rest_is_told_as_ever() {
    let (_silent, address) = silent().await;
    let well = Well::start().await;
    let upstream = well.home.read("config.toml");
    let upstream = upstream.split("issuer_url = \"").nth(1).unwrap().split('"').next().unwrap();
    well.home.reconfigure(upstream, &format!("http://{address}"));
    let checked = checked(&well.home, &[]);
    assert_eq!(
        checked.troubles(),
        ["upstream.issuer", "upstream.authorize", "upstream.credentials"],
        "{}",
        checked.report
    );
    assert_eq!(checked.status("public.keys"), ["pass"], "{}", checked.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_first_and_then_hangs() {
    let well = Well::start().await;
    let (listener, address) = silent().await;
    let challenge = format!(
        "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer resource_metadata=\"http://{address}/metadata\"\r\n\
         content-length: 0\r\nconnection: close\r\n\r\n"
    );
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4];
            stream.read_exact(&mut head).await.unwrap();
            if head == *b"POST" {
                stream.write_all(challenge.as_bytes()).await.unwrap();
            }
            held.push(stream);
        }
    });
    let checked = checked(&well.home, &["--resource", &format!("http://{address}/mcp")]);
    assert_eq!(checked.status("resource.challenge"), ["pass"], "{}", checked.report);
    assert!(checked.status("resource.metadata").contains(&"fail"), "{}", checked.report);
    assert_eq!(checked.status("public.keys"), ["pass"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stands_still() {
    let postgres = PostgresServer::new();
    let well = well_with(postgres.configuration().trim_end()).await;
    postgres.freeze();
    let checked = checked(&well.home, &[]);
    postgres.thaw();
    assert_eq!(checked.status("repository"), ["fail"], "{}", checked.report);
    assert_eq!(checked.status("upstream.credentials"), ["pass"], "{}", checked.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_does_not_answer() {
    let (_silent, address) = silent().await;
    let public_url = format!("http://127.0.0.1:{}", free_port());
    let upstream = pangea(PANGEA, format!("{public_url}/pangea/callback")).await;
    let home = Home::with_configuration(&public_url, &upstream);
    home.write("vault-token", "pts_hanging");
    home.reconfigure(
        "path = \"records.sqlite\"",
        &format!("kind = \"vault\"\napi_url = \"http://{address}\"\ntoken = {{ file = \"vault-token\" }}"),
    );
    let checked = checked(&home, &[]);
    assert_eq!(checked.status("repository"), ["fail"], "{}", checked.report);
    assert_eq!(checked.status("upstream.credentials"), ["pass"], "{}", checked.report);
    assert!(!checked.report.to_string().contains("pts_hanging"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_want_to_wait_leaves_with_130() {
    let (silent, address) = silent().await;
    let home = Home::with_configuration(&format!("http://{address}"), &format!("http://{address}"));
    let daemon = Daemon::start(&mut home.command(&["check", "--config", "config.toml"]));
    let _asked = silent.accept().await.unwrap();
    daemon.signal("INT");
    let outcome = daemon.wait();
    assert_eq!((outcome.code, outcome.out.as_str()), (Some(130), ""), "{outcome:?}");
    assert!(outcome.err.contains("interrupted"), "{outcome:?}");
}
