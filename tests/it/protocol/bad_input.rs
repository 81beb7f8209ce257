//! Nonsense at every endpoint: the standard's error, never a 500 or a panic, no effect on other clients.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::{
    operator::log::Daemon,
    support::{Browser, Client, Server, Wire, body},
};

const MACHINES: [&str; 4] = ["/token", "/register", "/revoke", "/introspect"];
const BROWSERS: [&str; 3] = ["/authorize", "/consent", "/pangea/callback"];
const DOCUMENTS: [&str; 5] = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-protected-resource/mcp",
    "/jwks.json",
    "/healthz",
];
const FORM: &str = "application/x-www-form-urlencoded";

async fn assert_alive(server: &Server) {
    assert_eq!(server.get("/readyz").await.status(), 200);
}

/// A lawful body for an endpoint, as far as it goes without a login.
fn form_of(endpoint: &str) -> &'static str {
    match endpoint {
        "/token" => "grant_type=refresh_token&refresh_token=x&client_id=x",
        "/consent" => "transaction=x&decision=approve",
        _ => "token=x&client_id=x",
    }
}

/// A request in bytes, with its length.
fn post(path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn a_wrong_method_is_405_with_the_right_ones() {
    let server = Server::start().await;
    let lawful = |path: &str| match path {
        "/authorize" => vec!["GET", "HEAD", "POST"],
        "/pangea/callback" => vec!["GET", "HEAD"],
        path if DOCUMENTS.contains(&path) => vec!["GET", "HEAD", "OPTIONS"],
        "/introspect" | "/consent" => vec!["POST"],
        _ => vec!["POST", "OPTIONS"],
    };
    for path in MACHINES.into_iter().chain(BROWSERS).chain(DOCUMENTS) {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"]
        {
            let name = Method::from_bytes(method.as_bytes()).unwrap();
            let request = server.http.request(name, format!("{}{path}", server.url));
            let response = request.header("content-type", FORM).send().await.unwrap();
            let status = response.status().as_u16();
            let is_healthz_preflight = path == "/healthz" && method == "OPTIONS";
            if lawful(path).contains(&method) && !is_healthz_preflight {
                assert!(status != 405 && status < 500, "{method} {path}: {status}");
            } else {
                assert_eq!(status, 405, "{method} {path}");
                assert!(!response.headers()["allow"].is_empty(), "{method} {path}");
            }
        }
    }
    assert_alive(&server).await;
}

#[tokio::test]
async fn a_wrong_content_type_is_a_bad_request() {
    let server = Server::start().await;
    for path in MACHINES.into_iter().chain(["/consent", "/authorize"]) {
        let wrong = if path == "/register" { FORM } else { "application/json" };
        for content_type in
            [wrong, "text/plain", "", ";", "multipart/form-data; boundary=x", "application/", "é"]
        {
            let request = server.http.post(format!("{}{path}", server.url)).body(form_of(path));
            let value = reqwest::header::HeaderValue::from_bytes(content_type.as_bytes()).unwrap();
            let response = request.header("content-type", value).send().await.unwrap();
            assert_eq!(response.status(), 400, "{path} {content_type}");
            if MACHINES.contains(&path) {
                let error = if path == "/register" { "invalid_client_metadata" } else { "invalid_request" };
                assert_eq!(body(response).await["error"], error, "{path} {content_type}");
            }
        }
        let request = server.http.post(format!("{}{path}", server.url)).body(form_of(path));
        assert_eq!(request.send().await.unwrap().status(), 400, "{path} without one");
    }
    assert_alive(&server).await;
}

#[tokio::test]
async fn bytes_that_are_no_text_are_a_bad_request() {
    let server = Server::start().await;
    for path in ["/token", "/revoke", "/introspect", "/consent", "/authorize"] {
        for bytes in
            [&b"client_id=%ff"[..], b"client_id=\xff\xfe", b"\xff=x", b"%c0%af=x", b"token=x&a=%ed%a0%80"]
        {
            let request = post(path, FORM, bytes);
            let answer = Wire::open(&server.origin).await.send(&request).await.answer().await.unwrap();
            assert_eq!(answer.status, 400, "{path} {bytes:?}");
            if MACHINES.contains(&path) {
                assert!(answer.body.contains("\"invalid_request\""), "{path} {answer:?}");
            }
        }
    }
    for path in ["/authorize", "/pangea/callback"] {
        for query in ["client_id=%ff", "state=%ff", "%ff", "code=%c0%af&state=x"] {
            let page = Browser::new().get(&format!("{}{path}?{query}", server.url)).await;
            assert_eq!((page.status.as_u16(), page.location()), (400, None), "{path} {query}");
        }
    }
    for (name, path) in [
        ("authorization", "/token"),
        ("cookie", "/authorize"),
        ("origin", "/consent"),
        ("x-forwarded-for", "/token"),
    ] {
        let body = form_of(path);
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ncontent-length: {}\r\n{name}: ",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(b"\xff\xfe\xc0\r\n\r\n");
        request.extend_from_slice(body.as_bytes());
        let answer = Wire::open(&server.origin).await.send(&request).await.answer().await.unwrap();
        assert!((400..500).contains(&answer.status), "{name}: {answer:?}");
    }
    assert_alive(&server).await;
}

/// Each parameter twice, and each empty: an error of the standard, and no redirect.
#[tokio::test]
async fn repeated_and_empty_parameters_are_bad_requests() {
    let server = Server::start().await;
    let client = Client::confidential(&server).await;
    let secret = client.secret.clone().unwrap();
    let credentials = [("client_id", &*client.id), ("client_secret", &*secret)];
    let code = [
        ("grant_type", "authorization_code"),
        ("code", "x"),
        ("redirect_uri", &*client.redirect_uri),
        ("code_verifier", crate::support::VERIFIER),
    ];
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("scope", "user")];
    let token = [("token", "x"), ("token_type_hint", "access_token")];
    for (path, own) in
        [("/token", &code[..]), ("/token", &refresh), ("/revoke", &token), ("/introspect", &token)]
    {
        let own: Vec<_> = own.iter().chain(&credentials).copied().collect();
        for at in 0..own.len() {
            for again in [own[at].1, "other", ""] {
                let mut twice = own.clone();
                twice.push((own[at].0, again));
                let response = server.form(path, &twice).send().await.unwrap();
                assert_eq!(response.status(), 400, "{path} {} {again}", own[at].0);
                assert_eq!(body(response).await["error"], "invalid_request", "{path} {}", own[at].0);
            }
            let mut empty = own.clone();
            empty[at].1 = "";
            let status = server.form(path, &empty).send().await.unwrap().status().as_u16();
            assert!([200, 400, 401].contains(&status), "{path} {}: {status}", own[at].0);
        }
        for body in
            ["", "&", "&&&=&=", "=", "==", "token", "grant_type", "%", "%%%", "+", &"a=b&".repeat(5000)]
        {
            let request = server.http.post(format!("{}{path}", server.url)).header("content-type", FORM);
            let status = request.body(body.to_owned()).send().await.unwrap().status().as_u16();
            assert!([400, 401].contains(&status), "{path} {body:.20}: {status}");
        }
    }
    let url = client.authorize_url(&server, &[]);
    let query: Vec<(String, String)> = url::Url::parse(&url).unwrap().query_pairs().into_owned().collect();
    for (name, value) in &query {
        let encoded: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let twice = Browser::new().get(&format!("{url}&{name}={encoded}")).await;
        if name != "resource" {
            assert!(!twice.html.contains("name=\"transaction\""), "{name} twice");
        }
        if ["client_id", "redirect_uri"].contains(&&**name) {
            assert_eq!((twice.status.as_u16(), twice.location()), (400, None), "{name} twice leads nowhere");
        }
        let empty = Browser::new().get(&client.authorize_url(&server, &[(name, "")])).await;
        assert!(empty.status.as_u16() < 500, "{name} empty");
    }
    assert_alive(&server).await;
}

