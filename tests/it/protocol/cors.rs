//! What scripts of other origins may read: everything a client in a browser needs, and nothing of the
//! person's.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::json;

use crate::support::{Browser, Client, Options, RS_SECRET, Server};

const ORIGIN: &str = "https://inspector.example";

/// Everything that scripts may ask for, by path, with the methods that it serves.
const OPEN: [(&str, &str); 9] = [
    ("/.well-known/oauth-authorization-server", "GET, OPTIONS"),
    ("/.well-known/openid-configuration", "GET, OPTIONS"),
    ("/.well-known/oauth-protected-resource", "GET, OPTIONS"),
    ("/.well-known/oauth-protected-resource/mcp", "GET, OPTIONS"),
    ("/.well-known/oauth-authorization-server/nothing", "GET, OPTIONS"),
    ("/jwks.json", "GET, OPTIONS"),
    ("/token", "POST, OPTIONS"),
    ("/register", "POST, OPTIONS"),
    ("/revoke", "POST, OPTIONS"),
];

async fn send(request: RequestBuilder) -> Response {
    request.header("origin", ORIGIN).send().await.unwrap()
}

fn list(response: &Response, name: &str) -> Vec<String> {
    let value = response.headers().get(name).map_or("", |value| value.to_str().unwrap());
    value.split(',').map(|word| word.trim().to_ascii_lowercase()).collect()
}

fn assert_readable(response: &Response, what: &str) {
    let headers = response.headers();
    let origins: Vec<_> = headers.get_all("access-control-allow-origin").iter().collect();
    assert_eq!(origins, ["*"], "{what} {}", response.status());
    assert!(headers.get("access-control-allow-credentials").is_none(), "{what}");
    let exposed = list(response, "access-control-expose-headers");
    for name in ["www-authenticate", "mcp-session-id", "dpop-nonce", "retry-after"] {
        assert!(exposed.contains(&name.to_owned()), "{what} {}: {exposed:?}", response.status());
    }
}

fn assert_closed(response: &Response, what: &str) {
    for name in response.headers().keys() {
        assert!(!name.as_str().starts_with("access-control-"), "{what} {}: {name}", response.status());
    }
}

/// Shows: CORS-1, CORS-3, CORS-5.
#[tokio::test]
async fn a_script_of_any_origin_reads_every_answer_meant_for_clients() {
    let server = Server::start().await;
    for (path, _) in OPEN {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE, Method::PATCH] {
            let what = format!("{method} {path}");
            let response = send(server.http.request(method, format!("{}{path}", server.url))).await;
            assert_readable(&response, &what);
        }
    }
    let client = Client::confidential(&server).await;
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", "mcp_rt_unknown"), ("token", "x")];
    for path in ["/token", "/revoke"] {
        for (secret, status) in [("wrong", 401), (client.secret.as_deref().unwrap(), 0)] {
            let response = send(server.form(path, &pairs).basic_auth(&client.id, Some(secret))).await;
            assert!(status == 0 || response.status() == status, "{path}");
            assert_readable(&response, path);
        }
    }
    let code = client.code(&server).await;
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", &*client.redirect_uri),
        ("code_verifier", crate::support::VERIFIER),
    ];
    let response = send(server.form("/token", &pairs).basic_auth(&client.id, client.secret.as_ref())).await;
    assert_eq!(response.status(), 200);
    assert_readable(&response, "/token");
    let metadata = json!({ "redirect_uris": ["http://localhost/"] });
    let response = send(server.json("/register", &metadata)).await;
    assert_eq!(response.status(), 201);
    assert_readable(&response, "/register");
    let strict = Server::with(Options {
        top: "trusted_proxies = [\"127.0.0.0/8\"]",
        sections: "[limits]\ntoken = { per_minute = 1, burst = 1 }\nregister = { per_minute = 1, burst = 1 }\n\
                   revoke = { per_minute = 1, burst = 1 }",
        ..Options::default()
    })
    .await;
    for (path, status) in [("/token", 429), ("/register", 429), ("/revoke", 429)] {
        let limited = || send(strict.form(path, &[]).header("x-forwarded-for", "203.0.113.9"));
        limited().await;
        let response = limited().await;
        assert_eq!(response.status(), status, "{path}");
        assert!(response.headers().contains_key("retry-after"));
        assert_readable(&response, path);
    }
    let database = rusqlite::Connection::open(server.folder.path().join("test.sqlite")).unwrap();
    database.execute("UPDATE record SET value = 'unreadable' WHERE kind = 1", []).unwrap();
    for path in ["/token", "/revoke"] {
        let pairs = [
            ("grant_type", "refresh_token"),
            ("refresh_token", "x"),
            ("token", "x"),
            ("client_id", &client.id),
        ];
        let response = send(server.form(path, &pairs)).await;
        assert_eq!(response.status(), 500, "{path}");
        assert_readable(&response, path);
    }
}

