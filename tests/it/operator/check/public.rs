//! What answers at the public URL: a proxy, an application, another daemon, or nothing.

use serde_json::json;

use super::{Checked, check};
use crate::support::{
    Scene, Scripted, pangea,
    process::{Home, PANGEA},
};

/// A home whose public URL is answered by a script.
async fn face(script: impl Fn(&str, &str) -> Scene + Send + Sync + 'static) -> Checked {
    let face = Scripted::start(|_| Scene::new(500, "")).await;
    let origin = face.origin.clone();
    face.play(move |asked| script(asked, &origin));
    let upstream = pangea(PANGEA, format!("{}/pangea/callback", face.origin)).await;
    check(&Home::with_configuration(&face.origin, &upstream), &[])
}

fn metadata(issuer: &str) -> Scene {
    Scene::json(&json!({ "issuer": issuer }))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_must_be_equal_byte_for_byte() {
    let checked = face(|_, origin| metadata(&format!("{origin}/"))).await;
    assert_eq!(checked.status("public.metadata"), ["fail", "fail"], "{}", checked.report);
    assert!(checked.words("public.metadata").contains("a trailing slash"), "{}", checked.report);
    let checked = face(|_, _| metadata("https://other.example")).await;
    assert!(checked.words("public.metadata").contains("another authorization server"), "{}", checked.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_place_of_json_is_a_proxy_in_the_way() {
    for content_type in ["text/html; charset=utf-8", "application/json"] {
        let checked =
            face(move |_, _| Scene::new(200, "<!doctype html>").with("content-type", content_type)).await;
        assert_eq!(checked.status("public.metadata")[0], "fail");
        let words = checked.words("public.metadata");
        assert!(
            words.contains("a proxy or another application answers") && words.contains("proxy_pass"),
            "{words}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_redirects_nor_other_content_types_will_do() {
    let checked = face(|_, _| Scene::new(308, "").with("location", "https://www.example.org/")).await;
    assert!(checked.words("public.metadata").contains("HTTP 308 to https://www.example.org/"));
    let checked = face(|_, origin| Scene::new(200, json!({ "issuer": origin }).to_string())).await;
    assert!(checked.words("public.metadata").contains("content type none"), "{}", checked.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_swallowed_form_is_found() {
    let checked = face(|asked, origin| match asked {
        "GET /.well-known/openid-configuration" => Scene::new(404, "gone"),
        _ => metadata(origin),
    })
    .await;
    assert_eq!(checked.status("public.metadata"), ["pass", "fail"], "{}", checked.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_must_be_let_in() {
    let checked = face(|_, origin| {
        Scene::new(200, json!({ "issuer": origin }).to_string()).with("content-type", "application/json")
    })
    .await;
    assert_eq!(checked.status("public.cors"), ["warn"], "{}", checked.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_mcp_server_on_another_port_of_the_host_name_is_warned_of() {
    for (resource, status) in [("https://auth.invalid:8443/mcp", "warn"), ("https://mcp.invalid/mcp", "pass")]
    {
        let upstream = pangea(PANGEA, "https://auth.invalid/pangea/callback".to_owned()).await;
        let home = Home::with_configuration("http://127.0.0.1:1", &upstream);
        home.reconfigure("public_url = \"http://127.0.0.1:1\"", "public_url = \"https://auth.invalid\"");
        home.reconfigure("url = \"http://127.0.0.1:1/mcp\"", &format!("url = \"{resource}\""));
        let checked = check(&home, &[]);
        assert_eq!(checked.status("public.host"), [status], "{resource} {}", checked.report);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_all_is_said_once() {
    let upstream = pangea(PANGEA, "http://127.0.0.1:1/pangea/callback".to_owned()).await;
    let checked = check(&Home::with_configuration("http://127.0.0.1:1", &upstream), &[]);
    assert_eq!(checked.troubles(), ["access", "public.metadata"], "{}", checked.report);
    assert!(checked.words("public.metadata").contains("pangea-mcp-auth serve"), "{}", checked.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_another_daemon_are_noticed() {
    let well = super::Well::start().await;
    let origin = well.public_url.clone();
    drop(well.daemon);
    let listen = origin.strip_prefix("http://").unwrap().to_owned();
    well.home.reconfigure(&format!("listen = \"{listen}\""), "listen = \"127.0.0.1:0\"");
    let face = Scripted::start(|_| Scene::new(500, "")).await;
    let seen = face.origin.clone();
    well.home.reconfigure(&format!("public_url = \"{origin}\""), &format!("public_url = \"{seen}\""));
    face.play(move |asked| match asked {
        "GET /jwks.json" => Scene::json(&json!({ "keys": [{ "kid": "other" }] })),
        _ => metadata(&seen),
    });
    let checked = check(&well.home, &[]);
    assert_eq!(checked.status("public.keys"), ["fail"], "{}", checked.report);
}