#[tokio::test]
async fn a_body_of_ten_megabytes_is_refused_unread() {
    let server = Server::start().await;
    for path in MACHINES.into_iter().chain(["/consent", "/authorize"]) {
        let content_type = if path == "/register" { "application/json" } else { FORM };
        // Declared: the answer comes before the body does.
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\ncontent-length: 10000000\r\n\r\n"
        );
        let answer = Wire::open(&server.origin).await.send(head.as_bytes()).await.answer().await.unwrap();
        assert_eq!(answer.status, 413, "{path} {answer:?}");
        // Undeclared: the answer comes as soon as it is too much.
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        let mut wire = Wire::open(&server.origin).await;
        wire.send(head.as_bytes()).await;
        let chunk = [b"1000\r\n".as_slice(), &[b'a'; 0x1000], b"\r\n"].concat();
        for _ in 0..17 {
            wire.send(&chunk).await;
        }
        let answer = wire.answer().await.unwrap();
        assert_eq!(answer.status, 413, "{path} {answer:?}");
        if MACHINES.contains(&path) {
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            assert!(body["error_description"].as_str().unwrap().contains("KiB"), "{body}");
        }
    }
    // 64 KiB is not too much.
    let request = post("/introspect", FORM, format!("token={}", "x".repeat(64 * 1024 - 6)).as_bytes());
    assert_eq!(Wire::open(&server.origin).await.send(&request).await.answer().await.unwrap().status, 401);
    assert_alive(&server).await;
}

