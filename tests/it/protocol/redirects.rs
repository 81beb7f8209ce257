//! Where answers go: to addresses that were registered for the client, and nowhere else.

use std::sync::Arc;

use pangea_mcp_auth::{
    clock::Clock,
    oauth::{self, token::GrantId},
    repository::{Collection, MemoryRepository, Repository},
};
use serde_json::json;

use crate::{
    protocol::authorization::{ask, assert_page, client_at, error_redirect},
    stage::Fault,
    support::{Browser, Client, Options, Server, query},
};

/// Shows: AUTHZ-4, AUTHZ-5, AUTHZ-6, AUTHZ-7.
#[tokio::test]
async fn no_answer_goes_to_an_address_that_was_not_registered() {
    let server = Server::start().await;
    for (registered, near_misses) in [
        (
            "https://app.example/cb?a=1&b=%2F",
            vec![
                "https://app.example/cb",
                "https://app.example/cb?a=1",
                "https://app.example/cb/?a=1&b=%2F",
                "https://App.example/cb?a=1&b=%2F",
                "HTTPS://app.example/cb?a=1&b=%2F",
                "http://app.example/cb?a=1&b=%2F",
                "https://app.example:443/cb?a=1&b=%2F",
                "https://app.example:8443/cb?a=1&b=%2F",
                "https://app.example/cb?b=%2F&a=1",
                "https://app.example/cb?a=1&b=%2f",
                "https://app.example/cb?a=1&b=/",
                "https://app.example/CB?a=1&b=%2F",
                "https://app.example/%63b?a=1&b=%2F",
                "https://app.example/cb?a=1&b=%2F&c=2",
                "https://app.example/cb?a=1&b=%2F#f",
                "https://app.example/x/../cb?a=1&b=%2F",
                "https://user@app.example/cb?a=1&b=%2F",
                "https://app.example@evil.example/cb?a=1&b=%2F",
                "https://app.example.evil.example/cb?a=1&b=%2F",
                "https://evil.example/?https://app.example/cb?a=1&b=%2F",
                "https://app.example\\@evil.example/cb?a=1&b=%2F",
                "https://app.example/cb?a=1&b=%2F ",
                " https://app.example/cb?a=1&b=%2F",
                "https://app.example/cb?a=1&b=%2F\r\nX: y",
                "//app.example/cb?a=1&b=%2F",
                "javascript:alert(1)",
                "data:text/html,x",
            ],
        ),
        (
            "http://127.0.0.1:3000/cb",
            vec![
                "http://localhost:3000/cb",
                "http://[::1]:3000/cb",
                "http://127.0.0.2:3000/cb",
                "https://127.0.0.1:3000/cb",
                "http://127.0.0.1:3000/cb/",
                "http://127.0.0.1:3000/cb?x",
                "http://127.0.0.1:3000/CB",
                "http://127.0.0.1:3000/cb#f",
                "http://127.0.0.1:3000@evil.example/cb",
                "http://127.0.0.1:x@evil.example/cb",
                "http://127.0.0.1.evil.example:3000/cb",
                "http://127.0.0.1:99999/cb",
                "http://127.0.0.1:0/cb",
                "http://127.0.0.1:-1/cb",
                "http://127.0.0.1:/cb",
                "http://127.1:3000/cb",
                "http://0x7f000001:3000/cb",
            ],
        ),
        (
            "http://localhost:3000/cb",
            vec![
                "http://127.0.0.1:3000/cb",
                "http://[::1]:3000/cb",
                "https://localhost:3000/cb",
                "http://LOCALHOST:3000/cb",
                "http://localhost.:3000/cb",
                "http://localhost.evil.example:3000/cb",
                "http://localhost:3000/cb/../x",
            ],
        ),
        ("https://localhost:3000/cb", vec!["https://localhost:3001/cb", "https://localhost/cb"]),
        (
            "cursor://host/cb",
            vec!["cursor://host/cb/x", "CURSOR://host/cb", "cursor://other/cb", "cursor:/cb"],
        ),
    ] {
        let client = client_at(&server, &[registered]).await;
        assert_eq!(ask(&server, &client, &[]).await.status, 200, "{registered}");
        for near in near_misses {
            assert_page(&ask(&server, &client, &[("redirect_uri", near)]).await, near);
        }
    }
    let one = client_at(&server, &["https://one.example/cb"]).await;
    let _other = client_at(&server, &["https://other.example/cb"]).await;
    assert_page(&ask(&server, &one, &[("redirect_uri", "https://other.example/cb")]).await, "another's");
}

