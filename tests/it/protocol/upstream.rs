//! Signing in through the upstream: what goes there, what comes back, and what it may answer.

use std::{collections::BTreeMap, time::Duration};

use axum::{Router, routing::post};
use reqwest::{Response, StatusCode};

use crate::{
    stage::{AccessTokenForm, Answer, Fault, IdToken, IssParameter},
    support::{Browser, Client, Options, Page, Server, Tokens, at_once, body, challenge, claims, query},
};

const TOKEN: &str = "/v2/oauth/token";
pub(crate) const INTROSPECTION: &str = "/v2/oauth/token/introspect";

/// A login up to the callback that is about to be visited.
struct Login {
    client: Client,
    browser: Browser,
    /// Where the browser was sent upstream.
    upstream: String,
    /// Where the upstream sent it back.
    callback: String,
}

impl Login {
    async fn start(server: &Server) -> Self {
        Self::with(server, Client::public(server).await, Browser::new()).await
    }

    async fn with(server: &Server, client: Client, mut browser: Browser) -> Self {
        let page = browser.get(&client.authorize_url(server, &[])).await;
        let upstream = browser.decide(&page, "approve").await.location().expect("a way to the upstream");
        let callback = browser.get(&upstream).await.location().expect("a way back");
        Self { client, browser, upstream, callback }
    }

    /// The callback with parameters replaced (by name) or removed (empty value).
    fn callback_with(&self, change: &[(&str, &str)]) -> String {
        let mut pairs = query(&self.callback);
        for (name, value) in change {
            pairs.remove(*name);
            if !value.is_empty() {
                pairs.insert((*name).to_owned(), (*value).to_owned());
            }
        }
        let mut url = url::Url::parse(&self.callback).unwrap();
        url.query_pairs_mut().clear().extend_pairs(pairs);
        url.into()
    }

    /// What the client gets when the browser comes back to `callback`.
    async fn answer(&mut self, callback: &str) -> BTreeMap<String, String> {
        client_answer(&self.client, &self.browser.get(callback).await)
    }
}

fn client_answer(client: &Client, page: &Page) -> BTreeMap<String, String> {
    let location = page.location().unwrap_or_else(|| panic!("no answer: {}", page.html));
    assert!(location.starts_with(&client.redirect_uri), "{location}");
    let answer = query(&location);
    assert_eq!(answer["state"], "client-state");
    answer
}

const KEY_SET: &str = "/v2/oauth/jwks.json";

/// What the client gets of a login to which the person agrees: `code`, or the error.
pub(crate) async fn outcome(server: &Server) -> String {
    let client = Client::public(server).await;
    let mut answer = client_answer(&client, &client.authorize(server, &mut Browser::new(), &[]).await);
    assert_eq!(answer["iss"], server.url);
    answer.remove("error").unwrap_or_else(|| {
        assert!(answer.contains_key("code"), "{answer:?}");
        "code".to_owned()
    })
}

/// Requests to an upstream path while `work` is done.
pub(crate) async fn counting<T>(server: &Server, path: &str, work: impl Future<Output = T>) -> (u64, T) {
    let before = server.upstream.requests().of(path);
    let done = work.await;
    (server.upstream.requests().of(path) - before, done)
}

fn is_refused(page: &Page) -> bool {
    page.status == StatusCode::BAD_REQUEST && page.location().is_none()
}