#[tokio::test]
async fn floods_of_headers_are_refused() {
    let server = Server::start().await;
    let many = "x-a: b\r\n".repeat(2000);
    let long = format!("x-a: {}\r\n", "b".repeat(200_000));
    let name = format!("{}: b\r\n", "x".repeat(70_000));
    for headers in [many, long, name] {
        for path in ["/token", "/authorize", "/jwks.json"] {
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
            // A client that sends more than the server reads may lose the answer to the reset.
            if let Some(answer) =
                Wire::open(&server.origin).await.send(request.as_bytes()).await.answer().await
            {
                assert_eq!(answer.status, 431, "{path} {answer:?}");
            }
        }
    }
    let target = format!("GET /authorize?state={} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000));
    if let Some(answer) = Wire::open(&server.origin).await.send(target.as_bytes()).await.answer().await {
        assert!([414, 431].contains(&answer.status), "{answer:?}");
    }
    assert_alive(&server).await;
}

#[tokio::test]
async fn what_is_no_http_ends_the_connection_and_nothing_else() {
    let server = Server::start().await;
    let get = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /token HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /token HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /token HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"POST /token HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, gzip\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost : x\r\n\r\n",
    ] {
        let answer = Wire::open(&server.origin).await.send(garbage).await.answer().await;
        assert!(answer.is_none_or(|answer| (400..500).contains(&answer.status)), "{garbage:?}");
        // Behind a good request, whose answer still comes.
        let mut wire = Wire::open(&server.origin).await;
        wire.send(&[get.as_bytes(), garbage].concat()).await;
        assert_eq!(wire.answer().await.map(|answer| answer.status), Some(200), "{garbage:?}");
        assert!(wire.answer().await.is_none_or(|answer| (400..500).contains(&answer.status)), "{garbage:?}");
    }
    let broken_chunk = format!(
        "POST /token HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"
    );
    let answer = Wire::open(&server.origin).await.send(broken_chunk.as_bytes()).await.answer().await;
    assert!(answer.is_none_or(|answer| answer.status == 400), "a broken chunk");
    let mut wire = Wire::open(&server.origin).await;
    wire.send(get.repeat(50).as_bytes()).await;
    for nth in 0..50 {
        assert_eq!(wire.answer().await.map(|answer| answer.status), Some(200), "request {nth} of one packet");
    }
    assert_alive(&server).await;
}

