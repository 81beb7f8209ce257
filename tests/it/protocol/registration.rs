//! Clients register themselves (RFC 7591).
//!
//! On purpose: private-use schemes are accepted unless the operator says otherwise (DCR-7), and a flood of
//! registrations is not refused but evicts the oldest unused ones, so that a stranger locks no one out
//! (DCR-16). Initial access tokens and RFC 7592 are not offered (DCR-18).

mod flood;
mod lifetime;

use std::collections::BTreeSet;

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{Browser, Client, Options, Server, Tokens, body, claims};

async fn register(server: &Server, metadata: &Value) -> Response {
    server.json("/register", metadata).send().await.unwrap()
}

async fn registered(server: &Server, metadata: &Value) -> Value {
    let response = register(server, metadata).await;
    let status = response.status();
    let body = body(response).await;
    assert_eq!(status, 201, "{metadata}: {body}");
    body
}

async fn assert_refused(response: Response, error: &str, what: &str) {
    let status = response.status();
    let body = body(response).await;
    assert_eq!((status.as_u16(), body["error"].as_str()), (400, Some(error)), "{what}: {body}");
    let description = body["error_description"].as_str().unwrap();
    assert!(!description.is_empty() && description.bytes().all(|b| (0x20..=0x7E).contains(&b)), "{what}");
}

/// Lawful metadata with one member more or another.
fn with(name: &str, value: Value) -> Value {
    let mut metadata = json!({ "redirect_uris": ["http://127.0.0.1:4711/callback"] });
    metadata[name] = value;
    metadata
}

/// Shows: DCR-1.
#[tokio::test]
async fn a_registration_is_answered_with_201_that_nobody_keeps() {
    let server = Server::start().await;
    let metadata = with("client_name", json!("A client"));
    let response = register(&server, &metadata).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["pragma"], "no-cache");
    assert!(body(response).await.is_object());
    let request = server.http.post(format!("{}/register", server.url)).body(metadata.to_string());
    let with_charset = request.header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(with_charset.send().await.unwrap().status(), 201);
    for content_type in ["application/x-www-form-urlencoded", "text/plain", ""] {
        let request = server.http.post(format!("{}/register", server.url)).body(metadata.to_string());
        let response = request.header("content-type", content_type).send().await.unwrap();
        assert_refused(response, "invalid_client_metadata", content_type).await;
    }
    let get = server.get("/register").await;
    assert_eq!((get.status().as_u16(), get.headers()["allow"].to_str().unwrap()), (405, "POST"));
}

/// Shows: DCR-2.
#[tokio::test]
async fn what_is_no_lawful_object_is_refused_in_json() {
    let server = Server::start().await;
    let deep = "[".repeat(8_000);
    let deep_object = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    for raw in [
        "",
        " ",
        "null",
        "true",
        "7",
        "\"text\"",
        "[]",
        "[{}]",
        "{",
        "}",
        "{\"redirect_uris\":[\"http://localhost/\"]",
        "{\"redirect_uris\":[\"http://localhost/\"]} x",
        "{'redirect_uris':[]}",
        "\u{feff}{}",
        "\u{0}",
        &*deep,
        &*deep_object,
        "{\"redirect_uris\":[\"http://localhost/\"],\"client_name\":\"\\ud800\"}",
    ] {
        let request = server.http.post(format!("{}/register", server.url)).body(raw.to_owned());
        let response = request.header("content-type", "application/json").send().await.unwrap();
        assert_refused(response, "invalid_client_metadata", &raw[..raw.len().min(60)]).await;
    }
    let request =
        server.http.post(format!("{}/register", server.url)).body(&b"{\"client_name\":\"\xff\"}"[..]);
    let response = request.header("content-type", "application/json").send().await.unwrap();
    assert_refused(response, "invalid_client_metadata", "not UTF-8").await;
    for name in [
        "client_name",
        "client_uri",
        "logo_uri",
        "tos_uri",
        "policy_uri",
        "jwks_uri",
        "software_id",
        "software_version",
        "application_type",
        "token_endpoint_auth_method",
    ] {
        for value in [json!(7), json!(true), json!({}), json!(["x"])] {
            let response = register(&server, &with(name, value.clone())).await;
            assert_refused(response, "invalid_client_metadata", &format!("{name} {value}")).await;
        }
    }
    for name in ["grant_types", "response_types", "contacts"] {
        for value in [json!(7), json!("authorization_code"), json!({}), json!([7]), json!([null])] {
            let response = register(&server, &with(name, value.clone())).await;
            assert_refused(response, "invalid_client_metadata", &format!("{name} {value}")).await;
        }
    }
    for value in [json!(7), json!({}), json!([7])] {
        assert_refused(register(&server, &with("scope", value)).await, "invalid_client_metadata", "scope")
            .await;
    }
    let too_large = with("unknown", json!("x".repeat(70_000)));
    let response = register(&server, &too_large).await;
    assert_eq!(response.status(), 413);
    assert_eq!(body(response).await["error"], "invalid_client_metadata");
}

