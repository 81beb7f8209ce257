//! How this program reaches others: proxies of the environment, and a machine without authorities.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

use pangea_mcp_auth::fetch::{Fetch, Sender};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Barrier,
};

use crate::support::{
    at_once, pangea,
    process::{Daemon, Home, Outcome, PANGEA, free_port},
};

/// A proxy that refuses everything and tells the first line of each request.
struct Recorder {
    url: String,
    heard: Receiver<String>,
}

impl Recorder {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, heard) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if sender.send(first_line(stream)).is_err() {
                    return;
                }
            }
        });
        Self { url, heard }
    }

    /// Runs `check` with this proxy for everything.
    fn check(&self, home: &Home) -> Value {
        let mut command = home.command(&["check", "--config", "config.toml", "--output", "json"]);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env(name, &self.url);
        }
        let Outcome { out, err, .. } = Daemon::start(&mut command).wait();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out} {err}"))
    }
}

fn first_line(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut bytes = [0; 4096];
    let read = stream.read(&mut bytes).unwrap_or(0);
    let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    String::from_utf8_lossy(&bytes[..read]).lines().next().unwrap_or_default().to_owned()
}

fn finding<'a>(report: &'a Value, name: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["name"] == name).unwrap_or_else(|| panic!("{name}: {report}"))
}

/// The client secret would be there in plain text.
#[tokio::test(flavor = "multi_thread")]
async fn what_goes_to_this_machine_goes_through_no_proxy() {
    let public_url = format!("http://127.0.0.1:{}", free_port());
    let upstream = pangea(PANGEA, format!("{public_url}/pangea/callback")).await;
    let (home, proxy) = (Home::with_configuration(&public_url, &upstream), Recorder::start());
    let report = proxy.check(&home);
    assert_eq!(finding(&report, "upstream.credentials")["status"], "pass", "{report}");
    let heard: Vec<_> = proxy.heard.try_iter().collect();
    assert!(heard.is_empty(), "{heard:?}");
}

#[test]
fn what_goes_elsewhere_goes_through_the_proxy_of_the_environment_unread() {
    let home = Home::with_configuration("http://127.0.0.1:1", "https://idp.invalid");
    let proxy = Recorder::start();
    let report = proxy.check(&home);
    assert_eq!(finding(&report, "upstream.issuer")["status"], "fail", "{report}");
    let heard: Vec<_> = proxy.heard.try_iter().collect();
    assert!(!heard.is_empty());
    assert!(heard.iter().all(|line| line.starts_with("CONNECT idp.invalid:443 ")), "{heard:?}");
}

/// Many users who sign in at once leave no crowd of connections behind.
#[tokio::test]
async fn a_burst_of_calls_keeps_few_connections_for_later() {
    const CALLS: usize = 40;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: reqwest::Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let (open, all_are_here) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(CALLS)));
    let counted = Arc::clone(&open);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (open, all_are_here) = (Arc::clone(&counted), Arc::clone(&all_are_here));
            tokio::spawn(async move {
                open.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0; 4096]).await;
                all_are_here.wait().await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                let _ = stream.read(&mut [0; 1]).await;
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    let fetch = Fetch::new(Duration::from_secs(10)).unwrap();
    let answers = at_once((0..CALLS).map(|_| fetch.get(&url, Sender::Anonymous))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200)));
    let started = Instant::now();
    while open.load(Ordering::SeqCst) > 16 {
        assert!(started.elapsed() < Duration::from_secs(10), "{} are open", open.load(Ordering::SeqCst));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Lets the program find no certificate authorities, as in an image without `ca-certificates`.
fn without_authorities(home: &Home, arguments: &[&str]) -> Daemon {
    Daemon::start(home.command(arguments).env("SSL_CERT_FILE", "/nonexistent/authorities.pem"))
}

#[test]
fn development_needs_no_certificate_authorities() {
    let home = Home::new();
    let arguments = ["serve", "--dev", "--listen", "127.0.0.1:0", "--dev-listen", "127.0.0.1:0"];
    without_authorities(&home, &arguments).out.wait_for("authorization server");
}

/// Shows: TLS-2.
#[test]
fn without_certificate_authorities_the_package_is_named() {
    let home = Home::with_configuration("http://127.0.0.1:1", "https://idp.invalid");
    let Outcome { code, err, .. } = without_authorities(&home, &["serve", "--config", "config.toml"]).wait();
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("ca-certificates") && err.contains("SSL_CERT_FILE"), "{err}");

    let check = ["check", "--config", "config.toml", "--output", "json"];
    let Outcome { code, out, err } = without_authorities(&home, &check).wait();
    assert_eq!(code, Some(1), "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(finding(&report, "upstream.issuer")["paste"], "apt-get install ca-certificates", "{report}");
}

/// An upstream whose clock is ahead of ours; it knows nothing else.
fn upstream_ahead_by(seconds: i64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let there = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
            let date = there.strftime("%a, %d %b %Y %H:%M:%S GMT");
            let answer = format!(
                "HTTP/1.1 404 Not Found\r\nDate: {date}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

#[test]
fn a_daemon_whose_clock_is_not_the_upstreams_says_so_at_its_start() {
    for (seconds, level, direction) in
        [(600, "ERROR", "behind"), (-600, "ERROR", "ahead"), (60, "WARN", "behind")]
    {
        let public_url = format!("http://127.0.0.1:{}", free_port());
        let home = Home::with_configuration(&public_url, &upstream_ahead_by(seconds));
        let said = home.serve().err.said("this machine's clock");
        for words in [level, direction, "seconds="] {
            assert!(said.contains(words), "{said}");
        }
    }
}