#[tokio::test]
async fn paths_that_wander_lead_nowhere() {
    let server = Server::start().await;
    for path in [
        "/..",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/.well-known/../token",
        "/.well-known/..%2ftoken",
        "//token",
        "/token//",
        "/TOKEN",
        "/token%00",
        "/token;a=b",
        "/token/../healthz",
        "/./token",
        "/\\..\\token",
        "/.well-known/",
        "/.well-known/oauth-authorization-server/..",
        "/%",
        "/%zz",
        "/{path}",
        "*",
        "/jwks.json/x",
        "/.well-known/oauth-protected-resource/../../../../etc/passwd",
        "/pangea/callback/",
        "/pangea",
    ] {
        for method in ["GET", "POST"] {
            let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
            let answer =
                Wire::open(&server.origin).await.send(request.as_bytes()).await.answer().await.unwrap();
            assert!([400, 404].contains(&answer.status), "{method} {path}: {answer:?}");
            assert!(!answer.body.contains("root:"), "{path}");
        }
    }
    for target in
        ["http://evil.example/healthz", "http://evil.example:1/.well-known/oauth-authorization-server"]
    {
        let request = format!("GET {target} HTTP/1.1\r\nhost: evil.example\r\n\r\n");
        let answer = Wire::open(&server.origin).await.send(request.as_bytes()).await.answer().await.unwrap();
        assert!(!answer.body.contains("evil") && !answer.head.contains("evil"), "{answer:?}");
    }
    let request = "CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example\r\n\r\n";
    let answer = Wire::open(&server.origin).await.send(request.as_bytes()).await.answer().await;
    assert!(answer.is_none_or(|answer| (400..500).contains(&answer.status)), "no tunnel");
    assert_alive(&server).await;
}

#[tokio::test]
async fn cookies_of_any_kind_do_no_harm() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let url = client.authorize_url(&server, &[]);
    let browser = "A".repeat(43);
    let many: Vec<_> = (0..60).map(|n| format!("mcp-login-{n:02}={}; ", "A".repeat(700))).collect();
    let parts: Vec<_> = (0..40).map(|n| format!("mcp-login-x.{n}={}; ", "A".repeat(900))).collect();
    for cookie in [
        "",
        ";",
        "=",
        ";;;===;;;",
        "a",
        "mcp-browser",
        "mcp-browser=",
        "mcp-browser=short",
        "mcp-login-=x; mcp-login-.=y; mcp-login-.99999999999999999999=z",
        "\"quoted\"=\"x\"",
        "mcp-declined-=1",
        &many.concat(),
        &parts.concat(),
        &"a=b; ".repeat(8000),
        &format!("mcp-browser={browser}"),
        &format!("mcp-browser={browser}; mcp-browser={browser}; mcp-login-x=AAAA"),
    ] {
        let get = |url: String| server.http.get(url).header("cookie", cookie).send();
        assert_eq!(get(url.clone()).await.unwrap().status(), 200, "{cookie:.60}");
        let callback = get(format!("{}/pangea/callback?state=x&code=y", server.url)).await.unwrap();
        assert_eq!(callback.status(), 400, "{cookie:.60}");
        let consent = server.form("/consent", &[("transaction", "AAAA"), ("decision", "approve")]);
        let consent = consent.header("cookie", cookie).header("origin", &server.origin).send().await.unwrap();
        assert_eq!(consent.status(), 403, "{cookie:.60}");
    }
    let request = format!("GET /healthz HTTP/1.1\r\nhost: x\r\ncookie: {}\r\n\r\n", "a=b; ".repeat(40_000));
    let answer = Wire::open(&server.origin).await.send(request.as_bytes()).await.answer().await;
    assert!(answer.is_none_or(|answer| answer.status == 431), "more than fits");
    assert_alive(&server).await;
}