/// Shows: DCR-3, DCR-18.
#[tokio::test]
async fn the_answer_says_what_was_stored() {
    let server = Server::start().await;
    let all = json!({
        "client_name": "A client", "redirect_uris": ["http://127.0.0.1:4711/callback", "https://app.example/cb"],
        "grant_types": ["refresh_token", "authorization_code"], "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_post", "scope": "user  user admin", "application_type": "native",
        "client_uri": "https://app.example", "logo_uri": "https://app.example/logo.png",
        "tos_uri": "https://app.example/tos", "policy_uri": "https://app.example/policy",
        "contacts": ["a@app.example"], "software_id": "app", "software_version": "1.0",
    });
    let answer = registered(&server, &all).await;
    for (name, value) in all.as_object().unwrap() {
        match name.as_str() {
            "grant_types" => assert_eq!(answer[name], json!(["authorization_code", "refresh_token"])),
            "scope" => assert_eq!(answer[name], "user admin"),
            _ => assert_eq!(&answer[name], value, "{name}"),
        }
    }
    assert_eq!(answer["client_id_issued_at"], json!(server.server.now().as_secs()));
    let ends = server.server.now().plus(std::time::Duration::from_hours(24));
    assert_eq!(answer["client_secret_expires_at"], json!(ends.as_secs()), "with the registration");
    let more =
        BTreeSet::from(["client_id", "client_id_issued_at", "client_secret", "client_secret_expires_at"]);
    let names: BTreeSet<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    let sent: BTreeSet<&str> = all.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, &sent | &more, "no registration_access_token, no registration_client_uri");
}

/// Shows: DCR-3, DCR-8, DCR-13.
#[tokio::test]
async fn no_member_of_the_answer_is_null_or_empty() {
    let server = Server::start().await;
    for value in [json!(null), json!("")] {
        let mut metadata = json!({ "redirect_uris": ["http://127.0.0.1:4711/callback"] });
        for name in [
            "client_name",
            "client_uri",
            "logo_uri",
            "tos_uri",
            "policy_uri",
            "jwks_uri",
            "jwks",
            "scope",
            "contacts",
            "software_id",
            "software_version",
            "application_type",
            "grant_types",
            "response_types",
            "token_endpoint_auth_method",
            "software_statement",
        ] {
            metadata[name] = value.clone();
        }
        let answer = registered(&server, &metadata).await;
        for (name, value) in answer.as_object().unwrap() {
            assert!(!value.is_null() && *value != json!("") && *value != json!([]), "{name}: {value}");
        }
        assert_eq!(answer["token_endpoint_auth_method"], "client_secret_basic");
    }
    let public = registered(&server, &with("token_endpoint_auth_method", json!("none"))).await;
    assert!(public.get("client_secret").is_none() && public.get("client_secret_expires_at").is_none());
}