/// Shows: UP-1.
#[tokio::test]
async fn each_login_has_a_fresh_state_and_only_the_browser_that_approved_comes_back_with_it() {
    let server = Server::start().await;
    let (mut own, mut other) = (Login::start(&server).await, Login::start(&server).await);
    let states = [&own, &other].map(|login| query(&login.upstream)["state"].clone());
    assert_ne!(states[0], states[1]);
    assert_ne!(states[0], "client-state");
    assert!(states[0].len() >= 32, "{}", states[0]);

    assert!(is_refused(&other.browser.get(&own.callback).await), "a browser without the login");
    assert!(is_refused(&Browser::new().get(&own.callback).await), "a browser without anything");
    let mut thief = own.browser.clone();
    let name = |browser: &Browser| {
        browser.cookies.iter().find(|((_, name), _)| name == "mcp-browser").unwrap().1.clone()
    };
    let foreign = name(&other.browser);
    thief.cookies.iter_mut().filter(|((_, n), _)| n == "mcp-browser").for_each(|(_, value)| {
        value.clone_from(&foreign);
    });
    assert!(is_refused(&thief.get(&own.callback).await), "the login's cookie in another browser");

    let swapped = own.callback_with(&[("state", &states[1])]);
    assert!(is_refused(&own.browser.clone().get(&swapped).await), "the state of another login");
    let mut renamed = own.browser.clone();
    let cookies = std::mem::take(&mut renamed.cookies);
    let [from, to] = [&states[0], &states[1]].map(|state| pangea_mcp_auth::flow::flow_name(state));
    renamed.cookies = cookies.into_iter().map(|((host, n), v)| ((host, n.replace(&from, &to)), v)).collect();
    assert!(is_refused(&renamed.get(&swapped).await), "a cookie under the name of another login");

    assert_eq!(server.upstream.requests().of(TOKEN), 0);
    let callback = own.callback.clone();
    assert!(own.answer(&callback).await.contains_key("code"));
}

/// Shows: UP-2.
#[tokio::test]
async fn a_callback_whose_state_does_not_fit_is_a_page_and_nobody_is_asked() {
    let server = Server::start().await;
    let mut login = Login::start(&server).await;
    let state = query(&login.callback)["state"].clone();
    let mut flipped = state.clone();
    flipped.replace_range(..1, if state.starts_with('A') { "B" } else { "A" });
    let rows = [
        ("missing", login.callback_with(&[("state", "")])),
        ("changed", login.callback_with(&[("state", &flipped)])),
        ("unknown", login.callback_with(&[("state", "an-unknown-state")])),
        ("repeated", format!("{}&state={state}", login.callback)),
        ("repeated and different", format!("{}&state=other", login.callback)),
    ];
    for (what, callback) in rows {
        let page = login.browser.get(&callback).await;
        assert!(is_refused(&page), "{what}: {} {:?}", page.status, page.location());
    }
    assert_eq!(server.upstream.requests().of(TOKEN), 0);
    let callback = login.callback.clone();
    assert!(login.answer(&callback).await.contains_key("code"), "nothing of this used the login up");
}

/// Shows: UP-2.
#[tokio::test]
async fn a_state_is_good_for_one_return_even_when_that_return_fails() {
    let server = Server::start().await;
    for failing in [false, true] {
        let mut login = Login::start(&server).await;
        let mut before = login.browser.clone();
        let callback = login.callback.clone();
        let first =
            if failing { login.callback_with(&[("code", ""), ("error", "oops")]) } else { callback.clone() };
        assert_eq!(login.answer(&first).await.contains_key("error"), failing);
        let (asked, pages) = counting(&server, TOKEN, async {
            [login.browser.get(&callback).await, before.get(&callback).await]
        })
        .await;
        assert!(pages.iter().all(is_refused), "without and with the cookie, failing: {failing}");
        assert_eq!(asked, 0);
    }
}

/// Shows: UP-2.
#[tokio::test]
async fn a_login_may_take_thirty_minutes_at_the_upstream_and_no_more() {
    for (seconds, outcome) in [(1799, "code"), (1800, "access_denied")] {
        let server = Server::start().await;
        let mut login = Login::start(&server).await;
        server.advance(Duration::from_secs(seconds));
        let callback = login.browser.get(&login.upstream).await.location().unwrap();
        let answer = login.answer(&callback).await;
        assert_eq!(answer.get("error").map_or("code", String::as_str), outcome, "{seconds}");
        assert_eq!(server.upstream.requests().of(TOKEN), u64::from(outcome == "code"));
    }
}

/// Shows: UP-3.
#[tokio::test]
async fn the_upstream_gets_a_challenge_and_a_nonce_unless_pkce_is_switched_off() {
    let server = Server::start().await;
    let (login, other) = (Login::start(&server).await, Login::start(&server).await);
    let (sent, again) = (query(&login.upstream), query(&other.upstream));
    assert_eq!((&*sent["code_challenge_method"], sent["code_challenge"].len()), ("S256", 43));
    assert_ne!(sent["code_challenge"], challenge(), "it is not the client's");
    assert_ne!(sent["code_challenge"], again["code_challenge"]);
    assert_ne!(sent["nonce"], again["nonce"]);
    // The stand-in redeems a code only with the verifier of its challenge.
    assert_eq!(outcome(&server).await, "code");

    let server = Server::with(Options { authn: "pkce = false", ..Options::default() }).await;
    let login = Login::start(&server).await;
    assert!(!query(&login.upstream).contains_key("code_challenge"));
    assert_eq!(outcome(&server).await, "code");
}

