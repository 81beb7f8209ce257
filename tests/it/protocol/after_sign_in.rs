//! What the user is asked between the upstream and the client: whether it was they who approved, and
//! whether another account should be used.

use std::time::Duration;

use serde_json::json;

use crate::{
    stage::Answer,
    support::{Browser, Client, Options, Page, Server, Tokens, query},
};

const TOKEN_ENDPOINT: &str = "/v2/oauth/token";
/// The MCP server at another port of the authorization server's host name.
const SHARED_HOST: &str = r#"
[[resources]]
url = "https://example.org:8443/mcp"
name = "Payroll"
scopes = ["user"]
introspection = { client_id = "rs-1", client_secret = { env = "RS_SECRET" } }
"#;
const NOT_EVERYBODY: &str = "[access]\nemails = [\"bob@example.com\"]";

/// A server whose host name an MCP server shares.
async fn shared() -> Server {
    let public = Some("https://example.org");
    Server::with(Options { public, resources: Some(SHARED_HOST), ..Options::default() }).await
}

/// A browser that has approved and comes back from the upstream: what it then sees.
async fn back_from_upstream(server: &Server, client: &Client, browser: &mut Browser) -> Page {
    let page = browser.get(&client.authorize_url(server, &[("resource", "")])).await;
    assert_eq!(page.status, 200, "{}", page.html);
    let approved = browser.decide(&page, "approve").await;
    shown(browser, client, approved).await
}

/// Follows redirects up to a page, or to the client.
async fn shown(browser: &mut Browser, client: &Client, page: Page) -> Page {
    match browser.follow(page.clone(), &client.redirect_uri).await {
        Err(page) => page,
        Ok(location) => {
            let mut page = page;
            page.headers.insert("location", location.parse().unwrap());
            page
        }
    }
}

/// A question, and no way to a code but an answer.
#[track_caller]
fn assert_asked(page: &Page) {
    assert_eq!((page.status.as_u16(), page.location()), (200, None), "{}", page.html);
    assert!(page.offers("approve") && page.offers("approve_other_account") && page.offers("deny"));
    assert!(page.html.contains("ada@example.com"), "{}", page.html);
}

#[track_caller]
fn answer(page: &Page) -> std::collections::BTreeMap<String, String> {
    query(&page.location().unwrap_or_else(|| panic!("no answer: {}", page.html)))
}

/// Contract, promise 7.
#[tokio::test]
async fn where_an_mcp_server_shares_the_host_name_every_user_is_asked_again() {
    let server = shared().await;
    let client = Client::public(&server).await;
    for decision in ["approve", "deny"] {
        let mut browser = Browser::of(&server);
        let page = back_from_upstream(&server, &client, &mut browser).await;
        assert_asked(&page);
        assert!(page.html.contains("Payroll") && page.html.contains("Test client"), "{}", page.html);
        assert!(!page.url.contains("code="), "the upstream's code is not in the address bar: {}", page.url);
        assert_eq!(server.stored_grants().len(), 0, "nothing is kept before the user agrees");
        let told = answer(&browser.decide(&page, decision).await);
        assert_eq!(told["state"], "client-state");
        if decision == "approve" {
            let tokens = Tokens::of(client.redeem(&server, &told["code"]).await).await;
            assert_eq!(server.introspect(&tokens.access).await["username"], "ada@example.com");
        } else {
            assert_eq!(told["error"], "access_denied");
        }
        assert!(browser.cookies.keys().all(|(_, name)| !name.contains("login")), "{:?}", browser.cookies);
        server.forget_grants();
    }
}

