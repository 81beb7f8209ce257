//! The token endpoint's manners, and the access tokens that come out of it.

use std::{collections::BTreeSet, time::Duration};

use jsonwebtoken::{DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{Browser, Client, Options, Server, TWO_RESOURCES, Tokens, VERIFIER, body, claims};

const FORM: &str = "application/x-www-form-urlencoded";

/// A redemption as pairs.
fn redemption<'a>(client: &'a Client, code: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", &client.id),
        ("code", code),
        ("redirect_uri", &client.redirect_uri),
        ("code_verifier", VERIFIER),
    ]
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Checks that a refusal is one for machines, and gives its status and error.
async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let header =
        |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let (content_type, cache, pragma) = (header("content-type"), header("cache-control"), header("pragma"));
    let challenge = header("www-authenticate");
    let body = body(response).await;
    assert_eq!((&*content_type, &*cache, &*pragma), ("application/json", "no-store", "no-cache"), "{body}");
    assert_eq!(challenge.starts_with("Basic "), status == 401, "{body}");
    let members: BTreeSet<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(members.is_subset(&BTreeSet::from(["error", "error_description"])), "{body}");
    // RFC 6749 section 5.2: printable ASCII without quote and backslash.
    let plain = |text: &str| text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\');
    assert!(body.as_object().unwrap().values().all(|text| plain(text.as_str().unwrap())), "{body}");
    (status, body["error"].as_str().unwrap().to_owned())
}

async fn post(server: &Server, content_type: Option<&str>, body: impl Into<reqwest::Body>) -> Response {
    let request = server.http.post(format!("{}/token", server.url)).body(body);
    let request = match content_type {
        Some(content_type) => request.header("content-type", content_type),
        None => request,
    };
    request.send().await.unwrap()
}

/// Shows: TOK-1, TOK-7.
#[tokio::test]
async fn only_post_is_served_and_only_what_stands_in_the_body_counts() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let code = client.code(&server).await;
    let query = encoded(&redemption(&client, &code));
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH, Method::HEAD] {
        let is_head = method == Method::HEAD;
        let url = format!("{}/token?{query}", server.url);
        let response = server.http.request(method, url).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()["allow"], "POST");
        if !is_head {
            refusal(response).await;
        }
    }
    for (name, expected) in [
        ("grant_type", (400, "invalid_request")),
        ("client_id", (401, "invalid_client")),
        ("code", (400, "invalid_request")),
        ("code_verifier", (400, "invalid_request")),
    ] {
        let pairs = redemption(&client, &code);
        let (query, rest): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|pair| pair.0 == name);
        let url = format!("{}/token?{}", server.url, encoded(&query));
        let request = server.http.post(url).header("content-type", FORM).body(encoded(&rest));
        let (status, error) = refusal(request.send().await.unwrap()).await;
        assert_eq!((status, &*error), expected, "{name} in the query");
    }
    let confidential = Client::confidential(&server).await;
    let own = confidential.code(&server).await;
    let secret = encoded(&[("client_secret", confidential.secret.as_deref().unwrap())]);
    let url = format!("{}/token?{secret}", server.url);
    let request =
        server.http.post(url).header("content-type", FORM).body(encoded(&redemption(&confidential, &own)));
    assert_eq!(refusal(request.send().await.unwrap()).await, (401, "invalid_client".to_owned()));
    assert_eq!(client.redeem(&server, &code).await.status(), 200, "nothing of this used the code up");
}

