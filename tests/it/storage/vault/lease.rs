//! One daemon writes to Vault: a second one says so, and one that was away for too long writes nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pangea_mcp_auth::{
    clock::{Clock, ManualClock, SKEW},
    daemon::{self, Lease, OneWriter, Tenure},
    repository::{Kind, Record, Repository, RepositoryError, WRITER_LEASE},
    secret::SystemRandom,
};
use tokio_util::sync::CancellationToken;

use super::{Vault, done, record};
use crate::{
    operator::check::check,
    stage::{Fault, UniqueNames, VAULT_TOKEN, VaultCall, VaultFault},
    support::{
        Browser, Client, Options, Server, Tokens, at_once, http,
        process::{Home, free_port},
    },
};

/// A Vault through a handle of its own, as another process has it.
async fn writer(vault: &Vault) -> Arc<OneWriter> {
    let repository: Arc<dyn Repository> = Arc::new(vault.repository().await);
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&vault.clock);
    Arc::new(OneWriter::new(repository, clock))
}

/// A lease on it, taken or not.
async fn lease(vault: &Vault) -> Vec<Lease> {
    Lease::take_all(vec![writer(vault).await], Tenure::new(&SystemRandom)).await.unwrap()
}

/// Whether a newcomer gets the lease.
async fn is_free(vault: &Vault) -> bool {
    let leases = lease(vault).await;
    let is_free = leases[0].is_held();
    give_back(leases).await;
    is_free
}

/// For how long another daemon has it, in seconds.
async fn taken_for(vault: &Vault) -> Option<u64> {
    let until = Lease::taken_until(Arc::new(vault.repository().await), vault.now()).await.unwrap();
    until.map(|until| until.since(vault.now()).as_secs())
}

async fn give_back(leases: Vec<Lease>) {
    for lease in leases {
        lease.give_back().await;
    }
}

#[tokio::test]
async fn a_daemon_that_is_assembled_and_does_not_run_releases_its_lease() {
    let vault = Vault::start().await;
    let config = Server::start().await.config.clone();
    let repository = Arc::new(vault.repository().await);
    let clock = Arc::<ManualClock>::clone(&vault.clock);
    let assembled = daemon::assemble_with(&config, repository, clock, Arc::new(SystemRandom)).await.unwrap();
    assert!(!is_free(&vault).await);
    assembled.abandon().await;
    assert!(is_free(&vault).await);
}

#[tokio::test]
async fn a_second_writer_is_refused_while_the_first_one_lives() {
    let vault = Vault::start().await;
    let first = lease(&vault).await;
    assert!(first.len() == 1 && first[0].is_held());
    assert!(!is_free(&vault).await);
    assert_eq!(taken_for(&vault).await, Some(210));
    vault.clock.advance(Duration::from_secs(209));
    assert!(!is_free(&vault).await);
}

#[tokio::test]
async fn a_second_writer_whose_clock_is_ahead_is_refused_too() {
    let vault = Vault::start().await;
    let _first = lease(&vault).await;
    // The first one has stopped writing by then, if it could not renew its right.
    let ahead = Arc::new(ManualClock::at(vault.clock.now().plus(SKEW).plus(Duration::from_mins(1))));
    let second = OneWriter::new(Arc::new(vault.repository().await), ahead);
    let second = Lease::take_all(vec![Arc::new(second)], Tenure::new(&SystemRandom)).await.unwrap();
    assert!(!second[0].is_held());
}

#[tokio::test]
async fn the_place_of_a_dead_writer_is_free_when_its_lease_has_ended() {
    let vault = Vault::start().await;
    let _dead = lease(&vault).await;
    vault.clock.advance(Duration::from_secs(210));
    assert!(is_free(&vault).await);
}

#[tokio::test]
async fn a_lease_that_is_given_back_is_free_at_once() {
    let vault = Vault::start().await;
    give_back(lease(&vault).await).await;
    assert!(is_free(&vault).await);
}

