//! The token endpoint, introspection and revocation.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, TokenData, Validation, errors::ErrorKind, jwk::JwkSet};
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_code_becomes_tokens_in_pangeas_form() {
    let served = serve_stand_in_to_ada().await;
    let tokens = served.tokens(&[]).await;
    for (member, prefix) in [("access_token", "ptu_"), ("refresh_token", "ptr_")] {
        let token = tokens[member].as_str().unwrap();
        assert!(token.starts_with(prefix) && token.len() == 36, "{token}");
        assert!(token[4..].bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b)), "{token}");
    }
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(3600)));
    assert!(tokens.get("id_token").is_none(), "openid was not asked for");

    let described = served.introspect(&tokens["access_token"]).await;
    let expected = json!({
        "active": true, "client_id": CLIENT_ID, "scope": "user", "token_type": "Bearer",
        "iss": served.issuer, "aud": [served.issuer], "iat": 1_800_000_000_u64, "exp": 1_800_003_600_u64,
        "sub": described["sub"], "username": "ada@example.com", "email": "ada@example.com", "email_verified": true,
        "groups": [],
        "pangea.profile": {"first_name": "Ada"}, "pangea.claims": {"groups": []},
    });
    assert_eq!(described, expected);
    assert!(described["sub"].as_str().unwrap().starts_with("pui_"));
}

#[tokio::test]
async fn a_code_works_once_and_only_as_it_was_issued() {
    let served = serve_stand_in_to_ada().await;
    let code = served.code(&[]).await;
    assert_eq!(served.redeem(&code, &[]).await.0, 200);
    assert_eq!(error_of(served.redeem(&code, &[]).await), refused(400, "invalid_grant"));

    for changes in [
        [("redirect_uri", "")],
        [("redirect_uri", "http://localhost:8000/other")],
        [("code_verifier", "")],
        [("code_verifier", "another")],
        [("code", "pmc_unknown")],
    ] {
        let code = served.code(&[]).await;
        assert_eq!(
            error_of(served.redeem(&code, &changes).await),
            refused(400, "invalid_grant"),
            "{changes:?}"
        );
        if changes[0].0 != "code" {
            let second = served.redeem(&code, &[]).await;
            assert_eq!(error_of(second), refused(400, "invalid_grant"), "a failed try spends it");
        }
    }
}

#[tokio::test]
async fn a_code_lives_a_minute() {
    let served = serve_stand_in_to_ada().await;
    let (in_time, late) = (served.code(&[]).await, served.code(&[]).await);
    served.clock.advance(Duration::from_secs(59));
    assert_eq!(served.redeem(&in_time, &[]).await.0, 200);
    served.clock.advance(Duration::from_secs(1));
    assert_eq!(error_of(served.redeem(&late, &[]).await), refused(400, "invalid_grant"));
}

#[tokio::test]
async fn pkce_is_not_needed_but_binds_once_used() {
    let served = serve_ada().await;
    let without = [("code_challenge", ""), ("code_challenge_method", "")];
    let code = served.code(&without).await;
    assert_eq!(served.redeem(&code, &[("code_verifier", "")]).await.0, 200);
    let code = served.code(&without).await;
    assert_eq!(error_of(served.redeem(&code, &[]).await), refused(400, "invalid_grant"));

    for (pkce, verifier, status) in [("lax", "", 200), ("lax", "wrong", 400), ("ignore", "wrong", 200)] {
        served.stage.switches().token.apply(&json!({"pkce": pkce})).unwrap();
        let code = served.code(&[]).await;
        assert_eq!(served.redeem(&code, &[("code_verifier", verifier)]).await.0, status, "{pkce} {verifier}");
    }
}