/// Shows: TOK-2, TOK-7.
#[tokio::test]
async fn a_body_is_a_form_of_a_modest_size() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let code = client.code(&server).await;
    let form = encoded(&redemption(&client, &code));
    let json = json!({"grant_type": "authorization_code", "code": code}).to_string();
    for (content_type, body) in [
        (Some("application/json"), &json),
        (Some("application/json"), &form),
        (Some("text/plain"), &form),
        (Some("multipart/form-data; boundary=x"), &form),
        (Some(""), &form),
        (None, &form),
    ] {
        let refused = refusal(post(&server, content_type, body.clone()).await).await;
        assert_eq!(refused, (400, "invalid_request".to_owned()), "{content_type:?}");
    }
    for body in [&b"grant_type=%ff"[..], b"grant_type=\xff", b"%", b"=&=&&", b""] {
        assert_eq!(post(&server, Some(FORM), body.to_vec()).await.status().as_u16() / 100, 4, "{body:?}");
    }
    let large = format!("{form}&padding={}", "x".repeat(64 * 1024));
    assert_eq!(refusal(post(&server, Some(FORM), large).await).await.0, 413);
    let with_charset = post(&server, Some("application/x-www-form-urlencoded; charset=UTF-8"), form).await;
    assert_eq!(with_charset.status(), 200);
}

/// Shows: TOK-7.
#[tokio::test]
async fn a_failure_of_ours_is_json_too_and_gives_nothing_away() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let (code, tokens) = (client.code(&server).await, client.login(&server).await);
    let database = rusqlite::Connection::open(server.folder.path().join("test.sqlite")).unwrap();
    let damaged = "UPDATE record SET value = '{\"damaged\":true}' WHERE kind = 2";
    assert_eq!(database.execute(damaged, []).unwrap(), 2);
    for response in [client.redeem(&server, &code).await, client.refresh(&server, &tokens.refresh).await] {
        assert_eq!(refusal(response).await, (500, "server_error".to_owned()));
    }
}

/// Shows: TOK-3.
#[tokio::test]
async fn a_parameter_comes_once_an_empty_one_not_at_all_and_an_unknown_one_is_ignored() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let code = client.code(&server).await;
    let base = redemption(&client, &code);
    for repeated in
        [base.clone(), vec![("scope", "user")], vec![("refresh_token", "x")], vec![("client_secret", "x")]]
            .concat()
    {
        let mut pairs = base.clone();
        pairs.push(repeated);
        if !base.contains(&repeated) {
            pairs.push(repeated);
        }
        let refused = refusal(server.form("/token", &pairs).send().await.unwrap()).await;
        assert_eq!(refused, (400, "invalid_request".to_owned()), "{}", repeated.0);
    }
    for (name, _) in &base {
        let pairs: Vec<_> = base.iter().map(|(n, value)| (*n, if n == name { "" } else { *value })).collect();
        let response = server.form("/token", &pairs).send().await.unwrap();
        match *name {
            "redirect_uri" => {}
            "client_id" => assert_eq!(refusal(response).await, (401, "invalid_client".to_owned())),
            _ => assert_eq!(refusal(response).await, (400, "invalid_request".to_owned()), "{name}"),
        }
    }
    let code = client.code(&server).await;
    let mut pairs = redemption(&client, &code);
    pairs.extend([
        ("scope", ""),
        ("resource", ""),
        ("client_secret", ""),
        ("made_up", "1"),
        ("made_up", "2"),
    ]);
    pairs.extend([("resource", &*server.resource); 2]);
    assert_eq!(server.form("/token", &pairs).send().await.unwrap().status(), 200);
}

/// Shows: TOK-4.
#[tokio::test]
async fn grant_types_that_are_missing_or_unknown_are_told_apart() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    for (grant_type, error) in [
        ("", "invalid_request"),
        ("password", "unsupported_grant_type"),
        ("implicit", "unsupported_grant_type"),
        ("client_credentials", "unauthorized_client"),
        ("urn:ietf:params:oauth:grant-type:device_code", "unsupported_grant_type"),
        ("Authorization_Code", "unsupported_grant_type"),
        ("authorization_code ", "unsupported_grant_type"),
    ] {
        let refused = refusal(client.token_request(&server, &[("grant_type", grant_type)]).await).await;
        assert_eq!(refused, (400, error.to_owned()), "{grant_type}");
    }
}

