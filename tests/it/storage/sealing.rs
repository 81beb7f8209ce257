//! The sealing key is rotated while everybody works.

mod daemons;
mod lost;

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use pangea_mcp_auth::{
    clock::{Clock, UnixTime},
    daemon,
    repository::SqliteRepository,
    sealing::{self, Addition, Rotation, RotationError, SEALS_AFTER, SealedSessions},
    secret::{Installed, KeyId, KeyRing, SealingKey, SystemRandom},
};
use tempfile::TempDir;

use crate::operator::commands::unreadable::damage;
use crate::support::{
    Browser, Client, Options, SEALING_KEY, Server, Surroundings, Tokens, at_once, body,
    process::{self, Home, Outcome},
};

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

fn old_key() -> SealingKey {
    SealingKey::parse(SEALING_KEY).unwrap()
}

/// The ring of every server of these tests with one more key, which seals from then on.
fn ring(from: UnixTime) -> KeyRing {
    KeyRing::from(old_key()).with(SealingKey::generate(&SystemRandom), from)
}

/// Gives a server another ring, as its housekeeping would.
fn install(server: &Server, ring: &KeyRing) -> Installed {
    server.server.sealer().install(ring, server.clock.now())
}

fn switch(server: &Server) -> KeyRing {
    let ring = ring(server.clock.now());
    assert!(matches!(install(server, &ring), Installed::SealsUnder(_)));
    ring
}

async fn refreshed(client: &Client, server: &Server, refresh_token: &str) -> Tokens {
    let tokens = Tokens::of(client.refresh(server, refresh_token).await).await;
    assert_eq!(server.introspect(&tokens.access).await["active"], true);
    tokens
}

async fn assert_invalid_grant(client: &Client, server: &Server, refresh_token: &str, what: &str) {
    let refused = client.refresh(server, refresh_token).await;
    assert_eq!(refused.status(), 400, "{what}");
    assert_eq!(body(refused).await["error"], "invalid_grant", "{what}");
}

async fn reseal(server: &Server) -> u64 {
    let (sessions, mut all, mut after) = (SealedSessions::of(&server.server), 0, None);
    loop {
        let page = sessions.reseal(after, server.clock.now()).await.unwrap();
        assert_eq!(page.unreadable, 0);
        all += page.resealed;
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

/// Whether all at rest is sealed under the key that seals now.
fn is_all_resealed(server: &Server) -> bool {
    let sealer = server.server.sealer();
    server
        .stored_grants()
        .iter()
        .all(|grant| !sealer.is_outdated(grant["upstream"]["sealed"].as_str().unwrap()))
}

#[tokio::test]
async fn of_two_daemons_only_one_need_know_the_new_key_before_its_time() {
    let one = Server::start().await;
    let other = one.twin().await;
    let ring = ring(one.clock.now().plus(2 * MINUTE));
    assert_eq!(install(&one, &ring), Installed::AsBefore);
    for (here, there) in [(&one, &other), (&other, &one)] {
        let client = Client::public(&one).await;
        let first = client.login(&one).await;
        let second = refreshed(&client, there, &first.refresh).await;
        assert_eq!(
            refreshed(&client, here, &first.refresh).await.refresh,
            second.refresh,
            "a retry elsewhere"
        );
        refreshed(&client, here, &second.refresh).await;
    }
}

#[tokio::test]
async fn refresh_tokens_of_the_old_key_work_and_a_retry_gives_the_same_successor() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let first = client.login(&server).await;
    let second = refreshed(&client, &server, &first.refresh).await;
    switch(&server);
    assert_eq!(refreshed(&client, &server, &first.refresh).await.refresh, second.refresh, "made again");
    let third = refreshed(&client, &server, &second.refresh).await;
    for _ in 0..3 {
        assert_eq!(refreshed(&client, &server, &second.refresh).await.refresh, third.refresh);
    }
    let fourth = refreshed(&client, &server, &third.refresh).await;
    server.advance(3 * MINUTE);
    assert_invalid_grant(&client, &server, &first.refresh, "reuse is known under the old key, too").await;
    assert_invalid_grant(&client, &server, &fourth.refresh, "and ends the family").await;
}

#[tokio::test]
async fn daemons_that_switch_at_different_times_agree_on_one_successor() {
    let one = Server::start().await;
    let other = one.twin().await;
    let ring = ring(one.clock.now());
    let client = Client::public(&one).await;
    let mut tokens = client.login(&one).await;
    assert!(matches!(install(&one, &ring), Installed::SealsUnder(_)));
    // The other one has read the ring, but its clock is behind.
    assert_eq!(other.server.sealer().install(&ring, UnixTime::from_secs(0)), Installed::AsBefore);
    for _ in 0..5 {
        let token = tokens.refresh.clone();
        let servers = [&one, &other, &one, &other, &one, &other];
        let all = at_once(servers.map(|server| refreshed(&client, server, &token))).await;
        assert!(all.iter().all(|tokens| tokens.refresh == all[0].refresh), "one successor for all");
        tokens = all[0].clone();
    }
}

#[tokio::test]
async fn a_login_under_way_is_finished_and_yields_one_grant() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let mut browser = Browser::new();
    let page = browser.get(&client.authorize_url(&server, &[])).await;
    let ring = switch(&server);
    let approved = browser.decide(&page, "approve").await;
    let ring = ring.with(SealingKey::generate(&SystemRandom), server.clock.now());
    assert!(matches!(install(&server, &ring), Installed::SealsUnder(_)));
    let answered = browser.follow(approved, &client.redirect_uri).await.unwrap();
    let code = crate::support::query(&answered).remove("code").unwrap();
    Tokens::of(client.redeem(&server, &code).await).await;
    let again = browser.decide(&page, "approve").await;
    assert!(again.location().is_none(), "the same form yields no second grant: {}", again.html);
    assert_eq!(server.stored_grants().len(), 1);
}

