//! The documents by which clients find the server, its keys and its resources.

use std::{collections::BTreeMap, path::Path, time::Duration};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use pangea_mcp_auth::{
    config::{self, Directories, Environment, KeyringError},
    keys::Turns,
};
use reqwest::Response;
use serde_json::{Value, json};

use crate::support::{
    Browser, Client, Machine, Options, RS_SECRET, Server, SigningMachine, Tokens, VERIFIER, body, claims,
    query,
};

const METADATA: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";
const RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// `GET` of a path of the origin, whatever the path of the public URL is.
async fn at_origin(server: &Server, path: &str) -> Response {
    server.http.get(format!("{}{path}", server.origin)).send().await.unwrap()
}

async fn metadata(server: &Server) -> Value {
    let path = server.url.strip_prefix(&server.origin).unwrap();
    body(at_origin(server, &format!("{METADATA}{path}")).await).await
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Shows: META-1, META-2, META-3, META-4.
#[tokio::test]
async fn the_same_document_stands_at_every_form_that_is_served_and_others_are_plainly_absent() {
    for (path, served, absent) in [
        ("", vec![METADATA.to_owned(), OPENID.to_owned()], vec![]),
        (
            "/tenant1",
            vec![format!("{METADATA}/tenant1"), format!("{OPENID}/tenant1"), format!("/tenant1{OPENID}")],
            vec![METADATA.to_owned(), OPENID.to_owned(), format!("/tenant1{METADATA}")],
        ),
    ] {
        let server = Server::with(Options { path, ..Options::default() }).await;
        let mut documents = Vec::new();
        for form in served.iter().flat_map(|form| [form.clone(), format!("{form}/")]) {
            let response = at_origin(&server, &form).await;
            assert_eq!(response.status(), 200, "{form}");
            assert_eq!(header(&response, "content-type"), "application/json", "{form}");
            documents.push(response.bytes().await.unwrap());
        }
        let first: Value = serde_json::from_slice(&documents[0]).unwrap();
        assert_eq!(first["issuer"], server.url);
        assert!(documents.iter().all(|document| *document == documents[0]), "the same bytes");
        for form in absent.into_iter().chain([format!("{METADATA}/tenant2"), format!("{}//", served[0])]) {
            let response = at_origin(&server, &form).await;
            assert_eq!(response.status(), 404, "{form}");
            assert_eq!(header(&response, "content-type"), "application/json", "{form}");
        }
    }
}

/// Clients probe forms that are not there, with a query and a version header, and some of them are
/// many: nothing but 200 and 404 may come back.
///
/// Shows: META-4, PRM-5.
#[tokio::test]
async fn discovery_is_neither_redirected_nor_limited_nor_answered_with_a_page() {
    let server = Server::with(Options {
        path: "/tenant1",
        top: "trusted_proxies = [\"127.0.0.0/8\"]",
        sections: "[limits]\nauthorize = { per_minute = 1, burst = 1 }\ntoken = { per_minute = 1, burst = 1 }\n\
                   register = { per_minute = 1, burst = 1 }\ncallback = { per_minute = 1, burst = 1 }",
        ..Options::default()
    })
    .await;
    let limited = || server.form("/token", &[]).header("x-forwarded-for", "203.0.113.9").send();
    let _ = limited().await.unwrap();
    assert_eq!(limited().await.unwrap().status(), 429, "this address has used up its limits");
    for form in [
        METADATA,
        OPENID,
        RESOURCE,
        "/.well-known/oauth-authorization-server/tenant1",
        "/.well-known/openid-configuration/tenant1",
        "/tenant1/.well-known/openid-configuration",
        "/tenant1/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource/other",
        "/tenant1/jwks.json",
    ] {
        for query in ["", "?", "?tenant=a&x=%ff"] {
            for _ in 0..20 {
                let request = server.http.get(format!("{}{form}{query}", server.origin));
                let request = request.header("mcp-protocol-version", "2026-07-28");
                let response = request.header("x-forwarded-for", "203.0.113.9").send().await.unwrap();
                assert!(matches!(response.status().as_u16(), 200 | 404), "{form}{query}");
                assert_eq!(header(&response, "content-type"), "application/json", "{form}{query}");
                assert_eq!(header(&response, "access-control-allow-origin"), "*", "{form}{query}");
            }
        }
    }
}

/// Shows: META-5, META-8, META-9, META-10, META-11, META-13, META-14, META-15.
#[tokio::test]
async fn the_metadata_says_what_the_server_does() {
    for path in ["", "/tenant1"] {
        let server = Server::with(Options { path, ..Options::default() }).await;
        let methods = json!(["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]);
        let algorithms = json!(["ES256", "EdDSA", "PS256", "RS256"]);
        let at = |path: &str| format!("{}{path}", server.url);
        let expected = json!({
            "issuer": server.url,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "jwks_uri": at("/jwks.json"),
            "registration_endpoint": at("/register"),
            "revocation_endpoint": at("/revoke"),
            "introspection_endpoint": at("/introspect"),
            "scopes_supported": ["user", "admin"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "token_endpoint_auth_methods_supported": methods,
            "token_endpoint_auth_signing_alg_values_supported": algorithms,
            "revocation_endpoint_auth_methods_supported": methods,
            "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
            "client_id_metadata_document_supported": true,
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        });
        // Equality also shows that nothing of later versions is promised: DPoP, PAR.
        assert_eq!(metadata(&server).await, expected);
    }
}

/// Shows: CC-2, META-13, META-14.
#[tokio::test]
async fn what_the_metadata_lists_works_and_what_it_does_not_list_does_not() {
    let server = Server::start().await;
    let document = metadata(&server).await;
    for algorithm in document["token_endpoint_auth_signing_alg_values_supported"].as_array().unwrap() {
        let machine =
            SigningMachine::usual(&server, algorithm.to_string().trim_matches('"').to_owned().leak()).await;
        Tokens::of(machine.ask(&server, &machine.assertion(&server)).await).await;
    }
    let methods = document["token_endpoint_auth_methods_supported"].as_array().unwrap();
    for method in methods.iter().filter(|method| *method != "private_key_jwt") {
        let client = Client::registered(&server, json!({ "token_endpoint_auth_method": method })).await;
        let code = client.code(&server).await;
        let mut pairs = vec![
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", &*client.redirect_uri),
            ("code_verifier", VERIFIER),
        ];
        let secret = client.secret.clone().unwrap_or_default();
        let response = match method.as_str().unwrap() {
            "client_secret_basic" => server.form("/token", &pairs).basic_auth(&client.id, Some(&secret)),
            "client_secret_post" => {
                pairs.extend([("client_id", &*client.id), ("client_secret", &*secret)]);
                server.form("/token", &pairs)
            }
            _ => {
                assert!(client.secret.is_none());
                pairs.push(("client_id", &*client.id));
                server.form("/token", &pairs)
            }
        };
        let tokens = Tokens::of(response.send().await.unwrap()).await;
        let tokens = Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
        assert!(!tokens.access.is_empty(), "both grants work with {method}");
    }
    for method in ["private_key_jwt", "client_secret_jwt", "tls_client_auth"] {
        let metadata =
            json!({ "redirect_uris": ["http://localhost/"], "token_endpoint_auth_method": method });
        assert_eq!(server.json("/register", &metadata).send().await.unwrap().status(), 400, "{method}");
    }
    let machine = Machine::usual(&server, "user").await;
    Tokens::of(machine.ask(&server, &[]).await).await;
    let client = Client::confidential(&server).await;
    for grant_type in [
        "password",
        "implicit",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:device_code",
    ] {
        let response = client.token_request(&server, &[("grant_type", grant_type)]).await;
        assert_eq!(response.status(), 400, "{grant_type}");
        assert_eq!(body(response).await["error"], "unsupported_grant_type", "{grant_type}");
    }
}

/// Shows: META-12, META-15.
#[tokio::test]
async fn what_is_switched_off_is_left_out_of_the_metadata() {
    let server = Server::with(Options {
        sections: "[registration]\nenabled = false",
        resources: Some("[[resources]]\nurl = \"{origin}/mcp\"\n"),
        ..Options::default()
    })
    .await;
    let document = metadata(&server).await;
    for absent in [
        "registration_endpoint",
        "introspection_endpoint",
        "introspection_endpoint_auth_methods_supported",
        "scopes_supported",
    ] {
        assert!(document.get(absent).is_none(), "{absent}");
    }
    let resource = body(server.get(&format!("{RESOURCE}/mcp")).await).await;
    for (name, value) in document.as_object().unwrap().iter().chain(resource.as_object().unwrap()) {
        assert!(!value.is_null() && *value != json!([]) && *value != json!(""), "{name}: {value}");
    }
    let registration = json!({ "redirect_uris": ["http://localhost/"] });
    assert_eq!(server.json("/register", &registration).send().await.unwrap().status(), 404);
}

/// Shows: META-15.
#[tokio::test]
async fn no_document_depends_on_what_the_request_says_of_our_name() {
    let server = Server::start().await;
    for path in [METADATA, OPENID, RESOURCE, "/jwks.json"] {
        let honest = server.get(path).await.bytes().await.unwrap();
        let request = server.http.get(format!("{}{path}", server.url)).header("host", "evil.example");
        let request = request.header("x-forwarded-host", "evil.example").header("x-forwarded-proto", "https");
        let request = request.header("forwarded", "host=evil.example;proto=https");
        let request = request.header("x-forwarded-prefix", "/evil").header("x-original-url", "/evil");
        assert_eq!(request.send().await.unwrap().bytes().await.unwrap(), honest, "{path}");
    }
    let client = Client::public(&server).await;
    let request = server.http.get(client.authorize_url(&server, &[("prompt", "none")]));
    let response = request.header("host", "evil.example").send().await.unwrap();
    assert_eq!(query(header(&response, "location"))["iss"], server.url);
}

/// Shows: META-6, PRM-3.
#[tokio::test]
async fn the_issuer_is_one_string_everywhere() {
    for path in ["", "/tenant1"] {
        let server = Server::with(Options { path, ..Options::default() }).await;
        let client = Client::public(&server).await;
        let answer = client.authorize(&server, &mut Browser::new(), &[]).await.location().unwrap();
        let tokens = Tokens::of(client.redeem(&server, &query(&answer)["code"]).await).await;
        let resource = body(at_origin(&server, &format!("{RESOURCE}/mcp")).await).await;
        assert_eq!(metadata(&server).await["issuer"], server.url);
        assert_eq!(resource["authorization_servers"], json!([server.url]));
        assert_eq!(query(&answer)["iss"], server.url);
        assert_eq!(claims(&tokens.access)["iss"], server.url);
        assert_eq!(server.introspect(&tokens.access).await["iss"], server.url);
    }
}

/// Shows: META-6, META-7.
#[test]
fn a_server_does_not_start_under_an_issuer_that_clients_could_misread() {
    let read = |key: &str, url: &str| {
        let public = if key == "public_url" { "" } else { "public_url = \"https://mcp.example.org\"\n" };
        let text = format!(
            "{public}{key} = \"{url}\"\n[authn]\nissuer_url = \"https://login.example\"\nclient_id = \"psa_x\"\n\
             client_secret = {{ env = \"SECRET\" }}\n[[resources]]\nurl = \"https://mcp.example.org/mcp\"\n\
             [keys]\nsealing = {{ env = \"SEALING\" }}\n[repository]\npath = \"/nowhere/db.sqlite\"\n"
        );
        config::parse(&text, Path::new("config.toml"), &TwoSecrets)
    };
    for key in ["public_url", "issuer"] {
        for good in ["https://mcp.example.org", "https://mcp.example.org/t1", "http://localhost:8000"] {
            let config = read(key, good).unwrap_or_else(|problems| panic!("{key} {good}: {problems}"));
            assert_eq!(config.issuer.as_str(), good);
        }
        for bad in [
            "http://mcp.example.org",
            "mcp.example.org",
            "ftp://mcp.example.org",
            "https://mcp.example.org?x=1",
            "https://mcp.example.org#f",
            "https://u:p@mcp.example.org",
            "https://MCP.example.org",
            "https://mcp.example.org:443",
            "https://mcp.example.org/",
            "https://mcp.example.org/t1/",
            "",
        ] {
            let Err(problems) = read(key, bad) else { panic!("{key} {bad} was taken") };
            assert!(problems.to_string().contains(key), "{bad}: {problems}");
        }
    }
}

struct TwoSecrets;

impl Environment for TwoSecrets {
    fn variables(&self) -> BTreeMap<String, String> {
        let sealing = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        [("SECRET", "x"), ("SEALING", sealing)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    fn keyring(&self, _name: &str) -> Result<String, KeyringError> {
        Err(KeyringError::NoEntry)
    }

    fn directories(&self) -> Option<Directories> {
        None
    }
}

/// A client of 2025-03-26 that asks for no document at all finds its way by the paths alone, and sends
/// no `resource`.
///
/// Shows: META-16, AUTHZ-19.
#[tokio::test]
async fn a_client_that_knows_the_paths_of_2025_03_26_alone_gets_in() {
    let server = Server::start().await;
    let origin = &server.origin;
    let document = body(at_origin(&server, METADATA).await).await;
    for (member, path) in [
        ("authorization_endpoint", "/authorize"),
        ("token_endpoint", "/token"),
        ("registration_endpoint", "/register"),
    ] {
        assert_eq!(document[member], format!("{origin}{path}"));
    }
    let client = Client::public(&server).await;
    let code = client.code_with(&server, &[("resource", "")]).await;
    let tokens = Tokens::of(client.redeem(&server, &code).await).await;
    assert_eq!(claims(&tokens.access)["aud"], server.resource);
}

/// Shows: JWKS-1, JWKS-4.
#[tokio::test]
async fn the_key_set_holds_public_keys_and_is_kept_for_less_time_than_keys_overlap() {
    let server = Server::start().await;
    let response = server.get("/jwks.json").await;
    assert_eq!(header(&response, "content-type"), "application/json");
    assert_eq!(header(&response, "access-control-allow-origin"), "*");
    assert!(max_age(&response) >= Duration::from_mins(1));
    let set = body(response).await;
    let [key] = set["keys"].as_array().unwrap().as_slice() else { panic!("one key: {set}") };
    let members: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"], "and no private one");
    assert_eq!((&key["kty"], &key["use"], &key["alg"]), (&json!("EC"), &json!("sig"), &json!("ES256")));
}

fn max_age(response: &Response) -> Duration {
    let seconds = header(response, "cache-control").split("max-age=").nth(1).expect("max-age");
    Duration::from_secs(seconds.parse().unwrap())
}

/// What a verifier says of a token that keeps a key set.
fn verify(server: &Server, set: &JwkSet, token: &str) -> Result<Value, String> {
    let kid = jsonwebtoken::decode_header(token).unwrap().kid.ok_or("no kid")?;
    let key = set.find(&kid).ok_or("unknown kid")?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[&server.resource]);
    validation.set_issuer(&[&server.url]);
    validation.validate_exp = false;
    let verified = jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation);
    verified.map(|token| token.claims).map_err(|error| error.to_string())
}

async fn key_set(server: &Server) -> JwkSet {
    serde_json::from_value(body(server.get("/jwks.json").await).await).unwrap()
}

/// A verifier that fetched the keys just before the rotation, and keeps them as long as it may, can
/// verify whatever is issued meanwhile; one that comes late still finds the key of the last old token.
///
/// Shows: JWKS-2, JWKS-4.
#[tokio::test]
async fn at_a_rotation_every_verifier_knows_every_key_in_time() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    // The new key is published for ten minutes before it signs.
    let turns = Turns { lifetime: Duration::from_mins(40), access_lifetime: Duration::from_mins(10) };
    let before = client.login(&server).await;
    let kept = key_set(&server).await;
    let keep = max_age(&server.get("/jwks.json").await);
    verify(&server, &kept, &before.access).unwrap();

    server.server.keys().rotate(turns, server.server.now()).await.unwrap();
    assert_eq!(key_set(&server).await.keys.len(), 2, "the new key is there before it signs");
    server.advance(keep);
    let meanwhile = client.login(&server).await;
    verify(&server, &kept, &meanwhile.access).expect("signed with a key that was published before");

    let published = key_set(&server).await;
    server.advance(Duration::from_mins(10));
    let after = client.login(&server).await;
    assert_eq!(verify(&server, &kept, &after.access), Err("unknown kid".to_owned()), "the new key signs");
    verify(&server, &published, &after.access).expect("and was published since the rotation");

    server.server.keys().reload(server.server.now()).await.unwrap();
    verify(&server, &key_set(&server).await, &meanwhile.access).expect("lives still, and so does its key");
    server.advance(Duration::from_hours(2));
    server.server.keys().reload(server.server.now()).await.unwrap();
    let later = key_set(&server).await;
    assert_eq!(later.keys.len(), 1, "the old key goes in the end");
    verify(&server, &later, &after.access).unwrap();
}

/// Shows: JWKS-3.
#[cfg(unix)]
#[tokio::test]
async fn keys_survive_a_restart_in_a_private_file_that_holds_none_in_clear() {
    use std::os::unix::fs::PermissionsExt;

    let server = Server::start().await;
    let tokens = Client::public(&server).await.login(&server).await;
    let folder = server.folder.clone();
    let restarted = Server::with(Options { folder: Some(folder.clone()), ..Options::default() }).await;
    verify(&server, &key_set(&restarted).await, &tokens.access).expect("made before, good after");
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
    }
    let database = rusqlite::Connection::open(folder.path().join("test.sqlite")).unwrap();
    let stored = database.query_row("SELECT value FROM record WHERE kind = 3", [], |row| row.get(0));
    let stored: Value = serde_json::from_str::<Value>(&stored.map(|text: String| text).unwrap()).unwrap();
    let sealed = stored["sealed"].as_str().expect("a sealed key");
    let bytes = pangea_mcp_auth::secret::decode(sealed).unwrap();
    // The object identifier of EC keys, which is in every PKCS#8 document.
    let clear = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    assert!(!bytes.windows(clear.len()).any(|window| window == clear));
    for member in ["d", "private", "pkcs8"] {
        assert!(stored.get(member).is_none(), "{member}");
    }
}

const NOTES: &str = r#"
[[resources]]
url = "{origin}/mcp"
name = "Notes"
scopes = ["user", "admin"]
"#;

/// Shows: PRM-1, PRM-2, PRM-3, PRM-4, PRM-5, PRM-6.
#[tokio::test]
async fn a_resource_on_this_origin_is_described_where_clients_look() {
    let server = Server::with(Options { resources: Some(NOTES), ..Options::default() }).await;
    for path in [format!("{RESOURCE}/mcp"), RESOURCE.to_owned(), format!("{RESOURCE}/mcp?tenant=a")] {
        let response = server.get(&path).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(header(&response, "content-type"), "application/json", "{path}");
        assert_eq!(header(&response, "access-control-allow-origin"), "*", "{path}");
        let expected = json!({
            "resource": server.resource,
            "authorization_servers": [server.url],
            "scopes_supported": ["user", "admin"],
            "bearer_methods_supported": ["header"],
            "resource_name": "Notes",
        });
        assert_eq!(body(response).await, expected, "{path}");
        let preflight = server.http.request(reqwest::Method::OPTIONS, format!("{}{path}", server.url));
        assert_eq!(preflight.send().await.unwrap().status(), 204, "{path}");
    }
}

const SEVERAL: &str = r#"
[[resources]]
url = "{origin}/a/mcp"
scopes = ["a"]

[[resources]]
url = "{origin}/b"
scopes = ["b"]

[[resources]]
url = "https://elsewhere.example/mcp"
scopes = ["c"]
"#;

/// A redirect would lose the body of a request.
///
/// Shows: META-4, META-16.
#[tokio::test]
async fn every_endpoint_answers_the_same_with_a_slash_at_its_end() {
    for path in ["", "/tenant1"] {
        let server = Server::with(Options { path, ..Options::default() }).await;
        let registration = json!({ "redirect_uris": ["http://127.0.0.1:4711/callback"], "token_endpoint_auth_method": "none" });
        let registered = server.json("/register/", &registration).send().await.unwrap();
        assert_eq!(registered.status(), 201);
        let id = body(registered).await["client_id"].as_str().unwrap().to_owned();
        let client = Client { id, secret: None, redirect_uri: "http://127.0.0.1:4711/callback".to_owned() };
        let asked = client.authorize_url(&server, &[]).replace("/authorize?", "/authorize/?");
        let mut browser = Browser::new();
        let page = browser.get(&asked).await;
        assert_eq!(page.status, 200, "{}", page.html);
        let page = browser.decide(&page, "approve").await;
        let answer = query(&browser.follow(page, &client.redirect_uri).await.unwrap());
        let pairs = [
            ("grant_type", "authorization_code"),
            ("client_id", &*client.id),
            ("code", &*answer["code"]),
            ("code_verifier", VERIFIER),
        ];
        let tokens = Tokens::of(server.form("/token/", &pairs).send().await.unwrap()).await;
        let introspect = || {
            let request = server.form("/introspect/", &[("token", &*tokens.access)]);
            request.basic_auth("rs-1", Some(RS_SECRET)).send()
        };
        assert_eq!(body(introspect().await.unwrap()).await["active"], true);
        let pairs = [("token", &*tokens.refresh), ("client_id", &*client.id)];
        assert_eq!(server.form("/revoke/", &pairs).send().await.unwrap().status(), 200);
        assert_eq!(body(introspect().await.unwrap()).await["active"], false);
        let keys = server.get("/jwks.json/").await.bytes().await.unwrap();
        assert_eq!(keys, server.get("/jwks.json").await.bytes().await.unwrap());
        let described = at_origin(&server, &format!("{RESOURCE}/mcp/")).await;
        assert_eq!(
            (described.status().as_u16(), body(described).await["resource"].as_str()),
            (200, Some(&*server.resource))
        );
    }
}

/// Shows: PRM-1, PRM-2, PRM-4.
#[tokio::test]
async fn each_of_several_resources_has_its_own_document_and_none_the_root() {
    let server = Server::with(Options { resources: Some(SEVERAL), ..Options::default() }).await;
    for (path, scope) in [("/a/mcp", "a"), ("/b", "b")] {
        let document = body(server.get(&format!("{RESOURCE}{path}")).await).await;
        assert_eq!(document["resource"], format!("{}{path}", server.origin));
        assert_eq!(document["scopes_supported"], json!([scope]));
        assert!(document.get("resource_name").is_none());
    }
    // The document of a resource on another origin is that origin's to serve.
    for path in ["", "/", "/a", "/a/mcp//", "/mcp", "/A/mcp"] {
        assert_eq!(server.get(&format!("{RESOURCE}{path}")).await.status(), 404, "{path}");
    }
}

/// Shows: PRM-2, PRM-3.
#[tokio::test]
async fn a_resource_may_be_the_origin_itself_under_an_issuer_with_a_path() {
    let server = Server::with(Options {
        path: "/tenant1",
        resources: Some("[[resources]]\nurl = \"{origin}\"\nscopes = [\"user\"]\n"),
        ..Options::default()
    })
    .await;
    let document = body(at_origin(&server, RESOURCE).await).await;
    assert_eq!(document["resource"], server.origin);
    assert_eq!(document["authorization_servers"], json!([server.url]));
}