#[tokio::test]
async fn of_writers_that_come_at_one_moment_one_stays() {
    for unique_names in [UniqueNames::PerFolder, UniqueNames::PerProject, UniqueNames::Off] {
        let vault = Vault::start().await;
        vault.switches().habits.set(|habits| habits.unique_names = unique_names);
        let (one, other) = (writer(&vault).await, writer(&vault).await);
        let both = [one, other].map(|writer| Lease::take_all(vec![writer], Tenure::new(&SystemRandom)));
        let both = at_once(both).await;
        let held = |taken: &Result<Vec<Lease>, RepositoryError>| taken.as_ref().is_ok_and(|l| l[0].is_held());
        let stayed = both.iter().filter(|taken| held(taken)).count();
        assert_eq!(stayed, 1, "{unique_names:?}: {both:?}");
    }
}

#[tokio::test]
async fn a_lease_is_renewed_while_it_is_kept_and_given_back_at_the_end() {
    let vault = Vault::start().await;
    let leases = lease(&vault).await;
    vault.clock.advance(Duration::from_mins(1));
    let stop = CancellationToken::new();
    let kept = tokio::spawn(Lease::keep_all(leases, stop.clone()));
    let deadline = Instant::now() + Duration::from_secs(20);
    while taken_for(&vault).await != Some(210) {
        assert!(Instant::now() < deadline, "never renewed");
    }
    stop.cancel();
    kept.await.unwrap();
    assert!(is_free(&vault).await);
}

#[tokio::test]
async fn whoever_has_lost_the_lease_leaves_it_to_the_other() {
    let vault = Vault::start().await;
    let lost = lease(&vault).await;
    vault.clock.advance(Duration::from_secs(210));
    let _other = lease(&vault).await;
    give_back(lost).await;
    assert!(!is_free(&vault).await, "it is still the other's");
}

/// Two daemons that have a part each would wait for one another for good.
#[tokio::test]
async fn whoever_lacks_the_first_of_two_leases_leaves_the_second_alone() {
    let (one, two) = (Vault::start().await, Vault::start().await);
    let first = lease(&one).await;
    let both = vec![writer(&one).await, writer(&two).await];
    let waiting = Lease::take_all(both, Tenure::new(&SystemRandom)).await.unwrap();
    assert!(waiting.iter().all(|lease| !lease.is_held()));
    assert!(is_free(&two).await);
    give_back(first).await;
    let both = vec![writer(&one).await, writer(&two).await];
    let all = Lease::take_all(both, Tenure::new(&SystemRandom)).await.unwrap();
    assert!(all.iter().all(Lease::is_held));
}

/// A daemon that has certainly ended on this machine keeps no other waiting. Every other daemon does.
#[tokio::test]
async fn the_lease_of_a_process_that_is_certainly_gone_is_taken_over_at_once() {
    let (vault, folder) = (Vault::start().await, tempfile::tempdir().unwrap());
    let enter = || Tenure::in_folder(folder.path(), "vault", &SystemRandom);
    let take = async || Lease::take_all(vec![writer(&vault).await], enter()).await.unwrap();
    let killed = take().await;
    assert!(!take().await[0].is_held(), "it still lives");
    drop(killed);
    assert!(!is_free(&vault).await, "elsewhere no daemon can know");
    assert!(take().await[0].is_held());
}

#[tokio::test]
async fn a_repository_for_many_writers_needs_no_lease() {
    assert!(Server::start().await.leases.lock().await.is_empty());
    let vault = Server::with(Options { storage: Some(STORAGE), ..Options::default() }).await;
    assert_eq!(vault.leases.lock().await.len(), 1);
}