/// Shows: UP-3.
#[tokio::test]
async fn an_id_token_that_is_not_right_in_every_way_signs_nobody_in() {
    let server = Server::start().await;
    for (form, expected) in [
        (IdToken::Present, "code"),
        (IdToken::WithoutNonce, "code"),
        (IdToken::WrongNonce, "server_error"),
        (IdToken::RightParty, "code"),
        (IdToken::WrongAudience, "server_error"),
        (IdToken::WrongParty, "server_error"),
        (IdToken::Critical, "server_error"),
        (IdToken::AccessTokenType, "server_error"),
        (IdToken::WrongIssuer, "server_error"),
        (IdToken::BadSignature, "server_error"),
        (IdToken::Expired, "server_error"),
    ] {
        server.upstream.switches().token.set_for_next(1, |token| token.id_token = form);
        let (introspected, outcome) = counting(&server, INTROSPECTION, outcome(&server)).await;
        assert_eq!((&*outcome, introspected), (expected, 0), "{form:?}");
    }
    assert_eq!(server.stored_grants().len(), 3);

    let server = Server::start().await;
    server.upstream.switches().token.set(|token| token.id_token = IdToken::Present);
    for fault in [Fault::Status(503), Fault::NotJson, Fault::Drop] {
        server.upstream.switches().jwks.set_for_next(2, |jwks| jwks.fault = fault.clone());
        assert_eq!(outcome(&server).await, "temporarily_unavailable", "the keys answer {fault:?}");
        server.upstream.switches().jwks.reset();
        server.clock.advance(Duration::from_secs(5));
    }
    assert_eq!(outcome(&server).await, "code");
}

/// Shows: UP-3.
#[tokio::test]
async fn a_slow_key_set_holds_up_only_the_logins_that_need_it() {
    let server = Server::start().await;
    let switches = server.upstream.switches();
    switches.token.set(|token| token.id_token = IdToken::Present);
    assert_eq!(outcome(&server).await, "code", "the keys are known from here on");
    server.clock.advance(Duration::from_secs(30));
    switches.jwks.set(|jwks| jwks.delay_ms = 60_000);
    switches.token.set_for_next(1, |token| token.id_token = IdToken::UnknownKey);
    let waits = outcome(&server);
    let others = async {
        while server.upstream.requests().of(KEY_SET) < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for _ in 0..3 {
            assert_eq!(outcome(&server).await, "code");
        }
    };
    tokio::select! {
        outcome = waits => panic!("the key set has not answered: {outcome}"),
        () = others => {}
    }
}

/// One asks for the metadata again, and the others go on with what is known.
#[tokio::test]
async fn slow_metadata_holds_up_one_login_alone() {
    let server = Server::start().await;
    assert_eq!(outcome(&server).await, "code", "the endpoints are known from here on");
    server.clock.advance(Duration::from_hours(1));
    server.upstream.switches().metadata.set(|metadata| metadata.delay_ms = 60_000);
    let asked = || server.upstream.requests().of("/.well-known/oauth-authorization-server");
    let (before, waits) = (asked(), outcome(&server));
    let others = async {
        while asked() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for _ in 0..3 {
            assert_eq!(outcome(&server).await, "code");
        }
    };
    tokio::select! {
        outcome = waits => panic!("the metadata has not answered: {outcome}"),
        () = others => {}
    }
}

#[tokio::test]
async fn of_many_logins_that_need_the_key_set_one_asks_for_it() {
    let server = Server::start().await;
    let switches = server.upstream.switches();
    switches.token.set(|token| token.id_token = IdToken::Present);
    switches.jwks.set(|jwks| jwks.delay_ms = 1_000);
    let logins = at_once((0..5).map(|_| outcome(&server)));
    assert_eq!(counting(&server, KEY_SET, logins).await, (1, vec!["code".to_owned(); 5]));
}

