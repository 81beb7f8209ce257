//! Authorization requests: who may ask, where the answer goes, and what is refused how.

use std::collections::BTreeMap;

use data_encoding::BASE32_DNSSEC;
use pangea_mcp_auth::secret::{decode, encode};
use reqwest::Method;
use serde_json::json;

use crate::support::{
    Browser, Client, Options, Page, Server, Tokens, VERIFIER, body, challenge, claims, query,
};

/// A client that is answered at these addresses.
pub(crate) async fn client_at(server: &Server, redirect_uris: &[&str]) -> Client {
    let more = json!({ "redirect_uris": redirect_uris, "token_endpoint_auth_method": "none" });
    Client::registered(server, more).await
}

/// The answer to a changed request, from a browser that has never been here.
pub(crate) async fn ask(server: &Server, client: &Client, change: &[(&str, &str)]) -> Page {
    Browser::new().get(&client.authorize_url(server, change)).await
}

/// The error in a redirect to `to`, which must hold what an error may hold and nothing else.
pub(crate) fn error_redirect(server: &Server, page: &Page, to: &str) -> BTreeMap<String, String> {
    assert_eq!(page.status, 303, "{}", page.html);
    let location = page.location().unwrap();
    assert!(location.starts_with(to), "{location}");
    let mut answer = query(&location);
    for name in answer.keys() {
        let allowed = ["error", "error_description", "error_uri", "state", "iss"];
        assert!(allowed.contains(&&**name), "{name} in {location}");
    }
    let plain = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
    assert!(answer["error_description"].chars().all(plain), "{location}");
    assert_eq!(answer.remove("iss").as_deref(), Some(&*server.url), "{location}");
    answer
}

/// Nothing is redirected: the person gets a page.
pub(crate) fn assert_page(page: &Page, what: &str) {
    assert_eq!(page.status, 400, "{what}");
    assert_eq!(page.location(), None, "{what}");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{what}");
    assert_eq!(page.header("refresh"), "", "{what}");
    assert!(!page.html.contains("href=\"http") && !page.html.contains("http-equiv"), "{what}");
}

/// Shows: AUTHZ-1.
#[tokio::test]
async fn get_and_a_posted_form_are_served_and_other_methods_named_as_not_allowed() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let url = client.authorize_url(&server, &[]);
    assert_eq!(Browser::new().get(&url).await.status, 200);
    let (_, encoded) = url.split_once('?').unwrap();
    let pairs: Vec<_> = url::form_urlencoded::parse(encoded.as_bytes()).collect();
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
    let mut browser = Browser::new();
    let page = browser.post(&format!("{}/authorize", server.url), &pairs).await;
    assert_eq!(page.status, 200);
    let page = browser.decide(&page, "approve").await;
    let answer = browser.follow(page, &client.redirect_uri).await.unwrap();
    assert_eq!(query(&answer)["state"], "client-state");

    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let response = server.http.request(method.clone(), &url).send().await.unwrap();
        assert_eq!(response.status(), 405, "{method}");
        assert_eq!(response.headers()["allow"], "GET, POST", "{method}");
    }
    let json = server.json("/authorize", &json!({ "client_id": client.id })).send().await.unwrap();
    assert_eq!(json.status(), 400);
}