/// Shows: AUTHZ-6, AUTHZ-7, AUTHZ-8.
#[tokio::test]
async fn the_answer_goes_to_the_address_as_requested_and_keeps_its_query() {
    let server = Server::start().await;
    for (registered, requested, answer) in [
        ("http://127.0.0.1:3000/cb", "http://127.0.0.1:43117/cb", "http://127.0.0.1:43117/cb?code="),
        ("http://127.0.0.1/cb", "http://127.0.0.1:43117/cb", "http://127.0.0.1:43117/cb?code="),
        ("http://127.0.0.1:3000/cb", "http://127.0.0.1/cb", "http://127.0.0.1/cb?code="),
        ("http://[::1]:3000/cb", "http://[::1]:43117/cb", "http://[::1]:43117/cb?code="),
        ("http://localhost:3000/cb", "http://localhost:43117/cb", "http://localhost:43117/cb?code="),
        ("http://127.0.0.1:3000/cb?x=1", "http://127.0.0.1:1/cb?x=1", "http://127.0.0.1:1/cb?x=1&code="),
        ("https://a.example/cb?a=b%20c&d=%2F", "", "https://a.example/cb?a=b%20c&d=%2F&code="),
        ("https://a.example/cb?", "https://a.example/cb?", "https://a.example/cb?code="),
        ("https://a.example", "https://a.example", "https://a.example?code="),
        ("cursor://host/cb", "cursor://host/cb", "cursor://host/cb?code="),
    ] {
        let mut client = client_at(&server, &[registered]).await;
        client.redirect_uri = answer.trim_end_matches("code=").to_owned();
        let page = client.authorize(&server, &mut Browser::new(), &[("redirect_uri", requested)]).await;
        let location = page.location().unwrap_or_else(|| panic!("{registered}: {}", page.html));
        assert!(location.starts_with(answer), "{location}");
        assert_eq!(query(&location)["state"], "client-state");
    }
    for registered in ["http://127.0.0.1:33418", "http://127.0.0.1:33418/"] {
        let mut client = client_at(&server, &[registered]).await;
        for requested in ["http://127.0.0.1:33418/", "http://127.0.0.1:33418", "http://127.0.0.1:1/"] {
            requested.clone_into(&mut client.redirect_uri);
            let code = client.code(&server).await;
            // It may be spelled the other way again when the code is redeemed.
            client.redirect_uri = match requested.strip_suffix('/') {
                Some(without) => without.to_owned(),
                None => format!("{requested}/"),
            };
            assert_eq!(client.redeem(&server, &code).await.status(), 200, "{registered} {requested}");
        }
    }
    let several = client_at(&server, &["https://a.example/cb", "https://b.example/cb"]).await;
    assert_page(&ask(&server, &several, &[("redirect_uri", "")]).await, "several, and none named");
    let second = ask(&server, &several, &[("redirect_uri", "https://b.example/cb")]).await;
    assert!(second.html.contains("https://b.example/cb"));
}