/// Shows: TOK-5, TOK-6, TOK-10, TOK-11.
#[tokio::test]
async fn a_success_has_the_standards_members_and_no_others() {
    let server = Server::start().await;
    for grant_types in [json!(["authorization_code", "refresh_token"]), json!(["authorization_code"])] {
        for method in ["none", "client_secret_basic"] {
            let metadata = json!({"token_endpoint_auth_method": method, "grant_types": grant_types});
            let client = Client::registered(&server, metadata).await;
            for scope in ["", "user"] {
                let code = client.code_with(&server, &[("scope", scope)]).await;
                let response = client.redeem(&server, &code).await;
                assert_eq!(response.status(), 200);
                let headers = response.headers().clone();
                assert_eq!(headers["content-type"], "application/json");
                assert_eq!(
                    (&headers["cache-control"], &headers["pragma"]),
                    (&"no-store".parse().unwrap(), &"no-cache".parse().unwrap())
                );
                let tokens = body(response).await;
                let members: BTreeSet<&str> =
                    tokens.as_object().unwrap().keys().map(String::as_str).collect();
                let expected =
                    BTreeSet::from(["access_token", "token_type", "expires_in", "refresh_token", "scope"]);
                assert_eq!(members, expected, "{method} {grant_types}");
                assert_eq!(tokens["token_type"], "Bearer");
                // Ten minutes: within RFC 9700's minutes, for public clients and all others.
                assert_eq!(tokens["expires_in"], json!(600));
                assert!(tokens["scope"].as_str().is_some_and(|scope| !scope.is_empty()), "{tokens}");
                let refresh = tokens["refresh_token"].as_str();
                assert!(refresh.is_some_and(|token| token.starts_with("mcp_rt_")), "{grant_types}");
            }
        }
    }
}

/// Shows: TOK-8, TOK-11.
#[tokio::test]
async fn nobody_gets_more_scope_than_was_asked_for_and_granted() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    for (asked, granted) in [("user", "user"), ("admin", "admin"), ("user admin", "user admin")] {
        let code = client.code_with(&server, &[("scope", asked)]).await;
        let mut pairs = redemption(&client, &code);
        pairs.push(("scope", "user admin offline_access"));
        let tokens = Tokens::of(server.form("/token", &pairs).send().await.unwrap()).await;
        for scope in [
            &tokens.body["scope"],
            &claims(&tokens.access)["scope"],
            &server.introspect(&tokens.access).await["scope"],
        ] {
            assert_eq!(scope, granted, "a token request widens nothing");
        }
        assert!(!tokens.refresh.is_empty(), "whatever scope was asked for");
    }
}

/// Shows: TOK-9, JWT-3.
#[tokio::test]
async fn a_code_yields_a_token_for_the_one_resource_of_its_grant() {
    let server = Server::with(Options { resources: Some(TWO_RESOURCES), ..Options::default() }).await;
    let client = Client::public(&server).await;
    let other = format!("{}/other", server.origin);
    let shouted = server.resource.replace("http://", "HTTP://");
    let elsewhere = "https://elsewhere.example/mcp".to_owned();
    for (asked, own, foreign) in [
        (&*server.resource, &server.resource, &other),
        (&*shouted, &server.resource, &other),
        (&*other, &other, &server.resource),
        ("", &server.resource, &other),
    ] {
        let code = client.code_with(&server, &[("resource", asked)]).await;
        for wrong in [vec![foreign], vec![own, foreign], vec![&elsewhere]] {
            let mut pairs = redemption(&client, &code);
            pairs.extend(wrong.iter().map(|resource| ("resource", &***resource)));
            let refused = refusal(server.form("/token", &pairs).send().await.unwrap()).await;
            assert_eq!(refused, (400, "invalid_target".to_owned()), "{asked} {wrong:?}");
        }
        let access = Tokens::of(client.redeem(&server, &code).await).await.access;
        let aud = &claims(&access)["aud"];
        assert_eq!(aud, own, "the configured spelling, as one string");
        assert!(*aud != server.url && *aud != client.id);
        let code = client.code_with(&server, &[("resource", asked)]).await;
        let mut pairs = redemption(&client, &code);
        pairs.push(("resource", own));
        let named = Tokens::of(server.form("/token", &pairs).send().await.unwrap()).await;
        assert_eq!(claims(&named.access)["aud"], *own);
    }
}

