//! The authorization endpoint and the sign-in page.

use reqwest::{Method, header};
use serde_json::json;

use super::*;

#[tokio::test]
async fn the_page_signs_in_whoever_is_typed() {
    let served = serve_stand_in(|_| {}).await;
    let page = served.authorize(&[]).await;
    assert_eq!(page.status(), 200);
    let html = page.text().await.unwrap();
    assert!(html.contains("value=\"ada@example.com\"") && html.contains("localhost:8000"), "{html}");

    let back = callback(&served.answer_page(&[("email", " Bob@Example.com"), ("decision", "approve")]).await);
    assert_eq!(back["state"], STATE);
    let (_, tokens) = served.redeem(&back["code"], &[]).await;
    assert_eq!(served.introspect(&tokens["access_token"]).await["email"], "bob@example.com");

    let html = served.authorize(&[]).await.text().await.unwrap();
    assert!(html.contains("value=\"bob@example.com\""), "the last one is offered: {html}");
}

#[tokio::test]
async fn the_page_declines() {
    let served = serve_stand_in(|_| {}).await;
    let back = callback(&served.answer_page(&[("email", ""), ("decision", "deny")]).await);
    assert_eq!((back["error"].as_str(), back["state"].as_str()), ("access_denied", STATE));
    assert!(!back.contains_key("code"));
}

#[tokio::test]
async fn the_page_asks_again_for_what_is_no_address() {
    let served = serve_stand_in(|_| {}).await;
    let again = served.answer_page(&[("email", "<b>no address"), ("decision", "approve")]).await;
    assert_eq!(again.status(), 400);
    let html = again.text().await.unwrap();
    assert!(html.contains("aria-invalid") && !html.contains("<b>"), "{html}");
}

#[tokio::test]
async fn pages_load_nothing_and_run_nothing() {
    let served = serve_stand_in(|_| {}).await;
    for page in [served.authorize(&[]).await, served.authorize(&[("state", "no")]).await] {
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("form-action")
        );
        assert_eq!(page.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(page.headers()[header::REFERRER_POLICY], "no-referrer");
        let html = page.text().await.unwrap();
        assert!(html.contains("for development only") && html.contains("<html lang=\"en\">"));
        assert_eq!(html.matches("<h1>").count(), 1);
        assert!(!html.contains("<script") && !html.contains("http-equiv"), "{html}");
    }
}

#[tokio::test]
async fn who_is_known_sees_no_page() {
    let served = serve_stand_in_to_ada().await;
    let tokens = served.tokens(&[]).await;
    assert_eq!(served.introspect(&tokens["access_token"]).await["email"], "ada@example.com");
    let hint = ("login_hint", "eve@example.com");
    let tokens = served.tokens(&[hint]).await;
    assert_eq!(served.introspect(&tokens["access_token"]).await["email"], "eve@example.com");
    let tokens = served.tokens(&[hint, ("prompt", "login")]).await;
    assert_eq!(served.introspect(&tokens["access_token"]).await["email"], "ada@example.com");

    let served = serve_stand_in(|_| {}).await;
    assert_eq!(served.authorize(&[]).await.status(), 200);
    assert_eq!(served.authorize(&[hint]).await.status(), 303);
    assert_eq!(served.authorize(&[hint, ("prompt", "login")]).await.status(), 200);
}

#[tokio::test]
async fn a_switch_says_who_is_known() {
    let served = serve_ada().await;
    let signed_in = async |changes: &[(&str, &str)]| {
        let tokens = served.tokens(changes).await;
        served.introspect(&tokens["access_token"]).await["email"].clone()
    };
    let (hint, again) = (("login_hint", "eve@example.com"), ("prompt", "login"));
    assert_eq!(signed_in(&[]).await, "ada@example.com");
    assert_eq!(signed_in(&[hint]).await, "eve@example.com");
    assert_eq!(signed_in(&[hint, again]).await, "ada@example.com");

    let authorize = &served.stage.switches().authorize;
    authorize.set(|settings| settings.session = Some("bob@example.com".to_owned()));
    assert_eq!(signed_in(&[]).await, "bob@example.com");
    assert_eq!(signed_in(&[hint]).await, "eve@example.com");
    assert_eq!(signed_in(&[again]).await, "ada@example.com");
    authorize.set(|settings| settings.sign_in_as = None);
    assert_eq!(signed_in(&[]).await, "bob@example.com");
    assert_eq!(served.authorize(&[again]).await.status(), 200);
    authorize.set(|settings| settings.session = None);
    assert_eq!(served.authorize(&[]).await.status(), 200);
}