/// Shows: UP-3, UP-7.
#[tokio::test]
async fn a_key_set_that_fails_is_left_alone_for_a_while() {
    let server = Server::start().await;
    let switches = server.upstream.switches();
    switches.token.set(|token| token.id_token = IdToken::Present);
    switches.jwks.set(|jwks| jwks.fault = Fault::Drop);
    let (asked, ()) = counting(&server, KEY_SET, async {
        for _ in 0..5 {
            assert_eq!(outcome(&server).await, "temporarily_unavailable");
        }
    })
    .await;
    assert_eq!(asked, 1);
    switches.jwks.reset();
    server.clock.advance(Duration::from_secs(5));
    assert_eq!(outcome(&server).await, "code");
}

/// Shows: UP-4.
#[tokio::test]
async fn the_issuer_that_comes_back_is_the_upstreams_and_is_there_where_it_was_promised() {
    for (advertised, iss, expected) in [
        (false, IssParameter::Absent, "code"),
        (false, IssParameter::Right, "code"),
        (false, IssParameter::Wrong, "server_error"),
        (true, IssParameter::Absent, "server_error"),
        (true, IssParameter::Right, "code"),
        (true, IssParameter::Wrong, "server_error"),
    ] {
        let server = Server::start().await;
        server.upstream.switches().metadata.set(|metadata| metadata.iss_advertised = advertised);
        server.upstream.switches().authorize.set(|authorize| authorize.iss = iss);
        assert_eq!(outcome(&server).await, expected, "{advertised} {iss:?}");
        assert_eq!(server.upstream.requests().of(TOKEN), u64::from(expected == "code"));
    }
}

/// Shows: UP-5.
#[tokio::test]
async fn an_error_of_the_upstream_reaches_the_client_in_our_own_words() {
    let server = Server::start().await;
    for (error, expected) in [
        ("access_denied", "access_denied"),
        ("temporarily_unavailable", "temporarily_unavailable"),
        ("server_error", "server_error"),
        ("invalid_scope", "server_error"),
        ("unauthorized_client", "server_error"),
        ("login_required", "server_error"),
        ("<b>made-up</b>", "server_error"),
    ] {
        server.upstream.switches().authorize.set(|authorize| {
            let (error, words) = (error.to_owned(), Some("words-of-the-upstream".to_owned()));
            authorize.answer = Answer::Error { error, error_description: words };
        });
        let mut login = Login::start(&server).await;
        let callback = login.callback.clone();
        let answer = login.answer(&callback).await;
        assert_eq!((&*answer["error"], &*answer["iss"]), (expected, &*server.url), "{error}");
        assert!(!answer["error_description"].contains("words-of-the-upstream"));
        assert!(!answer.contains_key("code"));
    }
    assert_eq!(server.upstream.requests().of(TOKEN), 0);
    assert_eq!(server.stored_grants().len(), 0);
}

/// Shows: UP-6.
#[tokio::test]
async fn a_return_that_is_neither_a_code_nor_an_error_fails_without_a_question() {
    let server = Server::start().await;
    for (what, change, more) in [
        ("neither", vec![("code", "")], ""),
        ("both", vec![("error", "access_denied")], ""),
        ("two codes", vec![], "&code=another"),
        ("an empty code in addition to one", vec![], "&code="),
        ("two errors", vec![("code", ""), ("error", "access_denied")], "&error=access_denied"),
        ("two issuers", vec![("iss", &*server.upstream_url)], "&iss=x"),
        ("an empty error alone", vec![("code", "")], "&error="),
    ] {
        let mut login = Login::start(&server).await;
        let callback = format!("{}{more}", login.callback_with(&change));
        assert_eq!(login.answer(&callback).await["error"], "server_error", "{what}");
    }
    server.upstream.switches().authorize.set(|authorize| authorize.answer = Answer::Nothing);
    assert_eq!(outcome(&server).await, "server_error");
    assert_eq!(server.upstream.requests().of(TOKEN), 0);
}