/// Shows: JWT-1, JWT-2, JWT-5, JWT-7.
#[tokio::test]
async fn an_access_token_is_signed_by_a_published_key_and_says_what_rfc_9068_asks_for() {
    for (keys, algorithm) in [("", "ES256"), ("algorithm = \"RS256\"", "RS256")] {
        let server = Server::with(Options { keys, ..Options::default() }).await;
        let client = Client::public(&server).await;
        let code = client.code_with(&server, &[("scope", "user admin")]).await;
        let tokens = Tokens::of(client.redeem(&server, &code).await).await;
        let header = decode_header(&tokens.access).unwrap();
        assert_eq!(
            (header.typ.as_deref(), format!("{:?}", header.alg)),
            (Some("at+jwt"), algorithm.to_owned())
        );

        let published: JwkSet = serde_json::from_value(body(server.get("/jwks.json").await).await).unwrap();
        let key = published.find(header.kid.as_deref().expect("kid")).expect("a published key");
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&[&server.resource]);
        validation.set_issuer(&[&server.url]);
        let verified =
            decode::<Value>(&tokens.access, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap();
        let claims = verified.claims;
        let members: BTreeSet<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope"];
        assert_eq!(members, BTreeSet::from(expected), "and nothing of the person or the upstream");
        assert_eq!((&claims["iss"], &claims["client_id"]), (&json!(server.url), &json!(client.id)));
        assert_eq!(claims["scope"], "user admin");
        let now = server.server.now().as_secs();
        assert_eq!(claims["iat"], now - 30, "so that a verifier may be behind");
        assert_eq!(json!(claims["exp"].as_u64().unwrap() - now), tokens.body["expires_in"]);
        assert!(!claims.to_string().contains("ada@"), "{claims}");
    }
}

/// Shows: JWT-4.
#[tokio::test]
async fn a_person_keeps_one_name_that_no_client_has() {
    let server = Server::start().await;
    let (one, other) = (Client::public(&server).await, Client::confidential(&server).await);
    let subject = |tokens: &Tokens| claims(&tokens.access)["sub"].as_str().unwrap().to_owned();
    let first = one.login(&server).await;
    let ada = subject(&first);
    assert!(ada.starts_with("pui_"), "{ada}");
    assert_eq!(subject(&other.login(&server).await), ada);
    assert_eq!(subject(&Tokens::of(one.refresh(&server, &first.refresh).await).await), ada);
    server
        .upstream
        .switches()
        .authorize
        .set(|authorize| authorize.sign_in_as = Some("bob@example.com".to_owned()));
    assert_ne!(subject(&one.login(&server).await), ada);
    for client in [&one, &other] {
        assert!(!client.id.starts_with("pui_") && client.id != ada, "{}", client.id);
    }
}

/// Shows: JWT-6.
#[tokio::test]
async fn nothing_but_an_access_token_as_it_was_issued_passes_for_one() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let mut browser = Browser::new();
    let page = browser.get(&client.authorize_url(&server, &[])).await;
    let transaction = page.transaction();
    browser.decide(&page, "approve").await;
    let code = client.code(&server).await;
    let tokens = client.login(&server).await;
    let parts: Vec<&str> = tokens.access.split('.').collect();
    let encode = |value: &Value| pangea_mcp_auth::secret::encode(value.to_string().as_bytes());
    let with_header = |header: Value| format!("{}.{}.{}", encode(&header), parts[1], parts[2]);
    let mut wider = claims(&tokens.access);
    wider["scope"] = json!("user admin");
    let mut others = vec![
        transaction,
        code,
        tokens.refresh.clone(),
        with_header(json!({"alg": "none"})),
        with_header(json!({"alg": "ES256", "typ": "JWT"})),
        format!("{}.{}.", encode(&json!({"alg": "none", "typ": "at+jwt"})), parts[1]),
        format!("{}.{}.{}", parts[0], encode(&wider), parts[2]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], parts[1], "A".repeat(parts[2].len())),
        format!(" {}", tokens.access),
        format!("{}.", tokens.access),
    ];
    others.extend(browser.cookies.into_values());
    for other in &others {
        assert_eq!(server.introspect(other).await, json!({"active": false}), "{other}");
    }
    assert_eq!(server.introspect(&tokens.access).await["active"], true);
}

