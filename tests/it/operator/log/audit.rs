//! What each line of the audit log says, and how many lines there can be.

use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use super::{Captured, capture, capture_at};
use crate::protocol::connections::{press, signed_in};
use crate::support::{
    Browser, Client, DocumentServer, Options, Page, Server, Signer, SigningMachine, TWO_RESOURCES, Tokens,
    VERIFIER, body, query, with_assertion,
};

fn audited(captured: &Captured) -> Vec<Value> {
    captured.events().into_iter().filter(|event| event["target"] == "audit").collect()
}

/// The reference that a page shows.
fn reference_of(page: &Page) -> String {
    page.header("x-request-id").to_owned()
}

/// Promise 11. Shows: LOG-3.
#[tokio::test]
async fn each_line_says_who_from_where_to_which_client_and_under_which_reference() {
    let (captured, _guard) = capture_at("info", true);
    let options = Options { top: "trusted_proxies = [\"127.0.0.1\"]\n", ..Options::default() };
    let server = Server::with(options).await;
    let client = Client::registered(&server, json!({ "client_name": "Good \"App\"" })).await;
    let tokens = client.login(&server).await;
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", &*tokens.refresh)];
    let refresh = server.form("/token", &pairs).basic_auth(&client.id, client.secret.as_ref());
    let refresh = refresh.header("x-forwarded-for", "203.0.113.7").send().await.unwrap();
    let of_refresh = refresh.headers()["x-request-id"].to_str().unwrap().to_owned();
    Tokens::of(refresh).await;

    let events = audited(&captured);
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["registration", "consent", "code", "tokens", "refresh"]);
    for event in &events {
        let text = |name: &str| event[name].as_str().unwrap_or_else(|| panic!("no {name} in {event}"));
        assert_eq!((text("client_id"), text("client_name")), (&*client.id, "Good \"App\""), "{event}");
        assert_eq!((text("reference").len(), text("result")), (12, "ok"), "{event}");
        assert_eq!(text("redirect_host"), "127.0.0.1:4711");
        let address = if event["event"] == "refresh" { "203.0.113.7" } else { "127.0.0.1" };
        assert_eq!(text("address"), address, "{event}");
        if event["event"] != "registration" {
            assert_eq!(text("resource"), server.resource);
            assert_eq!(text("grant"), events[1]["grant"]);
        }
        if ["code", "tokens", "refresh"].contains(&text("event")) {
            assert_eq!(text("email"), "ada@example.com");
            assert!(text("sub").starts_with("pui_"), "{event}");
        }
    }
    assert_eq!(events[4]["reference"], of_refresh);
    assert!(!captured.text().contains("Some("), "a field is written as Rust has it: {}", captured.text());
}

/// Promise 11.
#[tokio::test]
async fn a_user_who_disconnects_a_client_is_named_with_what_was_ended() {
    let (captured, _guard) = capture_at("info", true);
    let server = Server::start().await;
    let client = Client::public(&server).await;
    client.login(&server).await;
    let (mut browser, page) = signed_in(&server).await;
    press(&server, &mut browser, &page, "disconnect_all", "").await;

    let events = audited(&captured);
    let of = |name: &str| events.iter().find(|event| event["event"] == name).unwrap();
    let (code, opened, ended) = (of("code"), of("connections_sign_in"), of("revocation"));
    assert_eq!(ended["by"], "user");
    assert_eq!([&ended["grant"], &ended["client_id"]], [&code["grant"], &code["client_id"]]);
    for event in [opened, ended] {
        assert_eq!([&event["email"], &event["address"]], ["ada@example.com", "127.0.0.1"], "{event}");
        assert_eq!(event["reference"].as_str().unwrap().len(), 12, "{event}");
        assert_eq!(event["endpoint"], if event == opened { "callback" } else { "connections" });
    }
}

