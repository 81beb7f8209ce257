//! Clients that describe themselves in a document at the URL that is their ID.

mod cache;
mod cost;
mod hostile;
mod keys;
mod logo;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Browser, Client, DocumentServer, Options, Page, Server, Tokens, VERIFIER, body, claims, query,
};

const CLIENT: &str = "/client.json";

/// A server that fetches documents from here. `more` is for its section.
async fn server_for(documents: &DocumentServer, more: &str) -> Server {
    Server::with(Options { sections: documents.section(more), ..Options::default() }).await
}

/// What a browser sees that opens the client's authorization request.
async fn asked_by(client: &Client, server: &Server) -> Page {
    Browser::new().get(&client.authorize_url(server, &[])).await
}

/// Whether the page is an error that leads nowhere.
fn is_refusal(page: &Page) -> bool {
    page.status == 400 && page.location().is_none() && !page.offers("approve")
}

/// The number of clients in the repository.
fn stored_clients(server: &Server) -> i64 {
    let database = rusqlite::Connection::open(server.folder.path().join("test.sqlite")).unwrap();
    // The number of clients in the file format.
    database.query_row("SELECT count(*) FROM record WHERE kind = 1", [], |row| row.get(0)).unwrap()
}

/// Shows: CIMD-7, CIMD-10.
#[tokio::test]
async fn a_client_that_never_registered_signs_a_user_in() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let client = documents.client(CLIENT, &json!({}));
    let tokens = client.login(&server).await;
    assert_eq!(claims(&tokens.access)["client_id"], client.id);
    let tokens = Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
    let introspected = server.introspect(&tokens.access).await;
    assert_eq!((&introspected["active"], &introspected["client_id"]), (&json!(true), &json!(client.id)));
    let revoked = server.form("/revoke", &[("client_id", &*client.id), ("token", &*tokens.refresh)]);
    assert_eq!(revoked.send().await.unwrap().status(), 200);
    assert_eq!(server.introspect(&tokens.access).await["active"], false);
    // Every port of the loopback address is the client's, and no other path.
    let elsewhere = [("redirect_uri", "http://localhost:4711/other")];
    assert_eq!(Browser::new().get(&client.authorize_url(&server, &elsewhere)).await.status, 400);
}

/// Shows: META-11.
#[tokio::test]
async fn what_is_switched_off_is_not_advertised_and_not_fetched() {
    let documents = DocumentServer::start();
    for (enabled, advertised) in [("true", json!(true)), ("false", Value::Null)] {
        let server = server_for(&documents, &format!("enabled = {enabled}")).await;
        let metadata = body(server.get("/.well-known/oauth-authorization-server").await).await;
        assert_eq!(metadata["client_id_metadata_document_supported"], advertised);
        let page = asked_by(&documents.client(CLIENT, &json!({})), &server).await;
        assert_eq!(page.status, if enabled == "true" { 200 } else { 400 });
        assert_eq!(documents.requests(), 1, "{enabled}");
    }
}

/// Shows: CIMD-3, CIMD-5.
#[tokio::test]
async fn the_request_for_a_document_says_nothing_about_anyone() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let client = documents.client(CLIENT, &json!({}));
    let mut browser = Browser::new().sending("cookie", "canary=1").sending("authorization", "Basic canary");
    assert_eq!(browser.get(&client.authorize_url(&server, &[])).await.status, 200);
    let asked = documents.asked(CLIENT);
    let [head] = asked.as_slice() else { panic!("{asked:?}") };
    let head = head.to_lowercase();
    assert!(
        head.starts_with("get /client.json http/1.1\r\n") && head.contains("accept: application/json\r\n")
    );
    for absent in ["cookie", "authorization", "canary", "referer", "accept-encoding", "client-state"] {
        assert!(!head.contains(absent), "{absent} in {head}");
    }
}