#[tokio::test]
async fn without_a_good_return_address_there_is_no_redirect() {
    let served = serve_stand_in_to_ada().await;
    let long = "a".repeat(1000);
    for changes in [
        [("client_id", "psa_other")],
        [("client_id", "")],
        [("redirect_uri", "")],
        [("redirect_uri", "http://localhost:8000/pangea/callback/")],
        [("redirect_uri", "http://LOCALHOST:8000/pangea/callback")],
        [("redirect_uri", "http://localhost:8001/pangea/callback")],
        [("state", "")],
        [("state", "1234567")],
        [("state", "12345678~")],
        [("state", "1234 5678")],
        [("state", &long)],
    ] {
        assert_eq!(served.authorize(&changes).await.status(), 400, "{changes:?}");
    }
    let twice = format!("{}&state=another-state", authorize_url(&[]));
    assert_eq!(served.get(&twice).await.status(), 400);
}

#[tokio::test]
async fn a_bad_request_goes_back_as_an_error() {
    let served = serve_stand_in_to_ada().await;
    for (changes, error) in [
        ([("response_type", "token")], "unsupported_response_type"),
        ([("response_type", "")], "unsupported_response_type"),
        ([("scope", "mcp.read")], "invalid_scope"),
        ([("scope", "user  openid")], "invalid_scope"),
        ([("scope", "user admin")], "invalid_scope"),
        ([("code_challenge", "short")], "invalid_request"),
        ([("code_challenge_method", "plain")], "invalid_request"),
        ([("code_challenge_method", "")], "invalid_request"),
    ] {
        let back = callback(&served.authorize(&changes).await);
        assert_eq!((back["error"].as_str(), back["state"].as_str()), (error, STATE), "{changes:?}");
    }
}

#[tokio::test]
async fn a_redirect_uri_keeps_its_own_query() {
    let served = serve_stand_in_to_ada().await;
    let back = callback(&served.authorize(&[("redirect_uri", &format!("{CALLBACK}?tenant=1"))]).await);
    assert_eq!(back["tenant"], "1");
    assert!(back["code"].starts_with("pmc_") && back["code"].len() == 36);
}

#[tokio::test]
async fn scopes_are_those_asked_for_or_the_default_ones() {
    let served = serve_stand_in_to_ada().await;
    assert_eq!(served.tokens(&[]).await["scope"], "user");
    assert_eq!(served.tokens(&[("scope", "openid files:*")]).await["scope"], "openid files:*");
}

#[tokio::test]
async fn the_browser_brings_back_what_the_switch_says() {
    let served = serve_ada().await;
    let switches = served.stage.switches();

    switches.apply(json!({"authorize": {"answer": "deny", "times": 1}}).as_object().unwrap()).unwrap();
    assert_eq!(callback(&served.authorize(&[]).await)["error"], "access_denied");

    let answer = json!({"error": {"error": "temporarily_unavailable", "error_description": "Back soon"}});
    switches.apply(json!({"authorize": {"answer": answer, "times": 1}}).as_object().unwrap()).unwrap();
    let back = callback(&served.authorize(&[]).await);
    assert_eq!((&*back["error"], &*back["error_description"]), ("temporarily_unavailable", "Back soon"));

    switches.apply(json!({"authorize": {"answer": "nothing", "times": 1}}).as_object().unwrap()).unwrap();
    let back = callback(&served.authorize(&[]).await);
    assert_eq!(back.keys().collect::<Vec<_>>(), ["state"]);

    let back = callback(&served.authorize(&[]).await);
    assert!(back.contains_key("code") && !back.contains_key("iss"));
}

#[tokio::test]
async fn the_issuer_comes_back_when_switched_on() {
    let served = serve_ada().await;
    served.stage.switches().authorize.apply(&json!({"iss": "right", "times": 1})).unwrap();
    assert_eq!(callback(&served.authorize(&[]).await)["iss"], served.issuer);
    served.stage.switches().authorize.apply(&json!({"iss": "wrong", "times": 1})).unwrap();
    assert_ne!(callback(&served.authorize(&[]).await)["iss"], served.issuer);
}

#[tokio::test]
async fn a_disabled_person_cannot_sign_in() {
    let served = serve_ada().await;
    served.stage.disable("Ada@example.com");
    assert_eq!(callback(&served.authorize(&[]).await)["error"], "access_denied");
    served.stage.enable("ada@example.com");
    assert!(callback(&served.authorize(&[]).await).contains_key("code"));
}

#[tokio::test]
async fn hosts_other_than_loopback_are_turned_away() {
    let served = serve_stand_in_to_ada().await;
    let request = served.request(Method::GET, &authorize_url(&[])).header(header::HOST, "evil.example");
    assert_eq!(request.send().await.unwrap().status(), 421);
}