/// A person or a client quotes a reference, and the operator finds who it was at the usual level.
#[tokio::test]
async fn a_failure_is_found_by_the_reference_with_its_client_and_where_it_would_have_been_answered() {
    let (captured, _guard) = capture_at("info", true);
    let options = Options { sections: "[access]\nemails = [\"ada@example.com\"]", ..Options::default() };
    let server = Server::with(options).await;
    let client = Client::public(&server).await;
    let mut browser = Browser::new();
    let elsewhere = [("redirect_uri", "https://evil.example/")];
    let unregistered = browser.get(&client.authorize_url(&server, &elsewhere)).await;
    let malformed = browser.get(&client.authorize_url(&server, &[("scope", "a\"b")])).await;
    let page = browser.get(&client.authorize_url(&server, &[])).await;
    let declined = browser.decide(&page, "deny").await;
    let reused = client.refresh(&server, "mcp_rt_unknown").await;
    let quoted = [
        ("authorize", "invalid_request", reference_of(&unregistered)),
        ("authorize", "invalid_scope", reference_of(&malformed)),
        ("consent", "access_denied", reference_of(&declined)),
        ("token", "invalid_grant", reused.headers()["x-request-id"].to_str().unwrap().to_owned()),
    ];
    let events = audited(&captured);
    for (endpoint, code, reference) in quoted {
        let found = events.iter().find(|event| event["reference"] == reference && event["code"] == code);
        let found = found.unwrap_or_else(|| panic!("no {reference} {code} in {events:#?}"));
        assert_eq!((&found["endpoint"], &found["client_id"]), (&endpoint.into(), &(&*client.id).into()));
        assert_eq!(found["result"], "denied");
        if code == "invalid_scope" || code == "access_denied" {
            assert_eq!(found["redirect_host"], "127.0.0.1:4711");
        }
    }
    server
        .upstream
        .switches()
        .authorize
        .set(|authorize| authorize.sign_in_as = Some("eve@example.com".to_owned()));
    client.authorize(&server, &mut Browser::new(), &[]).await;
    let denial = audited(&captured).into_iter().find(|event| event["event"] == "policy_denial").unwrap();
    assert_eq!((&denial["email"], &denial["result"]), (&"eve@example.com".into(), &"denied".into()));
    assert_eq!(
        (&denial["client_id"], &denial["resource"]),
        (&(&*client.id).into(), &(&*server.resource).into())
    );
}

/// The log is no amplifier.
#[tokio::test]
async fn ten_thousand_refused_requests_are_a_bounded_log() {
    let (captured, _guard) = capture_at("info", true);
    let top = "trusted_proxies = [\"127.0.0.1\"]\n";
    let server = Server::with(Options { top, ..Options::default() }).await;
    let client = Client::confidential(&server).await;
    let before = captured.text().len();
    for number in 0..2_500 {
        let pairs = [("grant_type", "authorization_code"), ("code", "x"), ("code_verifier", "y")];
        let unknown = format!("mcp_stranger{number}");
        // Each from a network of its own, so that no limit comes first.
        let network = format!("198.18.{}.{}", number / 250, number % 250);
        let from = |request: RequestBuilder| request.header("x-forwarded-for", &network).send();
        let guess = from(server.form("/token", &pairs).basic_auth(&unknown, Some("wrong")));
        let known = from(server.form("/token", &pairs).basic_auth(&client.id, client.secret.as_ref()));
        let authorize = from(server.http.get(format!("{}/authorize?client_id={unknown}", server.url)));
        let limited = server.form("/token", &pairs).header("x-forwarded-for", "203.0.113.9").send();
        let (guess, known, authorize, limited) = tokio::join!(guess, known, authorize, limited);
        let status = |answer: Result<Response, reqwest::Error>| answer.unwrap().status().as_u16();
        assert_eq!((status(guess), status(known), status(authorize)), (401, 400, 400));
        limited.unwrap();
    }
    let events = audited(&captured);
    let count = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert!((1..=4).contains(&count("rate_limit")), "{events:#?}");
    assert!(count("failed_authentication") > 0 && count("refusal") > 0, "{events:#?}");
    let of_strangers = |event: &&Value| event["event"] == "refusal" && event["endpoint"] == "authorize";
    assert_eq!(events.iter().find(of_strangers), None, "who is no client of ours leaves no line");
    let log = captured.text();
    assert!(log.len() - before < 100_000, "{} bytes of log", log.len() - before);
}

/// Of the guesses at one client's secret a few are told of; another client's are told of all the same.
#[tokio::test]
async fn many_guesses_at_one_secret_are_a_few_lines() {
    let (captured, _guard) = capture_at("info", true);
    let server = Server::start().await;
    for (id, guesses) in [("mcp_often", 10), ("mcp_once", 1)] {
        for _ in 0..guesses {
            let guess = server.form("/token", &[("grant_type", "authorization_code")]);
            assert_eq!(guess.basic_auth(id, Some("wrong")).send().await.unwrap().status(), 401);
        }
    }
    let lines = |id: &str| audited(&captured).iter().filter(|event| event["client_id"] == id).count();
    assert!((1..=4).contains(&lines("mcp_often")), "{}", captured.text());
    assert_eq!(lines("mcp_once"), 1, "{}", captured.text());
}

#[tokio::test]
async fn a_hop_that_cannot_be_read_is_a_warning_and_only_once() {
    let (captured, _guard) = capture_at("info", true);
    let top = "trusted_proxies = [\"127.0.0.1\"]\n";
    let server = Server::with(Options { top, ..Options::default() }).await;
    for hop in ["203.0.113.9", "unknown", "203.0.113.9:x", "_hidden"] {
        server.form("/token", &[]).header("x-forwarded-for", hop).send().await.unwrap();
    }
    let warned = captured.events().into_iter().filter(|event| event["x_forwarded_for"].is_string());
    let warned: Vec<_> =
        warned.map(|event| [event["level"].clone(), event["x_forwarded_for"].clone()]).collect();
    assert_eq!(warned, [["WARN", "unknown"]]);
}