#[tokio::test]
async fn clients_authenticate_with_basic_or_post() {
    let served = serve_stand_in_to_ada().await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", "ptr_x")];
    let post =
        |id: &'static str, secret: &'static str| with(&form, &[("client_id", id), ("client_secret", secret)]);
    let url = "/v2/oauth/token";
    let invalid_client = || refused(401, "invalid_client");
    let known = || refused(400, "invalid_grant");
    let rows = [
        (served.form_request(url, &form).basic_auth(CLIENT_ID, Some(CLIENT_SECRET)), known()),
        (served.form_request(url, &post(CLIENT_ID, CLIENT_SECRET)), known()),
        (served.form_request(url, &form).basic_auth(CLIENT_ID, Some("pck_wrong")), invalid_client()),
        (served.form_request(url, &form).basic_auth("psa_other", Some(CLIENT_SECRET)), invalid_client()),
        (served.form_request(url, &form).bearer_auth(CLIENT_SECRET), invalid_client()),
        (served.form_request(url, &post(CLIENT_ID, "pck_wrong")), invalid_client()),
        (served.form_request(url, &post(CLIENT_ID, "")), invalid_client()),
        (served.form_request(url, &form), invalid_client()),
        (
            served
                .form_request(url, &post(CLIENT_ID, CLIENT_SECRET))
                .basic_auth(CLIENT_ID, Some(CLIENT_SECRET)),
            refused(400, "invalid_request"),
        ),
        (
            served.form_request(url, &post("psa_other", "")).basic_auth(CLIENT_ID, Some(CLIENT_SECRET)),
            refused(400, "invalid_request"),
        ),
    ];
    for (row, (request, expected)) in rows.into_iter().enumerate() {
        let response = request.send().await.unwrap();
        let challenged = response.headers().contains_key(header::WWW_AUTHENTICATE);
        assert_eq!(challenged, response.status() == 401, "row {row}");
        assert_eq!(error_of(json_of(response).await), expected, "row {row}");
    }
}

#[tokio::test]
async fn malformed_token_requests_are_refused() {
    let served = serve_stand_in_to_ada().await;
    for (form, error) in [
        (vec![], "invalid_request"),
        (vec![("grant_type", "authorization_code")], "invalid_request"),
        (vec![("grant_type", "refresh_token")], "invalid_request"),
        (vec![("grant_type", "password")], "unsupported_grant_type"),
        (vec![("grant_type", "refresh_token"), ("grant_type", "refresh_token")], "invalid_request"),
    ] {
        assert_eq!(error_of(served.token(&form).await), refused(400, error), "{form:?}");
    }
    let json =
        served.request(Method::POST, "/v2/oauth/token").header(header::CONTENT_TYPE, "application/json");
    let response = json.body("{}").send().await.unwrap();
    assert_eq!(error_of(json_of(response).await), refused(400, "invalid_request"));
}

#[tokio::test]
async fn a_refresh_token_works_once() {
    let served = serve_stand_in_to_ada().await;
    let first = served.tokens(&[("scope", "user openid")]).await;
    let (status, second) = served.refresh(&first["refresh_token"]).await;
    assert_eq!((status, &second["scope"]), (200, &json!("user openid")));
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    assert_eq!(served.introspect(&second["access_token"]).await["email"], "ada@example.com");
    assert_eq!(error_of(served.refresh(&first["refresh_token"]).await), refused(400, "invalid_grant"));
    assert_eq!(served.refresh(&second["refresh_token"]).await.0, 200);
}

