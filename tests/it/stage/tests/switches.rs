//! Failures on demand, and the hand that reaches in over HTTP.

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::stage::Fault;

const SWITCHES: &str = "/__stand-in/switches";

#[tokio::test]
async fn the_token_endpoint_fails_as_told_and_then_recovers() {
    let served = serve_ada().await;
    let code = served.code(&[]).await;
    let fail =
        |fault: Value| served.stage.switches().token.apply(&json!({"fault": fault, "times": 1})).unwrap();

    fail(json!({"status": 503}));
    assert_eq!(served.redeem(&code, &[]).await.0, 503);
    fail(json!({"error": {"status": 200, "error": "invalid_grant"}}));
    assert_eq!(error_of(served.redeem(&code, &[]).await), refused(200, "invalid_grant"));
    fail(json!("not_json"));
    assert!(matches!(served.redeem(&code, &[]).await, (200, Value::String(_))));
    fail(json!("huge"));
    assert!(served.redeem(&code, &[]).await.1["access_token"].as_str().unwrap().len() > 5_000_000);
    fail(json!("redirect"));
    assert_eq!(served.redeem(&code, &[]).await.0, 307);
    fail(json!("drop"));
    let dropped = served.form_request("/v2/oauth/token", &[]).send().await;
    assert!(dropped.is_err() || dropped.unwrap().bytes().await.is_err());

    assert_eq!(served.redeem(&code, &[]).await.0, 200, "no failure spent the code");
    assert_eq!(served.stage.requests().of("/v2/oauth/token"), 7);
    assert_eq!(served.stage.requests().of("/elsewhere"), 0);
}

#[tokio::test]
async fn every_endpoint_fails_by_its_own_switch() {
    let served = serve_ada().await;
    let tokens = served.tokens(&[]).await;
    let switches = served.stage.switches();
    let fault = Fault::Status(404);
    switches.introspection.set_for_next(1, |settings| settings.fault = fault.clone());
    switches.revocation.set_for_next(1, |settings| settings.fault = fault.clone());
    switches.metadata.set_for_next(2, |settings| settings.fault = fault.clone());
    switches.jwks.set_for_next(1, |settings| settings.fault = fault.clone());
    switches.service.set_for_next(1, |settings| settings.fault = fault.clone());
    let token = [("token", tokens["access_token"].as_str().unwrap())];
    for round in [404, 200] {
        assert_eq!(served.as_client("/v2/oauth/token/introspect", &token).await.0, round);
        for path in [
            "/.well-known/oauth-authorization-server",
            "/.well-known/openid-configuration",
            "/v2/oauth/jwks.json",
        ] {
            assert_eq!(served.get(path).await.status(), round, "{path}");
        }
        let (status, _) = served.post_json("/v2/client/token/check", &json!({})).await;
        assert_eq!(status, if round == 404 { 404 } else { 401 });
        assert_eq!(served.as_client("/v2/oauth/token/revoke", &token).await.0, round);
    }
}

#[tokio::test]
async fn introspection_can_say_inactive() {
    let served = serve_ada().await;
    let tokens = served.tokens(&[]).await;
    served.stage.switches().introspection.set(|settings| settings.inactive = true);
    assert_eq!(served.introspect(&tokens["access_token"]).await, json!({"active": false}));
}

#[tokio::test]
async fn answers_can_be_slow() {
    let served = serve_ada().await;
    served.stage.switches().jwks.set(|settings| settings.delay_ms = 50);
    let start = Instant::now();
    assert_eq!(served.get("/v1beta/oauth/jwks.json").await.status(), 200);
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn metadata_names_the_endpoints_and_claims_iss_when_told() {
    let served = serve_ada().await;
    let document = served.get_json("/.well-known/oauth-authorization-server").await;
    assert_eq!(document["issuer"], served.issuer);
    assert_eq!(document["token_endpoint"], format!("{}/v2/oauth/token", served.issuer));
    assert_eq!(document.get("authorization_response_iss_parameter_supported"), None);
    served.stage.switches().metadata.set(|settings| settings.iss_advertised = true);
    let document = served.get_json("/.well-known/openid-configuration").await;
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
}

#[tokio::test]
async fn switches_are_set_read_and_reset_over_http() {
    let served = serve_ada().await;
    let initial = served.get_json(SWITCHES).await;
    let change = json!({
        "token": {"expires_in": "absent", "times": 1},
        "authorize": {"sign_in_as": "eve@example.com"},
        "groups": {"Eve@example.com": ["staff"]},
    });
    let (status, now) = served.post_json(SWITCHES, &change).await;
    assert_eq!((status, &now["token"]["expires_in"]), (200, &json!("absent")));
    let tokens = served.tokens(&[]).await;
    assert_eq!(tokens.get("expires_in"), None);
    let described = served.introspect(&tokens["access_token"]).await;
    assert_eq!((&described["email"], &described["groups"]), (&json!("eve@example.com"), &json!(["staff"])));
    assert_eq!(served.get_json(SWITCHES).await["token"], initial["token"], "the one time has passed");

    let reset = served.request(Method::DELETE, SWITCHES).send().await.unwrap();
    assert_eq!(json_of(reset).await, (200, initial));
}

#[tokio::test]
async fn changes_that_make_no_sense_are_refused() {
    let served = serve_ada().await;
    let initial = served.get_json(SWITCHES).await;
    for change in [
        json!({"tokens": {}}),
        json!({"token": {"colour": 1}}),
        json!({"token": {"pkce": "sometimes"}}),
        json!({"token": {"pkce": "lax", "times": 0}}),
        json!({"groups": ["staff"]}),
        json!([]),
    ] {
        assert_eq!(served.post_json(SWITCHES, &change).await.0, 400, "{change}");
    }
    let plain = served.request(Method::POST, SWITCHES).header(header::CONTENT_TYPE, "text/plain");
    assert_eq!(plain.body("{}").send().await.unwrap().status(), 400, "a page elsewhere could send this");
    assert_eq!(served.get_json(SWITCHES).await, initial);
}

#[tokio::test]
async fn people_are_disabled_over_http() {
    let served = serve_ada().await;
    let tokens = served.tokens(&[]).await;
    for disabled in [true, false] {
        let body = json!({"email": "ada@example.com", "disabled": disabled});
        assert_eq!(served.post_json("/__stand-in/disable", &body).await.0, 200);
        assert_eq!(served.introspect(&tokens["access_token"]).await["active"], !disabled);
    }
    assert_eq!(
        served.post_json("/__stand-in/disable", &json!({"email": "x", "disabled": true})).await.0,
        400
    );
}

#[tokio::test]
async fn the_stand_in_of_development_has_no_switches_and_no_vault() {
    let served = serve_stand_in_to_ada().await;
    for path in [SWITCHES, "/__stand-in/disable", "/__stand-in/requests", "/v2/list", "/vault/v2/list"] {
        assert_eq!(served.post_json(path, &json!({})).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn requests_are_counted_but_not_those_of_the_hand() {
    let served = serve_ada().await;
    served.tokens(&[]).await;
    served.get("/nowhere").await;
    let expected = json!({"/v2/oauth/authorize": 1, "/v2/oauth/token": 1, "/nowhere": 1});
    assert_eq!(served.get_json("/__stand-in/requests").await, json!({"total": 3, "paths": expected}));
    assert_eq!(served.stage.requests().total(), 3);
}