#[tokio::test]
async fn resealing_under_concurrent_refreshes_loses_nothing_and_then_the_old_key_can_go() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let mut tokens = Vec::new();
    for _ in 0..8 {
        tokens.push(client.login(&server).await);
    }
    let ring = switch(&server);
    assert!(!is_all_resealed(&server));
    for round in 0..3 {
        // Each refresh asks the upstream, whose tokens rotate, too: a lost one would end the session.
        server.advance(2 * MINUTE);
        let work = tokens.iter().map(|tokens| async { refreshed(&client, &server, &tokens.refresh).await });
        let (next, _) = tokio::join!(at_once(work), reseal(&server));
        tokens = next;
        assert!(round == 0 || is_all_resealed(&server));
    }
    server.server.keys().reseal(server.clock.now()).await.unwrap();
    assert!(is_all_resealed(&server));
    let kept = ring.without_old(server.clock.now()).unwrap();
    assert_eq!(install(&server, &kept), Installed::AsBefore);
    server.advance(2 * MINUTE);
    server.server.keys().reload(server.clock.now()).await.expect("the signing keys open without the old key");
    for tokens in &tokens {
        refreshed(&client, &server, &tokens.refresh).await;
    }
}

#[tokio::test]
async fn without_the_old_key_only_what_was_derived_under_it_is_refused() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let first = client.login(&server).await;
    let unused = client.login(&server).await;
    let ring = switch(&server);
    let second = refreshed(&client, &server, &first.refresh).await;
    reseal(&server).await;
    server.server.keys().reseal(server.clock.now()).await.unwrap();
    assert_eq!(install(&server, &ring.without_old(server.clock.now()).unwrap()), Installed::AsBefore);
    assert_invalid_grant(&client, &server, &first.refresh, "no key can show any more that it is ours").await;
    refreshed(&client, &server, &second.refresh).await;
    refreshed(&client, &server, &unused.refresh).await;
    let again = client.login(&server).await;
    refreshed(&client, &server, &again.refresh).await;
}