/// Whatever else is wrong: without a client and one of its redirect URIs, there is no redirect.
///
/// Shows: AUTHZ-2, AUTHZ-3, AUTHZ-4.
#[tokio::test]
async fn without_a_known_client_and_address_every_error_is_a_page() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let (id, uri) = (&*client.id, &*client.redirect_uri);
    let others: [&[(&str, &str)]; 5] = [
        &[],
        &[("scope", "non\"sense")],
        &[("response_type", "token")],
        &[("prompt", "none")],
        &[("code_challenge", "")],
    ];
    let unlawful: [&[(&str, &str)]; 13] = [
        &[("client_id", "")],
        &[("client_id", id), ("client_id", id)],
        &[("client_id", id), ("client_id", "mcp_other")],
        &[("client_id", "mcp_unknown")],
        &[("client_id", "https://client.example/metadata.json")],
        &[("client_id", "../../clients")],
        &[("client_id", &"x".repeat(300))],
        &[("redirect_uri", uri), ("redirect_uri", uri)],
        &[("redirect_uri", uri), ("redirect_uri", "https://evil.example/")],
        &[("redirect_uri", "https://evil.example/")],
        &[("redirect_uri", "/callback")],
        &[("redirect_uri", "http://127.0.0.1:4711/callback#f")],
        &[("client_id", "mcp_unknown"), ("redirect_uri", "https://evil.example/")],
    ];
    for wrong in unlawful {
        for other in others {
            let page = ask(&server, &client, &[wrong, other].concat()).await;
            assert_page(&page, &format!("{wrong:?} {other:?}"));
        }
    }
    let page = ask(&server, &client, &[("client_id", "mcp_unknown")]).await;
    assert!(page.html.contains("registers again"), "{}", page.html);
    let page = ask(&server, &client, &[("client_id", "mcp_<script>")]).await;
    assert!(!page.html.contains("<script>"));
    assert_eq!(server.upstream.requests().total(), 0);
}

/// Shows: AUTHZ-3, DCR-17.
#[tokio::test]
async fn a_registration_that_nobody_used_ends_and_the_page_says_what_to_do() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    server.advance(std::time::Duration::from_secs(24 * 3600 - 1));
    assert_eq!(ask(&server, &client, &[]).await.status, 200);
    server.advance(std::time::Duration::from_secs(1));
    for purged in [false, true] {
        let page = ask(&server, &client, &[("scope", "non\"sense")]).await;
        assert_page(&page, &format!("purged: {purged}"));
        assert!(page.html.contains("registers again"), "{}", page.html);
        server.server.purge().await.unwrap();
    }
}

/// Shows: AUTHZ-9, AUTHZ-16, AUTHZ-26.
#[tokio::test]
async fn a_parameter_that_was_sent_twice_is_an_error_even_with_equal_values() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let challenge = challenge();
    for (name, first, second) in [
        ("response_type", "code", "code"),
        ("scope", "user", "user"),
        ("scope", "user", "admin"),
        ("state", "a", "a"),
        ("state", "a", "b"),
        ("code_challenge", &*challenge, &*challenge),
        ("code_challenge_method", "S256", "plain"),
        ("prompt", "consent", "login"),
        ("response_mode", "query", "query"),
        ("nonce", "n", "n"),
    ] {
        let page = ask(&server, &client, &[(name, first), (name, second)]).await;
        let error = error_redirect(&server, &page, &client.redirect_uri);
        assert_eq!(error["error"], "invalid_request", "{name}");
        assert!(error["error_description"].contains(name), "{error:?}");
    }
    let once_empty = format!("{}&state=", client.authorize_url(&server, &[]));
    let page = Browser::new().get(&once_empty).await;
    assert_eq!(error_redirect(&server, &page, &client.redirect_uri)["error"], "invalid_request");
}

/// Shows: AUTHZ-10, AUTHZ-15, AUTHZ-21.
#[tokio::test]
async fn an_empty_parameter_counts_as_absent_and_unknown_ones_are_ignored() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let surplus = "&scope=&prompt=&response_mode=&request=&request_uri=&state=&foo=1&foo=2&resource=";
    let url = client.authorize_url(&server, &[("state", "")]) + surplus;
    let mut browser = Browser::new();
    let page = browser.get(&url).await;
    assert_eq!(page.status, 200, "{}", page.html);
    let page = browser.decide(&page, "approve").await;
    let answer = query(&browser.follow(page, &client.redirect_uri).await.unwrap());
    assert!(!answer.contains_key("state"));
    let tokens = Tokens::of(client.redeem(&server, &answer["code"]).await).await;
    assert_eq!(tokens.body["scope"], "user admin", "the scopes of a request without scope");

    let empty = format!("{}/authorize?client_id=&redirect_uri=", server.url);
    assert_page(&Browser::new().get(&empty).await, "empty client_id");
}

