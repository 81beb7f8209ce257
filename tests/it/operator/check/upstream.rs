//! The upstream: absent, wrong, slow, too friendly, or of another time.

use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use serde_json::json;

use super::{Well, check};
use crate::{
    protocol::upstream_tls::Stranger,
    support::{Scene, Scripted, process::Home},
};

const INVALID_GRANT: &str = r#"{"error":"invalid_grant"}"#;

/// A home whose upstream answers like this.
async fn home_with(script: impl Fn(&str) -> Scene + Send + Sync + 'static) -> (Home, Scripted) {
    let upstream = Scripted::start(script).await;
    (Home::with_configuration("http://127.0.0.1:1", &upstream.origin), upstream)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_told_from_a_wrong_client_id() {
    let well = Well::start().await;
    well.home.write("authn-client-secret", "pck_wrong");
    let checked = check(&well.home, &[]);
    assert_eq!(checked.troubles(), ["upstream.credentials"], "{}", checked.report);
    assert_eq!((checked.code, checked.status("upstream.wrong_secret")), (Some(1), vec!["skip"]));

    well.home.reconfigure("psa_test", "psa_other");
    let checked = check(&well.home, &[]);
    assert_eq!(checked.troubles(), ["upstream.authorize", "upstream.credentials"]);
    assert!(checked.words("upstream.authorize").contains("authn.client_id"), "{}", checked.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_uri_that_is_not_in_the_console_is_ready_to_paste() {
    let well = Well::start().await;
    let moved = well.public_url.replace("127.0.0.1", "localhost");
    well.home
        .reconfigure(&format!("public_url = \"{}\"", well.public_url), &format!("public_url = \"{moved}\""));
    let checked = check(&well.home, &[]);
    assert_eq!(checked.status("upstream.authorize"), ["fail"]);
    let words = checked.words("upstream.authorize");
    assert!(words.contains("Add this line to the client's Allowed Redirect URIs"), "{words}");
    assert!(words.contains(&format!("\"paste\":\"{moved}/pangea/callback\"")), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_accepts_any_secret_is_a_warning() {
    let (home, _upstream) = home_with(|asked| match asked {
        "POST /v2/oauth/token" => Scene::new(400, INVALID_GRANT).with("content-type", "application/json"),
        _ => Scene::new(200, ""),
    })
    .await;
    let checked = check(&home, &[]);
    assert_eq!(checked.status("upstream.credentials"), ["pass"], "{}", checked.report);
    assert_eq!(checked.status("upstream.wrong_secret"), ["warn"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_is_measured() {
    for (seconds, status) in [(0, "pass"), (60, "warn"), (-60, "warn"), (600, "fail")] {
        let (home, _upstream) = home_with(move |_| {
            let now = Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap();
            Scene::new(404, "")
                .with("date", DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap())
        })
        .await;
        assert_eq!(check(&home, &[]).status("upstream.clock"), [status], "{seconds}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hosted_login_that_is_not_there_or_elsewhere_is_told_apart() {
    let home = Home::with_configuration("http://127.0.0.1:1", "http://127.0.0.1:2");
    let checked = check(&home, &[]);
    assert_eq!(checked.status("upstream.issuer"), ["fail"]);
    assert!(checked.words("upstream.issuer").contains("nothing listens there"), "{}", checked.report);

    let (home, upstream) =
        home_with(|_| Scene::new(302, "").with("location", "https://login.example/")).await;
    let checked = check(&home, &[]);
    assert_eq!(checked.status("upstream.issuer"), ["warn"]);
    assert!(checked.words("upstream.issuer").contains("https://login.example"), "{}", checked.report);

    upstream.play(|_| Scene::new(503, ""));
    assert_eq!(check(&home, &[]).status("upstream.issuer"), ["fail"]);

    let https = upstream.origin.replace("http:", "https:");
    home.reconfigure(&upstream.origin, &https);
    let checked = check(&home, &[]);
    assert!(checked.words("upstream.issuer").contains("TLS"), "{}", checked.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_fail_only_when_they_shall() {
    let well = Well::start().await;
    let origin = well.public_url.clone();
    let seen = Scripted::start(move |asked| match asked {
        "GET /jwks.json" => Scene::json(&json!({ "keys": [] })),
        "GET /.well-known/oauth-protected-resource/mcp" => {
            Scene::json(&json!({ "resource": format!("{origin}/mcp") }))
        }
        _ => {
            Scene::new(200, json!({ "issuer": origin }).to_string()).with("content-type", "application/json")
        }
    })
    .await;
    // The keys are another matter: a fresh repository has none.
    well.home.reconfigure("records.sqlite", "fresh.sqlite");
    let issuer = seen.origin.clone();
    well.home
        .reconfigure(&format!("public_url = \"{}\"", well.public_url), &format!("public_url = \"{issuer}\""));
    seen.play(move |asked| match asked {
        "GET /jwks.json" => Scene::json(&json!({ "keys": [] })),
        _ => {
            Scene::new(200, json!({ "issuer": issuer }).to_string()).with("content-type", "application/json")
        }
    });
    let checked = check(&well.home, &[]);
    assert!(checked.troubles().contains(&"public.cors"), "{}", checked.report);
    assert_eq!(checked.status("public.cors"), ["warn"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_named_as_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let stranger = Stranger::start(folder.path());
    let home =
        Home::with_configuration("http://127.0.0.1:1", &format!("https://localhost:{}", stranger.port));
    let checked = check(&home, &[]);
    assert_eq!(checked.status("upstream.issuer"), ["fail"], "{}", checked.report);
    assert!(
        checked.words("upstream.issuer").contains("the certificate is for another name"),
        "{}",
        checked.report
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_that_redirects_is_not_followed_with_a_secret() {
    let (home, _upstream) = home_with(|asked| match asked {
        "POST /v2/oauth/token" => Scene::new(307, "").with("location", "https://login.example/token"),
        _ => Scene::new(200, ""),
    })
    .await;
    let checked = check(&home, &[]);
    assert_eq!(checked.status("upstream.credentials"), ["fail"], "{}", checked.report);
    let words = checked.words("upstream.credentials");
    assert!(words.contains("HTTP 307 to https://login.example/token, which is not followed"), "{words}");
}