/// Shows: JWT-7, TOK-10.
#[tokio::test]
async fn each_access_token_has_a_name_of_its_own_by_which_it_can_be_revoked_and_an_end() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let mut all = vec![client.login(&server).await, client.login(&server).await];
    for _ in 0..8 {
        let refresh = all.last().unwrap().refresh.clone();
        all.push(Tokens::of(client.refresh(&server, &refresh).await).await);
    }
    let names: BTreeSet<String> =
        all.iter().map(|tokens| claims(&tokens.access)["jti"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.len(), all.len());
    let pairs = [("token", &*all[4].access), ("client_id", &*client.id)];
    assert_eq!(server.form("/revoke", &pairs).send().await.unwrap().status(), 200);
    for (number, tokens) in all.iter().enumerate() {
        let introspected = server.introspect(&tokens.access).await;
        assert_eq!(introspected["active"], number != 4, "{number}");
        assert!(number == 4 || introspected["jti"] == claims(&tokens.access)["jti"]);
    }
    server.advance(Duration::from_secs(599));
    assert_eq!(server.introspect(&all[9].access).await["active"], true);
    server.advance(Duration::from_secs(1));
    assert_eq!(server.introspect(&all[9].access).await["active"], false);
}

/// What the operator chose, in the token and at introspection, also after a refresh.
///
/// Shows: JWT-5.
#[tokio::test]
async fn tokens_say_of_the_person_what_the_operator_chose() {
    let options = |sections| Options { sections, ..Options::default() };
    let email = ("email", json!("ada@example.com"));
    let username = ("username", json!("ada@example.com"));
    let groups = |names: &[&str]| ("groups", json!(names));
    for (sections, expected) in [
        ("[tokens]\nclaims = [\"email\"]", vec![email.clone()]),
        ("[tokens]\nclaims = [\"username\", \"groups\"]", vec![username.clone(), groups(&[])]),
        (
            "[tokens]\nclaims = [\"email\", \"groups\"]\n[access]\ngroups = [\"staff\"]",
            vec![email.clone(), groups(&["staff"])],
        ),
        ("[tokens]\nclaims = []", vec![]),
    ] {
        let server = Server::with(options(sections)).await;
        server.upstream.set_groups("ada@example.com", &["staff", "choir"]);
        let client = Client::public(&server).await;
        let first = client.login(&server).await;
        let second = Tokens::of(client.refresh(&server, &first.refresh).await).await;
        for tokens in [&first, &second] {
            let (told, introspected) = (claims(&tokens.access), server.introspect(&tokens.access).await);
            for name in ["email", "username", "groups"] {
                let wanted = expected.iter().find(|(wanted, _)| *wanted == name).map(|(_, value)| value);
                assert_eq!(told.get(name), wanted, "{sections}: {told}");
                if name != "username" {
                    assert_eq!(introspected.get(name), wanted, "{sections}: {introspected}");
                }
            }
            assert_eq!(introspected["username"], "ada@example.com", "{sections}");
        }
    }
}

/// Shows: TOK-8.
#[tokio::test]
async fn where_nothing_is_granted_no_scope_is_told() {
    const BARE: &str = r#"
[[resources]]
url = "{origin}/mcp"
introspection = { client_id = "rs-1", client_secret = { env = "RS_SECRET" } }
"#;
    let server = Server::with(Options { resources: Some(BARE), ..Options::default() }).await;
    let client = Client::public(&server).await;
    let first = client.login(&server).await;
    let second = Tokens::of(client.refresh(&server, &first.refresh).await).await;
    for tokens in [&first, &second] {
        assert_eq!(tokens.body.get("scope"), None, "{}", tokens.body);
        assert_eq!(claims(&tokens.access).get("scope"), None);
        let introspected = server.introspect(&tokens.access).await;
        assert_eq!((&introspected["active"], introspected.get("scope")), (&json!(true), None));
    }
}
