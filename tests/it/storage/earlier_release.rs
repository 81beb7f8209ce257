//! A repository that the release before late retries made: today's program goes on with it.
//!
//! `earlier_release/` holds what `serve --dev` of that release left behind: its database, its sealing
//! key, and what a client was given in one login with three refreshes.

use std::{os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use pangea_mcp_auth::clock::{ManualClock, UnixTime};
use serde::Deserialize;

use crate::{
    stage::Fault,
    support::{Client, Options, Server, Tokens},
};

const RESOURCE: &str = r#"
[[resources]]
url = "http://localhost:9123/mcp"
scopes = ["user"]
introspection = { client_id = "rs-1", client_secret = { env = "RS_SECRET" } }
"#;
const HOUR: Duration = Duration::from_hours(1);
const AFTER_GRACE: Duration = Duration::from_mins(2);

/// What was issued, oldest first.
#[derive(Deserialize)]
struct Issued {
    taken_at: u64,
    client_id: String,
    refresh_tokens: [String; 4],
    access_token: String,
}

/// Today's program on a copy of that repository, at the time when it was taken.
async fn opened() -> (Server, Client, Issued) {
    let taken = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/storage/earlier_release");
    let issued: Issued = serde_json::from_slice(&std::fs::read(taken.join("issued.json")).unwrap()).unwrap();
    let folder = Arc::new(tempfile::tempdir().unwrap());
    for (from, to) in [("repository.sqlite", "test.sqlite"), ("sealing-key", "sealing-key")] {
        let copy = folder.path().join(to);
        std::fs::copy(taken.join(from), &copy).unwrap();
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let options = Options {
        resources: Some(RESOURCE),
        sealing_file: Some("sealing-key"),
        folder: Some(folder),
        ..Options::default()
    };
    let clock = Arc::new(ManualClock::at(UnixTime::from_secs(issued.taken_at)));
    let server = Server::at(options, clock).await;
    // Its sessions are those of another upstream.
    server.upstream.switches().introspection.set(|introspection| introspection.fault = Fault::Status(500));
    server.upstream.switches().token.set(|token| token.fault = Fault::Status(500));
    let redirect_uri = "http://127.0.0.1:4711/callback".to_owned();
    let client = Client { id: issued.client_id.clone(), secret: None, redirect_uri };
    (server, client, issued)
}

async fn refreshed(client: &Client, server: &Server, token: &str) -> Tokens {
    let tokens = Tokens::of(client.refresh(server, token).await).await;
    assert_eq!(server.introspect(&tokens.access).await["active"], true);
    tokens
}

/// Shows: REFRESH-1, REFRESH-3.
#[tokio::test]
async fn what_an_earlier_release_issued_goes_on_working() {
    let (server, client, issued) = opened().await;
    let [_, second, parent, current] = &issued.refresh_tokens;
    assert_eq!(server.introspect(&issued.access_token).await["active"], true);
    for token in [parent, second] {
        assert_eq!(refreshed(&client, &server, token).await.refresh, *current, "within the grace period");
    }
    let next = refreshed(&client, &server, current).await;
    server.advance(HOUR);
    let late = refreshed(&client, &server, current).await;
    assert_ne!(late.refresh, next.refresh, "after it");
    refreshed(&client, &server, &late.refresh).await;
}

/// Shows: REFRESH-3.
#[tokio::test]
async fn a_late_retry_of_a_token_of_an_earlier_release_gets_another_successor() {
    let (server, client, issued) = opened().await;
    let [.., parent, current] = &issued.refresh_tokens;
    server.advance(20 * 24 * HOUR);
    let late = refreshed(&client, &server, parent).await;
    assert_ne!(late.refresh, *current);
    assert_eq!(refreshed(&client, &server, parent).await.refresh, late.refresh);
    assert_eq!(client.refresh(&server, current).await.status(), 400);
    assert_eq!(client.refresh(&server, &late.refresh).await.status(), 400, "the grant has ended");
}

/// Shows: REFRESH-2.
#[tokio::test]
async fn a_token_that_an_earlier_release_rotated_long_ago_ends_its_grant() {
    for reused in 0..=1 {
        let (server, client, issued) = opened().await;
        server.advance(AFTER_GRACE);
        assert_eq!(client.refresh(&server, &issued.refresh_tokens[reused]).await.status(), 400);
        assert_eq!(server.introspect(&issued.access_token).await["active"], false);
        assert_eq!(client.refresh(&server, &issued.refresh_tokens[3]).await.status(), 400);
    }
}
