//! Servers that go away under load, stand still, or are busy.

use std::time::{Duration, Instant};

use pangea_mcp_auth::repository::{Kind, Repository, RepositoryError};

use super::{connect, connect_in_haste};
use crate::{
    storage::servers::{NOW, done, grant, insert, restart, value},
    support::{
        Records, RedisServer,
        redis::{Make, USER},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9_of_the_server_and_what_can_wait_does() {
    killed_again_and_again(Make::Debian).await;
}

pub(super) async fn killed_again_and_again(make: Make) {
    let mut server = RedisServer::of(make, "", &[]);
    let url = server.url();
    restart::promises_hold(&mut server, &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_unavailable_and_then_usable_again() {
    restart::is_away(RedisServer::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_is_waited_for_so_long() {
    restart::stands_still(RedisServer::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_cannot_do_now_is_unavailable_at_once_and_not_ready() {
    full_or_alone(Make::Debian).await;
}

pub(super) async fn full_or_alone(make: Make) {
    let server = RedisServer::of(make, "", &[]);
    let repository = connect(&server.url()).await.unwrap();
    let version = insert(&repository, &grant("key", "0")).await;
    for (spoil, mend, word) in [
        (["maxmemory", "1"], ["maxmemory", "0"], "OOM"),
        (["min-replicas-to-write", "1"], ["min-replicas-to-write", "0"], "NOREPLICAS"),
    ] {
        server.run(&["CONFIG", "SET", spoil[0], spoil[1]]);
        let hasty = connect_in_haste(&server.url()).await.expect_err("cannot write").to_string();
        assert!(hasty.contains(word), "{hasty}");
        let ping = repository.ping().await.expect_err("cannot write").to_string();
        assert!(ping.contains(word) && ping.starts_with("the repository is unavailable"), "{ping}");
        assert_eq!(value(&repository, "key").await.as_deref(), Some("0"), "it can still be read");
        server.run(&["CONFIG", "SET", mend[0], mend[1]]);
        repository.ping().await.unwrap();
    }
    server.run(&["CONFIG", "SET", "maxmemory", "1"]);
    let asked = Instant::now();
    let write = repository.replace(Kind::Grant, &grant("key", "1"), version, NOW).await;
    assert!(matches!(write, Err(RepositoryError::Unavailable(_))), "{write:?}");
    assert!(asked.elapsed() < Duration::from_secs(5), "waiting does not help");
    server.run(&["CONFIG", "SET", "maxmemory", "0"]);
    done(repository.replace(Kind::Grant, &grant("key", "1"), version, NOW).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_no_longer_is_unavailable_until_it_may_again() {
    let server = RedisServer::new();
    let repository = connect_in_haste(&server.url()).await.unwrap();
    let version = insert(&repository, &grant("key", "0")).await;
    server.run(&["ACL", "SETUSER", USER, "-set"]);
    for outcome in [
        repository.ping().await,
        repository.replace(Kind::Grant, &grant("key", "1"), version, NOW).await.map(|_| ()),
    ] {
        let error = outcome.expect_err("it may not");
        assert!(matches!(error, RepositoryError::Unavailable(_)), "{error:?}");
        assert!(error.to_string().contains("ACL SETUSER"), "{error}");
    }
    server.run(&["ACL", "SETUSER", USER, "+set"]);
    done(repository.replace(Kind::Grant, &grant("key", "1"), version, NOW).await.unwrap());
}
