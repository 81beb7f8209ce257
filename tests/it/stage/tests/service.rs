//! The enveloped service calls and the management of clients.

use std::collections::BTreeSet;

use pangea_mcp_auth::dev::SERVICE_TOKEN;
use serde_json::json;

use super::*;

/// A service call; checks the envelope and gives HTTP status, `status` and result.
async fn call<P>(served: &Served<P>, path: &str, token: &str, body: &str) -> (u16, String, Value) {
    let request = served.request(Method::POST, path).bearer_auth(token).body(body.to_owned());
    let response = request.send().await.unwrap();
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let (status, envelope) = json_of(response).await;
    let keys: BTreeSet<&str> = envelope.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        Vec::from_iter(keys),
        ["request_id", "request_time", "response_time", "result", "status", "summary"]
    );
    assert_eq!(envelope["request_id"], request_id);
    assert_eq!(envelope["request_time"], "2027-01-15T08:00:00.000000Z");
    (status, envelope["status"].as_str().unwrap().to_owned(), envelope["result"].clone())
}

#[tokio::test]
async fn token_check_profile_and_groups_tell_who_a_person_is() {
    let served = serve(|config| config.sign_in_as = Some("ada.lovelace@example.com".to_owned())).await;
    served.stage.set_groups("ada.lovelace@example.com", &["staff"]);
    let tokens = served.tokens(&[]).await;
    let ask = async |path, body: Value| call(&served, path, SERVICE_TOKEN, &body.to_string()).await;

    let (status, word, checked) =
        ask("/v2/client/token/check", json!({"token": tokens["access_token"]})).await;
    assert_eq!((status, word.as_str()), (200, "Success"));
    let described = served.introspect(&tokens["access_token"]).await;
    assert_eq!(checked["identity"], described["sub"]);
    assert_eq!((&checked["life"], &checked["client_id"]), (&json!(3600), &json!(CLIENT_ID)));
    assert!(checked["id"].as_str().unwrap().starts_with("pmt_"));

    let by_id = ask("/v2/user/profile/get", json!({"id": checked["identity"]})).await.2;
    let by_email = ask("/v2/user/profile/get", json!({"email": "ada.lovelace@example.com"})).await.2;
    assert_eq!(by_id, by_email);
    assert_eq!(by_id["profile"], json!({"first_name": "Ada", "last_name": "Lovelace"}));
    assert_eq!((&by_id["disabled"], &by_id["login_count"]), (&json!(false), &json!(1)));

    let groups = ask("/v2/user/group/list", json!({"id": checked["identity"]})).await.2;
    assert_eq!((&groups["count"], &groups["groups"][0]["name"]), (&json!(1), &json!("staff")));
    assert!(groups["groups"][0]["id"].as_str().unwrap().starts_with("pgi_"));

    served.stage.disable("ada.lovelace@example.com");
    let (_, word, _) = ask("/v2/client/token/check", json!({"token": tokens["access_token"]})).await;
    assert_eq!(word, "InvalidToken");
    let profile = ask("/v2/user/profile/get", json!({"id": checked["identity"]})).await.2;
    assert_eq!(profile["disabled"], true);
}

#[tokio::test]
async fn bad_calls_are_told_apart() {
    let served = serve_stand_in_to_ada().await;
    let (check, profile) = ("/v2/client/token/check", "/v2/user/profile/get");
    for (path, token, body, expected) in [
        (check, "pts_wrong", "{}", (401, "Unauthorized")),
        (check, SERVICE_TOKEN, "{}", (400, "ValidationError")),
        (check, SERVICE_TOKEN, "no json", (400, "ValidationError")),
        (check, SERVICE_TOKEN, "{\"token\":\"ptu_x\"}", (400, "InvalidToken")),
        (profile, SERVICE_TOKEN, "{}", (400, "ValidationError")),
        (profile, SERVICE_TOKEN, "{\"id\":\"a\",\"email\":\"b\"}", (400, "ValidationError")),
        (profile, SERVICE_TOKEN, "{\"email\":\"unknown@example.com\"}", (404, "NotFound")),
        ("/v2/user/group/list", SERVICE_TOKEN, "{\"id\":\"pui_x\"}", (404, "NotFound")),
    ] {
        let (status, word, result) = call(&served, path, token, body).await;
        assert_eq!((status, word.as_str()), expected, "{path} {body}");
        assert_eq!(result.is_null(), word != "ValidationError", "{path} {body}");
    }
}