/// Shows: META-10, AUTHZ-16, AUTHZ-26, AUTHZ-28.
#[tokio::test]
async fn every_answer_names_us_once_and_is_a_303() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let mut browser = Browser::new();
    let consent = browser.get(&client.authorize_url(&server, &[])).await;
    let to_upstream = browser.decide(&consent, "approve").await;
    assert_eq!(to_upstream.status, 303);
    let from_upstream = browser.get(&to_upstream.location().unwrap()).await;
    let success = browser.get(&from_upstream.location().unwrap()).await;
    assert_eq!(success.status, 303);
    let answer = query(&success.location().unwrap());
    assert_eq!(answer["iss"], server.url);
    assert!(answer.contains_key("code") && !answer.contains_key("error"));

    let mut browser = Browser::new();
    let consent = browser.get(&client.authorize_url(&server, &[])).await;
    let declined = browser.decide(&consent, "deny").await;
    assert_eq!(error_redirect(&server, &declined, &client.redirect_uri)["error"], "access_denied");
}

/// A failure of the upstream or of the repository, when the answer's address has long been known.
///
/// Shows: AUTHZ-26.
#[tokio::test]
async fn a_failure_after_the_request_was_found_lawful_is_answered_to_the_client() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    server.upstream.switches().token.set_for_next(1, |token| {
        token.fault = Fault::Status(500);
    });
    let page = client.authorize(&server, &mut Browser::new(), &[]).await;
    let answer = error_redirect(&server, &page, &client.redirect_uri);
    assert!(["server_error", "temporarily_unavailable"].contains(&&*answer["error"]), "{answer:?}");

    let database = rusqlite::Connection::open(server.folder.path().join("test.sqlite")).unwrap();
    for (failing, trigger) in [
        // A client is kept before its first grant is stored, and then for a while.
        ("the client cannot be kept", "BEFORE UPDATE ON record WHEN NEW.kind = 1"),
        ("the grant cannot be stored", "BEFORE INSERT ON record WHEN NEW.kind = 2"),
    ] {
        let sql = format!("CREATE TRIGGER fails {trigger} BEGIN SELECT RAISE(ABORT, 'disk'); END");
        database.execute_batch(&sql).unwrap();
        let page = client.authorize(&server, &mut Browser::new(), &[]).await;
        let answer = error_redirect(&server, &page, &client.redirect_uri);
        assert!(["server_error", "temporarily_unavailable"].contains(&&*answer["error"]), "{failing}");
        assert_eq!(answer["state"], "client-state", "{failing}");
        database.execute_batch("DROP TRIGGER fails").unwrap();
    }

    let mut browser = Browser::new();
    let page = browser.get(&client.authorize_url(&server, &[])).await;
    let page = browser.decide(&page, "approve").await;
    let page = browser.get(&page.location().unwrap()).await;
    let spoilt = "UPDATE record SET value = 'unreadable' || value WHERE kind = 1";
    database.execute_batch(spoilt).unwrap();
    let page = browser.get(&page.location().unwrap()).await;
    let answer = error_redirect(&server, &page, &client.redirect_uri);
    assert_eq!(
        (&*answer["error"], &*answer["state"]),
        ("server_error", "client-state"),
        "the client's record"
    );
    database.execute_batch("UPDATE record SET value = substr(value, 11) WHERE kind = 1").unwrap();

    let mut browser = Browser::new();
    let page = browser.get(&client.authorize_url(&server, &[])).await;
    let page = browser.decide(&page, "approve").await;
    let state = query(&page.location().unwrap()).remove("state").unwrap();
    let id = GrantId::of_login(&state, server.server.now());
    let unreadable = "INSERT INTO record (kind, key, version, value) VALUES (2, ?1, 1, 'unreadable')";
    database.execute(unreadable, [id.as_str()]).unwrap();
    let page = browser.get(&page.location().unwrap()).await;
    let page = browser.get(&page.location().unwrap()).await;
    assert_eq!(error_redirect(&server, &page, &client.redirect_uri)["error"], "server_error");
}