/// Shows: UP-7, UP-8.
#[tokio::test]
async fn a_failing_token_endpoint_is_asked_once_and_leads_to_the_error_that_fits() {
    let refusal = |status, error: &str| Fault::Error { status, error: error.to_owned() };
    let server = Server::with(Options { authn: "timeout = \"1s\"", ..Options::default() }).await;
    let token = &server.upstream.switches().token;
    for (fault, delay_ms, expected) in [
        (Fault::Status(500), 0, "temporarily_unavailable"),
        (Fault::Status(503), 0, "temporarily_unavailable"),
        (Fault::Status(429), 0, "temporarily_unavailable"),
        (Fault::Status(404), 0, "server_error"),
        (Fault::Status(204), 0, "server_error"),
        (refusal(400, "invalid_grant"), 0, "server_error"),
        (refusal(401, "invalid_client"), 0, "server_error"),
        (refusal(200, "invalid_grant"), 0, "server_error"),
        (refusal(400, "temporarily_unavailable"), 0, "temporarily_unavailable"),
        (Fault::NotJson, 0, "server_error"),
        (Fault::Huge, 0, "server_error"),
        (Fault::Redirect, 0, "server_error"),
        (Fault::Drop, 0, "temporarily_unavailable"),
        (Fault::None, 5_000, "temporarily_unavailable"),
    ] {
        token.set_for_next(1, |token| (token.fault, token.delay_ms) = (fault.clone(), delay_ms));
        let (asked, outcome) = counting(&server, TOKEN, outcome(&server)).await;
        assert_eq!((&*outcome, asked), (expected, 1), "{fault:?} {delay_ms}");
    }
    let requests = server.upstream.requests().by_path();
    assert!(!requests.contains_key("/elsewhere") && !requests.contains_key(INTROSPECTION), "{requests:?}");
    assert_eq!(server.stored_grants().len(), 0);
    assert_eq!(outcome(&server).await, "code");
}