#[tokio::test]
async fn clients_are_registered_and_listed_with_a_service_token() {
    let served = serve_stand_in_to_ada().await;
    let register = async |token: &str, body: Value| {
        let request = served.request(Method::POST, "/v2/oauth/clients/register").bearer_auth(token);
        json_of(request.body(body.to_string()).send().await.unwrap()).await
    };
    let callback = "https://app.example/callback";
    let wanted = json!({"client_name": "App", "redirect_uris": [callback], "scope": "user"});
    assert_eq!(register("pts_wrong", wanted.clone()).await.0, 401);
    for (member, value) in [
        ("scope", json!("")),
        ("scope", json!("mcp.read")),
        ("default_scope", json!("other")),
        ("redirect_uris", json!([])),
        ("redirect_uris", json!(["/relative"])),
        ("token_endpoint_auth_method", json!("none")),
        ("grant_types", json!(["refresh_token"])),
    ] {
        let mut wanted = wanted.clone();
        wanted[member] = value;
        assert_eq!(register(SERVICE_TOKEN, wanted.clone()).await.0, 400, "{wanted}");
    }

    let (status, client) = register(SERVICE_TOKEN, wanted).await;
    assert_eq!(status, 201);
    let (id, secret) = (client["client_id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
    assert!(id.starts_with("psa_") && secret.starts_with("pck_"));
    assert_eq!(client["client_secret_expires_at"], "2028-01-15T08:00:00.000000Z");

    let changes = [("client_id", id), ("redirect_uri", callback)];
    let location = served.authorize(&changes).await.headers()[header::LOCATION].to_str().unwrap().to_owned();
    let code = Url::parse(&location).unwrap().query_pairs().next().unwrap().1.into_owned();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", callback),
        ("code_verifier", VERIFIER),
    ];
    let own =
        served.form_request("/v2/oauth/token", &form).basic_auth(id, Some(secret)).send().await.unwrap();
    let (status, tokens) = json_of(own).await;
    assert_eq!(status, 200, "{tokens}");
    let others = served.introspect(&tokens["access_token"]).await;
    assert_eq!(others, json!({"active": false}), "another client learns nothing");

    let list = async |path: &str| {
        json_of(served.request(Method::GET, path).bearer_auth(SERVICE_TOKEN).send().await.unwrap()).await.1
    };
    assert_eq!(list("/v2/oauth/clients").await["count"], 2);
    let one = list(&format!("/v2/oauth/clients?client_id={id}")).await;
    assert_eq!((&one["count"], &one["clients"][0]["client_id"]), (&json!(1), &json!(id)));
    assert_eq!(one["clients"][0].get("client_secret"), None);
    assert_eq!(served.get("/v2/oauth/clients").await.status(), 401);
}

#[tokio::test]
async fn a_code_is_for_its_own_client() {
    let served = serve_stand_in_to_ada().await;
    let wanted = json!({"redirect_uris": [CALLBACK], "scope": "user"});
    let request = served.request(Method::POST, "/v2/oauth/clients/register").bearer_auth(SERVICE_TOKEN);
    let (_, client) = json_of(request.body(wanted.to_string()).send().await.unwrap()).await;
    let code = served.code(&[("client_id", client["client_id"].as_str().unwrap())]).await;
    assert_eq!(error_of(served.redeem(&code, &[]).await), refused(400, "invalid_grant"));
}