#[tokio::test]
async fn a_refresh_may_narrow_the_scope_only() {
    let served = serve_stand_in_to_ada().await;
    let tokens = served.tokens(&[("scope", "user openid")]).await;
    let form = |token, scope| [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
    let token = tokens["refresh_token"].as_str().unwrap();
    assert_eq!(error_of(served.token(&form(token, "files:*")).await), refused(400, "invalid_scope"));
    assert_eq!(served.token(&form(token, "user")).await.1["scope"], "user");
}

#[tokio::test]
async fn tokens_expire() {
    let served = serve_stand_in_to_ada().await;
    let tokens = served.tokens(&[]).await;
    served.clock.advance(Duration::from_hours(1));
    assert_eq!(served.introspect(&tokens["access_token"]).await, json!({"active": false}));
    served.clock.advance(Duration::from_hours(30 * 24));
    assert_eq!(error_of(served.refresh(&tokens["refresh_token"]).await), refused(400, "invalid_grant"));
}

#[tokio::test]
async fn a_disabled_persons_tokens_are_dead() {
    let served = serve_ada().await;
    let tokens = served.tokens(&[]).await;
    let code = served.code(&[]).await;
    served.stage.disable("ada@example.com");
    assert_eq!(served.introspect(&tokens["access_token"]).await, json!({"active": false}));
    assert_eq!(error_of(served.refresh(&tokens["refresh_token"]).await), refused(400, "invalid_grant"));
    assert_eq!(error_of(served.redeem(&code, &[]).await), refused(400, "invalid_grant"));
    served.stage.enable("ada@example.com");
    assert_eq!(served.introspect(&tokens["access_token"]).await["active"], true);
    assert_eq!(served.refresh(&tokens["refresh_token"]).await.0, 200);
}

#[tokio::test]
async fn revoked_tokens_are_dead() {
    let served = serve_stand_in_to_ada().await;
    let revoke = async |token: &Value| {
        served.as_client("/v2/oauth/token/revoke", &[("token", token.as_str().unwrap())]).await.0
    };
    let tokens = served.tokens(&[]).await;
    assert_eq!(revoke(&tokens["access_token"]).await, 200);
    assert_eq!(served.introspect(&tokens["access_token"]).await, json!({"active": false}));
    let (_, tokens) = served.refresh(&tokens["refresh_token"]).await;
    assert_eq!(revoke(&tokens["refresh_token"]).await, 200);
    assert_eq!(error_of(served.refresh(&tokens["refresh_token"]).await), refused(400, "invalid_grant"));
    assert_eq!(served.introspect(&tokens["access_token"]).await, json!({"active": false}));
    assert_eq!(revoke(&json!("ptu_unknown")).await, 200);
}

#[tokio::test]
async fn the_switches_change_the_token_response() {
    let served = serve_ada().await;
    let dial = &served.stage.switches().token;
    dial.apply(&json!({"refresh_token": false, "expires_in": "string", "times": 1})).unwrap();
    let tokens = served.tokens(&[("scope", "openid")]).await;
    assert_eq!((tokens.get("refresh_token"), &tokens["expires_in"]), (None, &json!("3600")));
    assert!(tokens["id_token"].is_string());

    dial.apply(&json!({"id_token": "absent", "expires_in": "absent", "times": 1})).unwrap();
    let tokens = served.tokens(&[("scope", "openid")]).await;
    assert_eq!((tokens.get("id_token"), tokens.get("expires_in")), (None, None));
    assert!(tokens["refresh_token"].is_string());
}

/// Checks a token as a client would: against the published keys.
async fn verified<P>(
    served: &Served<P>,
    token: &Value,
    audience: &str,
) -> Result<TokenData<Value>, ErrorKind> {
    let keys: JwkSet = serde_json::from_value(served.get_json("/v2/oauth/jwks.json").await).unwrap();
    let token = token.as_str().unwrap();
    let key_id = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[&served.issuer]);
    validation.validate_exp = false;
    let key = DecodingKey::from_jwk(keys.find(&key_id).unwrap()).unwrap();
    jsonwebtoken::decode(token, &key, &validation).map_err(jsonwebtoken::errors::Error::into_kind)
}

#[tokio::test]
async fn access_tokens_can_be_jwts() {
    let served = serve_ada().await;
    served.stage.set_groups("ada@example.com", &["staff", "admins"]);
    served.stage.switches().token.apply(&json!({"access_token": "jwt"})).unwrap();
    let tokens = served.tokens(&[]).await;
    let claims = verified(&served, &tokens["access_token"], &served.issuer).await.unwrap().claims;
    assert_eq!(claims["groups"], json!(["staff", "admins"]));
    assert_eq!((&claims["client_id"], &claims["scope"]), (&json!(CLIENT_ID), &json!("user")));
    assert_eq!(
        (&claims["email"], &claims["username"]),
        (&json!("ada@example.com"), &json!("ada@example.com"))
    );
    let described = served.introspect(&tokens["access_token"]).await;
    assert_eq!((&described["active"], &described["sub"]), (&json!(true), &claims["sub"]));
}