/// Shows: AUTHZ-11, AUTHZ-12, AUTHZ-13, AUTHZ-14, AUTHZ-17, AUTHZ-20, AUTHZ-24, AUTHZ-25, AUTHZ-26.
#[tokio::test]
async fn what_the_client_did_wrong_is_answered_to_the_client() {
    let server = Server::start().await;
    let public = Client::public(&server).await;
    let confidential = Client::confidential(&server).await;
    let long = "a".repeat(44);
    for (error, change) in [
        ("invalid_request", &[("response_type", "")][..]),
        ("unsupported_response_type", &[("response_type", "token")]),
        ("unsupported_response_type", &[("response_type", "id_token")]),
        ("unsupported_response_type", &[("response_type", "code token")]),
        ("unsupported_response_type", &[("response_type", "CODE")]),
        ("invalid_request", &[("code_challenge", "")]),
        ("invalid_request", &[("code_challenge", ""), ("code_challenge_method", "")]),
        ("invalid_request", &[("code_challenge_method", "")]),
        ("invalid_request", &[("code_challenge_method", "plain")]),
        ("invalid_request", &[("code_challenge_method", "s256")]),
        ("invalid_request", &[("code_challenge_method", "S512")]),
        ("invalid_request", &[("code_challenge", &long[..42])]),
        ("invalid_request", &[("code_challenge", &long)]),
        ("invalid_request", &[("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM")]),
        ("invalid_request", &[("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw/cM")]),
        ("invalid_request", &[("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstwcM=")]),
        ("invalid_request", &[("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstwcü")]),
        ("invalid_target", &[("resource", "/mcp")]),
        ("invalid_target", &[("resource", "mcp")]),
        ("invalid_target", &[("resource", "urn:mcp")]),
        ("invalid_target", &[("resource", "https://unknown.example/mcp")]),
        ("invalid_target", &[("resource", "https://evil\r\nX: \"\\ü.example/mcp")]),
        ("invalid_scope", &[("scope", "a\"b")]),
        ("invalid_scope", &[("scope", "a\\b")]),
        ("invalid_scope", &[("scope", "user\u{fc}")]),
        ("invalid_scope", &[("scope", "user\r\nadmin")]),
        ("login_required", &[("prompt", "none")]),
        ("invalid_request", &[("prompt", "none login")]),
        ("invalid_request", &[("prompt", "consent none")]),
        ("invalid_request", &[("response_mode", "fragment")]),
        ("invalid_request", &[("response_mode", "form_post")]),
        ("request_not_supported", &[("request", "eyJhbGciOiJub25lIn0.e30.")]),
        ("request_uri_not_supported", &[("request_uri", "https://client.example/request")]),
    ] {
        for client in [&public, &confidential] {
            let page = ask(&server, client, change).await;
            let answer = error_redirect(&server, &page, &client.redirect_uri);
            assert_eq!(answer["error"], error, "{change:?}");
            assert_eq!(answer["state"], "client-state", "{change:?}");
            let pkce = change[0].0 == "code_challenge_method";
            assert_eq!(answer["error_description"].contains("not supported: code_challenge_method"), pkce);
            assert!(!page.location().unwrap().contains('#'));
        }
    }
    assert_eq!(server.upstream.requests().total(), 0);
}

