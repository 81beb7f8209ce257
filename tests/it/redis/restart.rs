//! Servers that go away under load, stand still, or are busy.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use pangea_mcp_auth::repository::{Kind, RedisRepository, Repository, RepositoryError, Write};
use tokio::task::JoinSet;

use super::{NOW, connect, connect_in_haste, done, grant, insert, value};
use crate::support::{
    RedisServer,
    postgres::until,
    redis::{Make, USER},
};

/// What one caller was promised.
#[derive(Default)]
struct Promised {
    stored: Vec<String>,
    taken: Vec<String>,
    unanswered: usize,
}

/// Kills the server again and again under load; then everything acknowledged must hold. What can wait
/// is answered: no read and no replace may fail.
async fn promises_hold(server: &mut RedisServer, url: &str) {
    let repository = connect(url).await.unwrap();
    let (stop, writes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for caller in 0..16 {
        let (repository, stop, writes) = (Arc::clone(&repository), Arc::clone(&stop), Arc::clone(&writes));
        callers.spawn(async move { call(caller, &repository, &stop, &writes).await });
    }
    for _ in 0..3 {
        let before = writes.load(Ordering::Relaxed);
        let enough = || writes.load(Ordering::Relaxed) > before + 200;
        tokio::task::block_in_place(|| {
            until("the callers write", enough);
            server.kill();
            server.start();
        });
    }
    stop.store(true, Ordering::Relaxed);
    let all = callers.join_all().await;
    let (stored, taken): (Vec<_>, Vec<_>) = all.iter().map(|caller| (&caller.stored, &caller.taken)).unzip();
    for key in stored.into_iter().flatten() {
        assert!(value(&repository, key).await.is_some(), "{key} is lost");
    }
    for key in taken.into_iter().flatten() {
        assert!(value(&repository, key).await.is_none(), "{key} has come back");
    }
    // Three times at most for each caller something was on its way.
    assert!(all.iter().map(|caller| caller.unanswered).sum::<usize>() <= 16 * 3);
}

async fn call(
    caller: usize,
    repository: &RedisRepository,
    stop: &AtomicBool,
    writes: &AtomicUsize,
) -> Promised {
    let (mut promised, own) = (Promised::default(), format!("own-{caller}"));
    let mut version = insert(repository, &grant(&own, "0")).await;
    for number in 1.. {
        let next = repository.replace(Kind::Grant, &grant(&own, &number.to_string()), version, NOW).await;
        version = done(next.expect("a replace can wait"));
        let found = repository.get(Kind::Grant, &own, NOW).await.expect("a read can wait").unwrap();
        assert_eq!((found.record.value, found.version), (number.to_string(), version));
        let (kept, gone) = (format!("kept-{caller}-{number}"), format!("gone-{caller}-{number}"));
        for key in [&kept, &gone] {
            match repository.insert(Kind::Grant, &grant(key, "0"), NOW).await {
                Ok(write) => assert_ne!(write, Write::Conflict),
                Err(error) => promised.doubts(&error),
            }
        }
        match repository.take(Kind::Grant, &gone, NOW).await {
            Ok(_) => promised.taken.push(gone),
            Err(error) => promised.doubts(&error),
        }
        if value(repository, &kept).await.is_some() {
            promised.stored.push(kept);
        }
        promised.stored.push(own.clone());
        writes.fetch_add(4, Ordering::Relaxed);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    promised
}

impl Promised {
    fn doubts(&mut self, error: &RepositoryError) {
        assert!(matches!(error, RepositoryError::Unavailable(_)), "{error:?}");
        self.unanswered += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9_of_the_server_and_what_can_wait_does() {
    killed_again_and_again(Make::Debian).await;
}

pub(super) async fn killed_again_and_again(make: Make) {
    let mut server = RedisServer::of(make, "", &[]);
    let url = server.url();
    promises_hold(&mut server, &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_unavailable_and_then_usable_again() {
    let mut server = RedisServer::new();
    let repository = connect_in_haste(&server.url()).await.unwrap();
    let version = insert(&repository, &grant("key", "0")).await;
    server.stop();
    let asked = Instant::now();
    let ping = repository.ping().await;
    assert!(matches!(ping, Err(RepositoryError::Unavailable(_))), "{ping:?}");
    assert!(asked.elapsed() < Duration::from_millis(500), "readiness is told at once");
    let write = repository.replace(Kind::Grant, &grant("key", "1"), version, NOW).await;
    assert!(matches!(write, Err(RepositoryError::Unavailable(_))), "{write:?}");
    server.start();
    done(repository.replace(Kind::Grant, &grant("key", "1"), version, NOW).await.unwrap());
    repository.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_is_waited_for_so_long() {
    let server = RedisServer::new();
    let repository = connect_in_haste(&server.url()).await.unwrap();
    insert(&repository, &grant("key", "0")).await;
    server.freeze();
    let asked = Instant::now();
    let found = repository.get(Kind::Grant, "key", NOW).await;
    let waited = asked.elapsed();
    server.thaw();
    assert!(matches!(found, Err(RepositoryError::Unavailable(_))), "{found:?}");
    assert!((Duration::from_secs(1)..Duration::from_secs(4)).contains(&waited), "{waited:?}");
    let again = connect(&server.url()).await.unwrap();
    assert_eq!(value(&again, "key").await.as_deref(), Some("0"));
    assert_eq!(value(&repository, "key").await.as_deref(), Some("0"));
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