/// A server whose sealing keys lie in a file.
/// Nor does one unreadable record keep the others under the old key.
#[tokio::test]
async fn a_grant_that_cannot_be_read_is_counted_and_passed_by() {
    let server = server_with_file().await;
    let client = Client::public(&server).await;
    client.login(&server).await;
    let unreadable = server.stored_grants()[0]["id"].as_str().unwrap().to_owned();
    let tokens = client.login(&server).await;
    damage(&server.folder.path().join("test.sqlite"), &unreadable);
    rotate(&server).unwrap();
    server.advance(SEALS_AFTER);
    assert!(server.sealing.look(&server.server).await);
    let page = SealedSessions::of(&server.server).reseal(None, server.clock.now()).await.unwrap();
    assert_eq!((page.resealed, page.unreadable), (1, 1));
    refreshed(&client, &server, &tokens.refresh).await;
    server.server.keys().reseal(server.clock.now()).await.unwrap();
    server.advance(60 * DAY);
    // What it needs is unknown, so its key stays as long as the record may live.
    let refused = forget(&server).await.unwrap_err();
    assert!(matches!(refused, RotationError::StillNeeded { keys: 0, grants: 1, .. }), "{refused}");
    server.advance(150 * DAY);
    forget(&server).await.unwrap();
}

async fn server_with_file() -> Server {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    write_keys(&folder, SEALING_KEY);
    let options = Options { sealing_file: Some("sealing-key"), folder: Some(folder), ..Options::default() };
    Server::with(options).await
}

fn write_keys(folder: &TempDir, text: &str) {
    let path = folder.path().join("sealing-key");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn read_keys(server: &Server) -> String {
    fs::read_to_string(server.folder.path().join("sealing-key")).unwrap()
}

fn rotation(server: &Server) -> Rotation<'_> {
    let random = Arc::new(SystemRandom);
    Rotation { config: &server.config, environment: &Surroundings, random, now: server.clock.now() }
}

fn rotate(server: &Server) -> Result<Addition, RotationError> {
    let addition = rotation(server).addition(server.clock.now().plus(SEALS_AFTER))?;
    addition.store(&Surroundings)?;
    Ok(addition)
}

async fn forget(server: &Server) -> Result<Vec<KeyId>, RotationError> {
    let repository = daemon::open_repository(&server.config.repository).await.unwrap();
    let removal = rotation(server).removal(repository).await?;
    removal.store(&Surroundings)?;
    Ok(removal.forgotten)
}

#[tokio::test]
async fn a_rotation_from_the_new_key_to_the_end_of_the_old_one() {
    let server = server_with_file().await;
    let client = Client::public(&server).await;
    let tokens = client.login(&server).await;
    let old = server.server.sealer().key_id();
    assert!(matches!(forget(&server).await, Err(RotationError::NothingOld)));

    let added = rotate(&server).unwrap();
    assert!(!format!("{added:?}").contains(read_keys(&server).lines().next().unwrap()));
    assert!(matches!(rotate(&server), Err(RotationError::Waits(_))), "one at a time");
    assert!(!server.sealing.look(&server.server).await, "its time has not come");
    assert_eq!(server.server.sealer().key_id(), old);
    server.advance(SEALS_AFTER);
    assert!(server.sealing.look(&server.server).await);
    assert_eq!(server.server.sealer().key_id(), added.key);
    assert!(matches!(forget(&server).await, Err(RotationError::TooEarly(_))));

    server.advance(60 * MINUTE);
    let needed = forget(&server).await.unwrap_err();
    assert!(matches!(needed, RotationError::StillNeeded { keys: 1, grants: 1, .. }), "{needed}");
    sealing::reseal(Arc::clone(&server.server)).await;
    let second = refreshed(&client, &server, &tokens.refresh).await;
    let needed = forget(&server).await.unwrap_err();
    assert!(
        matches!(needed, RotationError::StillNeeded { keys: 0, grants: 1, .. }),
        "a retry is possible: {needed}"
    );
    let third = refreshed(&client, &server, &second.refresh).await;
    let fourth = refreshed(&client, &server, &third.refresh).await;
    assert_eq!(forget(&server).await.unwrap(), [old]);
    assert_eq!(read_keys(&server).lines().count(), 1);
    assert!(!server.sealing.look(&server.server).await);
    assert_eq!(refreshed(&client, &server, &third.refresh).await.refresh, fourth.refresh);
    refreshed(&client, &server, &fourth.refresh).await;
}

#[tokio::test]
async fn the_old_key_can_go_when_it_was_said_at_the_latest() {
    let server = server_with_file().await;
    let client = Client::public(&server).await;
    let tokens = client.login(&server).await;
    let added = rotate(&server).unwrap();
    server.advance(SEALS_AFTER);
    assert!(server.sealing.look(&server.server).await);
    sealing::reseal(Arc::clone(&server.server)).await;
    server.advance(29 * DAY);
    refreshed(&client, &server, &tokens.refresh).await;
    assert!(matches!(forget(&server).await, Err(RotationError::StillNeeded { .. })));
    server.clock.advance(added.old_needed_until.since(server.clock.now()));
    forget(&server).await.unwrap();
}

