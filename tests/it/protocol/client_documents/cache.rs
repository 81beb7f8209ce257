//! When a document is fetched, and when what is known of it is used.

use std::time::Duration;

use serde_json::json;

use super::{CLIENT, asked_by, is_refusal, server_for};
use crate::support::{Browser, Deed, DocumentServer, Options, Server, Tokens, at_once};

const PAUSE: Duration = Duration::from_secs(5);
const HOUR: Duration = Duration::from_hours(1);

/// Shows: CIMD-11.
#[tokio::test]
async fn a_document_is_fetched_again_when_it_is_stale() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let document = documents.document(CLIENT);
    documents.publishes(CLIENT, &document, &["cache-control: max-age=7200"]);
    let client = documents.named(CLIENT);
    for (wait, fetched) in [(0, 1), (0, 1), (7199, 1), (1, 2), (7199, 2), (1, 3)] {
        server.advance(Duration::from_secs(wait));
        assert_eq!(asked_by(&client, &server).await.status, 200);
        assert_eq!(documents.requests(), fetched, "after {wait} s");
    }
}

/// Shows: CIMD-11.
#[tokio::test]
async fn a_failure_is_repeated_soon_and_never_remembered() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let client = documents.named(CLIENT);
    for (deed, fetched) in [(None, 1), (Some(Deed::HangUp), 2)] {
        if let Some(deed) = deed {
            documents.does(CLIENT, deed);
        }
        for _ in 0..3 {
            assert!(is_refusal(&asked_by(&client, &server).await));
            assert_eq!(documents.requests(), fetched);
        }
        server.advance(PAUSE);
    }
    documents.client(CLIENT, &json!({ "client_name": 7 }));
    assert!(is_refusal(&asked_by(&client, &server).await));
    documents.client(CLIENT, &json!({}));
    server.advance(PAUSE);
    assert_eq!(asked_by(&client, &server).await.status, 200);
}

/// Shows: CIMD-15.
#[tokio::test]
async fn many_requests_for_one_client_cause_one_fetch() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let client = documents.client(CLIENT, &json!({}));
    let pages = at_once((0..40).map(|_| asked_by(&client, &server))).await;
    assert!(pages.iter().all(|page| page.status == 200));
    assert_eq!(documents.connections(), 1);
    let missing = documents.named("/missing");
    let pages = at_once((0..40).map(|_| asked_by(&missing, &server))).await;
    assert!(pages.iter().all(is_refusal));
    assert_eq!(documents.connections(), 2);
}

/// Shows: CIMD-12.
#[tokio::test]
async fn a_client_whose_host_is_down_goes_on() {
    for deed in [Deed::HangUp, status(403), status(429), status(500), status(502)] {
        let documents = DocumentServer::start();
        let server = server_for(&documents, "").await;
        let client = documents.client(CLIENT, &json!({}));
        let tokens = client.login(&server).await;
        documents.does(CLIENT, deed);
        server.advance(2 * HOUR);
        let tokens = Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
        let before = documents.requests();
        client.login(&server).await;
        assert_eq!(documents.requests(), before + 1, "it is fetched again");
        // Another process, which knows only what is stored.
        let twin = server.twin().await;
        assert_eq!(asked_by(&client, &twin).await.status, 200);
        Tokens::of(client.refresh(&twin, &tokens.refresh).await).await;
    }
}

/// Shows: CIMD-12.
#[tokio::test]
async fn a_document_that_is_gone_or_wrong_ends_sign_ins_but_no_grant() {
    for deed in [status(404), status(410), status(200)] {
        let documents = DocumentServer::start();
        let server = server_for(&documents, "").await;
        let client = documents.client(CLIENT, &json!({}));
        let tokens = client.login(&server).await;
        documents.does(CLIENT, deed);
        server.advance(2 * HOUR);
        assert!(is_refusal(&asked_by(&client, &server).await));
        // What was withdrawn does not come back because its host is down, in no process.
        documents.does(CLIENT, status(503));
        server.advance(2 * HOUR);
        assert!(is_refusal(&asked_by(&client, &server).await));
        let twin = server.twin().await;
        assert!(is_refusal(&asked_by(&client, &twin).await));
        Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
        documents.client(CLIENT, &json!({}));
        server.advance(PAUSE);
        client.login(&server).await;
        assert_eq!(asked_by(&client, &server.twin().await).await.status, 200);
    }
}

fn status(status: u16) -> Deed {
    Deed::Answer { status, headers: vec!["content-type: application/json".to_owned()], body: b"{}".to_vec() }
}

/// Shows: CIMD-12.
#[tokio::test]
async fn what_a_document_drops_is_gone_at_the_next_sign_in() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let client = documents.client(CLIENT, &json!({}));
    let tokens = client.login(&server).await;
    documents.client(CLIENT, &json!({ "client_name": "Renamed", "redirect_uris": ["http://localhost/new"] }));
    server.advance(Duration::from_mins(59));
    assert_eq!(asked_by(&client, &server).await.status, 200, "it is fresh");
    server.advance(Duration::from_mins(1));
    assert!(is_refusal(&asked_by(&client, &server).await));
    Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
    let renamed =
        crate::support::Client { redirect_uri: "http://localhost:5/new".to_owned(), ..client.clone() };
    renamed.login(&server).await;
    // Another process reads what was stored.
    let before = documents.requests();
    let twin = server.twin().await;
    assert!(asked_by(&renamed, &twin).await.html.contains("Renamed"));
    assert!(is_refusal(&asked_by(&client, &twin).await));
    assert_eq!(documents.requests(), before);
}

/// A login may begin at one process and end at another, which has never heard of the client.
#[tokio::test]
async fn each_step_of_a_login_may_be_answered_by_another_process() {
    let documents = DocumentServer::start();
    let public = Some("https://auth.example.org");
    // Where it has the server's own host name, the user is asked again after the sign-in.
    let resources = Some("[[resources]]\nurl = \"https://mcp.example.org/mcp\"\nscopes = [\"user\"]\n");
    let sections = documents.section("");
    let server = Server::with(Options { public, sections, resources, ..Options::default() }).await;
    let client = documents.client(CLIENT, &json!({}));
    let (second, third) = (server.twin().await, server.twin().await);
    let mut browser = Browser::of(&server);
    let resource = [("resource", "https://mcp.example.org/mcp")];
    let page = browser.get(&client.authorize_url(&server, &resource)).await;
    let mut browser = browser.at(&second);
    let page = browser.decide(&page, "approve").await;
    let location = browser.at(&third).follow(page, &client.redirect_uri).await.unwrap();
    let code = &crate::support::query(&location)["code"];
    Tokens::of(client.redeem(&server, code).await).await;
}