/// Shows: CIMD-3, AUTHZ-3.
#[tokio::test]
async fn only_status_200_is_a_document() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    documents.client("/elsewhere", &json!({ "client_id": documents.url("/client301") }));
    for status in [201, 204, 301, 302, 303, 307, 308, 400, 401, 404, 410, 418, 500, 503] {
        let path = format!("/client{status}");
        let location = format!("location: {}", documents.url("/elsewhere"));
        let headers = ["content-type: application/json", &location];
        let body = if status == 204 { String::new() } else { documents.document(&path).to_string() };
        documents.answers(&path, status, &headers, body);
        let page = asked_by(&documents.named(&path), &server).await;
        assert!(is_refusal(&page), "{status}: {} {}", page.status, page.html);
    }
    assert!(documents.asked("/elsewhere").is_empty(), "a redirect was followed");
}

/// Shows: CIMD-6, CIMD-7, CIMD-8, CIMD-10.
#[tokio::test]
async fn the_page_names_the_member_that_is_wrong() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    for (number, (name, value)) in [
        ("client_id", json!(documents.url("/other"))),
        ("client_id", json!(format!("{}/", documents.url("/0")))),
        ("client_name", Value::Null),
        ("redirect_uris", json!([])),
        ("redirect_uris", json!(["javascript:alert(1)"])),
        ("client_secret", json!("canary-secret")),
        ("client_secret_expires_at", json!(0)),
        ("token_endpoint_auth_method", json!("client_secret_post")),
        ("jwks", json!({ "keys": [{ "kty": "EC", "d": "canary-secret" }] })),
        ("grant_types", json!(["implicit"])),
    ]
    .into_iter()
    .enumerate()
    {
        let client = documents.client(&format!("/{number}"), &json!({ name: value }));
        let page = asked_by(&client, &server).await;
        assert!(is_refusal(&page), "{name}: {} {}", page.status, page.html);
        assert!(page.html.contains(name), "{name}: {}", page.html);
        assert!(!page.html.contains("canary"), "{}", page.html);
        assert!(page.html.contains(page.header("x-request-id")), "{}", page.html);
    }
    documents.answers("/html", 200, &["content-type: text/html"], documents.document("/html").to_string());
    let page = asked_by(&documents.named("/html"), &server).await;
    assert!(is_refusal(&page) && page.html.contains("Content-Type"), "{}", page.html);
}

/// Shows: CONSENT-3.
#[tokio::test]
async fn the_page_names_the_host_and_not_what_the_client_calls_itself() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let client = documents.client(CLIENT, &json!({ "client_name": "Trusted <b>Bank</b>" }));
    let page = asked_by(&client, &server).await;
    let heading = page.html.split("<h1>").nth(1).unwrap().split("</h1>").next().unwrap();
    assert!(heading.contains("127.0.0.1") && !heading.contains("Bank"), "{heading}");
    let title = page.html.split("<title>").nth(1).unwrap().split("</title>").next().unwrap();
    assert!(title.contains("127.0.0.1") && !title.contains("Bank"), "{title}");
    assert!(page.html.contains(&client.id) && !page.html.contains("<b>Bank"), "{}", page.html);
}

/// Two machines of one person share a client ID.
#[tokio::test]
async fn logins_with_one_client_id_do_not_end_each_other() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let client = documents
        .client(CLIENT, &json!({ "redirect_uris": ["http://localhost/callback", "https://a.example/cb"] }));
    let web = Client { redirect_uri: "https://a.example/cb".to_owned(), ..client.clone() };
    let (first, second, third) =
        (client.login(&server).await, client.login(&server).await, web.login(&server).await);
    let first = Tokens::of(client.refresh(&server, &first.refresh).await).await;
    let revoked = server.form("/revoke", &[("client_id", &*client.id), ("token", &*first.refresh)]);
    assert_eq!(revoked.send().await.unwrap().status(), 200);
    for tokens in [second, third] {
        Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
    }
}

/// Before the upstream has vouched for a user, only registration writes.
#[tokio::test]
async fn a_document_is_stored_when_a_user_has_signed_in() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let client = documents.client(CLIENT, &json!({}));
    let mut browser = Browser::new();
    let page = browser.get(&client.authorize_url(&server, &[])).await;
    let page = browser.decide(&page, "approve").await;
    assert_eq!(stored_clients(&server), 0);
    browser.follow(page, &client.redirect_uri).await.unwrap();
    assert_eq!(stored_clients(&server), 1);
    client.login(&server).await;
    assert_eq!(stored_clients(&server), 1);
    // The record lives as long as a grant could, and then it expires.
    server.advance(Duration::from_hours(24 * 365));
    client.login(&server).await;
    assert_eq!(stored_clients(&server), 1);
}

