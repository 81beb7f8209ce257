//! Several daemons on one repository, and one that dies, while the sealing key is exchanged.

use std::{sync::Arc, time::Duration};

use pangea_mcp_auth::{
    clock::Clock,
    sealing::{self, SEALS_AFTER},
    secret::{Installed, KeyRing, SealingKey, SystemRandom},
};

use super::{MINUTE, forget, install, is_all_resealed, old_key, refreshed, rotate, server_with_file};
use crate::support::{
    Client, Server, Tokens, at_once,
    process::{self, Home},
};

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_seal_anew_at_once_under_load_and_then_the_old_key_can_go() {
    let one = server_with_file().await;
    let other = one.twin().await;
    let servers = [&one, &other];
    let client = Client::public(&one).await;
    let mut tokens = at_once((0..6).map(|_| client.login(&one))).await;
    let old = one.server.sealer().key_id();
    rotate(&one).unwrap();
    one.advance(SEALS_AFTER);
    // One has looked into the file, the other not yet.
    assert!(one.sealing.look(&one.server).await);
    tokens = crosswise(&client, servers, &tokens).await;
    assert!(other.sealing.look(&other.server).await);
    one.advance(2 * MINUTE);
    let (next, (), ()) = tokio::join!(
        crosswise(&client, servers, &tokens),
        sealing::reseal(Arc::clone(&one.server)),
        sealing::reseal(Arc::clone(&other.server)),
    );
    tokens = next;
    sealing::reseal(Arc::clone(&one.server)).await;
    assert!(is_all_resealed(&one));
    // A token needs the old key if its predecessor was derived with it. Three rounds later, no token does.
    one.advance(60 * MINUTE);
    for _ in 0..3 {
        tokens = crosswise(&client, servers, &tokens).await;
    }
    assert_eq!(forget(&other).await.unwrap(), [old]);
    for server in servers {
        assert!(!server.sealing.look(&server.server).await, "the present key is as it was");
        server.server.keys().reload(one.clock.now()).await.unwrap();
    }
    crosswise(&client, servers, &tokens).await;
}

/// Refreshes every token at once, each at the daemon at which its predecessor was not.
async fn crosswise(client: &Client, servers: [&Server; 2], tokens: &[Tokens]) -> Vec<Tokens> {
    let work = tokens.iter().enumerate();
    at_once(work.map(|(at, tokens)| refreshed(client, servers[at % 2], &tokens.refresh))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_while_it_seals_anew_goes_on_at_its_next_start() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let mut tokens = at_once((0..65).map(|_| client.login(&server))).await;
    tokens.extend(at_once((0..65).map(|_| client.login(&server))).await);
    let new = SealingKey::generate(&SystemRandom);
    let home =
        Home::with_configuration(&format!("http://127.0.0.1:{}", process::free_port()), &server.upstream_url);
    let database = server.folder.path().join("test.sqlite");
    home.reconfigure("path = \"records.sqlite\"", &format!("path = \"{}\"", database.display()));
    home.write(
        "sealing-key",
        &format!("{}\n{}@2026-01-01T00:00:00Z\n", process::SEALING_KEY, &*new.to_text()),
    );
    let ring = KeyRing::from(old_key()).with(new, server.clock.now());
    assert!(matches!(install(&server, &ring), Installed::SealsUnder(_)));
    let resealed = || {
        let sealed = |grant: &serde_json::Value| grant["upstream"]["sealed"].as_str().unwrap().to_owned();
        let is_new = |sealed: &String| !server.server.sealer().is_outdated(sealed);
        server.stored_grants().iter().map(sealed).filter(is_new).count()
    };
    assert_eq!(resealed(), 0);
    let daemon = process::Daemon::start(&mut home.command(&["serve", "--config", "config.toml"]));
    while resealed() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    daemon.kill();
    let before = resealed();
    let mut daemon = home.serve();
    let said = daemon.err.said("everything is encrypted with the current sealing key");
    assert!(said.contains(&format!("sessions={}", 130 - before)), "{before} before: {said}");
    daemon.stop();
    assert!(is_all_resealed(&server));
    server.server.keys().reload(server.clock.now()).await.unwrap();
    for tokens in &tokens {
        refreshed(&client, &server, &tokens.refresh).await;
    }
}