/// What anybody may ask answers nothing that only operators may know.
#[tokio::test]
async fn a_wrong_resource_is_not_told_the_right_ones() {
    let (captured, _guard) = capture(true);
    let server = Server::with(Options { resources: Some(TWO_RESOURCES), ..Options::default() }).await;
    let client = Client::public(&server).await;
    let other = format!("{}/other", server.origin);
    let wrong = client.authorize_url(&server, &[("resource", "https://mine.example/mcp")]);
    let answer = query(&Browser::new().get(&wrong).await.location().unwrap());
    assert_eq!(answer["error"], "invalid_target");
    assert!(answer["error_description"].contains("https://mine.example/mcp"), "{answer:?}");
    let code = client.code(&server).await;
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("code_verifier", crate::support::VERIFIER),
        ("resource", &*other),
    ];
    let redeemed = client.token_request(&server, &pairs).await;
    let redeemed = body(redeemed).await;
    assert_eq!(redeemed["error"], "invalid_target");
    let told = [answer["error_description"].clone(), redeemed["error_description"].to_string()];
    for resource in [&server.resource, &other] {
        assert!(told.iter().all(|told| !told.contains(&**resource)), "{told:?}");
    }
    let causes: Vec<Value> = audited(&captured).iter().map(|event| event["cause"].clone()).collect();
    assert!(
        causes.iter().any(|cause| cause.as_str().is_some_and(|cause| cause.contains(&other))),
        "{causes:?}"
    );
}

/// `-v` tells what was judged and why, `-vv` what was read and written.
#[tokio::test]
async fn more_is_told_to_those_who_ask_for_it() {
    let mut told = Vec::new();
    for level in ["info", "info,pangea_mcp_auth=debug", "trace"] {
        let (captured, _guard) = capture_at(level, true);
        let server = Server::start().await;
        let client = Client::confidential(&server).await;
        let tokens = client.login(&server).await;
        Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
        server.introspect(&tokens.access).await;
        let ours = captured.events().into_iter().filter(|event| {
            event["target"]
                .as_str()
                .is_some_and(|target| target == "audit" || target.starts_with("pangea_mcp_auth"))
        });
        told.push(ours.count());
    }
    assert!(told[0] + 8 <= told[1] && told[1] + 8 <= told[2], "{told:?}");
}

/// A document is fetched when a user is asked, and when an assertion fits none of its keys.
#[tokio::test]
async fn a_document_that_has_changed_is_told_of_wherever_it_is_fetched() {
    let (captured, _guard) = capture_at("info", true);
    let documents = DocumentServer::start();
    let sections = documents.section("");
    let server = Server::with(Options { sections, ..Options::default() }).await;
    let publish = |signer: &Signer| {
        let keys = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": signer.jwks() });
        documents.client("/client.json", &keys)
    };
    let signers = ["first", "second", "stranger"].map(|name| Signer::new("ES256", name));
    let client = publish(&signers[0]);
    let [first, second, stranger] = signers.map(|signer| SigningMachine { id: client.id.clone(), signer });
    let ask = async |machine: &SigningMachine, pairs: &[(&str, &str)]| {
        let form = server.form("/token", &with_assertion(&machine.assertion(&server), pairs));
        form.send().await.unwrap()
    };
    let code = client.code(&server).await;
    let redirect = &*client.redirect_uri;
    let redeem = [("redirect_uri", redirect), ("code", &*code), ("code_verifier", VERIFIER)];
    let redeemed = ask(&first, &[&redeem[..], &[("grant_type", "authorization_code")]].concat()).await;
    let refresh = Tokens::of(redeemed).await.refresh;
    publish(&second.signer);
    server.advance(Duration::from_mins(1));
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", &*refresh)];
    let refreshed = ask(&second, &refresh).await;
    assert_eq!(refreshed.status(), 200);
    // It is fetched again, and says nothing new.
    server.advance(Duration::from_mins(1));
    assert_eq!(ask(&stranger, &refresh).await.status(), 401);
    assert_eq!(documents.requests(), 3);
    let events = audited(&captured).into_iter().filter(|event| event["event"] == "client_document");
    let events = events.collect::<Vec<_>>();
    let changes: Vec<&str> = events.iter().map(|event| event["change"].as_str().unwrap()).collect();
    assert_eq!(changes, ["stored", "changed"], "{events:?}");
    assert_eq!(events[1]["client_id"], client.id);
    assert_eq!(events[1]["reference"], refreshed.headers()["x-request-id"].to_str().unwrap());
}