/// Shows: AUTHZ-14.
#[tokio::test]
async fn the_challenge_is_shown_to_nobody() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let mut browser = Browser::new();
    let consent = browser.get(&client.authorize_url(&server, &[])).await;
    let mut seen = vec![consent.clone()];
    let mut page = browser.decide(&consent, "approve").await;
    while let Some(location) = page.location() {
        seen.push(page);
        if location.starts_with(&client.redirect_uri) {
            break;
        }
        page = browser.get(&location).await;
    }
    assert_eq!(seen.len(), 4, "consent page, to the upstream, back from it, to the client");
    seen.push(ask(&server, &client, &[("prompt", "none")]).await);
    for page in seen {
        assert!(!page.html.contains(&challenge()) && !format!("{:?}", page.headers).contains(&challenge()));
    }
}

/// Link scanners fetch the address first, without cookies, and some clients open it twice. Each page is good.
#[tokio::test]
async fn an_address_may_be_fetched_by_others_and_opened_twice() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let url = client.authorize_url(&server, &[]);
    let before = server.stored_grants().len();
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(server.http.request(method, &url).send().await.unwrap().status(), 200);
    }
    let mut browser = Browser::new();
    let pages = [browser.get(&url).await, browser.get(&url).await];
    assert_eq!(server.stored_grants().len(), before);
    for page in &pages {
        let approved = browser.decide(page, "approve").await.location().unwrap();
        let callback = browser.get(&approved).await.location().unwrap();
        let answer = query(&browser.get(&callback).await.location().unwrap());
        assert_eq!(client.redeem(&server, &answer["code"]).await.status(), 200);
    }
}

/// The request travels sealed in cookies, which hold 4 KB each: a long `state` needs several.
///
/// Shows: AUTHZ-15, AUTHZ-16.
#[tokio::test]
async fn state_comes_back_as_it_was_sent() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let long = "0123456789abcdef".repeat(128) + "!";
    let longer = "ä漢🙂 +&=%".repeat(600);
    for state in [
        "x",
        "a b+c%2Bd%20e",
        "&code=evil&state=evil&iss=evil",
        "?#/\\\"'<>`{}|^[]@:;,$!*()~",
        "\u{fc}\u{6f22}\u{1f642}\u{202e}\u{0}\r\n\t",
        "{\"nested\":\"json\"}",
        "eyJhIjoiYiJ9.==",
        &long,
        &longer,
    ] {
        let shown: String = state.chars().take(30).collect();
        let page = client.authorize(&server, &mut Browser::new(), &[("state", state)]).await;
        let location = page.location().unwrap_or_else(|| panic!("{shown}: {}", page.html));
        assert_eq!(query(&location)["state"], state, "{shown}");
        assert!(query(&location).contains_key("code"));
        let page = ask(&server, &client, &[("state", state), ("prompt", "none")]).await;
        assert_eq!(error_redirect(&server, &page, &client.redirect_uri)["state"], state, "{shown}");
    }
    let answer = client.authorize(&server, &mut Browser::new(), &[("state", "")]).await;
    assert!(!query(&answer.location().unwrap()).contains_key("state"));
    let page = ask(&server, &client, &[("state", ""), ("prompt", "none")]).await;
    assert!(!error_redirect(&server, &page, &client.redirect_uri).contains_key("state"));
}

const NAMED: &str = r#"
[[resources]]
url = "https://h.example/mcp"
scopes = ["a", "b"]

[[resources]]
url = "https://root.example"
scopes = ["c"]

[[resources]]
url = "https://tenants.example/mcp?tenant=1"
scopes = ["d"]
"#;

