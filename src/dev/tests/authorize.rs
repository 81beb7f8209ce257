//! The authorization endpoint and the sign-in page.

use reqwest::{Method, header};
use serde_json::json;

use super::*;

#[tokio::test]
async fn the_page_signs_in_whoever_is_typed() {
    let served = serve(|_| {}).await;
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
    let served = serve(|_| {}).await;
    let back = callback(&served.answer_page(&[("email", ""), ("decision", "deny")]).await);
    assert_eq!((back["error"].as_str(), back["state"].as_str()), ("access_denied", STATE));
    assert!(!back.contains_key("code"));
}

#[tokio::test]
async fn the_page_asks_again_for_what_is_no_address() {
    let served = serve(|_| {}).await;
    let again = served.answer_page(&[("email", "<b>no address"), ("decision", "approve")]).await;
    assert_eq!(again.status(), 400);
    let html = again.text().await.unwrap();
    assert!(html.contains("aria-invalid") && !html.contains("<b>"), "{html}");
}

#[tokio::test]
async fn pages_load_nothing_and_run_nothing() {
    let served = serve(|_| {}).await;
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
    let served = serve_ada().await;
    let tokens = served.tokens(&[]).await;
    assert_eq!(served.introspect(&tokens["access_token"]).await["email"], "ada@example.com");
    let tokens = served.tokens(&[("login_hint", "eve@example.com")]).await;
    assert_eq!(served.introspect(&tokens["access_token"]).await["email"], "eve@example.com");
    served.stand_in.switches().authorize.set(|settings| settings.sign_in_as = None);
    assert_eq!(served.authorize(&[]).await.status(), 200);
}

#[tokio::test]
async fn without_a_good_return_address_there_is_no_redirect() {
    let served = serve_ada().await;
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
    let twice = format!("{}&state=another-state", Served::authorize_url(&[]));
    assert_eq!(served.get(&twice).await.status(), 400);
}

#[tokio::test]
async fn a_bad_request_goes_back_as_an_error() {
    let served = serve_ada().await;
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
    let served = serve_ada().await;
    let back = callback(&served.authorize(&[("redirect_uri", &format!("{CALLBACK}?tenant=1"))]).await);
    assert_eq!(back["tenant"], "1");
    assert!(back["code"].starts_with("pmc_") && back["code"].len() == 36);
}

#[tokio::test]
async fn scopes_are_those_asked_for_or_the_default_ones() {
    let served = serve_ada().await;
    assert_eq!(served.tokens(&[]).await["scope"], "user");
    assert_eq!(served.tokens(&[("scope", "openid files:*")]).await["scope"], "openid files:*");
}

#[tokio::test]
async fn the_browser_brings_back_what_the_switch_says() {
    let served = serve_ada().await;
    let switches = served.stand_in.switches();

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
    served.stand_in.switches().authorize.apply(&json!({"iss": "right", "times": 1})).unwrap();
    assert_eq!(callback(&served.authorize(&[]).await)["iss"], served.issuer);
    served.stand_in.switches().authorize.apply(&json!({"iss": "wrong", "times": 1})).unwrap();
    assert_ne!(callback(&served.authorize(&[]).await)["iss"], served.issuer);
}

#[tokio::test]
async fn a_disabled_person_cannot_sign_in() {
    let served = serve_ada().await;
    served.stand_in.disable("Ada@example.com");
    assert_eq!(callback(&served.authorize(&[]).await)["error"], "access_denied");
    served.stand_in.enable("ada@example.com");
    assert!(callback(&served.authorize(&[]).await).contains_key("code"));
}

#[tokio::test]
async fn hosts_other_than_loopback_are_turned_away() {
    let served = serve_ada().await;
    let request =
        served.request(Method::GET, &Served::authorize_url(&[])).header(header::HOST, "evil.example");
    assert_eq!(request.send().await.unwrap().status(), 421);
}
