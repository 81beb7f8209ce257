//! After the sign-in: a user whom the upstream has disabled loses access, and no other user does.

use std::time::{Duration, Instant};

use reqwest::{Response, StatusCode};

use crate::{
    stage::{ExpiresIn, Fault, Switches},
    support::{Client, Options, Server, Tokens, at_once, body},
};

const ADA: &str = "ada@example.com";
const TOKEN: &str = "/v2/oauth/token";
const INTROSPECTION: &str = "/v2/oauth/token/introspect";
const SERVICE: &str =
    "timeout = \"1s\"\nservice_token = { env = \"SERVICE_TOKEN\" }\napi_url = \"{upstream}\"";
const IMPATIENT: &str = "timeout = \"1s\"";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

async fn is_invalid_grant(response: Response) -> bool {
    response.status() == StatusCode::BAD_REQUEST && body(response).await["error"] == "invalid_grant"
}

fn without_introspection(switches: &Switches) {
    switches.introspection.set(|introspection| introspection.fault = Fault::Status(404));
}

fn without_refresh_tokens(switches: &Switches) {
    switches.token.set(|token| token.refresh_token = false);
}

/// A way in which the upstream can be asked, and what to switch for it before the login.
type Way = (&'static str, fn(&Switches));

const WAYS: [Way; 5] = [
    ("introspection", |_| {}),
    ("introspection without a refresh token", without_refresh_tokens),
    ("a refresh token alone", without_introspection),
    ("the AuthN service alone", |switches| {
        without_introspection(switches);
        without_refresh_tokens(switches);
    }),
    ("introspection of a token with no known end", |switches| {
        switches.token.set(|token| token.expires_in = ExpiresIn::Absent);
    }),
];

/// Shows: UP-10, REFRESH-8.
#[tokio::test]
async fn a_person_who_is_disabled_upstream_loses_access_at_the_next_refresh_after_the_minute() {
    for (way, switch) in WAYS {
        let server = Server::with(Options { authn: SERVICE, ..Options::default() }).await;
        switch(server.upstream.switches());
        let client = Client::public(&server).await;
        let mut tokens = client.login(&server).await;
        server.upstream.disable(ADA);
        server.advance(59 * SECOND);
        tokens = Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
        server.advance(SECOND);
        assert!(is_invalid_grant(client.refresh(&server, &tokens.refresh).await).await, "{way}");
        assert_eq!(server.introspect(&tokens.access).await["active"], false, "{way}");
        server.upstream.enable(ADA);
        assert!(is_invalid_grant(client.refresh(&server, &tokens.refresh).await).await, "for good: {way}");
        assert!(client.login(&server).await.access.len() > 40, "and may sign in again: {way}");
    }
}

/// Shows: UP-10.
#[tokio::test]
async fn a_person_who_is_still_welcome_stays_however_the_upstream_is_asked() {
    for (way, switch) in WAYS {
        let server = Server::with(Options { authn: SERVICE, ..Options::default() }).await;
        switch(server.upstream.switches());
        let client = Client::public(&server).await;
        let mut tokens = client.login(&server).await;
        for _ in 0..5 {
            server.advance(MINUTE);
            tokens = Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
            assert_eq!(server.introspect(&tokens.access).await["active"], true, "{way}");
        }
    }
}

/// Shows: UP-10.
#[tokio::test]
async fn an_upstream_that_is_down_ends_nobodys_session_and_is_believed_again_when_it_is_back() {
    let faults =
        [Fault::Status(500), Fault::Status(429), Fault::NotJson, Fault::Huge, Fault::Redirect, Fault::Drop];
    for (fault, delay_ms) in faults.into_iter().map(|fault| (fault, 0)).chain([(Fault::None, 3_000)]) {
        let server = Server::with(Options { authn: IMPATIENT, ..Options::default() }).await;
        let client = Client::public(&server).await;
        let mut tokens = client.login(&server).await;
        let switches = server.upstream.switches();
        switches.token.set(|token| (token.fault, token.delay_ms) = (fault.clone(), delay_ms));
        switches.introspection.set(|other| (other.fault, other.delay_ms) = (fault.clone(), delay_ms));
        switches.metadata.set(|metadata| metadata.fault = fault.clone());
        for _ in 0..2 {
            server.advance(MINUTE);
            tokens = Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
            assert_eq!(server.introspect(&tokens.access).await["active"], true, "{fault:?}");
        }
        switches.reset();
        server.advance(MINUTE);
        tokens = Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
        server.upstream.disable(ADA);
        server.advance(MINUTE);
        assert!(is_invalid_grant(client.refresh(&server, &tokens.refresh).await).await, "{fault:?}");
    }
}

/// Shows: UP-10.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_upstream_keeps_no_client_waiting_and_what_it_says_later_counts() {
    const SLOW: u64 = 5_000;
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let first = client.login(&server).await;
    let switches = server.upstream.switches();
    // The session can only be checked with its refresh token, which can be used once.
    without_introspection(switches);
    switches.token.set(|token| token.delay_ms = SLOW);
    server.advance(MINUTE);
    let started = Instant::now();
    let second = Tokens::of(client.refresh(&server, &first.refresh).await).await;
    assert!(started.elapsed() < Duration::from_millis(SLOW - 1_000), "{:?}", started.elapsed());
    let asked = server.upstream.requests().of(TOKEN);
    let third = Tokens::of(client.refresh(&server, &second.refresh).await).await;
    assert_eq!(server.upstream.requests().of(TOKEN), asked, "no one asks meanwhile");
    server.server.finish().await;
    switches.token.set(|token| token.delay_ms = 0);
    server.advance(MINUTE);
    let fourth = Tokens::of(client.refresh(&server, &third.refresh).await).await;
    assert_eq!(server.upstream.requests().of(TOKEN), asked + 1, "with the new token, which was kept");

    server.upstream.disable(ADA);
    switches.token.set(|token| token.delay_ms = SLOW);
    server.advance(MINUTE);
    let fifth = Tokens::of(client.refresh(&server, &fourth.refresh).await).await;
    server.server.finish().await;
    assert_eq!(server.introspect(&fifth.access).await["active"], false, "a late no counts, too");
    assert!(is_invalid_grant(client.refresh(&server, &fifth.refresh).await).await);
}