/// Shows: AUTHZ-17, AUTHZ-18, AUTHZ-19.
#[tokio::test]
async fn a_resource_is_named_in_any_of_its_spellings_and_tokens_carry_the_configured_one() {
    let server = Server::with(Options { resources: Some(NAMED), ..Options::default() }).await;
    let client = Client::public(&server).await;
    for (requested, audience, scope) in [
        ("https://h.example/mcp", "https://h.example/mcp", "a b"),
        ("HTTPS://H.Example/mcp", "https://h.example/mcp", "a b"),
        ("https://h.example/mcp/", "https://h.example/mcp", "a b"),
        ("https://h.example:443/mcp", "https://h.example/mcp", "a b"),
        ("https://h.example/mcp#f", "https://h.example/mcp", "a b"),
        ("https://h.example/mcp?utm_source=plugin", "https://h.example/mcp", "a b"),
        ("https://h.example/mcp/?a=b&c=/d#e", "https://h.example/mcp", "a b"),
        ("https://root.example", "https://root.example", "c"),
        ("https://root.example/", "https://root.example", "c"),
        ("https://root.example/?a=b", "https://root.example", "c"),
        ("https://tenants.example/mcp?tenant=1", "https://tenants.example/mcp?tenant=1", "d"),
    ] {
        let code = client.code_with(&server, &[("resource", requested)]).await;
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", &*client.redirect_uri),
            ("code_verifier", VERIFIER),
            ("resource", requested),
        ];
        let tokens = Tokens::of(client.token_request(&server, &pairs).await).await;
        assert_eq!(claims(&tokens.access)["aud"], audience, "{requested}");
        assert_eq!(tokens.body["scope"], scope, "{requested}");
        let pairs =
            [("grant_type", "refresh_token"), ("refresh_token", &*tokens.refresh), ("resource", requested)];
        let tokens = Tokens::of(client.token_request(&server, &pairs).await).await;
        assert_eq!(claims(&tokens.access)["aud"], audience, "{requested}");
    }
    for wrong in [
        &[("resource", "")][..],
        &[("resource", "https://h.example/mcp//")],
        &[("resource", "https://h.example/MCP")],
        &[("resource", "https://h.example")],
        &[("resource", "https://h.example:8443/mcp")],
        &[("resource", "https://h.example:80/mcp")],
        &[("resource", "http://h.example/mcp")],
        &[("resource", "https://h.example?/mcp")],
        &[("resource", "https://h.example/#/mcp")],
        &[("resource", "https://h.example/%6Dcp")],
        &[("resource", "https://evil.example/?https://h.example/mcp")],
        &[("resource", "https://tenants.example/mcp")],
        &[("resource", "https://tenants.example/mcp?tenant=2")],
        &[("resource", "https://user@h.example/mcp")],
        &[("resource", "https://h.example/x/../mcp")],
        &[("resource", "https://root.example/x")],
        &[("resource", "https://h.example/mcp"), ("resource", "https://root.example")],
        &[("resource", "https://h.example/mcp"), ("resource", "https://h.example/mcp")],
        &[("resource", "https://h.example/mcp"), ("resource", "https://unknown.example")],
    ] {
        let page = ask(&server, &client, wrong).await;
        let error = error_redirect(&server, &page, &client.redirect_uri);
        assert_eq!(error["error"], "invalid_target", "{wrong:?}");
    }
}

/// Shows: AUTHZ-19.
#[tokio::test]
async fn who_names_no_resource_gets_the_configured_default() {
    let resources = "[[resources]]\nurl = \"https://a.example/mcp\"\n\
                     [[resources]]\nurl = \"https://b.example/mcp\"\ndefault = true\n";
    let server = Server::with(Options { resources: Some(resources), ..Options::default() }).await;
    let client = Client::public(&server).await;
    let code = client.code_with(&server, &[("resource", "")]).await;
    let tokens = Tokens::of(client.redeem(&server, &code).await).await;
    assert_eq!(claims(&tokens.access)["aud"], "https://b.example/mcp");
}