/// Shows: CIMD-14.
#[tokio::test]
async fn the_client_of_a_blocked_host_is_refused_at_once_with_the_tokens_that_it_has() {
    let documents = DocumentServer::start();
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let with = async |more: &str| {
        let (sections, folder) = (documents.section(more), Some(folder.clone()));
        let resources = Some(
            "[[resources]]\nurl = \"https://mcp.example.org/mcp\"\nscopes = [\"user\"]\n\
            introspection = { client_id = \"rs-1\", client_secret = { env = \"RS_SECRET\" } }\n",
        );
        Server::with(Options { sections, resources, folder, ..Options::default() }).await
    };
    let client = documents.client(CLIENT, &json!({}));
    let of_resource =
        |server: &Server| client.authorize_url(server, &[("resource", "https://mcp.example.org/mcp")]);
    let server = with("").await;
    let mut browser = Browser::new();
    let page = browser.get(&of_resource(&server)).await;
    let page = browser.decide(&page, "approve").await;
    let location = browser.follow(page, &client.redirect_uri).await.unwrap();
    let tokens = Tokens::of(client.redeem(&server, &query(&location)["code"]).await).await;
    for (more, accepted) in [
        ("blocked_hosts = [\"127.0.0.1\"]", false),
        ("policy = \"listed\"\nhosts = [\"claude.ai\"]", false),
        ("enabled = false", false),
        ("policy = \"listed\"\nhosts = [\"127.0.0.1\"]", true),
        ("blocked_hosts = [\"127.0.0.2\", \"*.0.0.1\"]", false),
        ("blocked_hosts = [\"127.0.0.2\"]", true),
    ] {
        let server = with(more).await;
        let fetched = documents.requests();
        let page = Browser::new().get(&of_resource(&server)).await;
        assert_eq!(page.status, if accepted { 200 } else { 400 }, "{more} {}", page.html);
        assert_eq!(documents.requests(), fetched, "{more}");
        assert_eq!(server.introspect(&tokens.access).await["active"], accepted, "{more}");
        let refreshed = client.refresh(&server, &tokens.refresh).await;
        assert_eq!(refreshed.status(), if accepted { 200 } else { 401 }, "{more}");
    }
}

/// Shows: CIMD-15.
#[tokio::test]
async fn the_token_endpoint_fetches_nothing() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let client = documents.client(CLIENT, &json!({}));
    for answer in [
        client.redeem(&server, "mcp_ac_x").await,
        client.refresh(&server, "mcp_rt_x").await,
        server.form("/revoke", &[("client_id", &*client.id), ("token", "x")]).send().await.unwrap(),
    ] {
        assert_eq!(answer.status(), 401);
        assert_eq!(body(answer).await["error"], "invalid_client");
    }
    assert_eq!(documents.connections(), 0);
}

/// A public client has no secret to present.
#[tokio::test]
async fn a_client_with_a_document_presents_no_secret() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let client = documents.client(CLIENT, &json!({}));
    let code = client.code(&server).await;
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("client_id", &*client.id),
        ("code_verifier", VERIFIER),
    ];
    let with_secret = [&pairs[..], &[("client_secret", "s")]].concat();
    let refused = server.form("/token", &with_secret).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(server.form("/token", &pairs).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_rule_that_a_document_breaks_is_marked_as_english() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let client = documents.client(CLIENT, &json!({ "grant_types": [] }));
    let mut browser = Browser::new().sending("accept-language", "fr");
    let page = browser.get(&client.authorize_url(&server, &[])).await;
    assert!(is_refusal(&page) && page.header("content-language") == "fr", "{}", page.html);
    let rule = "<span lang=\"en\">the member grant_types must contain authorization_code</span>";
    assert!(page.html.contains(rule), "{}", page.html);
}