fn assert_refused<T: std::fmt::Debug>(refused: &Result<T, RepositoryError>) {
    let Err(RepositoryError::Unavailable(sentence)) = refused else { panic!("{refused:?}") };
    assert!(sentence.contains("write lease"), "{sentence}");
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

    let tenure = Tenure::new(&SystemRandom);
    let mut leases = Lease::take_all(vec![Arc::clone(&writer)], tenure).await.unwrap();
    vault.clock.advance(Duration::from_secs(59));
    done(writer.insert(Kind::Grant, &record("in.time", "value"), vault.now()).await);
    vault.clock.advance(Duration::from_secs(1));
    writes_nothing(&vault, &writer, &kept).await;
    assert!(leases[0].renew().await.unwrap().is_none(), "no other daemon has come");
    writer.ping().await.unwrap();
    assert!(writer.take(Kind::Grant, "in.time", vault.now()).await.unwrap().is_some());
    give_back(leases).await;
    writes_nothing(&vault, &writer, &kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_whose_network_is_away_stops_in_time_and_goes_on_when_it_is_back() {
    let vault = Vault::start().await;
    let writer = writer(&vault).await;
    let tenure = Tenure::new(&SystemRandom);
    let leases = Lease::take_all(vec![Arc::clone(&writer)], tenure).await.unwrap();
    let away = |call: &mut VaultCall| call.fault = VaultFault::Foreign(Fault::Drop);
    let switches = vault.switches();
    let calls = || [&switches.get_bulk, &switches.store, &switches.rotate, &switches.delete];
    for call in calls() {
        call.set(away);
    }
    let stop = CancellationToken::new();
    // First the clock: a renewal that begins before counts from then, and the next one comes half a minute later.
    vault.clock.advance(Duration::from_mins(1));
    let kept = tokio::spawn(Lease::keep_all(leases, stop.clone()));
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
    // A client of the original library is taken over when first seen, which is also a write.
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
    let successor = lease(&vault).await;
    assert!(successor[0].is_held());
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

/// What a daemon of this home answers at `/readyz`.
async fn readiness(home: &Home) -> u16 {
    let config = home.read("config.toml");
    let url = config.split('"').nth(1).unwrap();
    http().get(format!("{url}/readyz")).send().await.unwrap().status().as_u16()
}

/// Waits until a daemon of this home answers so.
async fn until_readiness_is(home: &Home, status: u16) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while readiness(home).await != status {
        assert!(Instant::now() < deadline, "never {status}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_serve_waits_and_takes_over_when_the_first_has_stopped() {
    let vault = Vault::start().await;
    let (first, second) = (home(&vault), home(&vault));
    let daemon = first.serve();
    assert_eq!(readiness(&first).await, 200);
    let mut waiting = second.serve();
    assert_eq!(readiness(&second).await, 503);
    assert_eq!(daemon.stop().code, Some(0));
    until_readiness_is(&second, 200).await;
    assert!(waiting.is_running());
    let outcome = waiting.stop();
    assert_eq!(outcome.code, Some(0), "{}", outcome.err);
    assert!(outcome.err.contains("another daemon holds the write lease"), "{}", outcome.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_the_next_daemon_of_the_machine_writes_at_once_and_others_wait() {
    let vault = Vault::start().await;
    let (first, second) = (home(&vault), home(&vault));
    first.serve().kill();
    let elsewhere = second.serve();
    assert_eq!(readiness(&second).await, 503);
    // A second daemon proves nothing with the lock that the first one has.
    let next = first.serve();
    assert_eq!(readiness(&first).await, 200);
    assert_eq!(readiness(&second).await, 503);
    next.kill();
    let again = first.serve();
    assert_eq!(readiness(&first).await, 200);
    assert_eq!(again.stop().code, Some(0));
    until_readiness_is(&second, 200).await;
    assert_eq!(elsewhere.stop().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn elsewhere_the_place_of_a_killed_daemon_is_free_when_the_lease_has_run_out() {
    let vault = Vault::start().await;
    let (first, second) = (home(&vault), home(&vault));
    first.serve().kill();
    let waiting = second.serve();
    assert_eq!(readiness(&second).await, 503);
    // So long it takes; here the record ends at once, as if it had passed.
    let repository = vault.open("/pangea-mcp-auth", Duration::ZERO).await.unwrap();
    let held = repository.get(Kind::Replay, WRITER_LEASE, vault.now()).await.unwrap().unwrap();
    let ended = Record { expires_at: Some(vault.now()), ..held.record };
    done(repository.replace(Kind::Replay, &ended, held.version, vault.now()).await);
    until_readiness_is(&second, 200).await;
    assert_eq!(waiting.stop().code, Some(0));
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
    assert!(running.words("repository.writer").contains("a second daemon is read-only"));
    assert_eq!(daemon.stop().code, Some(0));
    let stopped = check(&home, &[]);
    assert!(
        stopped.words("repository.writer").contains("not held"),
        "{}",
        stopped.words("repository.writer")
    );
}