/// Two hosts in one request mean one to a proxy and the other to us.
#[tokio::test]
async fn a_request_names_one_host() {
    let server = Server::start().await;
    for (version, hosts, status) in [
        ("1.1", &["mcp.example.org"][..], 200),
        ("1.1", &["a", "a"], 400),
        ("1.1", &["a", "b"], 400),
        ("1.1", &[], 400),
        ("1.1", &[""], 400),
        ("1.1", &["a b"], 400),
        ("1.1", &["user@a"], 400),
        ("1.0", &[], 200),
        ("1.0", &["a", "b"], 400),
    ] {
        let hosts: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
        let request = format!("GET /healthz HTTP/{version}\r\n{hosts}\r\n");
        let answer = Wire::open(&server.origin).await.send(request.as_bytes()).await.answer().await.unwrap();
        assert_eq!(answer.status, status, "{request:?} {answer:?}");
    }
}

#[tokio::test]
async fn slow_clients_keep_nobody_waiting() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let mut slow = Vec::new();
    for n in 0..200 {
        let mut wire = Wire::open(&server.origin).await;
        let begun = match n % 4 {
            0 => String::new(),
            1 => "GET /heal".to_owned(),
            2 => "GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ".to_owned(),
            _ => format!(
                "POST /token HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ncontent-length: 500\r\n\r\ngrant"
            ),
        };
        wire.send(begun.as_bytes()).await;
        slow.push(wire);
    }
    let tokens = client.login(&server).await;
    assert_eq!(server.introspect(&tokens.access).await["active"], true);
    slow[2].send(b"done\r\n\r\n").await;
    assert_eq!(slow[2].answer().await.map(|answer| answer.status), Some(200), "who is slow is served, too");
    // The patience of the server is real time: 15 seconds for a body, 30 for a head.
    let (head, body) = tokio::join!(
        async {
            let mut wire = Wire::open(&server.origin).await;
            wire.send(b"GET /healthz HTTP/1.1\r\n").await.answer().await
        },
        slow[3].answer()
    );
    assert_eq!(body.map(|answer| answer.status), Some(408), "a body that does not come");
    assert!(head.is_none_or(|answer| answer.status == 408), "a head that does not come");
    assert_alive(&server).await;
}

/// Each endpoint is flooded with large bodies, heads that never end and cookies; the daemon's memory stays
/// far below what was sent.
#[tokio::test]
async fn memory_is_bounded_under_a_flood() {
    const CONNECTIONS: usize = 64;
    let daemon = Daemon::start(&[]);
    let http = crate::support::http();
    assert_eq!(http.get(format!("{}/readyz", daemon.url)).send().await.unwrap().status(), 200);
    let origin = daemon.url.replace("localhost", "127.0.0.1");
    let before = daemon.memory("VmRSS");
    let mut flood = tokio::task::JoinSet::new();
    for n in 0..CONNECTIONS {
        let origin = origin.clone();
        flood.spawn(async move {
            let path = MACHINES[n % MACHINES.len()];
            let content_type = if path == "/register" { "application/json" } else { FORM };
            let mut wire = Wire::open(&origin).await;
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n"
            );
            wire.send(head.as_bytes()).await;
            let chunk = [b"10000\r\n".as_slice(), &b"a".repeat(0x10000), b"\r\n"].concat();
            for _ in 0..160 {
                wire.send(&chunk).await;
            }
            let mut endless = Wire::open(&origin).await;
            endless.send(b"GET /authorize HTTP/1.1\r\nhost: localhost\r\nx-long: ").await.send(&vec![b'a'; 10_000_000]).await;
            (wire, endless)
        });
    }
    let connections = flood.join_all().await;
    let (peak, sent) = (daemon.memory("VmHWM") - before, CONNECTIONS as u64 * 2 * 10_000);
    assert!(peak < 64 * 1024, "{peak} KiB more for {sent} KiB sent");
    drop(connections);
    let ready =
        http.get(format!("{}/readyz", daemon.url)).timeout(Duration::from_secs(10)).send().await.unwrap();
    assert_eq!(ready.status(), 200);
    let introspect = http.post(format!("{}/introspect", daemon.url)).basic_auth("dev", Some(&daemon.secret));
    let introspect = introspect.header("content-type", FORM).body("token=x").send().await.unwrap();
    assert_eq!(introspect.status(), 200);
}