/// Shows: AUTHZ-20, AUTHZ-21, AUTHZ-22, AUTHZ-23.
#[tokio::test]
async fn what_is_offered_is_granted_whatever_was_registered_and_the_answer_says_it() {
    let server = Server::start().await;
    let more = json!({ "token_endpoint_auth_method": "none", "scope": "user" });
    let client = Client::registered(&server, more).await;
    for (requested, granted) in [
        ("", "user admin"),
        ("user", "user"),
        ("user admin", "user admin"),
        ("admin user user", "admin user"),
        ("user unknown", "user"),
        ("unknown", "user admin"),
        ("unknown other offline_access", "user admin offline_access"),
        ("openid", "user admin"),
        ("openid email profile", "user admin"),
        ("offline_access", "user admin offline_access"),
        ("user openid profile offline_access", "user offline_access"),
    ] {
        let code = client.code_with(&server, &[("scope", requested)]).await;
        let tokens = Tokens::of(client.redeem(&server, &code).await).await;
        assert_eq!(tokens.body["scope"], granted, "{requested}");
        assert_eq!(claims(&tokens.access)["scope"], granted, "{requested}");
    }
    let metadata = body(server.get("/.well-known/oauth-authorization-server").await).await;
    assert_eq!(metadata["scopes_supported"], json!(["user", "admin"]), "offline_access is not advertised");
}

/// Shows: AUTHZ-25.
#[tokio::test]
async fn prompt_decides_on_a_fresh_sign_in_and_unknown_values_on_nothing() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    for (prompt, fresh) in [
        ("", false),
        ("consent", false),
        ("create", false),
        ("something new", false),
        ("login", true),
        ("select_account", true),
        ("consent login", true),
    ] {
        let mut browser = Browser::new();
        let page = browser.get(&client.authorize_url(&server, &[("prompt", prompt)])).await;
        assert_eq!(page.status, 200, "{prompt}: the page is shown every time");
        let page = browser.decide(&page, "approve").await;
        let upstream = query(&page.location().unwrap());
        assert_eq!(upstream.get("prompt").map(String::as_str), fresh.then_some("login"), "{prompt}");
    }
    let page = ask(&server, &client, &[("response_mode", "query")]).await;
    assert_eq!(page.status, 200);
}