#[tokio::test]
async fn a_browser_or_network_that_did_not_approve_is_asked_and_not_refused() {
    let server =
        Server::with(Options { top: "trusted_proxies = [\"127.0.0.1\"]", ..Options::default() }).await;
    let client = Client::public(&server).await;
    let firefox = ("203.0.113.7", "Firefox");
    for (approver, visitor, asked) in [
        (firefox, firefox, false),
        (("2001:db8::1", "Firefox"), ("2001:db8::2", "Firefox"), false),
        (firefox, ("203.0.113.7", "Chrome"), true),
        (firefox, ("203.0.113.8", "Firefox"), true),
        (("2001:db8::1", "Firefox"), ("2001:db8:0:1::1", "Firefox"), true),
        (firefox, ("2001:db8::1", "Firefox"), true),
    ] {
        let browser = |(address, user_agent): (&str, &str)| {
            Browser::new().sending("x-forwarded-for", address).sending("user-agent", user_agent)
        };
        let mut approving = browser(approver);
        let page = approving.get(&client.authorize_url(&server, &[])).await;
        let approved = approving.decide(&page, "approve").await;
        let mut returning = browser(visitor);
        returning.cookies = approving.cookies;
        let mut page = shown(&mut returning, &client, approved).await;
        assert_eq!(page.location().is_none(), asked, "{approver:?} {visitor:?}");
        if asked {
            assert_asked(&page);
            assert_eq!(server.stored_grants().len(), 0);
            page = returning.decide(&page, "approve").await;
        }
        assert!(answer(&page).contains_key("code"));
        let agreed = if asked { visitor } else { approver };
        assert_eq!(server.stored_grants()[0]["consented_from"], agreed.0, "where it was agreed to");
        server.forget_grants();
    }
}

/// A server on another port of our host name approves a request itself, plants our cookies in the browser of
/// another user, and sends that user to the upstream.
#[tokio::test]
async fn a_planted_approval_asks_its_victim_and_sends_nobody_to_the_planters_address() {
    let server = shared().await;
    let planter = json!({ "redirect_uris": ["https://planter.example/cb"], "client_name": "Planter" });
    let planter = Client::registered(&server, planter).await;
    for upstream_answers in [Answer::Code, Answer::Deny] {
        let mut attacker = Browser::of(&server);
        let page = attacker.get(&planter.authorize_url(&server, &[("resource", "")])).await;
        let approved = attacker.decide(&page, "approve").await;
        let mut victim = Browser::of(&server);
        victim.cookies = attacker.cookies;
        server.upstream.switches().authorize.set_for_next(1, |next| next.answer = upstream_answers.clone());
        let page = shown(&mut victim, &planter, approved).await;
        assert_eq!(page.location(), None);
        if upstream_answers == Answer::Code {
            assert_asked(&page);
            assert!(page.html.contains("planter.example"), "{}", page.html);
            let declined = victim.decide(&page, "deny").await;
            assert_eq!((declined.status.as_u16(), declined.location()), (200, None), "{}", declined.html);
        } else {
            assert!(page.html.contains("href=\"https://planter.example/cb?error="), "{}", page.html);
        }
        assert_eq!(server.stored_grants().len(), 0);
    }
}

/// Shows: CONSENT-12.
#[tokio::test]
async fn the_second_answer_counts_once_in_every_process() {
    let server = shared().await;
    let client = Client::public(&server).await;
    let mut browser = Browser::of(&server);
    let page = back_from_upstream(&server, &client, &mut browser).await;
    let again = browser.get(&page.url).await;
    assert_eq!(again.transaction(), page.transaction(), "the page can be loaded again");

    let mut thief = Browser::of(&server);
    thief.get(&client.authorize_url(&server, &[("resource", "")])).await;
    assert_eq!(thief.decide(&page, "approve").await.status, 403, "another browser");
    let first = browser.decide(&page, "approve").await;
    let second = browser.decide(&page, "approve").await;
    assert!(answer(&first).contains_key("code"));
    assert_eq!(second.location(), first.location(), "a double click has one answer");
    for decision in ["deny", "approve_other_account"] {
        let late = browser.clone().decide(&page, decision).await;
        assert_eq!((late.status.as_u16(), late.location()), (400, None), "{decision}");
    }
    let twin = server.twin().await;
    let mut elsewhere = browser.at(&twin);
    assert_eq!(elsewhere.decide(&page, "approve").await.location(), first.location(), "another process");
    server.advance(Duration::from_secs(10));
    for browser in [&mut browser, &mut elsewhere] {
        let late = browser.decide(&page, "approve").await;
        assert_eq!((late.status.as_u16(), late.location()), (400, None));
    }
    Tokens::of(client.redeem(&server, &answer(&first)["code"]).await).await;
    assert_eq!((server.stored_grants().len(), server.upstream.requests().of(TOKEN_ENDPOINT)), (1, 1));
}

