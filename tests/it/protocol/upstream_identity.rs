//! Who signed in, in whatever form the upstream says it, and whether they may.

use serde_json::json;

use crate::{
    protocol::upstream::{INTROSPECTION, counting, outcome},
    stage::{AccessTokenForm, ExpiresIn, Fault, IdToken},
    support::{Client, Options, Scene, Scripted, Server, claims},
};

const TOKEN_CHECK: &str = "/v2/client/token/check";
const SERVICE: &str = "service_token = { env = \"SERVICE_TOKEN\" }\napi_url = \"{upstream}\"";

/// Shows: UP-8.
#[tokio::test]
async fn a_person_whom_the_policy_does_not_admit_gets_no_code() {
    for (policy, expected) in [
        ("[access]\nemails = [\"ada@example.com\"]", "code"),
        ("[access]\nemails = [\"bob@example.com\"]", "access_denied"),
        ("[access]\ndomains = [\"example.com\"]", "code"),
        ("[access]\ndomains = [\"example.org\"]", "access_denied"),
        ("[access]\ngroups = [\"staff\"]", "code"),
        ("[access]\ngroups = [\"board\"]", "access_denied"),
        ("[access]\nemails = [\"bob@example.com\"]\ngroups = [\"staff\"]", "code"),
    ] {
        let server = Server::with(Options { sections: policy, authn: SERVICE, ..Options::default() }).await;
        server.upstream.set_groups("ada@example.com", &["staff"]);
        let switches = server.upstream.switches();
        assert_eq!(outcome(&server).await, expected, "by introspection: {policy}");
        switches.token.set_for_next(1, |token| token.id_token = IdToken::Present);
        assert_eq!(outcome(&server).await, expected, "by ID token: {policy}");
        switches.token.set_for_next(1, |token| token.access_token = AccessTokenForm::Jwt);
        assert_eq!(outcome(&server).await, expected, "by JWT: {policy}");
        switches.introspection.set_for_next(1, |introspection| introspection.fault = Fault::Status(404));
        assert_eq!(outcome(&server).await, expected, "by token/check: {policy}");
        let grants = if expected == "code" { 4 } else { 0 };
        assert_eq!(server.stored_grants().len(), grants, "{policy}");
    }
}

/// Shows: UP-8.
#[tokio::test]
async fn an_address_that_matters_and_is_not_in_the_token_is_looked_for_elsewhere() {
    let sections = "[access]\ndomains = [\"example.com\"]";
    for (authn, introspection, expected) in [
        ("", Fault::None, "code"),
        (SERVICE, Fault::Status(404), "code"),
        (SERVICE, Fault::Status(503), "code"),
        ("", Fault::Status(404), "access_denied"),
        ("", Fault::Status(503), "temporarily_unavailable"),
    ] {
        let server = Server::with(Options { sections, authn, ..Options::default() }).await;
        let switches = server.upstream.switches();
        switches.token.set(|token| token.id_token = IdToken::WithoutEmail);
        switches.introspection.set(|answer| answer.fault = introspection.clone());
        assert_eq!(outcome(&server).await, expected, "{introspection:?}, {authn:?}");
    }

    let server = Server::start().await;
    server.upstream.switches().token.set(|token| token.id_token = IdToken::WithoutEmail);
    let (introspected, outcome) = counting(&server, INTROSPECTION, outcome(&server)).await;
    assert_eq!((&*outcome, introspected), ("code", 0), "what does not matter is not asked");
}

/// Shows: UP-8.
#[tokio::test]
async fn an_address_admits_only_when_the_upstream_says_that_it_is_verified() {
    let sections = "[access]\ndomains = [\"example.com\"]";
    let trusting = "trust_unverified_email = true";
    for (authn, in_tokens, in_the_record, expected) in [
        ("", json!(true), false, "code"),
        ("", json!("true"), false, "code"),
        ("", json!(false), true, "access_denied"),
        ("", json!("false"), true, "access_denied"),
        ("", json!(1), true, "access_denied"),
        ("", json!(null), true, "access_denied"),
        (SERVICE, json!(true), false, "code"),
        (SERVICE, json!(false), true, "code"),
        (SERVICE, json!(null), true, "code"),
        (SERVICE, json!(null), false, "access_denied"),
        (trusting, json!(null), false, "code"),
        (trusting, json!(false), false, "code"),
    ] {
        let server = Server::with(Options { sections, authn, ..Options::default() }).await;
        let switches = server.upstream.switches();
        switches.addresses.set(|addresses| {
            (addresses.email_verified, addresses.user_verified) = (in_tokens.clone(), in_the_record);
        });
        let what = format!("{authn:?} {in_tokens} {in_the_record}");
        assert_eq!(outcome(&server).await, expected, "by introspection: {what}");
        switches.token.set_for_next(1, |token| token.id_token = IdToken::Present);
        assert_eq!(outcome(&server).await, expected, "by ID token: {what}");
        switches.token.set_for_next(1, |token| token.access_token = AccessTokenForm::Jwt);
        assert_eq!(outcome(&server).await, expected, "by JWT: {what}");
    }
}

/// Shows: UP-8.
#[tokio::test]
async fn an_address_that_nothing_verifies_is_known_to_operators_and_in_no_answer() {
    let server = Server::start().await;
    server.upstream.switches().addresses.set(|addresses| addresses.email_verified = json!(false));
    let tokens = Client::public(&server).await.login(&server).await;
    assert_eq!(server.introspect(&tokens.access).await["username"], json!(null));
    let grants = server.stored_grants();
    let person = &grants[0]["person"];
    assert_eq!((&person["email"], &person["unverified_email"]), (&json!(null), &json!("ada@example.com")));
}