/// The stranger who registers a client chooses where an error goes. A user who has not agreed to anything gets a
/// page instead. Programs on the same machine and hosts that the operator trusts get the redirect.
///
/// Shows: AUTHZ-27.
#[tokio::test]
async fn nobody_is_sent_to_a_strangers_address_before_agreeing_to_anything() {
    let server = Server::start().await;
    let errors: [(&str, &str); 4] = [
        ("scope", "non\"sense"),
        ("prompt", "none"),
        ("response_type", "token"),
        ("resource", "https://unknown.example/"),
    ];
    for (redirect_uri, host, by_itself) in [
        ("https://evil.example/cb", "evil.example", false),
        ("https://claude.ai.evil.example/cb", "claude.ai.evil.example", false),
        ("https://evil.example/claude.ai", "evil.example", false),
        ("https://notclaude.ai/cb", "notclaude.ai", false),
        ("https://sub.claude.ai/cb", "sub.claude.ai", false),
        ("https://localhost.evil.example/cb", "localhost.evil.example", false),
        ("cursor://anysphere/cb", "cursor:", false),
        ("https://claude.ai/api/mcp/auth_callback", "claude.ai", true),
        ("http://localhost:1/cb", "localhost:1", true),
        ("http://127.0.0.1:1/cb", "127.0.0.1:1", true),
        ("http://[::1]:1/cb", "[::1]:1", true),
    ] {
        let client = client_at(&server, &[redirect_uri]).await;
        for (name, value) in errors {
            let page = ask(&server, &client, &[(name, value)]).await;
            if by_itself {
                error_redirect(&server, &page, redirect_uri);
                continue;
            }
            assert_eq!(page.status, 400, "{redirect_uri}");
            assert_eq!((page.location(), page.header("refresh")), (None, ""), "{redirect_uri}");
            assert!(!page.html.contains("http-equiv") && !page.html.contains("<script"), "{redirect_uri}");
            assert!(page.html.contains(&format!("<bdi dir=\"ltr\">{host}</bdi>")), "{redirect_uri}");
            let link = page.html.split("href=\"").nth(2).unwrap().split('"').next().unwrap();
            let link = link.replace("&#38;", "&");
            assert!(link.starts_with(redirect_uri), "{link}");
            let answer = query(&link);
            assert_eq!((&*answer["state"], &*answer["iss"]), ("client-state", &*server.url));
            assert!(answer.contains_key("error"));
        }
    }
}

/// Records hold what an earlier release registered; nothing is redirected there any more, and the other
/// addresses of the client go on working.
///
/// Shows: AUTHZ-4, DCR-5, DCR-6.
#[tokio::test]
async fn a_stored_address_that_would_be_refused_today_gets_a_page() {
    let repository: Arc<dyn Repository> = Arc::new(MemoryRepository::default());
    let options = Options { repository: Some(Arc::clone(&repository)), ..Options::default() };
    let server = Server::with(options).await;
    let client = client_at(&server, &["https://app.example/cb"]).await;
    let clients = Collection::<oauth::client::Client>::new(repository);
    let now = server.clock.now();
    let earlier = [
        "ms-appinstaller:?source=https://evil.example/x",
        "search:query=x",
        "telnet://evil.example/",
        "https://app.example/cb?code=mine",
        "http://localhost/cb?st%61te=mine",
    ];
    let stored = clients.get(&client.id, now).await.unwrap().unwrap();
    let mut older = stored.value.clone();
    let uris = earlier.iter().map(|uri| serde_json::from_value(json!(uri)).unwrap());
    older.metadata.redirect_uris.extend(uris);
    clients.replace(stored, older, now).await.unwrap().expect("it is replaced");
    for uri in earlier {
        for change in [&[("redirect_uri", uri)][..], &[("redirect_uri", uri), ("prompt", "none")]] {
            let page = ask(&server, &client, change).await;
            assert_page(&page, uri);
            assert!(page.html.contains("return address is not accepted"), "{}", page.html);
        }
    }
    assert_eq!(ask(&server, &client, &[]).await.status, 200);
}