/// Shows: CONSENT-12.
#[tokio::test]
async fn who_cancels_after_the_sign_in_has_cancelled_and_who_waits_too_long_starts_again() {
    let server = shared().await;
    let client = Client::public(&server).await;
    let mut browser = Browser::of(&server);
    let page = back_from_upstream(&server, &client, &mut browser).await;
    assert_eq!(answer(&browser.decide(&page, "deny").await)["error"], "access_denied");
    for decision in ["approve", "approve_other_account"] {
        let late = browser.decide(&page, decision).await;
        assert_eq!((late.status.as_u16(), late.location()), (400, None), "{decision}");
    }
    assert_eq!(browser.get(&page.url).await.status, 400, "nothing is left to ask");

    let page = back_from_upstream(&server, &client, &mut browser).await;
    server.advance(Duration::from_mins(10));
    assert_eq!(answer(&browser.clone().decide(&page, "approve").await)["error"], "access_denied");
    assert_eq!(browser.get(&page.url).await.status, 400);
    assert_eq!(server.stored_grants().len(), 0);
}

/// Shows: CONSENT-12.
#[tokio::test]
async fn a_double_click_on_the_first_page_is_asked_about_once_more_and_yields_one_code() {
    let server = shared().await;
    let client = Client::public(&server).await;
    let mut browser = Browser::of(&server);
    let consent = browser.get(&client.authorize_url(&server, &[("resource", "")])).await;
    let first = browser.decide(&consent, "approve").await;
    let mut dropped = browser.clone();
    let second = browser.decide(&consent, "approve").await;
    let question = shown(&mut dropped, &client, first).await;
    assert_asked(&question);
    let question = shown(&mut browser, &client, second).await;
    assert_asked(&question);
    let code = answer(&browser.decide(&question, "approve").await).remove("code").unwrap();
    Tokens::of(client.redeem(&server, &code).await).await;
    assert_eq!(server.stored_grants().len(), 1);
}

/// The upstream would sign the same person in again.
#[tokio::test]
async fn another_account_can_be_chosen_before_the_sign_in_and_after_it() {
    let server = shared().await;
    let client = Client::public(&server).await;
    let authorize = &server.upstream.switches().authorize;
    authorize.set(|settings| {
        settings.sign_in_as = None;
        settings.session = Some("ada@example.com".to_owned());
    });
    let as_bob = [("email", "bob@example.com"), ("decision", "approve")];
    for before in [true, false] {
        let mut browser = Browser::of(&server);
        let page = browser.get(&client.authorize_url(&server, &[("resource", "")])).await;
        assert!(page.offers("approve_other_account"));
        let mut sign_in = page;
        if !before {
            let approved = browser.decide(&sign_in, "approve").await;
            sign_in = shown(&mut browser, &client, approved).await;
            assert_asked(&sign_in);
            // However long the user thinks about it.
            server.advance(Duration::from_mins(5));
        }
        let to_upstream = browser.decide(&sign_in, "approve_other_account").await;
        let location = to_upstream.location().unwrap();
        assert_eq!(query(&location)["prompt"], "login");
        let page = browser.get(&location).await;
        assert!(page.html.contains("Sign in"), "the upstream asks: {}", page.html);
        let signed_in = browser.post(&location, &as_bob).await;
        let question = shown(&mut browser, &client, signed_in).await;
        assert!(question.html.contains("bob@example.com"), "{}", question.html);
        let code = answer(&browser.decide(&question, "approve").await).remove("code").unwrap();
        let tokens = Tokens::of(client.redeem(&server, &code).await).await;
        assert_eq!(server.introspect(&tokens.access).await["username"], "bob@example.com");
    }
    assert_eq!(server.stored_grants().len(), 2);
}

