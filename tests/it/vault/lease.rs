//! One daemon writes to Vault: a second one is told so, and one that was away for too long writes nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pangea_mcp_auth::{
    clock::{Clock, ManualClock, SKEW},
    daemon::{Lease, LeaseError, OneWriter},
    dev::{Fault, UniqueNames, VAULT_TOKEN, VaultCall, VaultFault},
    repository::{Kind, Record, Repository, RepositoryError, WRITER_LEASE},
    secret::SystemRandom,
};
use tokio_util::sync::CancellationToken;

use super::{Vault, done, record};
use crate::{
    check::check,
    support::{
        Browser, Client, Options, Server, Tokens, at_once,
        process::{Home, Outcome, free_port},
    },
};

/// A Vault through a handle of its own, as another process has it.
async fn writer(vault: &Vault) -> Arc<OneWriter> {
    let repository: Arc<dyn Repository> = Arc::new(vault.repository().await);
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&vault.clock);
    Arc::new(OneWriter::new(repository, clock))
}

/// A lease on it.
async fn lease(vault: &Vault) -> Result<Vec<Lease>, LeaseError> {
    Lease::take_all(vec![writer(vault).await], &SystemRandom).await
}

async fn give_back(leases: Vec<Lease>) {
    for lease in leases {
        lease.give_back().await;
    }
}

#[tokio::test]
async fn a_second_writer_is_refused_while_the_first_one_lives() {
    let vault = Vault::start().await;
    let first = lease(&vault).await.unwrap();
    assert_eq!(first.len(), 1);
    let refused = lease(&vault).await.unwrap_err();
    assert!(matches!(refused, LeaseError::Taken { seconds: 210 }), "{refused}");
    vault.clock.advance(Duration::from_secs(209));
    assert!(lease(&vault).await.is_err());
}

#[tokio::test]
async fn a_second_writer_whose_clock_is_ahead_is_refused_too() {
    let vault = Vault::start().await;
    let _first = lease(&vault).await.unwrap();
    // The first one has stopped writing by then, if it could not renew its right.
    let ahead = Arc::new(ManualClock::at(vault.clock.now().plus(SKEW).plus(Duration::from_mins(1))));
    let second = OneWriter::new(Arc::new(vault.repository().await), ahead);
    assert!(Lease::take_all(vec![Arc::new(second)], &SystemRandom).await.is_err());
}