/// Shows: CORS-1, META-12.
#[tokio::test]
async fn a_script_reads_that_registration_is_switched_off() {
    let sections = "[registration]\nenabled = false";
    let server = Server::with(Options { sections, ..Options::default() }).await;
    let response = send(server.json("/register", &json!({ "redirect_uris": ["http://localhost/"] }))).await;
    assert_eq!(response.status(), 404);
    assert_readable(&response, "/register");
}

/// Shows: CORS-2, CORS-3.
#[tokio::test]
async fn no_script_of_another_origin_reads_what_is_the_persons_or_a_resource_servers() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let (url, stranger) =
        (client.authorize_url(&server, &[]), client.authorize_url(&server, &[("client_id", "x")]));
    let mut browser = Browser::new();
    let page = browser.get(&url).await;
    let transaction = page.transaction();
    let approved = browser.decide(&page, "approve").await;
    let callback = browser.get(&approved.location().unwrap()).await.location().unwrap();
    let at = |path: &str| format!("{}{path}", server.url);
    for url in [&url, &stranger, &at("/consent"), &at("/pangea/callback"), &callback, &at("/introspect")] {
        for method in [Method::GET, Method::POST, Method::OPTIONS, Method::PUT] {
            let what = format!("{method} {url}");
            let preflight = server.http.request(method, url).header("access-control-request-method", "POST");
            assert_closed(&send(preflight).await, &what);
        }
    }
    let form = [("transaction", &*transaction), ("decision", "approve")];
    assert_closed(&send(server.form("/consent", &form)).await, "a forged form");
    let preflight = server.http.request(Method::OPTIONS, at("/introspect"));
    assert_eq!(send(preflight).await.status(), 405);
    let asked = server.form("/introspect", &[("token", "x")]).basic_auth("rs-1", Some(RS_SECRET));
    let response = send(asked).await;
    assert_eq!(response.status(), 200);
    assert_closed(&response, "/introspect");
    for path in ["/healthz", "/readyz", "/nothing"] {
        assert_closed(&send(server.http.get(at(path))).await, path);
    }
}

/// Shows: CORS-3, CORS-4.
#[tokio::test]
async fn a_preflight_is_answered_without_credentials_and_names_what_is_allowed() {
    let server = Server::start().await;
    for (path, methods) in OPEN {
        let request = server.http.request(Method::OPTIONS, format!("{}{path}", server.url));
        let request = request.header("access-control-request-method", "POST");
        let asked = "authorization, content-type, mcp-protocol-version";
        let response = send(request.header("access-control-request-headers", asked)).await;
        assert_eq!(response.status(), 204, "{path}");
        assert_readable(&response, path);
        assert_eq!(response.headers()["access-control-allow-methods"], methods, "{path}");
        let allowed = list(&response, "access-control-allow-headers");
        for name in [
            "authorization",
            "content-type",
            "accept",
            "mcp-protocol-version",
            "mcp-session-id",
            "last-event-id",
            "mcp-method",
            "mcp-name",
            "dpop",
        ] {
            assert!(allowed.contains(&name.to_owned()), "{path}: {name}");
        }
        let seconds: u32 = list(&response, "access-control-max-age")[0].parse().unwrap();
        assert!(seconds >= 600, "{path}");
        assert_eq!(response.text().await.unwrap(), "");
    }
}