/// Shows: UP-8.
#[tokio::test]
async fn groups_that_matter_and_cannot_be_learnt_let_nobody_in() {
    let sections = "[access]\ngroups = [\"staff\"]";
    let server = Server::with(Options { sections, authn: SERVICE, ..Options::default() }).await;
    assert_eq!(outcome(&server).await, "access_denied", "a person without groups");
    server.upstream.switches().service.set(|service| service.fault = Fault::Status(502));
    assert_eq!(outcome(&server).await, "temporarily_unavailable");
    assert_eq!(server.stored_grants().len(), 0);

    let server = Server::with(Options { authn: SERVICE, ..Options::default() }).await;
    server.upstream.switches().addresses.set(|addresses| addresses.email_verified = json!(false));
    assert_eq!(outcome(&server).await, "code");
    for path in ["/v2/user/group/list", "/v2/user/profile/get"] {
        assert_eq!(server.upstream.requests().of(path), 0, "what does not matter is not asked");
    }
}

/// Shows: UP-8.
#[tokio::test]
async fn who_signed_in_is_learnt_in_whatever_form_the_upstream_answers() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let subject = claims(&client.login(&server).await.access)["sub"].clone();
    for (form, id_token, introspections) in [
        (AccessTokenForm::Opaque, IdToken::Absent, 1),
        (AccessTokenForm::Opaque, IdToken::Present, 0),
        (AccessTokenForm::Jwt, IdToken::Absent, 0),
        (AccessTokenForm::Jwt, IdToken::Present, 0),
        (AccessTokenForm::JwtOfAnotherIssuer, IdToken::Absent, 1),
    ] {
        for expires_in in [ExpiresIn::Number, ExpiresIn::String, ExpiresIn::Absent] {
            for refresh_token in [true, false] {
                server.upstream.switches().token.set(|token| {
                    (token.access_token, token.id_token) = (form, id_token);
                    (token.expires_in, token.refresh_token) = (expires_in, refresh_token);
                });
                let (introspected, tokens) = counting(&server, INTROSPECTION, client.login(&server)).await;
                let what = format!("{form:?} {id_token:?} {expires_in:?} {refresh_token}");
                assert_eq!(introspected, introspections, "{what}");
                assert_eq!(claims(&tokens.access)["sub"], subject, "{what}");
                assert_eq!(server.introspect(&tokens.access).await["username"], "ada@example.com", "{what}");
            }
        }
    }
}

/// Shows: UP-7, UP-8.
#[tokio::test]
async fn without_introspection_the_authn_service_says_who_it_is_where_a_token_for_it_is_configured() {
    for (fault, alone) in [
        (Fault::Status(404), "server_error"),
        (Fault::Status(403), "server_error"),
        (Fault::NotJson, "server_error"),
        (Fault::Redirect, "server_error"),
        (Fault::Status(500), "temporarily_unavailable"),
        (Fault::Drop, "temporarily_unavailable"),
        (Fault::Huge, "temporarily_unavailable"),
    ] {
        let server = Server::start().await;
        server.upstream.switches().introspection.set(|introspection| introspection.fault = fault.clone());
        assert_eq!(outcome(&server).await, alone, "alone: {fault:?}");
        assert_eq!(server.upstream.requests().of(TOKEN_CHECK), 0);

        let server = Server::with(Options { authn: SERVICE, ..Options::default() }).await;
        let tokens = Client::public(&server).await.login(&server).await;
        server.upstream.switches().introspection.set(|introspection| introspection.fault = fault.clone());
        let other = Client::public(&server).await.login(&server).await;
        assert_eq!(claims(&tokens.access)["sub"], claims(&other.access)["sub"], "{fault:?}");
        assert_eq!(server.upstream.requests().of(TOKEN_CHECK), 1);

        server.upstream.switches().service.set(|service| service.fault = Fault::Status(502));
        assert_eq!(outcome(&server).await, "temporarily_unavailable", "the service, too: {fault:?}");
    }
    let server = Server::with(Options { authn: SERVICE, ..Options::default() }).await;
    server.upstream.switches().introspection.set(|introspection| introspection.inactive = true);
    assert_eq!(outcome(&server).await, "server_error", "a new token that is inactive belongs to no user");
    assert_eq!(server.upstream.requests().of(TOKEN_CHECK), 0);
}

/// A subject that looks like a client ID could be taken for a machine client's.
/// Shows: CC-5, JWT-4.
#[tokio::test]
async fn a_subject_that_looks_like_a_client_id_is_not_admitted() {
    for (subject, expected) in [
        ("ada", "code"),
        ("mcp_q7ZxAmV0bT5cK2hYw1uLrA", "access_denied"),
        ("mcp_q7ZxAmV0bT5cK2hYw1uLr", "code"),
    ] {
        let described = json!({ "active": true, "client_id": "psa_test", "sub": subject });
        let upstream = Scripted::start(move |_| Scene::json(&described)).await;
        let endpoint = format!("introspection_endpoint = \"{}/introspect\"", upstream.origin);
        let server = Server::with(Options { authn: endpoint.leak(), ..Options::default() }).await;
        assert_eq!(outcome(&server).await, expected, "{subject}");
        assert_eq!(server.stored_grants().len(), usize::from(expected == "code"), "{subject}");
    }
}