#[tokio::test]
async fn who_is_not_admitted_learns_which_account_it_was_and_can_use_another() {
    let server = Server::with(Options { sections: NOT_EVERYBODY, ..Options::default() }).await;
    let client = Client::public(&server).await;
    let mut browser = Browser::new();
    let page = back_from_upstream(&server, &client, &mut browser).await;
    assert_eq!((page.status.as_u16(), page.location()), (403, None), "{}", page.html);
    assert!(page.html.contains("ada@example.com") && !page.offers("approve"), "{}", page.html);
    let forced = browser.clone().decide(&page, "approve").await;
    assert_eq!((forced.status.as_u16(), forced.location()), (400, None));
    let told = answer(&browser.clone().decide(&page, "deny").await);
    assert_eq!([&told["error"], &told["state"]], ["access_denied", "client-state"]);
    assert!(told["error_description"].contains("(reference "), "{told:?}");

    server.advance(Duration::from_mins(1));
    let authorize = &server.upstream.switches().authorize;
    authorize.set(|settings| settings.sign_in_as = Some("bob@example.com".to_owned()));
    let to_upstream = browser.decide(&page, "approve_other_account").await;
    assert_eq!(query(&to_upstream.location().unwrap())["prompt"], "login");
    let back = shown(&mut browser, &client, to_upstream).await;
    let tokens = Tokens::of(client.redeem(&server, &answer(&back)["code"]).await).await;
    assert_eq!(server.introspect(&tokens.access).await["username"], "bob@example.com");
    assert_eq!(server.stored_grants().len(), 1);
}

#[tokio::test]
async fn the_upstream_hears_which_account_the_client_expects() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let (long, fits) = ("x".repeat(321), "x".repeat(320));
    for (hint, decision, told) in [
        ("ada@example.com", "approve", Some("ada@example.com")),
        ("b\u{fc}cher&x=1 +", "approve", Some("b\u{fc}cher&x=1 +")),
        (&*fits, "approve", Some(&*fits)),
        ("ada@example.com", "approve_other_account", None),
        ("", "approve", None),
        ("a\r\nb", "approve", None),
        (&*long, "approve", None),
    ] {
        let mut browser = Browser::new();
        let page = browser.get(&client.authorize_url(&server, &[("login_hint", hint)])).await;
        let upstream = query(&browser.decide(&page, decision).await.location().unwrap());
        assert_eq!(upstream.get("login_hint").map(String::as_str), told, "{hint:?} {decision}");
    }
    let twice = client.authorize_url(&server, &[]) + "&login_hint=a&login_hint=b";
    assert_eq!(answer(&Browser::new().get(&twice).await)["error"], "invalid_request");
}

/// What the client shows of a failure leads to the log, as a page of ours does.
#[tokio::test]
async fn a_failure_after_consent_has_its_reference_in_what_the_client_is_told() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    for (upstream_answers, error) in [(Answer::Deny, "access_denied"), (Answer::Nothing, "server_error")] {
        server.upstream.switches().authorize.set_for_next(1, |next| next.answer = upstream_answers);
        let told = answer(&client.authorize(&server, &mut Browser::new(), &[]).await);
        assert_eq!(told["error"], error);
        let (_, reference) = told["error_description"].rsplit_once("(reference ").expect("a reference");
        let reference = reference.strip_suffix(')').unwrap();
        assert_eq!(reference.len(), 12, "{reference}");
        assert!(reference.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{reference}");
    }
}

/// Upstream tokens travel with the browser between the two, and only sealed.
#[tokio::test]
async fn what_waits_for_the_second_answer_shows_nothing_of_what_is_in_it() {
    let server = shared().await;
    let client = Client::public(&server).await;
    let mut browser = Browser::of(&server);
    let page = back_from_upstream(&server, &client, &mut browser).await;
    let held: String = browser.cookies.values().map(String::as_str).collect();
    assert!(held.contains(&page.transaction()), "the form has what the cookie has");
    let mut changed = page.clone();
    let transaction = page.transaction();
    for at in (0..transaction.len() - 1).step_by(50) {
        let mut text = transaction.clone().into_bytes();
        text[at] = if text[at] == b'A' { b'B' } else { b'A' };
        let text = String::from_utf8(text).unwrap();
        changed.html = page.html.replace(&transaction, &text);
        assert_eq!(browser.clone().decide(&changed, "approve").await.status, 403, "{at}");
    }
    let plain = pangea_mcp_auth::secret::decode(&transaction).unwrap();
    let plain = String::from_utf8_lossy(&plain);
    assert!(!plain.contains("token") && !plain.contains("ada@example.com"), "{plain}");
}