/// The request that the person sees is the one that is answered. It is not stored, but sealed: the form
/// holds it, and nothing else that is sent along counts.
///
/// Shows: AUTHZ-29.
#[tokio::test]
async fn a_form_cannot_change_the_request_that_it_decides_on() {
    let server = Server::start().await;
    let more = json!({
        "token_endpoint_auth_method": "none",
        "redirect_uris": ["http://127.0.0.1:4711/callback", "https://other.example/cb"],
    });
    let client = Client::registered(&server, more).await;
    let mut browser = Browser::new();
    let page = browser.get(&client.authorize_url(&server, &[("scope", "user")])).await;
    let transaction = page.transaction();
    let pairs = [
        ("transaction", &*transaction),
        ("decision", "approve"),
        ("client_id", "mcp_other"),
        ("redirect_uri", "https://other.example/cb"),
        ("scope", "admin"),
        ("resource", "https://other.example/mcp"),
        ("state", "other"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstwcMo"),
    ];
    let url = format!("{}?redirect_uri=https://other.example/cb&scope=admin", page.form_action());
    let page = browser.post(&url, &pairs).await;
    let answer = query(&browser.follow(page, &client.redirect_uri).await.unwrap());
    assert_eq!(answer["state"], "client-state");
    let tokens = Tokens::of(client.redeem(&server, &answer["code"]).await).await;
    assert_eq!(
        (&tokens.body["scope"], &claims(&tokens.access)["aud"]),
        (&json!("user"), &json!(server.resource))
    );
    assert_eq!(claims(&tokens.access)["client_id"], client.id);
}

/// Shows: AUTHZ-30.
#[tokio::test]
async fn what_must_not_be_guessed_holds_at_least_128_random_bits() {
    let server = Server::start().await;
    let mut seen: BTreeMap<&str, Vec<Vec<u8>>> = BTreeMap::new();
    for _ in 0..8 {
        let client = Client::confidential(&server).await;
        let mut browser = Browser::new();
        let consent = browser.get(&client.authorize_url(&server, &[])).await;
        let page = browser.decide(&consent, "approve").await;
        let upstream = query(&page.location().unwrap());
        let code = query(&browser.follow(page, &client.redirect_uri).await.unwrap()).remove("code").unwrap();
        let refresh = Tokens::of(client.redeem(&server, &code).await).await.refresh;
        let cookies: Vec<_> =
            browser.cookies.iter().filter(|((_, name), _)| name.ends_with("browser")).collect();
        // A client ID begins with the time.
        let id = BASE32_DNSSEC.decode(client.id.strip_prefix("mcp_").unwrap().as_bytes()).unwrap();
        let id = encode(&id[6..]);
        let values = [
            ("client_id", &*id, 16),
            ("client_secret", client.secret.as_deref().unwrap().strip_prefix("mcp_cs_").unwrap(), 32),
            ("code", &code[code.len() - 43..], 32),
            ("refresh_token", &refresh[refresh.len() - 43..], 32),
            ("state", &*upstream["state"], 32),
            ("browser", cookies[0].1, 32),
        ];
        for (name, text, bytes) in values {
            let value = decode(text).unwrap_or_else(|| panic!("{name} {text}"));
            assert_eq!(value.len(), bytes, "{name}");
            seen.entry(name).or_default().push(value);
        }
    }
    // Of random bytes, eight in the same place are alike once in 256^7 times.
    for (name, values) in seen {
        for place in 0..values[0].len() {
            assert!(values.iter().any(|value| value[place] != values[0][place]), "{name}[{place}]");
        }
    }
}

const MARKED: &str = r#"
[[resources]]
url = "{origin}/mcp"
scopes = [{ name = "user", default = true }, "admin", { name = "notes", default = true, description = "Notes" }]
[[resources]]
url = "{origin}/bare"
"#;

/// Shows: AUTHZ-20, AUTHZ-21, AUTHZ-22.
#[tokio::test]
async fn marked_scopes_are_given_without_being_asked_for_and_the_others_only_when_they_are() {
    let server = Server::with(Options { resources: Some(MARKED), ..Options::default() }).await;
    let client = Client::public(&server).await;
    for (requested, granted) in [
        ("", "user notes"),
        ("openid", "user notes"),
        ("openid email profile", "user notes"),
        ("unknown", "user notes"),
        ("offline_access", "user notes offline_access"),
        ("admin", "admin"),
        ("admin openid", "admin"),
        ("user admin", "user admin"),
    ] {
        let code = client.code_with(&server, &[("resource", &*server.resource), ("scope", requested)]).await;
        let tokens = Tokens::of(client.redeem(&server, &code).await).await;
        assert_eq!(tokens.body["scope"], granted, "{requested}");
        assert_eq!(claims(&tokens.access)["scope"], granted, "{requested}");
    }
    let document = body(server.get("/.well-known/oauth-protected-resource/mcp").await).await;
    assert_eq!(document["scopes_supported"], json!(["user", "notes"]), "clients ask for all that it lists");
    let document = body(server.get("/.well-known/oauth-authorization-server").await).await;
    assert_eq!(document["scopes_supported"], json!(["user", "admin", "notes"]));
}

/// Shows: AUTHZ-20, AUTHZ-22, TOK-6.
#[tokio::test]
async fn a_resource_without_scopes_is_open_to_any_wish_and_nothing_granted_is_nothing_said() {
    let server = Server::with(Options { resources: Some(MARKED), ..Options::default() }).await;
    let client = Client::public(&server).await;
    let bare = format!("{}/bare", server.origin);
    for requested in ["", "openid email profile", "anything"] {
        let code = client.code_with(&server, &[("resource", &bare), ("scope", requested)]).await;
        let mut tokens = Tokens::of(client.redeem(&server, &code).await).await;
        for _ in 0..2 {
            assert!(tokens.body.get("scope").is_none(), "{requested}: {}", tokens.body);
            assert!(claims(&tokens.access).get("scope").is_none(), "{requested}");
            tokens = Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
        }
    }
}
