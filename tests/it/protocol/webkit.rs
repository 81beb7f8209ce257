//! A sign-in in WebKit, the engine of Safari.

use serde_json::json;

use crate::support::{Daemon, Listener, VERIFIER, WebKit, body, challenge, http};

/// Over `http://localhost` WebKit keeps no `Secure` cookie, neither Debian's nor Safari's, where
/// Chromium and Firefox do; and it sends no `Sec-Fetch-User`.
#[tokio::test]
async fn safaris_engine_signs_in_over_http_localhost() {
    let daemon = Daemon::dev();
    let issuer = daemon.said("authorization server");
    assert!(issuer.starts_with("http://localhost:"), "{issuer}");
    let mut app = Listener::start().await;
    let metadata = json!({
        "client_name": "Safari app",
        "redirect_uris": [app.redirect_uri],
        "token_endpoint_auth_method": "none",
    });
    let request = http().post(format!("{issuer}/register")).header("content-type", "application/json");
    let registered = body(request.body(metadata.to_string()).send().await.unwrap()).await;
    let id = registered["client_id"].as_str().unwrap();
    let challenge = challenge();
    let ask = [
        ("response_type", "code"),
        ("client_id", id),
        ("redirect_uri", &*app.redirect_uri),
        ("state", "s"),
        ("code_challenge", &*challenge),
        ("code_challenge_method", "S256"),
        ("resource", "http://localhost:9000/mcp"),
    ];
    let ask = form_urlencoded::Serializer::new(String::new()).extend_pairs(ask).finish();

    let webkit = WebKit::start().await;
    webkit.open(&format!("{issuer}/authorize?{ask}")).await;
    webkit.wait_for_heading("Safari app asks for access").await;
    webkit.press("approve").await;
    webkit.wait_for_heading("Sign in").await;
    webkit.press("approve").await;
    let answer = app.answer().await;
    webkit.wait_for_heading("Connected").await;
    webkit.close().await;

    let redeem = [
        ("grant_type", "authorization_code"),
        ("client_id", id),
        ("redirect_uri", &*app.redirect_uri),
        ("code", &*answer["code"]),
        ("code_verifier", VERIFIER),
        ("resource", "http://localhost:9000/mcp"),
    ];
    let redeem = form_urlencoded::Serializer::new(String::new()).extend_pairs(redeem).finish();
    let form = "application/x-www-form-urlencoded";
    let request = http().post(format!("{issuer}/token")).header("content-type", form).body(redeem);
    assert_eq!(request.send().await.unwrap().status(), 200);
}