/// Shows: DCR-3, DCR-4.
#[tokio::test]
async fn what_only_the_server_may_set_and_what_it_does_not_know_is_ignored() {
    let server = Server::start().await;
    let metadata = json!({
        "redirect_uris": ["http://127.0.0.1:4711/callback"],
        "client_id": "https://evil.example/client", "client_secret": "chosen", "client_id_issued_at": 1,
        "client_secret_expires_at": 1, "registration_access_token": "chosen", "origin": "operator",
        "registration_client_uri": "https://evil.example", "trusted": true, "expires_at": null,
        "secret": "chosen", "unknown": { "deep": [1] }, "client_name#fr": "Éditeur",
    });
    let mut ids = BTreeSet::new();
    for _ in 0..5 {
        let answer = registered(&server, &metadata).await;
        let id = answer["client_id"].as_str().unwrap();
        assert!(
            !id.starts_with("https://")
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        );
        assert!(ids.insert(id.to_owned()), "{id} was given twice");
        assert_ne!(answer["client_secret"], "chosen");
        assert_eq!(answer["client_id_issued_at"], json!(server.server.now().as_secs()));
        let ends = server.server.now().plus(std::time::Duration::from_hours(24));
        assert_eq!(answer["client_secret_expires_at"], json!(ends.as_secs()));
        for name in
            ["registration_access_token", "registration_client_uri", "origin", "trusted", "secret", "unknown"]
        {
            assert!(answer.get(name).is_none(), "{name}");
        }
    }
    let id = ids.first().unwrap();
    let pairs = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "x"),
        ("client_id", id),
        ("client_secret", "chosen"),
    ];
    assert_eq!(server.form("/token", &pairs).send().await.unwrap().status(), 401);
    server.advance(std::time::Duration::from_hours(24));
    let page = server.get(&format!("/authorize?client_id={id}&response_type=code")).await;
    assert!(page.text().await.unwrap().contains("not known here"), "expires_at is not the client's to set");
}

/// Shows: DCR-5, DCR-6.
#[tokio::test]
async fn redirect_uris_are_absolute_safe_and_at_least_one() {
    let server = Server::start().await;
    for uris in
        [json!([]), json!(null), json!(""), json!("https://app.example/cb"), json!([7]), json!([null])]
    {
        let response = register(&server, &with("redirect_uris", uris.clone())).await;
        assert_refused(response, "invalid_redirect_uri", &uris.to_string()).await;
    }
    assert_refused(register(&server, &json!({})).await, "invalid_redirect_uri", "none").await;
    for bad in [
        "",
        "/cb",
        "//app.example/cb",
        "app.example/cb",
        "https:",
        "https://",
        "https:///cb",
        "https://app.example/cb#f",
        "https://app.example/cb#",
        "https://u@app.example/cb",
        "https://u:p@app.example/cb",
        "https://@app.example/cb",
        "https://*.app.example/cb",
        "https://app.example/*",
        "https://app.example/a b",
        " https://app.example/cb",
        "https://app.example/cb\n",
        "https://app.example/\u{7f}",
        "https://app.example/\u{0}",
        "https://app.example\\@evil.example/cb",
        "https://app.example/\\",
        "https://äpp.example/cb",
        "https://app.example/ä",
        "https://app.example:99999/cb",
        "http://app.example/cb",
        "http://localhost.evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://10.0.0.1/cb",
        "http://[::2]/cb",
        "http://0x7f.1/cb",
        "http://2130706433/cb",
        "http://0/cb",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://app.example/x",
        "about:blank",
        "ftp://app.example/cb",
        "ws://localhost/cb",
        "wss://app.example/",
        "view-source:https://app.example",
        "intent://app#Intent;end",
        "mailto:a@app.example",
    ] {
        for uris in [json!([bad]), json!(["http://127.0.0.1:4711/callback", bad])] {
            let response = register(&server, &with("redirect_uris", uris)).await;
            assert_refused(response, "invalid_redirect_uri", bad).await;
        }
    }
    for good in [
        "https://app.example/cb",
        "https://app.example",
        "https://app.example:8443/cb?a=b%20c",
        "https://xn--pp-uia.example/cb",
        "http://localhost:3000/cb",
        "http://localhost/cb",
        "http://127.0.0.1/",
        "http://127.0.0.1:4711/cb",
        "http://[::1]:4711/cb",
        "HTTPS://App.Example/cb",
    ] {
        let answer = registered(&server, &with("redirect_uris", json!([good]))).await;
        assert_eq!(answer["redirect_uris"], json!([good]), "spelling is kept");
    }
}

