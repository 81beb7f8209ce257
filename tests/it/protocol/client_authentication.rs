//! How clients prove who they are at the token and revocation endpoints.

use std::{sync::Arc, time::Duration};

use pangea_mcp_auth::{
    clock::Clock,
    oauth,
    repository::{Collection, MemoryRepository, Repository, is_key},
    secret::encode,
};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::json;

use crate::support::{Client, Options, RS_SECRET, Server, Tokens, body};

const ENDPOINTS: [&str; 2] = ["/token", "/revoke"];

/// How a caller presents itself.
enum Presented<'a> {
    Nothing,
    Basic(&'a str, &'a str),
    Body(&'a [(&'a str, &'a str)]),
    Header(&'a str),
    BasicAndBody(&'a str, &'a str, &'a [(&'a str, &'a str)]),
}

/// A request that only authenticates: its token belongs to no grant.
fn request(server: &Server, endpoint: &str, presented: &Presented<'_>) -> RequestBuilder {
    let mut pairs = match endpoint {
        "/token" => vec![("grant_type", "refresh_token"), ("refresh_token", "unknown")],
        _ => vec![("token", "unknown")],
    };
    match presented {
        Presented::Nothing | Presented::Header(_) | Presented::Basic(..) => {}
        Presented::Body(more) | Presented::BasicAndBody(_, _, more) => pairs.extend(*more),
    }
    let request = server.form(endpoint, &pairs);
    match presented {
        Presented::Nothing | Presented::Body(_) => request,
        Presented::Header(header) => request.header("authorization", *header),
        Presented::Basic(id, secret) | Presented::BasicAndBody(id, secret, _) => {
            request.basic_auth(id, Some(secret))
        }
    }
}

async fn answer(server: &Server, endpoint: &str, presented: &Presented<'_>) -> Response {
    request(server, endpoint, presented).send().await.unwrap()
}

/// Whether the caller was taken for who it says it is: `invalid_grant` speaks of the token alone.
async fn is_authenticated(response: Response, endpoint: &str) -> bool {
    match (endpoint, response.status()) {
        ("/revoke", StatusCode::OK) => true,
        ("/token", StatusCode::BAD_REQUEST) => body(response).await["error"] == "invalid_grant",
        _ => false,
    }
}

async fn refused(response: Response, status: u16, error: &str, what: &str) {
    let (got, challenge) = (response.status(), response.headers().get("www-authenticate").cloned());
    let body = body(response).await;
    assert_eq!((got.as_u16(), body["error"].as_str()), (status, Some(error)), "{what}: {body}");
    let challenge = challenge.as_ref().map(|value| value.to_str().unwrap());
    match status {
        401 => assert!(challenge.is_some_and(|text| text.starts_with("Basic realm=\"")), "{what}"),
        _ => assert_eq!(challenge, None, "{what}"),
    }
}

/// Shows: CAUTH-1, CAUTH-8, REVOKE-2.
#[tokio::test]
async fn a_secret_may_come_in_the_header_or_the_body_whatever_was_registered() {
    let server = Server::start().await;
    for method in ["client_secret_basic", "client_secret_post"] {
        let client = Client::registered(&server, json!({ "token_endpoint_auth_method": method })).await;
        let (id, secret) = (&*client.id, client.secret.as_deref().expect("a secret"));
        for endpoint in ENDPOINTS {
            for presented in [
                Presented::Basic(id, secret),
                Presented::Body(&[("client_id", id), ("client_secret", secret)]),
            ] {
                assert!(
                    is_authenticated(answer(&server, endpoint, &presented).await, endpoint).await,
                    "{method} {endpoint}"
                );
            }
            let without = Presented::Body(&[("client_id", id)]);
            refused(answer(&server, endpoint, &without).await, 401, "invalid_client", "no secret").await;
        }
    }
    let public = Client::public(&server).await;
    for endpoint in ENDPOINTS {
        let presented = Presented::Body(&[("client_id", &public.id)]);
        assert!(is_authenticated(answer(&server, endpoint, &presented).await, endpoint).await, "{endpoint}");
        let presented = Presented::Basic(&public.id, "");
        assert!(is_authenticated(answer(&server, endpoint, &presented).await, endpoint).await, "{endpoint}");
        let presented = Presented::Basic(&public.id, "made-up");
        refused(answer(&server, endpoint, &presented).await, 401, "invalid_client", "a secret it has not")
            .await;
    }
}

/// Shows: CAUTH-1.
#[tokio::test]
async fn a_whole_login_works_with_each_method() {
    let server = Server::start().await;
    for method in ["none", "client_secret_basic", "client_secret_post"] {
        let client = Client::registered(&server, json!({ "token_endpoint_auth_method": method })).await;
        let tokens = client.login(&server).await;
        let refreshed = Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
        assert_eq!(server.introspect(&refreshed.access).await["active"], true, "{method}");
    }
}

/// Shows: CAUTH-2.
#[tokio::test]
async fn issued_ids_and_secrets_are_the_same_in_every_encoding() {
    let server = Server::start().await;
    for _ in 0..8 {
        let client = Client::confidential(&server).await;
        let (id, secret) = (&*client.id, client.secret.as_deref().expect("a secret"));
        for text in [id, secret] {
            let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
            assert!(text.bytes().all(unreserved), "{text}");
        }
        let escaped = secret.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
        for presented in [secret, &*escaped] {
            let presented = Presented::Basic(id, presented);
            assert!(is_authenticated(answer(&server, "/token", &presented).await, "/token").await);
        }
    }
}

/// Shows: CAUTH-2.
#[tokio::test]
async fn basic_is_split_at_the_first_colon_and_then_decoded() {
    let server = Server::start().await;
    for (halves, right) in [
        ("rs-1:SECRET".to_owned(), true),
        (format!("rs-1:{}", RS_SECRET.replacen('-', "%2D", 1).replacen('-', "%2d", 1)), true),
        ("rs%2D1:SECRET".to_owned(), true),
        ("rs-1:SECRET:".to_owned(), false),
        ("rs-1%3ASECRET".to_owned(), false),
        (format!("rs-1:{}", RS_SECRET.replacen('-', "+", 1)), false),
        ("rs-1: SECRET".to_owned(), false),
    ] {
        let halves = halves.replace("SECRET", RS_SECRET);
        let header = format!("Basic {}", standard_base64(&halves));
        let request = server.form("/introspect", &[("token", "x")]).header("authorization", header);
        assert_eq!(request.send().await.unwrap().status() == 200, right, "{halves}");
    }
}

pub(crate) fn standard_base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Shows: CAUTH-3, CAUTH-6.
#[tokio::test]
async fn a_malformed_header_is_invalid_client_and_never_a_failure_of_ours() {
    let server = Server::start().await;
    let client = Client::confidential(&server).await;
    let bad_utf8 = format!("Basic {}", encode(&[0xFF, 0xFE, b':', b'x']).replace('_', "/"));
    let escaped_bad_utf8 = format!("Basic {}", standard_base64("a%ff:b"));
    let empty_id = format!("Basic {}", standard_base64(":secret"));
    let wrong = format!("Basic {}", standard_base64(&format!("{}:wrong", client.id)));
    let long = format!("Basic {}", "QUFB".repeat(4000));
    let headers = [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic a",
        "Basic YQ==",
        "Bearer abc",
        "Digest username=\"a\"",
        "basic\tYTpi",
        &bad_utf8,
        &escaped_bad_utf8,
        &empty_id,
        &wrong,
        &long,
    ];
    for endpoint in ENDPOINTS.into_iter().chain(["/introspect"]) {
        for header in headers {
            let request = match endpoint {
                "/introspect" => server.form(endpoint, &[("token", "x")]).header("authorization", header),
                _ => request(&server, endpoint, &Presented::Header(header)),
            };
            let response = request.send().await.unwrap();
            refused(response, 401, "invalid_client", &format!("{endpoint} {header:?}")).await;
        }
        let request = request(&server, endpoint, &Presented::Nothing);
        let raw = reqwest::header::HeaderValue::from_bytes(b"Basic \xff\xfe").unwrap();
        let response = request.header("authorization", raw).send().await.unwrap();
        refused(response, 401, "invalid_client", "bytes").await;
    }
}

/// Shows: CAUTH-4.
#[tokio::test]
async fn credentials_come_in_one_way_only() {
    let server = Server::start().await;
    let client = Client::confidential(&server).await;
    let (id, secret) = (&*client.id, client.secret.as_deref().expect("a secret"));
    for endpoint in ENDPOINTS {
        for more in [
            &[("client_secret", secret)][..],
            &[("client_id", id), ("client_secret", secret)],
            &[("client_secret", "other")],
            &[("client_id", id), ("client_id", id)],
        ] {
            let presented = Presented::BasicAndBody(id, secret, more);
            refused(answer(&server, endpoint, &presented).await, 400, "invalid_request", endpoint).await;
        }
        for twice in [
            &[("client_id", id), ("client_secret", secret), ("client_secret", secret)][..],
            &[("client_id", id), ("client_id", id), ("client_secret", secret)],
        ] {
            let presented = Presented::Body(twice);
            refused(answer(&server, endpoint, &presented).await, 400, "invalid_request", endpoint).await;
        }
        let twice = request(&server, endpoint, &Presented::Basic(id, secret)).basic_auth(id, Some(secret));
        let twice = twice.build().unwrap();
        assert_eq!(twice.headers().get_all("authorization").iter().count(), 2);
        let response = server.http.execute(twice).await.unwrap();
        refused(response, 400, "invalid_request", "two headers").await;
    }
}

/// An assertion in addition to a secret is a second mechanism.
/// Shows: CAUTH-4.
#[tokio::test]
async fn an_assertion_beside_a_secret_is_a_second_mechanism() {
    let server = Server::start().await;
    let client = Client::confidential(&server).await;
    let (id, secret) = (&*client.id, client.secret.as_deref().expect("a secret"));
    let assertion = ("client_assertion", "e30.e30.e30");
    let kind = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    for endpoint in ENDPOINTS {
        let both = [("client_id", id), ("client_secret", secret), assertion, kind];
        let response = answer(&server, endpoint, &Presented::Body(&both)).await;
        refused(response, 400, "invalid_request", "secret and assertion").await;
        let both = Presented::BasicAndBody(id, secret, &[assertion, kind]);
        refused(answer(&server, endpoint, &both).await, 400, "invalid_request", "Basic and assertion").await;
        let alone = [("client_id", id), assertion, kind];
        let response = answer(&server, endpoint, &Presented::Body(&alone)).await;
        refused(response, 401, "invalid_client", "an assertion alone").await;
    }
}

/// Shows: CAUTH-5.
#[tokio::test]
async fn the_client_id_may_stand_in_the_body_too_if_it_is_the_same() {
    let server = Server::start().await;
    let (client, other) = (Client::confidential(&server).await, Client::confidential(&server).await);
    let secret = client.secret.as_deref().expect("a secret");
    for endpoint in ENDPOINTS {
        let same = Presented::BasicAndBody(&client.id, secret, &[("client_id", &client.id)]);
        assert!(is_authenticated(answer(&server, endpoint, &same).await, endpoint).await, "{endpoint}");
        let different = Presented::BasicAndBody(&client.id, secret, &[("client_id", &other.id)]);
        refused(answer(&server, endpoint, &different).await, 400, "invalid_request", endpoint).await;
    }
}

/// Shows: CAUTH-6, CAUTH-7, REVOKE-2.
#[tokio::test]
async fn whoever_is_not_authenticated_hears_401_invalid_client() {
    let server = Server::start().await;
    let (client, other) = (Client::confidential(&server).await, Client::confidential(&server).await);
    let public = Client::public(&server).await;
    let id = &*client.id;
    let others_secret = other.secret.as_deref().expect("a secret");
    let unknown = "mcp_AAAAAAAAAAAAAAAAAAAAAA";
    for endpoint in ENDPOINTS {
        for (presented, what) in [
            (Presented::Nothing, "nothing"),
            (Presented::Body(&[("client_secret", others_secret)]), "a secret without a name"),
            (Presented::Body(&[("client_id", id)]), "no secret"),
            (Presented::Body(&[("client_id", id), ("client_secret", "")]), "an empty secret"),
            (Presented::Basic(id, ""), "an empty secret in the header"),
            (Presented::Basic(id, "wrong"), "a wrong secret"),
            (Presented::Basic(id, others_secret), "another client's secret"),
            (
                Presented::Body(&[("client_id", id), ("client_secret", others_secret)]),
                "another's, in the body",
            ),
            (Presented::Body(&[("client_id", unknown)]), "an unknown client"),
            (Presented::Basic(unknown, "secret"), "an unknown client with a secret"),
            (Presented::Body(&[("client_id", "../etc/passwd")]), "an impossible name"),
            (
                Presented::Body(&[("client_id", &public.id), ("client_secret", "x")]),
                "a secret of a public client",
            ),
            (Presented::Basic("rs-1", crate::support::RS_SECRET), "a resource server"),
        ] {
            let what = format!("{endpoint}: {what}");
            refused(answer(&server, endpoint, &presented).await, 401, "invalid_client", &what).await;
        }
    }
}

/// Shows: CAUTH-7, DCR-17.
#[tokio::test]
async fn a_client_whose_registration_has_ended_hears_invalid_client_when_it_refreshes() {
    let lifetimes = "[registration]\nunused_lifetime = \"1h\"\nidle_lifetime = \"1h\"\n[tokens]\ngrant_lifetime = \"2h\"\nrefresh_lifetime = \"2h\"";
    let server = Server::with(Options { sections: lifetimes, ..Options::default() }).await;
    for client in [Client::public(&server).await, Client::confidential(&server).await] {
        let tokens = client.login(&server).await;
        assert_eq!(client.refresh(&server, &tokens.refresh).await.status(), 200);
    }
    let (public, confidential) = (Client::public(&server).await, Client::confidential(&server).await);
    let (one, two) = (public.login(&server).await, confidential.login(&server).await);
    server.advance(Duration::from_hours(4));
    for (client, tokens) in [(public, one), (confidential, two)] {
        let response = client.refresh(&server, &tokens.refresh).await;
        refused(response, 401, "invalid_client", "refresh").await;
        let response = client.redeem(&server, "mcp_ac_x").await;
        refused(response, 401, "invalid_client", "redeem").await;
    }
}

/// Shows: CAUTH-9.
#[tokio::test]
async fn a_secret_is_stored_as_its_hash_alone() {
    let server = Server::start().await;
    let client = Client::confidential(&server).await;
    let secret = client.secret.as_deref().expect("a secret");
    let stored = crate::operator::log::stored_bytes(server.folder.path());
    assert!(crate::operator::log::contains(&stored, client.id.as_bytes()), "the client is stored");
    for spelling in [secret, secret.trim_start_matches("mcp_cs_")] {
        assert!(
            !crate::operator::log::contains(&stored, spelling.as_bytes()),
            "the secret is stored in clear"
        );
    }
    let hash = encode(&pangea_mcp_auth::secret::sha256(secret.as_bytes()));
    assert!(crate::operator::log::contains(&stored, hash.as_bytes()), "it is the hash that is stored");
}

/// A secret ends with its registration, which is what `client_secret_expires_at` says.
/// Shows: CAUTH-9.
#[tokio::test]
async fn a_secret_ends_when_its_registration_does() {
    let server = Server::start().await;
    let client = Client::confidential(&server).await;
    let presented = Presented::Basic(&client.id, client.secret.as_deref().expect("a secret"));
    server.advance(Duration::from_secs(86_399));
    assert!(is_authenticated(answer(&server, "/token", &presented).await, "/token").await);
    server.advance(Duration::from_secs(1));
    refused(answer(&server, "/token", &presented).await, 401, "invalid_client", "after its end").await;
}

/// A client that was taken over may bring a secret with an end (RFC 7591 section 3.2.1). From then on it
/// proves nothing, however long the registration is kept, and signing in does not give it more time.
/// Shows: CAUTH-9.
#[tokio::test]
async fn a_secret_with_an_end_proves_nothing_from_then_on() {
    let repository: Arc<dyn Repository> = Arc::new(MemoryRepository::default());
    let options = Options { repository: Some(Arc::clone(&repository)), ..Options::default() };
    let server = Server::with(options).await;
    let clients = Collection::<oauth::client::Client>::new(repository);
    let now = server.clock.now();
    let ends = now.plus(Duration::from_hours(1));
    let mut ended = Vec::new();
    // As it is taken over, and as a registration that is kept for longer.
    for expires_at in [ends, now.plus(Duration::from_hours(24 * 300))] {
        let client = Client::confidential(&server).await;
        let stored = clients.get(&client.id, now).await.unwrap().unwrap();
        let mut ending = stored.value.clone();
        (ending.secret_expires_at, ending.expires_at) = (Some(ends), Some(expires_at));
        clients.replace(stored, ending, now).await.unwrap().expect("it is replaced");
        let tokens = client.login(&server).await;
        let kept = clients.get(&client.id, now).await.unwrap().unwrap().value.expires_at;
        assert_eq!(kept, Some(expires_at), "a client is not kept longer than its secret lasts");
        assert_eq!(server.introspect(&tokens.access).await["active"], true);
        ended.push(client);
    }
    server.advance(Duration::from_hours(1));
    for client in ended {
        for endpoint in ENDPOINTS {
            let presented = Presented::Basic(&client.id, client.secret.as_deref().expect("a secret"));
            refused(answer(&server, endpoint, &presented).await, 401, "invalid_client", endpoint).await;
        }
    }
}

/// A name that no record can have is unknown and no trouble, whatever keeps the records.
#[tokio::test]
async fn a_client_id_is_what_a_record_may_be_called_and_any_other_is_unknown() {
    let names = (0..=255u8).map(|byte| format!("a{}b", char::from(byte)));
    let names =
        names.chain([String::new(), "a".repeat(255), "a".repeat(256), ".".to_owned(), "..".to_owned()]);
    let names: Vec<String> = names.collect();
    for name in &names {
        assert_eq!(oauth::client::ClientId::parse(name).is_some(), is_key(name), "{name:?}");
    }
    let vault =
        "kind = \"vault\"\ntoken = { env = \"VAULT_TOKEN\" }\napi_url = \"{upstream}\"\ncache = \"0s\"";
    for storage in [None, Some(vault)] {
        let server = Server::with(Options { storage, ..Options::default() }).await;
        for name in ["a~b", "a/b", "..", "a b", "a\u{0}b", "\u{e4}", &"a".repeat(256)] {
            for endpoint in ENDPOINTS {
                let presented = Presented::Body(&[("client_id", name)]);
                refused(answer(&server, endpoint, &presented).await, 401, "invalid_client", name).await;
            }
            let mut url = url::Url::parse(&format!("{}/authorize", server.url)).unwrap();
            url.query_pairs_mut().append_pair("client_id", name).append_pair("response_type", "code");
            let asked = server.http.get(url.as_str()).send().await.unwrap();
            assert_eq!(asked.status(), 400, "{name:?}");
        }
    }
}

/// Shows: CAUTH-9.
#[tokio::test]
async fn only_wrong_secrets_are_limited_for_that_client_and_address_alone() {
    let options = Options {
        top: "trusted_proxies = [\"127.0.0.1/32\"]",
        sections: "[limits.failed_authentications]\nper_minute = 1\nburst = 5",
        ..Options::default()
    };
    let server = Server::with(options).await;
    let (victim, neighbour) = (Client::confidential(&server).await, Client::confidential(&server).await);
    let from = |address: &'static str, client: &Client, secret: &str| {
        request(&server, "/token", &Presented::Basic(&client.id, secret)).header("x-forwarded-for", address)
    };
    let right = victim.secret.clone().expect("a secret");
    for guess in 0..5 {
        let response = from("198.51.100.7", &victim, &format!("guess-{guess}")).send().await.unwrap();
        refused(response, 401, "invalid_client", "a guess").await;
    }
    let blocked = from("198.51.100.7", &victim, "guess-6").send().await.unwrap();
    assert_eq!(blocked.status(), 429, "guesses are limited");
    let wait: u64 = blocked.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    let in_the_body = [("client_id", &*victim.id), ("client_secret", "guess-7")];
    let elsewhere = request(&server, "/revoke", &Presented::Body(&in_the_body));
    let elsewhere = elsewhere.header("x-forwarded-for", "198.51.100.7").send().await.unwrap();
    assert_eq!(elsewhere.status(), 429, "the count is one for all endpoints and ways");
    let same_address = from("198.51.100.7", &victim, &right).send().await.unwrap();
    assert!(is_authenticated(same_address, "/token").await, "the right secret is never refused");
    let other_address = from("203.0.113.9", &victim, &right).send().await.unwrap();
    assert!(is_authenticated(other_address, "/token").await);
    let secret = neighbour.secret.clone().expect("a secret");
    let other_client = from("198.51.100.7", &neighbour, &secret).send().await.unwrap();
    assert!(is_authenticated(other_client, "/token").await);
}

/// An earlier release registered what a client asked for; without `refresh_token` its user would sign in
/// every ten minutes.
///
/// Shows: DCR-9, TOK-6.
#[tokio::test]
async fn a_client_that_was_stored_without_the_refresh_grant_refreshes_all_the_same() {
    let repository: Arc<dyn Repository> = Arc::new(MemoryRepository::default());
    let options = Options { repository: Some(Arc::clone(&repository)), ..Options::default() };
    let server = Server::with(options).await;
    let clients = Collection::<oauth::client::Client>::new(repository);
    let now = server.clock.now();
    for (origin, refreshes) in
        [(oauth::client::Origin::SelfRegistered, true), (oauth::client::Origin::Operator, false)]
    {
        let client = Client::public(&server).await;
        let stored = clients.get(&client.id, now).await.unwrap().unwrap();
        let mut older = stored.value.clone();
        older.origin = origin;
        older.metadata.grant_types = vec![oauth::client::GrantType::AuthorizationCode];
        clients.replace(stored, older, now).await.unwrap().expect("it is replaced");
        let tokens = client.login(&server).await;
        assert_eq!(!tokens.refresh.is_empty(), refreshes, "{origin:?}");
        if refreshes {
            Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
        } else {
            refused(client.refresh(&server, "mcp_rt_x").await, 400, "unauthorized_client", "refresh").await;
        }
    }
}