#[tokio::test]
async fn the_place_of_a_dead_writer_is_free_when_its_lease_has_ended() {
    let vault = Vault::start().await;
    let _dead = lease(&vault).await.unwrap();
    vault.clock.advance(Duration::from_secs(210));
    assert_eq!(lease(&vault).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_lease_that_is_given_back_is_free_at_once() {
    let vault = Vault::start().await;
    give_back(lease(&vault).await.unwrap()).await;
    assert_eq!(lease(&vault).await.unwrap().len(), 1);
}

#[tokio::test]
async fn of_writers_that_come_at_one_moment_one_stays() {
    for unique_names in [UniqueNames::PerFolder, UniqueNames::PerProject, UniqueNames::Off] {
        let vault = Vault::start().await;
        vault.switches().habits.set(|habits| habits.unique_names = unique_names);
        let (one, other) = (writer(&vault).await, writer(&vault).await);
        let both = [one, other].map(|writer| Lease::take_all(vec![writer], &SystemRandom));
        let both = at_once(both).await;
        let stayed = both.iter().filter(|lease| lease.is_ok()).count();
        assert_eq!(stayed, 1, "{unique_names:?}: {both:?}");
    }
}

#[tokio::test]
async fn a_lease_is_renewed_while_it_is_kept_and_given_back_at_the_end() {
    let vault = Vault::start().await;
    let mut leases = lease(&vault).await.unwrap();
    vault.clock.advance(Duration::from_mins(1));
    let stop = CancellationToken::new();
    let kept = tokio::spawn(leases.remove(0).keep(stop.clone()));
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match lease(&vault).await {
            Err(LeaseError::Taken { seconds: 210 }) => break,
            other => assert!(Instant::now() < deadline, "never renewed: {other:?}"),
        }
    }
    stop.cancel();
    kept.await.unwrap();
    assert!(lease(&vault).await.is_ok());
}

#[tokio::test]
async fn whoever_has_lost_the_lease_leaves_it_to_the_other() {
    let vault = Vault::start().await;
    let lost = lease(&vault).await.unwrap();
    vault.clock.advance(Duration::from_secs(210));
    let _other = lease(&vault).await.unwrap();
    give_back(lost).await;
    assert!(matches!(lease(&vault).await, Err(LeaseError::Taken { .. })), "it is still the other's");
}

#[tokio::test]
async fn a_repository_for_many_writers_needs_no_lease() {
    assert!(Server::start().await.leases.lock().await.is_empty());
    let vault = Server::with(Options { storage: Some(STORAGE), ..Options::default() }).await;
    assert_eq!(vault.leases.lock().await.len(), 1);
}

fn assert_refused<T: std::fmt::Debug>(refused: &Result<T, RepositoryError>) {
    let Err(RepositoryError::Unavailable(sentence)) = refused else { panic!("{refused:?}") };
    assert!(sentence.contains("no right to write"), "{sentence}");
}

/// Every way to write is refused, and nothing of it reaches Vault.
async fn writes_nothing(vault: &Vault, writer: &OneWriter, read: &Record) {
    let before = vault.secrets().await;
    let writes = || ["secret/store", "secret/rotate", "delete", "update"].map(|action| vault.calls(action));
    let calls = writes();
    let found = writer.get(Kind::Grant, &read.key, vault.now()).await.unwrap().expect("reads go on");
    assert_refused(&writer.insert(Kind::Grant, &record("new", "value"), vault.now()).await);
    assert_refused(&writer.replace(Kind::Grant, read, found.version, vault.now()).await);
    assert_refused(&writer.take(Kind::Grant, &read.key, vault.now()).await);
    assert_refused(&writer.purge_expired(vault.now()).await);
    assert_refused(&writer.ping().await);
    assert_eq!((writes(), vault.secrets().await), (calls, before));
}

#[tokio::test]
async fn nothing_is_written_before_the_right_is_had_nor_after_it_has_lapsed() {
    let vault = Vault::start().await;
    let (kept, expired) = (
        record("key", "value"),
        Record { expires_at: Some(vault.now().plus(Duration::from_secs(1))), ..record("expired", "value") },
    );
    for record in [&kept, &expired] {
        done(vault.repository().await.insert(Kind::Grant, record, vault.now()).await);
    }
    vault.clock.advance(Duration::from_secs(1));
    let writer = writer(&vault).await;
    writes_nothing(&vault, &writer, &kept).await;

    let mut leases = Lease::take_all(vec![Arc::clone(&writer)], &SystemRandom).await.unwrap();
    vault.clock.advance(Duration::from_secs(59));
    done(writer.insert(Kind::Grant, &record("in.time", "value"), vault.now()).await);
    vault.clock.advance(Duration::from_secs(1));
    writes_nothing(&vault, &writer, &kept).await;
    assert!(leases[0].renew().await.unwrap().is_none(), "nobody else has come");
    writer.ping().await.unwrap();
    assert!(writer.take(Kind::Grant, "in.time", vault.now()).await.unwrap().is_some());
    give_back(leases).await;
    writes_nothing(&vault, &writer, &kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_whose_network_is_away_stops_in_time_and_goes_on_when_it_is_back() {
    let vault = Vault::start().await;
    let writer = writer(&vault).await;
    let mut leases = Lease::take_all(vec![Arc::clone(&writer)], &SystemRandom).await.unwrap();
    let away = |call: &mut VaultCall| call.fault = VaultFault::Foreign(Fault::Drop);
    let switches = vault.switches();
    let calls = || [&switches.get_bulk, &switches.store, &switches.rotate, &switches.delete];
    for call in calls() {
        call.set(away);
    }
    let stop = CancellationToken::new();
    // First the clock: a renewal that begins before counts from then, and the next one comes half a minute later.
    vault.clock.advance(Duration::from_mins(1));
    let kept = tokio::spawn(leases.remove(0).keep(stop.clone()));
    assert_refused(&writer.insert(Kind::Grant, &record("key", "value"), vault.now()).await);
    for call in calls() {
        call.reset();
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(refused) = writer.insert(Kind::Grant, &record("key", "value"), vault.now()).await {
        assert!(Instant::now() < deadline, "never again: {refused}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    kept.await.unwrap();
}

const STORAGE: &str = r#"kind = "vault"
token = { env = "VAULT_TOKEN" }
api_url = "{upstream}"
folder = "/tests/vault"
cache = "0s""#;

/// A client that the original library keeps.
const NEWCOMER: &str = "0b7c9a3e-3f0e-4d1c-9f3a-1c1d1e1f2021";

/// What a person's client and an operator see of a daemon that may not write.
async fn serves_no_writes(server: &Server, client: &Client, code: &str, refresh_token: &str) {
    assert_eq!(client.redeem(server, code).await.status(), 503);
    assert_eq!(client.refresh(server, refresh_token).await.status(), 503);
    let metadata = serde_json::json!({ "redirect_uris": ["http://127.0.0.1:4711/callback"] });
    assert_eq!(server.json("/register", &metadata).send().await.unwrap().status(), 503);
    // Whom the original library knows is taken over when first seen, which is a write, too.
    let newcomer = Client { id: NEWCOMER.to_owned(), ..client.clone() };
    assert_eq!(Browser::new().get(&newcomer.authorize_url(server, &[])).await.status, 503);
    assert_eq!(server.get("/readyz").await.status(), 503);
    assert_eq!(server.get("/healthz").await.status(), 200);
}

#[tokio::test]
async fn a_daemon_that_slept_too_long_changes_nothing_of_what_its_successor_wrote() {
    let sections = "[tokens]\ncode_lifetime = \"10m\"";
    let server = Server::with(Options { storage: Some(STORAGE), sections, ..Options::default() }).await;
    let vault = Vault::of(&server);
    vault.write_token(VAULT_TOKEN);
    let newcomer = serde_json::json!({ "client_id": NEWCOMER, "redirect_uris": ["http://127.0.0.1:4711/callback"],
        "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"] });
    let newcomer = serde_json::json!({ "type": "secret", "name": NEWCOMER, "secret": newcomer.to_string() });
    vault.call("secret/store", &newcomer).await;
    let client = Client::public(&server).await;
    let tokens = client.login(&server).await;
    server.advance(Duration::from_secs(45));
    assert!(server.renew_leases().await);
    let code = client.code(&server).await;

    server.advance(Duration::from_mins(1));
    serves_no_writes(&server, &client, &code, &tokens.refresh).await;
    server.advance(Duration::from_secs(150));
    let successor = lease(&vault).await.unwrap();
    let written = vault.secrets().await;
    serves_no_writes(&server, &client, &code, &tokens.refresh).await;
    assert!(!server.renew_leases().await, "it is another's");
    serves_no_writes(&server, &client, &code, &tokens.refresh).await;
    assert_eq!(vault.secrets().await, written);

    give_back(successor).await;
    assert!(server.renew_leases().await, "the successor has gone");
    server.advance(Duration::from_secs(1));
    assert_eq!(server.get("/readyz").await.status(), 200);
    Tokens::of(client.refresh(&server, &tokens.refresh).await).await;
}

/// A home for a daemon on this Vault.
fn home(vault: &Vault) -> Home {
    let home = Home::with_configuration(&format!("http://127.0.0.1:{}", free_port()), &vault.url);
    let repository =
        format!("kind = \"vault\"\napi_url = \"{}\"\ntoken = {{ file = \"vault-token\" }}", vault.url);
    home.reconfigure("path = \"records.sqlite\"", &repository);
    home.write("vault-token", VAULT_TOKEN);
    home
}

async fn refused(home: Home) -> (Outcome, Home) {
    let run = move || (home.run(&["serve", "--config", "config.toml"]), home);
    let (refused, home) = tokio::task::spawn_blocking(run).await.unwrap();
    assert_eq!(refused.code, Some(69), "{refused:?}");
    assert!(refused.err.contains("another daemon writes to this repository"), "{}", refused.err);
    (refused, home)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_serve_ends_with_a_sentence_and_starts_after_the_first_has_stopped() {
    let vault = Vault::start().await;
    let (first, second) = (home(&vault), home(&vault));
    let daemon = first.serve();
    let (_, second) = refused(second).await;
    assert_eq!(daemon.stop().code, Some(0));
    let outcome = second.serve().stop();
    assert_eq!(outcome.code, Some(0), "{}", outcome.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_the_place_is_free_when_the_lease_has_run_out() {
    let vault = Vault::start().await;
    let (first, second) = (home(&vault), home(&vault));
    first.serve().kill();
    let (told, second) = refused(second).await;
    let seconds = told.err.split_once("its place is free ").unwrap().1.split_once(" seconds").unwrap().0;
    assert!((1..=210).contains(&seconds.parse::<u64>().unwrap()), "{}", told.err);

    // So long it takes; here the record ends at once, as if it had passed.
    let repository = vault.open("/pangea-mcp-auth", Duration::ZERO).await.unwrap();
    let held = repository.get(Kind::Replay, WRITER_LEASE, vault.now()).await.unwrap().unwrap();
    let ended = Record { expires_at: Some(vault.now()), ..held.record };
    done(repository.replace(Kind::Replay, &ended, held.version, vault.now()).await);
    assert_eq!(second.serve().stop().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_who_writes_and_is_not_troubled_by_it() {
    let vault = Vault::start().await;
    let home = home(&vault);
    let daemon = home.serve();
    let running = check(&home, &[]);
    for name in ["repository", "repository.round_trip", "repository.settings", "repository.writer"] {
        assert_eq!(running.status(name), ["pass"], "{name}: {}", running.words(name));
    }
    assert!(running.words("repository.writer").contains("a second one would not start"));
    assert_eq!(daemon.stop().code, Some(0));
    let stopped = check(&home, &[]);
    assert!(stopped.words("repository.writer").contains("nobody"), "{}", stopped.words("repository.writer"));
}