#[tokio::test]
async fn an_id_token_comes_when_it_is_asked_for() {
    let served = serve_stand_in_to_ada().await;
    let tokens = served.tokens(&[("scope", "user openid"), ("nonce", "our-nonce")]).await;
    let claims = verified(&served, &tokens["id_token"], CLIENT_ID).await.unwrap().claims;
    assert_eq!(claims["sub"], served.introspect(&tokens["access_token"]).await["sub"]);
    assert_eq!((&claims["nonce"], &claims["email_verified"]), (&json!("our-nonce"), &json!(true)));
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(1_800_000_000), &json!(1_800_003_600)));
    assert_eq!(served.tokens(&[]).await.get("id_token"), None);
}

#[tokio::test]
async fn id_tokens_are_right_or_wrong_in_one_way() {
    let served = serve_ada().await;
    let switches = served.stage.switches();
    let mut seen = Vec::new();
    for form in
        ["when_asked", "present", "wrong_nonce", "wrong_audience", "wrong_issuer", "bad_signature", "expired"]
    {
        switches.token.apply(&json!({"id_token": form, "times": 1})).unwrap();
        let tokens = served.tokens(&[("scope", "openid"), ("nonce", "our-nonce")]).await;
        let verdict = match verified(&served, &tokens["id_token"], CLIENT_ID).await {
            Err(kind) => format!("{kind:?}"),
            Ok(token) if token.claims["nonce"] != "our-nonce" => "nonce".to_owned(),
            Ok(token) if token.claims["exp"].as_u64() <= Some(1_800_000_000) => "exp".to_owned(),
            Ok(token) => token.claims["email"].as_str().unwrap().to_owned(),
        };
        seen.push((form, verdict));
    }
    let expected = [
        ("when_asked", "ada@example.com"),
        ("present", "ada@example.com"),
        ("wrong_nonce", "nonce"),
        ("wrong_audience", "InvalidAudience"),
        ("wrong_issuer", "InvalidIssuer"),
        ("bad_signature", "InvalidSignature"),
        ("expired", "exp"),
    ];
    assert_eq!(seen, expected.map(|(form, verdict)| (form, verdict.to_owned())));
    switches.token.apply(&json!({"id_token": "present", "times": 1})).unwrap();
    let tokens = served.tokens(&[]).await;
    let claims = verified(&served, &tokens["id_token"], CLIENT_ID).await.unwrap().claims;
    assert_eq!(claims.get("nonce"), None, "nothing is echoed that was not sent");
}

#[tokio::test]
async fn state_survives_a_restart_in_a_private_file_without_tokens_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stand-in.json");
    let start = || {
        serve_stand_in(|config| {
            config.state_file = Some(file.clone());
            sign_in_ada(config);
        })
    };
    let served = start().await;
    let tokens = served.tokens(&[]).await;
    let kept = std::fs::read_to_string(&file).unwrap();
    for member in ["access_token", "refresh_token"] {
        assert!(!kept.contains(tokens[member].as_str().unwrap()));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    let served = start().await;
    let described = served.introspect(&tokens["access_token"]).await;
    assert_eq!((&described["active"], &described["email"]), (&json!(true), &json!("ada@example.com")));
    assert_eq!(served.refresh(&tokens["refresh_token"]).await.0, 200);

    std::fs::write(&file, "{").unwrap();
    let mut config = config("http://localhost:1");
    config.state_file = Some(file);
    let clock = Arc::new(ManualClock::at(UnixTime::from_secs(0)));
    assert!(StandIn::new(config, clock, Arc::new(SystemRandom)).is_err());
}