/// Shows: DCR-7, DCR-6.
#[tokio::test]
async fn private_use_schemes_are_the_operators_choice() {
    let uri = |text: &str| with("redirect_uris", json!([text]));
    for (setting, accepted, refused) in [
        (
            "",
            &["cursor://anysphere.cursor-mcp/cb", "com.example.app:/cb", "my-editor://cb", "vscode://x/cb"][..],
            &[
                "javascript:x",
                "ms-appinstaller:?source=https://evil.example/x",
                "search:query=x",
                "shell:startup",
                "applescript://x",
                "itms-services://x",
                "microsoft-edge:https://evil.example/",
                "ms-access:ofe|u|https://evil.example/",
                "telnet://evil.example/",
                "sftp://evil.example/",
                "vnc://evil.example/",
                "my-editor:open",
                "my-editor://cb?x=1",
            ][..],
        ),
        (
            "private_use_schemes = \"none\"",
            &["https://app.example/"],
            &["cursor://x/cb", "com.example.app:/cb"],
        ),
        (
            "private_use_schemes = [\"cursor\"]",
            &["cursor://x/cb", "CURSOR://x/cb"],
            &["vscode://x/cb", "com.example.app:/cb", "javascript:x"],
        ),
    ] {
        let sections: &'static str = Box::leak(format!("[registration]\n{setting}").into_boxed_str());
        let server = Server::with(Options { sections, ..Options::default() }).await;
        for text in accepted {
            registered(&server, &uri(text)).await;
        }
        for text in refused {
            assert_refused(register(&server, &uri(text)).await, "invalid_redirect_uri", text).await;
        }
    }
}

/// Shows: DCR-8.
#[tokio::test]
async fn a_client_has_a_secret_exactly_if_its_method_needs_one() {
    let server = Server::start().await;
    for (asked, stored) in [
        (json!(null), "client_secret_basic"),
        (json!("client_secret_basic"), "client_secret_basic"),
        (json!("client_secret_post"), "client_secret_post"),
        (json!("none"), "none"),
    ] {
        let mut metadata = with("client_name", json!("A client"));
        if !asked.is_null() {
            metadata["token_endpoint_auth_method"] = asked;
        }
        let answer = registered(&server, &metadata).await;
        assert_eq!(answer["token_endpoint_auth_method"], stored);
        assert_eq!(answer.get("client_secret").is_some(), stored != "none", "{stored}");
        assert_eq!(answer.get("client_secret_expires_at").is_some(), stored != "none", "{stored}");
        if let Some(secret) = answer["client_secret"].as_str() {
            assert!(secret.starts_with("mcp_cs_") && secret.len() >= 7 + 43, "{secret}");
        }
    }
    for method in ["bogus", "private_key_jwt", "client_secret_jwt", "tls_client_auth", "NONE"] {
        let response = register(&server, &with("token_endpoint_auth_method", json!(method))).await;
        assert_refused(response, "invalid_client_metadata", method).await;
    }
}

/// Shows: DCR-9, DCR-10.
#[tokio::test]
async fn only_the_code_flow_can_be_registered_and_refreshing_always_comes_with_it() {
    let server = Server::start().await;
    let both = json!(["authorization_code", "refresh_token"]);
    for asked in [
        json!(null),
        json!(["authorization_code"]),
        json!(["refresh_token", "authorization_code"]),
        json!([
            "client_credentials",
            "authorization_code",
            "implicit",
            "password",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "urn:ietf:params:oauth:grant-type:token-exchange"
        ]),
    ] {
        let answer = registered(&server, &with("grant_types", asked.clone())).await;
        assert_eq!(answer["grant_types"], both, "{asked}");
        assert_eq!(answer["response_types"], json!(["code"]));
    }
    for (name, value) in [
        ("grant_types", json!([])),
        ("grant_types", json!(["implicit"])),
        ("grant_types", json!(["password"])),
        ("grant_types", json!(["client_credentials"])),
        ("grant_types", json!(["refresh_token"])),
        ("response_types", json!(["token"])),
        ("response_types", json!(["code", "token"])),
        ("response_types", json!(["code id_token"])),
        ("response_types", json!([])),
    ] {
        let response = register(&server, &with(name, value.clone())).await;
        assert_refused(response, "invalid_client_metadata", &value.to_string()).await;
    }
}

