//! The logo of a client, which the page contains.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{asked_by, server_for};
use crate::support::{Deed, DocumentServer, at_once};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nnot much of a picture";
const SHOWN: &str = "src=\"data:image/png;base64,";

/// Shows: CIMD-13, CIMD-4, CONSENT-17.
#[tokio::test]
async fn only_a_raster_image_on_the_documents_own_host_is_shown() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    let png = ["content-type: image/png"];
    let large = [PNG, &vec![0; 64 * 1024]].concat();
    let elsewhere = documents.url("/logo.png").replace("127.0.0.1", "localhost");
    documents.answers("/logo.png", 200, &png, PNG);
    documents.answers(
        "/svg",
        200,
        &["content-type: image/svg+xml"],
        "<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
    );
    documents.answers("/html", 200, &["content-type: text/html"], PNG);
    documents.answers("/liar", 200, &png, "<svg/>");
    documents.answers("/large", 200, &png, large);
    documents.answers("/zip", 200, &["content-type: image/png", "content-encoding: gzip"], PNG);
    documents.answers("/moved", 302, &["content-type: image/png", &format!("location: {elsewhere}")], PNG);
    let own = |path: &str| json!(documents.url(path));
    for (number, (logo, is_shown)) in [
        (own("/logo.png"), true),
        (own("/svg"), false),
        (own("/html"), false),
        (own("/liar"), false),
        (own("/large"), false),
        (own("/zip"), false),
        (own("/moved"), false),
        (own("/missing"), false),
        (json!(elsewhere), false),
        (json!("https://10.0.0.1/logo.png"), false),
        (json!("http://127.0.0.1/logo.png"), false),
        (json!("data:image/png;base64,AAAA"), false),
        (json!(7), false),
    ]
    .into_iter()
    .enumerate()
    {
        let client = documents.client(&format!("/client{number}"), &json!({ "logo_uri": logo }));
        let page = asked_by(&client, &server).await;
        assert_eq!(page.status, 200, "{logo}");
        assert_eq!(page.html.contains(SHOWN), is_shown, "{logo}");
        assert_eq!(page.html.contains("<img"), is_shown, "{logo}");
    }
    assert_eq!(documents.asked("/logo.png").len(), 1);
}

#[tokio::test]
async fn a_logo_is_fetched_once_and_a_slow_one_keeps_nobody_waiting() {
    let documents = DocumentServer::start();
    let server = server_for(&documents, "").await;
    documents.answers("/logo.png", 200, &["content-type: image/png"], PNG);
    let client = documents.client("/client", &json!({ "logo_uri": documents.url("/logo.png") }));
    let pages = at_once((0..10).map(|_| asked_by(&client, &server))).await;
    assert!(pages.iter().all(|page| page.status == 200));
    assert!(asked_by(&client, &server).await.html.contains(SHOWN));
    assert_eq!(documents.asked("/logo.png").len(), 1);

    documents.does("/slow", Deed::Silence);
    let client = documents.client("/slow-client", &json!({ "logo_uri": documents.url("/slow") }));
    for _ in 0..2 {
        let begun = Instant::now();
        assert_eq!(asked_by(&client, &server).await.status, 200);
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
    assert_eq!(documents.asked("/slow").len(), 1);
}
