//! `--resource`: MCP servers that lead clients here, and elsewhere.

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};

use super::{Checked, Well, check};
use crate::support::{FastMcp, Scene, Scripted, process::free_port, python};

/// An MCP server with this metadata at its place, and this challenge.
pub(crate) async fn server(
    well: &Well,
    metadata: impl Fn(&str) -> Value,
    has_pointer: bool,
) -> (Scripted, String) {
    let server = Scripted::start(|_| Scene::new(500, "")).await;
    let (origin, url) = (server.origin.clone(), format!("{}/mcp", server.origin));
    let document = metadata(&url);
    server.play(move |asked| match asked {
        "POST /mcp" if has_pointer => Scene::new(401, "").with(
            "www-authenticate",
            format!("Bearer resource_metadata=\"{origin}/.well-known/oauth-protected-resource/mcp\""),
        ),
        "POST /mcp" => Scene::new(401, "").with("www-authenticate", "Bearer"),
        "GET /.well-known/oauth-protected-resource/mcp" => Scene::json(&document),
        _ => Scene::new(404, ""),
    });
    well.home.reconfigure(&format!("url = \"{}/mcp\"", well.public_url), &format!("url = \"{url}\""));
    (server, url)
}

pub(crate) fn right(issuer: &str, url: &str) -> Value {
    json!({ "resource": url, "authorization_servers": [issuer] })
}