/// Shows: DCR-10.
#[tokio::test]
async fn nobody_registers_for_more_than_people_allow() {
    let server = Server::start().await;
    let more = json!({
        "grant_types": ["authorization_code", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"],
        "introspection": true, "resources": ["*"], "trusted": true, "require_consent": false,
    });
    let client = Client::registered(&server, more).await;
    for (grant_type, error) in [
        ("client_credentials", "unauthorized_client"),
        ("password", "unsupported_grant_type"),
        ("implicit", "unsupported_grant_type"),
        ("urn:ietf:params:oauth:grant-type:jwt-bearer", "unsupported_grant_type"),
    ] {
        let pairs = [("grant_type", grant_type), ("assertion", "x"), ("username", "u"), ("password", "p")];
        let response = client.token_request(&server, &pairs).await;
        assert_refused(response, error, grant_type).await;
    }
    let request = server.form("/introspect", &[("token", "x")]);
    let response = request.basic_auth(&client.id, client.secret.as_ref()).send().await.unwrap();
    assert_eq!(response.status(), 401);
    let code = client.code(&server).await;
    let tokens = Tokens::of(client.redeem(&server, &code).await).await;
    assert_eq!(claims(&tokens.access)["aud"], server.resource);
}

/// Shows: DCR-11.
#[tokio::test]
async fn the_application_type_is_checked_and_its_absence_means_nothing() {
    let server = Server::start().await;
    let (loopback, private, web) = ("http://localhost:1/cb", "cursor://x/cb", "https://app.example/cb");
    for (kind, uris, answered) in [
        (json!(null), json!([loopback]), Ok(None)),
        (json!(null), json!([private]), Ok(None)),
        (json!("native"), json!([loopback, private, web]), Ok(Some("native"))),
        (json!("web"), json!([web]), Ok(Some("web"))),
        // One registration for every build of an editor: common, and harmless.
        (json!("web"), json!([private, web, loopback]), Ok(Some("web"))),
        // Cursor says so of itself.
        (json!("web"), json!([private]), Ok(Some("native"))),
        (json!("web"), json!([loopback]), Ok(Some("native"))),
        (json!("desktop"), json!([web]), Err("invalid_client_metadata")),
        (json!("Web"), json!([web]), Err("invalid_client_metadata")),
    ] {
        let mut metadata = json!({ "redirect_uris": uris });
        if !kind.is_null() {
            metadata["application_type"] = kind.clone();
        }
        match answered {
            Ok(answered) => {
                let answer = registered(&server, &metadata).await;
                assert_eq!(answer.get("application_type").and_then(Value::as_str), answered, "{metadata}");
            }
            Err(error) => {
                assert_refused(register(&server, &metadata).await, error, &metadata.to_string()).await;
            }
        }
    }
}

/// Shows: DCR-12.
#[tokio::test]
async fn a_name_is_any_text_that_can_be_shown() {
    let server = Server::start().await;
    for (sent, stored) in [
        ("Claude (Web) – éditeur 日本 🦀", Some("Claude (Web) – éditeur 日本 🦀")),
        ("<script>alert('x')</script> & \"co\"", Some("<script>alert('x')</script> & \"co\"")),
        ("a\u{202e}b\u{0}c\r\nd\u{200b}e\u{2066}f\u{1b}[31m", Some("abc def[31m")),
        ("Claude\u{e0041}\u{3164}", Some("Claude")),
        ("  spaced  ", Some("spaced")),
        ("\u{200b}\u{202e}", None),
    ] {
        let answer = registered(&server, &with("client_name", json!(sent))).await;
        assert_eq!(answer.get("client_name").and_then(Value::as_str), stored, "{sent:?}");
    }
    let long = registered(&server, &with("client_name", json!("é".repeat(1000)))).await;
    assert_eq!(long["client_name"].as_str().unwrap().chars().count(), 256);
    let tagged = registered(&server, &with("client_name#fr", json!("Éditeur"))).await;
    assert!(tagged.get("client_name").is_none());
}

/// Shows: DCR-12.
#[tokio::test]
async fn a_name_is_escaped_on_the_page_and_a_client_without_one_is_its_redirect_host() {
    let server = Server::start().await;
    let nasty = "<img src=x onerror=alert(1)>\"'&";
    let client = Client::registered(&server, json!({ "client_name": nasty })).await;
    let page = Browser::new().get(&client.authorize_url(&server, &[])).await;
    assert!(!page.html.contains("<img"), "{}", page.html);
    assert!(
        page.html.contains("&lt;img src=x onerror=alert(1)&gt;") || page.html.contains("&#60;img"),
        "{}",
        page.html
    );
    let uris = json!({ "client_name": null, "redirect_uris": ["https://app.example/cb"] });
    let nameless = Client::registered(&server, uris).await;
    let page = Browser::new().get(&nameless.authorize_url(&server, &[])).await;
    assert!(page.html.contains("app.example"), "{}", page.html);
    assert!(page.html.contains("did not give a name"), "{}", page.html);
}

/// Shows: DCR-13, DCR-14.
#[tokio::test]
async fn urls_are_https_and_nobody_fetches_them() {
    let server = Server::start().await;
    let canary = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let here = format!("http://{}/x", canary.local_addr().unwrap());
    let mut everything = json!({ "token_endpoint_auth_method": "none" });
    for name in ["client_uri", "logo_uri", "tos_uri", "policy_uri", "jwks_uri"] {
        for bad in [
            "http://app.example/",
            "javascript:alert(1)",
            "data:image/png,x",
            "/relative",
            "app.example",
            "file:///x",
            "https://u:p@app.example/",
            "https://",
            "https://app.example/\" onclick=\"x",
            "ftp://app.example/",
            "https://app.example/\n",
        ] {
            let response = register(&server, &with(name, json!(bad))).await;
            if name == "jwks_uri" {
                assert_refused(response, "invalid_client_metadata", &format!("{name} {bad}")).await;
                continue;
            }
            assert_eq!(response.status(), 201, "{name} {bad}");
            assert_eq!(body(response).await[name], Value::Null, "{name} {bad}");
        }
        everything[name] = json!(here);
    }
    let client = Client::registered(&server, everything).await;
    client.login(&server).await;
    let fetched = canary.accept();
    assert!(
        fetched.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
        "something was fetched"
    );
}

/// Shows: DCR-14, DCR-15.
#[tokio::test]
async fn keys_and_statements_are_never_trusted_unseen() {
    let server = Server::start().await;
    let public = json!({ "kty": "EC", "crv": "P-256", "x": "x", "y": "y" });
    let keys = |key: &Value| json!({ "keys": [key] });
    for (name, value) in [("jwks", keys(&public)), ("jwks_uri", json!("https://app.example/jwks.json"))] {
        registered(&server, &with(name, value)).await;
    }
    let mut both = with("jwks", keys(&public));
    both["jwks_uri"] = json!("https://app.example/jwks.json");
    assert_refused(register(&server, &both).await, "invalid_client_metadata", "both").await;
    for member in ["d", "k", "p", "q", "dp", "dq", "qi"] {
        let mut private = public.clone();
        private[member] = json!("AAAA");
        let response = register(&server, &with("jwks", keys(&private))).await;
        assert_refused(response, "invalid_client_metadata", member).await;
    }
    for (name, value) in [("jwks", json!("x")), ("jwks", json!({})), ("jwks", json!({ "keys": {} }))] {
        let response = register(&server, &with(name, value.clone())).await;
        assert_refused(response, "invalid_client_metadata", &value.to_string()).await;
    }
    for (name, value) in [("jwks", keys(&public)), ("jwks_uri", json!("https://app.example/jwks.json"))] {
        let mut metadata = with("token_endpoint_auth_method", json!("private_key_jwt"));
        assert_refused(register(&server, &metadata).await, "invalid_client_metadata", "no keys").await;
        metadata[name] = value;
        assert_refused(register(&server, &metadata).await, "invalid_client_metadata", "not offered").await;
    }
    let claims = pangea_mcp_auth::secret::encode(br#"{"client_name":"Trusted","software_id":"claimed"}"#);
    let answer = registered(&server, &with("software_statement", json!(format!("e30.{claims}.AA")))).await;
    for name in ["software_statement", "client_name", "software_id"] {
        assert!(answer.get(name).is_none(), "{name}");
    }
}

/// Words that are not offered do no harm: what is granted is decided when a person is asked.
/// Shows: DCR-15.
#[tokio::test]
async fn the_scope_must_be_spelled_right_and_need_not_be_offered() {
    let server = Server::start().await;
    for (sent, stored) in [
        (json!("user"), Some("user")),
        (json!("user  admin user"), Some("user admin")),
        (json!(["user", "admin"]), Some("user admin")),
        (
            json!("mcp:read offline_access https://a.example/scope"),
            Some("mcp:read offline_access https://a.example/scope"),
        ),
        (json!(" "), None),
    ] {
        let answer = registered(&server, &with("scope", sent.clone())).await;
        assert_eq!(answer.get("scope").and_then(Value::as_str), stored, "{sent}");
    }
    for bad in ["a\"b", "a\\b", "a\nb", "ä", "a\tb"] {
        let response = register(&server, &with("scope", json!(bad))).await;
        assert_refused(response, "invalid_client_metadata", bad).await;
    }
    let client = Client::registered(&server, json!({ "scope": "mcp:read user" })).await;
    let tokens = client.login(&server).await;
    assert!(!tokens.body["scope"].as_str().unwrap().contains("mcp:read"), "{}", tokens.body);
}