/// Shows: UP-10.
#[tokio::test]
async fn an_error_of_the_upstream_that_is_not_about_the_session_does_not_end_it() {
    for error in ["invalid_client", "server_error", "temporarily_unavailable", "invalid_request"] {
        let server = Server::start().await;
        let client = Client::public(&server).await;
        let tokens = client.login(&server).await;
        without_introspection(server.upstream.switches());
        server.upstream.switches().token.set(|token| {
            token.fault = Fault::Error { status: 400, error: error.to_owned() };
        });
        server.advance(MINUTE);
        assert_eq!(client.refresh(&server, &tokens.refresh).await.status(), 200, "{error}");
    }
}

#[tokio::test]
async fn without_introspection_a_refused_refresh_token_ends_the_session() {
    for error in ["invalid_grant", "access_denied"] {
        let server = Server::start().await;
        let client = Client::public(&server).await;
        let tokens = client.login(&server).await;
        without_introspection(server.upstream.switches());
        server.upstream.switches().token.set(|token| {
            token.fault = Fault::Error { status: 400, error: error.to_owned() };
        });
        server.advance(MINUTE);
        assert!(is_invalid_grant(client.refresh(&server, &tokens.refresh).await).await, "{error}");
    }
}

/// Shows: UP-10, REFRESH-8.
#[tokio::test]
async fn once_the_access_token_is_no_longer_good_whatever_refuses_a_new_one_ends_the_session() {
    let refusals = [
        "invalid_grant",
        "access_denied",
        "unsupported_grant_type",
        "unauthorized_client",
        "invalid_request",
    ];
    let troubles = ["invalid_client", "server_error", "temporarily_unavailable"];
    let endings: [(Way, Duration); 2] = [
        (
            ("it is not active", |switches| {
                switches.introspection.set(|introspection| introspection.inactive = true);
            }),
            MINUTE,
        ),
        (("it has expired", |_| {}), HOUR),
    ];
    for ((why, switch), passed) in endings {
        let cases =
            refusals.map(|error| (error, true)).into_iter().chain(troubles.map(|error| (error, false)));
        for (error, ends) in cases {
            let server = Server::start().await;
            let client = Client::public(&server).await;
            let tokens = client.login(&server).await;
            switch(server.upstream.switches());
            server.upstream.switches().token.set(|token| {
                token.fault = Fault::Error { status: 400, error: error.to_owned() };
            });
            server.advance(passed);
            let response = client.refresh(&server, &tokens.refresh).await;
            assert_eq!(is_invalid_grant(response).await, ends, "{why}, {error}");
        }
    }
}

/// Shows: UP-10.
#[tokio::test]
async fn where_nothing_can_be_refreshed_the_authn_service_is_asked() {
    let server = Server::with(Options { authn: SERVICE, ..Options::default() }).await;
    let client = Client::public(&server).await;
    let mut tokens = client.login(&server).await;
    without_introspection(server.upstream.switches());
    server.upstream.switches().token.set(|token| {
        token.fault = Fault::Error { status: 400, error: "unsupported_grant_type".to_owned() };
    });
    server.advance(MINUTE);
    tokens = Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
    server.upstream.disable(ADA);
    server.advance(MINUTE);
    assert!(is_invalid_grant(client.refresh(&server, &tokens.refresh).await).await);
}