#[tokio::test]
async fn what_stands_in_the_file_by_mistake_stops_nobody() {
    let server = server_with_file().await;
    let client = Client::public(&server).await;
    let tokens = client.login(&server).await;
    for mistake in ["canary", "", &*SealingKey::generate(&SystemRandom).to_text()] {
        write_keys(&server.folder, mistake);
        assert!(!server.sealing.look(&server.server).await);
        refreshed(&client, &server, &tokens.refresh).await;
    }
}

#[tokio::test]
async fn for_a_variable_it_is_said_what_to_set() {
    let server = Server::start().await;
    let said = rotate(&server).unwrap_err().to_string();
    for words in ["`SEALING_KEY`", "openssl rand -base64 32", "`@20"] {
        assert!(said.contains(words), "{said}");
    }
    assert!(!said.contains(SEALING_KEY));
    assert!(forget(&server).await.unwrap_err().to_string().contains("`SEALING_KEY`"));
}

fn rotate_command(home: &Home, more: &[&str]) -> Outcome {
    let mut arguments = vec!["--config", "config.toml", "keys", "rotate", "--sealing"];
    arguments.extend(more);
    let outcome = home.run(&arguments);
    for line in home.read("sealing-key").lines() {
        let key = line.split('@').next().unwrap();
        assert!(!outcome.out.contains(key) && !outcome.err.contains(key), "{outcome:?}");
    }
    outcome
}

#[test]
fn the_command_adds_a_key_and_says_what_happens_when() {
    let home = Home::with_configuration("http://127.0.0.1:1", "http://127.0.0.1:1");
    SqliteRepository::open(&home.path("records.sqlite")).unwrap();
    let added = rotate_command(&home, &["-o", "json"]);
    assert_eq!(added.code, Some(0), "{added:?}");
    let added: serde_json::Value = serde_json::from_str(&added.out).unwrap();
    let keys = home.read("sealing-key");
    let [old, new] = keys.lines().collect::<Vec<_>>()[..] else { panic!("not two keys") };
    assert_eq!(old, SEALING_KEY, "the old one is as it was, but for its padding");
    assert!(new.ends_with(&format!("@{}", added["seals_from"].as_str().unwrap())));
    let waits = rotate_command(&home, &[]);
    assert_eq!(waits.code, Some(1));
    assert!(waits.err.contains("already waiting"), "{waits:?}");
    let nothing = rotate_command(&home, &["--forget-old"]);
    assert_eq!(nothing.code, Some(1));
    assert!(nothing.err.contains("there is no old sealing key"), "{nothing:?}");

    home.write("sealing-key", SEALING_KEY);
    let said = rotate_command(&home, &["--after", "1h"]);
    assert!(said.out.is_empty() && said.err.contains("it becomes active"), "{said:?}");
    home.reconfigure("file = \"sealing-key\"", "env = \"SEALING\"");
    let mut command = home.command(&["--config", "config.toml", "keys", "rotate", "--sealing"]);
    let said = process::Daemon::start(command.env("SEALING", SEALING_KEY)).wait();
    assert_eq!(said.code, Some(78));
    assert!(said.err.contains("`SEALING`, which only you can change: append a space"), "{said:?}");
}

#[tokio::test]
async fn a_daemon_seals_anew_at_its_start_what_it_missed() {
    let port = process::free_port();
    let url = format!("http://127.0.0.1:{port}");
    let upstream = crate::support::pangea(process::PANGEA, format!("{url}/pangea/callback")).await;
    let home = Home::with_configuration(&url, &upstream);
    home.serve().stop();
    let new = SealingKey::generate(&SystemRandom);
    home.write("sealing-key", &format!("{SEALING_KEY}\n{}@2026-01-01T00:00:00Z\n", &*new.to_text()));
    let mut daemon = home.serve();
    let said = daemon.err.said("everything is encrypted with the current sealing key");
    assert!(said.contains("keys=1"), "{said}");
    daemon.stop();
    home.write("sealing-key", &new.to_text());
    home.serve().stop();
}
