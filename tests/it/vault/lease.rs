//! One daemon writes to Vault, and a second one is told so.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pangea_mcp_auth::{
    clock::{Clock, ManualClock},
    daemon::{Lease, LeaseError},
    repository::{MemoryRepository, Repository},
    secret::SystemRandom,
};
use tokio_util::sync::CancellationToken;

use super::Vault;
use crate::support::process::{Home, free_port};

/// A lease on a Vault, through a handle of its own as another process would have.
async fn lease(vault: &Vault) -> Result<Vec<Lease>, LeaseError> {
    let repository: Arc<dyn Repository> = Arc::new(vault.repository().await);
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&vault.clock);
    Lease::take_all(vec![repository], &clock, &SystemRandom).await
}

#[tokio::test]
async fn a_second_writer_is_refused_while_the_first_one_lives() {
    let vault = Vault::start().await;
    let first = lease(&vault).await.unwrap();
    assert_eq!(first.len(), 1);
    let refused = lease(&vault).await.unwrap_err();
    assert!(matches!(refused, LeaseError::Taken { seconds: 90 }), "{refused}");
    vault.clock.advance(Duration::from_secs(89));
    assert!(lease(&vault).await.is_err());
}

#[tokio::test]
async fn the_place_of_a_dead_writer_is_free_when_its_lease_has_ended() {
    let vault = Vault::start().await;
    let _dead = lease(&vault).await.unwrap();
    vault.clock.advance(Duration::from_secs(90));
    assert_eq!(lease(&vault).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_lease_that_is_given_back_is_free_at_once() {
    let vault = Vault::start().await;
    for lease in lease(&vault).await.unwrap() {
        lease.give_back().await;
    }
    assert_eq!(lease(&vault).await.unwrap().len(), 1);
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
            Err(LeaseError::Taken { seconds: 90 }) => break,
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
    vault.clock.advance(Duration::from_secs(90));
    let _other = lease(&vault).await.unwrap();
    for lease in lost {
        lease.give_back().await;
    }
    assert!(matches!(lease(&vault).await, Err(LeaseError::Taken { .. })), "it is still the other's");
}

#[tokio::test]
async fn a_repository_for_many_writers_needs_no_lease() {
    let repository: Arc<dyn Repository> = Arc::new(MemoryRepository::default());
    let vault = Vault::start().await;
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&vault.clock);
    assert!(Lease::take_all(vec![repository], &clock, &SystemRandom).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_serve_ends_with_a_sentence_and_starts_after_the_first_has_stopped() {
    let vault = Vault::start().await;
    let home = |port: u16| {
        let home = Home::with_configuration(&format!("http://127.0.0.1:{port}"), &vault.url);
        let repository =
            format!("kind = \"vault\"\napi_url = \"{}\"\ntoken = {{ file = \"vault-token\" }}", vault.url);
        home.reconfigure("path = \"records.sqlite\"", &repository);
        home.write("vault-token", pangea_mcp_auth::dev::VAULT_TOKEN);
        home
    };
    let (first, second) = (home(free_port()), home(free_port()));
    let daemon = first.serve();
    let refused =
        tokio::task::spawn_blocking(move || (second.run(&["serve", "--config", "config.toml"]), second));
    let (refused, second) = refused.await.unwrap();
    assert_eq!(refused.code, Some(69), "{refused:?}");
    assert!(refused.err.contains("another daemon writes to this repository"), "{}", refused.err);
    assert_eq!(daemon.stop().code, Some(0));
    let outcome = second.serve().stop();
    assert_eq!(outcome.code, Some(0), "{}", outcome.err);
}