/// Shows: UP-10, REFRESH-8.
#[tokio::test]
async fn a_session_that_the_upstream_has_ended_takes_the_grant_with_it() {
    for refresh_tokens in [true, false] {
        let server = Server::start().await;
        server.upstream.switches().token.set(|token| token.refresh_token = refresh_tokens);
        let client = Client::public(&server).await;
        let tokens = client.login(&server).await;
        server.upstream.switches().introspection.set(|introspection| introspection.inactive = true);
        server.upstream.switches().token.set(|token| {
            token.fault = Fault::Error { status: 400, error: "invalid_grant".to_owned() };
        });
        server.advance(MINUTE);
        assert!(is_invalid_grant(client.refresh(&server, &tokens.refresh).await).await);
        assert_eq!(server.introspect(&tokens.access).await["active"], false);
        server.upstream.switches().reset();
        assert!(is_invalid_grant(client.refresh(&server, &tokens.refresh).await).await);
    }
}

/// Shows: UP-10.
#[tokio::test]
async fn an_access_token_that_is_over_is_refreshed_and_not_introspected_where_its_end_is_known() {
    for (expires_in, introspections) in
        [(ExpiresIn::Number, 0), (ExpiresIn::String, 0), (ExpiresIn::Absent, 1)]
    {
        let server = Server::start().await;
        server.upstream.switches().token.set(|token| token.expires_in = expires_in);
        let client = Client::public(&server).await;
        let tokens = client.login(&server).await;
        server.advance(HOUR);
        let before = [TOKEN, INTROSPECTION].map(|path| server.upstream.requests().of(path));
        let tokens = Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
        let after = [TOKEN, INTROSPECTION].map(|path| server.upstream.requests().of(path));
        assert_eq!((after[0] - before[0], after[1] - before[1]), (1, introspections), "{expires_in:?}");
        // The upstream's new tokens were kept: its refresh tokens can be used once.
        server.advance(HOUR);
        assert_eq!(client.refresh(&server, &tokens.refresh).await.status(), 200, "{expires_in:?}");
    }
    let server = Server::start().await;
    without_refresh_tokens(server.upstream.switches());
    let client = Client::public(&server).await;
    let tokens = client.login(&server).await;
    server.advance(HOUR);
    assert!(
        is_invalid_grant(client.refresh(&server, &tokens.refresh).await).await,
        "nothing vouches any more"
    );
}

/// Shows: UP-10.
#[tokio::test]
async fn the_upstream_is_asked_at_most_once_a_minute_for_a_grant() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let (mut one, mut other) = (client.login(&server).await, client.login(&server).await);
    let asked = || server.upstream.requests().of(INTROSPECTION);
    let at_first = asked();
    for seconds in 1..=240 {
        server.advance(SECOND);
        if seconds % 7 == 0 {
            one = Tokens::of(client.refresh(&server, &one.refresh).await).await;
        }
    }
    assert_eq!(asked() - at_first, 3, "at 63, 126 and 189 seconds");
    other = Tokens::of(client.refresh(&server, &other.refresh).await).await;
    assert_eq!(asked() - at_first, 4, "each grant has its own minute");
    assert_ne!(one.refresh, other.refresh);
}

/// Shows: UP-10.
#[tokio::test]
async fn parallel_refreshes_on_two_processes_use_a_one_time_upstream_token_once() {
    let server = Server::start().await;
    let twin = server.twin().await;
    let client = Client::public(&server).await;
    let mut refresh = client.login(&server).await.refresh;
    without_introspection(server.upstream.switches());
    server.upstream.switches().token.set(|token| token.delay_ms = 50);
    for round in 1..=3 {
        server.advance(MINUTE);
        let before = server.upstream.requests().of(TOKEN);
        let calls = (0..16).map(|n| client.refresh(if n % 2 == 0 { &server } else { &twin }, &refresh));
        let mut successors = Vec::new();
        for response in at_once(calls).await {
            successors.push(Tokens::of(response).await.refresh);
        }
        assert_eq!(server.upstream.requests().of(TOKEN) - before, 1, "round {round}");
        successors.dedup();
        assert_eq!(successors.len(), 1, "round {round}");
        refresh = successors.remove(0);
    }
}

/// Shows: UP-10.
#[tokio::test]
async fn nothing_that_parallel_refreshes_of_a_disabled_person_yield_outlives_the_check() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let refresh = client.login(&server).await.refresh;
    server.upstream.disable(ADA);
    server.upstream.switches().introspection.set(|introspection| introspection.delay_ms = 50);
    server.advance(MINUTE);
    let mut refused = 0;
    for response in at_once((0..16).map(|_| client.refresh(&server, &refresh))).await {
        if response.status() == 200 {
            let tokens = Tokens::of(response).await;
            assert_eq!(server.introspect(&tokens.access).await["active"], false);
            assert!(is_invalid_grant(client.refresh(&server, &tokens.refresh).await).await);
        } else {
            assert!(is_invalid_grant(response).await);
            refused += 1;
        }
    }
    assert!(refused >= 1);
}