async fn checked(metadata: impl Fn(&str, &str) -> Value) -> Checked {
    let well = Well::start().await;
    let (_server, url) = server(&well, |url| metadata(&well.public_url, url), true).await;
    let checked = check(&well.home, &["--resource", &url]);
    assert_eq!(checked.report["verifier"]["audience"], json!(url));
    checked
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_fastmcp_server_passes() {
    let well = Well::start().await;
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/mcp");
    well.home.reconfigure(&format!("url = \"{}/mcp\"", well.public_url), &format!("url = \"{url}\""));
    let mut command = python("fastmcp_server.py");
    command.args(["jwt", &well.public_url, &port.to_string()]).stdin(Stdio::null());
    let server = FastMcp::start(&mut command);
    assert_eq!(server.url, url);
    let checked = check(&well.home, &["--resource", &url]);
    let resource = |name: &str| checked.status(&format!("resource.{name}"));
    assert_eq!(resource("configured"), ["pass"], "{}", checked.report);
    assert_eq!(resource("challenge"), ["pass"], "{}", checked.report);
    assert_eq!(resource("authorization_servers"), ["pass"], "{}", checked.report);
    assert!(!resource("metadata").contains(&"fail"), "{}", checked.report);
    let verifier = json!({
        "issuer": well.public_url, "jwks_uri": format!("{}/jwks.json", well.public_url),
        "audience": url, "algorithm": "ES256",
    });
    assert_eq!(checked.report["verifier"], verifier);
}

#[tokio::test(flavor = "multi_thread")]
async fn fastmcps_trailing_slash_is_named_as_such() {
    let checked = checked(|issuer, url| right(&format!("{issuer}/"), url)).await;
    assert_eq!(checked.troubles(), ["resource.authorization_servers"], "{}", checked.report);
    let words = checked.words("resource.authorization_servers");
    assert!(words.contains("AnyHttpUrl"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_authorization_servers_and_resources_are_found() {
    let strange = checked(|_, url| right("https://other.example", url)).await;
    assert_eq!(strange.status("resource.authorization_servers"), ["fail"]);
    let second = checked(
        |issuer, url| json!({ "resource": url, "authorization_servers": ["https://other.example", issuer] }),
    )
    .await;
    assert_eq!(second.status("resource.authorization_servers"), ["warn"]);
    assert_eq!(second.code, Some(0), "a warning is no failure: {}", second.report);
    let slash = checked(|issuer, url| right(issuer, &format!("{url}/"))).await;
    assert!(slash.words("resource.metadata").contains("a trailing slash"), "{}", slash.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_fails_with_strict() {
    let well = Well::start().await;
    let issuer = well.public_url.clone();
    let metadata =
        |url: &str| json!({ "resource": url, "authorization_servers": ["https://other.example", issuer] });
    let (_server, url) = server(&well, metadata, true).await;
    assert_eq!(check(&well.home, &["--resource", &url]).code, Some(0));
    assert_eq!(check(&well.home, &["--resource", &url, "--strict"]).code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_nobody_configured_or_that_asks_for_nothing_is_found() {
    let well = Well::start().await;
    let open = Scripted::start(|_| Scene::json(&json!({ "jsonrpc": "2.0" }))).await;
    let url = format!("{}/mcp", open.origin);
    let checked = check(&well.home, &["--resource", &url]);
    assert_eq!(checked.status("resource.challenge"), ["fail"]);
    assert_eq!(checked.status("resource.configured"), ["fail"]);
    let paste = format!("[[resources]]\\nurl = \\\"{url}\\\"");
    assert!(checked.words("resource.configured").contains(&paste), "{}", checked.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_must_say_where_to_look() {
    let well = Well::start().await;
    let (_server, url) = server(&well, |url| right(&well.public_url, url), false).await;
    let checked = check(&well.home, &["--resource", &url]);
    assert_eq!(checked.status("resource.challenge"), ["fail"]);
    assert!(checked.words("resource.challenge").contains("WWW-Authenticate: Bearer resource_metadata="));
}

/// What an MCP server promises is compared with what tokens from here can be.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_mcp_server_promises_must_fit_what_is_issued() {
    for (promised, finding, status) in [
        (json!({}), "resource.tokens", "pass"),
        (json!({ "scopes_supported": ["user"] }), "resource.scopes", "pass"),
        (json!({ "scopes_supported": ["user", "offline_access"] }), "resource.scopes", "pass"),
        (json!({ "scopes_supported": ["user", "mcp:write"] }), "resource.scopes", "fail"),
        (json!({ "bearer_methods_supported": ["header"] }), "resource.tokens", "pass"),
        (json!({ "bearer_methods_supported": ["query", "body"] }), "resource.tokens", "fail"),
        (json!({ "dpop_bound_access_tokens_required": true }), "resource.tokens", "fail"),
        (json!({ "tls_client_certificate_bound_access_tokens": true }), "resource.tokens", "fail"),
        (json!({ "resource_signing_alg_values_supported": ["ES256", "RS256"] }), "resource.tokens", "pass"),
        (json!({ "resource_signing_alg_values_supported": ["RS256"] }), "resource.tokens", "warn"),
    ] {
        let checked = checked(|issuer, url| {
            let mut document = right(issuer, url);
            document.as_object_mut().unwrap().extend(promised.as_object().unwrap().clone());
            document
        })
        .await;
        assert_eq!(checked.status(finding), [status], "{promised}: {}", checked.report);
        let troubles = if status == "pass" { vec![] } else { vec![finding] };
        assert_eq!(checked.troubles(), troubles, "{promised}");
        assert!(status != "fail" || checked.code == Some(1), "{promised}");
        if status == "fail" && finding == "resource.scopes" {
            let words = checked.words(finding);
            assert!(words.contains("mcp:write") && words.contains("scopes = ["), "{words}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_that_a_challenge_demands_must_be_offered() {
    for (scope, status) in [("user", "pass"), ("user mcp:write", "fail")] {
        let well = Well::start().await;
        let (server, url) = server(&well, |url| right(&well.public_url, url), true).await;
        let (origin, document) = (server.origin.clone(), right(&well.public_url, &url));
        server.play(move |asked| match asked {
            "POST /mcp" => Scene::new(401, "").with(
                "www-authenticate",
                format!("Bearer resource_metadata=\"{origin}/.well-known/oauth-protected-resource/mcp\", scope=\"{scope}\""),
            ),
            "GET /.well-known/oauth-protected-resource/mcp" => Scene::json(&document),
            _ => Scene::new(404, ""),
        });
        let checked = check(&well.home, &["--resource", &url]);
        assert_eq!(checked.status("resource.scopes"), [status], "{}", checked.report);
    }
}

/// The machine that checks may reach more than the MCP server does.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_on_another_origin_is_not_fetched() {
    let well = Well::start().await;
    let hits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&hits);
    let inside = Scripted::start(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Scene::json(&json!({ "secret": "canary" }))
    })
    .await;
    let (server, url) = server(&well, |url| right(&well.public_url, url), true).await;
    let document = right(&well.public_url, &url);
    let elsewhere = format!("{}/latest/meta-data", inside.origin);
    server.play(move |asked| match asked {
        "POST /mcp" => {
            Scene::new(401, "").with("www-authenticate", format!("Bearer resource_metadata=\"{elsewhere}\""))
        }
        "GET /.well-known/oauth-protected-resource/mcp" => Scene::json(&document),
        _ => Scene::new(404, ""),
    });
    let checked = check(&well.home, &["--resource", &url]);
    assert_eq!(checked.status("resource.challenge"), ["fail"], "{}", checked.report);
    assert_eq!(checked.troubles()[0], "resource.challenge");
    assert_eq!(hits.load(Ordering::Relaxed), 0);
    assert!(!checked.report.to_string().contains("canary"));
}