/// Shows: UP-3, UP-7.
#[tokio::test]
async fn a_token_response_without_what_it_must_have_signs_nobody_in() {
    // {"alg":"none"} and {"alg":"HS256"}: no endpoint is asked about a token that cannot be valid.
    let unsigned = "\"access_token\":\"x\",\"id_token\":\"eyJhbGciOiJub25lIn0.eyJzdWIiOiJwdWlfeCJ9.\"";
    let shared = "\"access_token\":\"x\",\"id_token\":\"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwdWlfeCJ9.c2ln\"";
    for members in
        ["", "\"access_token\":\"\"", "\"access_token\":null", "\"access_token\":7", unsigned, shared]
    {
        let answer = format!("{{{members}}}");
        let upstream = Router::new().route("/token", post(move || async move { answer }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("token_endpoint = \"http://{}/token\"", listener.local_addr().unwrap());
        let running = tokio::spawn(async move { axum::serve(listener, upstream).await });
        let server = Server::with(Options { authn: endpoint.leak(), ..Options::default() }).await;
        assert_eq!(outcome(&server).await, "server_error", "{members}");
        assert_eq!(server.upstream.requests().of(INTROSPECTION), 0, "{members}");
        running.abort();
    }
}

/// Shows: UP-7.
#[tokio::test]
async fn an_upstream_without_usable_metadata_is_taken_to_be_where_pangea_is() {
    for fault in
        [Fault::Status(404), Fault::Status(500), Fault::NotJson, Fault::Huge, Fault::Redirect, Fault::Drop]
    {
        let server = Server::start().await;
        server.upstream.switches().metadata.set(|metadata| metadata.fault = fault.clone());
        assert_eq!(outcome(&server).await, "code", "{fault:?}");
        assert_eq!(server.upstream.requests().of("/elsewhere"), 0);
    }
}

/// Tokens of the upstream, got from it directly, as our own client there.
async fn upstream_tokens(server: &Server) -> (String, serde_json::Value) {
    let code = async || {
        let login = Login::start(server).await;
        let url = login.upstream.replace("code_challenge", "unused");
        query(&Browser::new().get(&url).await.location().unwrap())["code"].clone()
    };
    let (spent, fresh) = (code().await, code().await);
    let redirect_uri = format!("{}/pangea/callback", server.url);
    let form = [("grant_type", "authorization_code"), ("code", &*spent), ("redirect_uri", &*redirect_uri)];
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request =
        server.http.post(format!("{}{TOKEN}", server.upstream_url)).basic_auth("psa_test", Some("pck_test"));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
    let response: Response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    (fresh, body(response).await)
}

/// Shows: UP-9, JWT-6.
#[tokio::test]
async fn a_token_or_code_of_the_upstream_is_nothing_here() {
    let server = Server::start().await;
    server.upstream.switches().token.set(|token| token.id_token = IdToken::Present);
    for form in [AccessTokenForm::Opaque, AccessTokenForm::Jwt] {
        server.upstream.switches().token.set(|token| token.access_token = form);
        let (code, tokens) = upstream_tokens(&server).await;
        let client = Client::public(&server).await;
        let text = |name: &str| tokens[name].as_str().unwrap();
        for token in ["access_token", "refresh_token", "id_token"] {
            assert_eq!(server.introspect(text(token)).await["active"], false, "{token}");
            let refused = client.refresh(&server, text(token)).await;
            assert_eq!(
                (refused.status(), &body(refused).await["error"]),
                (StatusCode::BAD_REQUEST, &"invalid_grant".into())
            );
            let refused = client.redeem(&server, text(token)).await;
            assert_eq!(body(refused).await["error"], "invalid_grant");
        }
        let refused = client.redeem(&server, &code).await;
        assert_eq!(
            (refused.status(), &body(refused).await["error"]),
            (StatusCode::BAD_REQUEST, &"invalid_grant".into())
        );
    }
}

/// Shows: UP-9.
#[tokio::test]
async fn upstream_tokens_are_kept_sealed_with_their_grant_and_go_with_it() {
    let server = Server::start().await;
    let mut login = Login::start(&server).await;
    let callback = login.callback.clone();
    let answer = login.answer(&callback).await;
    let tokens = Tokens::of(login.client.redeem(&server, &answer["code"]).await).await;
    let kept = server.database_text();
    let seen = format!("{answer:?} {} {} {:?}", tokens.body, claims(&tokens.access), login.browser.cookies);
    for (what, text) in [("the client", &seen), ("the database", &kept)] {
        for prefix in ["ptu_", "ptr_", "pmc_", "pck_"] {
            assert!(!text.contains(prefix), "{prefix} reached {what}");
        }
    }
    assert!(kept.contains(&login.client.id), "the database was read");

    // The mapping holds: after the minute, the upstream token is found and good.
    server.advance(Duration::from_mins(1));
    let (introspected, refreshed) =
        counting(&server, INTROSPECTION, login.client.refresh(&server, &tokens.refresh)).await;
    assert_eq!((introspected, refreshed.status()), (1, StatusCode::OK));

    let sealed = |server: &Server| server.stored_grants()[0]["upstream"]["sealed"].as_str().unwrap().len();
    assert!(sealed(&server) > 40);
    let refresh = Tokens::of(refreshed).await.refresh;
    let pairs = [("token", &*refresh), ("client_id", &*login.client.id)];
    assert_eq!(server.form("/revoke", &pairs).send().await.unwrap().status(), 200);
    assert_eq!(sealed(&server), 0);
}

/// Shows: UP-11.
#[tokio::test]
async fn an_answer_at_the_callback_is_kept_by_nobody_and_sends_no_referrer() {
    let server = Server::start().await;
    let mut login = Login::start(&server).await;
    let lost = login.callback_with(&[("state", "an-unknown-state")]);
    for (what, url, status) in
        [("lost", &lost, 400), ("good", &login.callback.clone(), 303), ("used", &login.callback.clone(), 400)]
    {
        let page = login.browser.get(url).await;
        assert_eq!(page.status, status, "{what}");
        assert_eq!(page.header("cache-control"), "no-store", "{what}");
        assert_eq!(page.header("referrer-policy"), "no-referrer", "{what}");
        let code = &query(url)["code"];
        assert!(
            !page.html.contains(code.as_str())
                && !page.location().unwrap_or_default().contains(code.as_str())
        );
        if page.location().is_none() {
            let policy = page.header("content-security-policy");
            assert!(policy.contains("default-src 'none'"), "{policy}");
            assert!(!page.html.contains("http"), "nothing of anybody else: {}", page.html);
        }
    }
}
