//! Servers that go away under load, stand still, or are about to start.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use pangea_mcp_auth::repository::{Kind, Repository, RepositoryError, Write};
use tokio::task::JoinSet;

use super::{HASTE, NOW, done, grant, insert, value};
use crate::support::{PATIENCE, RecordServer, Records, postgres::until, process::free_port};

/// What one caller was promised.
#[derive(Default)]
struct Promised {
    stored: Vec<String>,
    taken: Vec<String>,
    unanswered: usize,
}

/// Kills the server again and again under load; then everything acknowledged must hold. What can wait
/// is answered: no read and no replace may fail.
pub(crate) async fn promises_hold<S: RecordServer>(server: &mut S, url: &str) {
    let repository = S::Target::connect(url, PATIENCE).await.unwrap();
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
    repository: &Arc<dyn Repository>,
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

/// Whether a server called `name` that is not there is said to be. `url` makes a URL with a port.
pub(crate) async fn is_absent<D: Records>(name: &str, url: impl FnOnce(u16) -> String) {
    let port = free_port();
    let error = D::connect(&url(port), HASTE).await.expect_err("none");
    assert!(matches!(error, RepositoryError::Unavailable(_)), "{error:?}");
    let said = error.to_string();
    let expected = format!(
        "the repository is unavailable: {name} at 127.0.0.1:{port} does not answer: Connection refused"
    );
    assert!(said.starts_with(&expected), "{said}");
}

pub(crate) async fn is_away<S: RecordServer>(mut server: S) {
    let repository = S::Target::connect(&server.url(), HASTE).await.unwrap();
    let version = insert(&repository, &grant("key", "0")).await;
    server.stop();
    let asked = Instant::now();
    let ping = repository.ping().await;
    assert!(matches!(ping, Err(RepositoryError::Unavailable(_))), "{ping:?}");
    assert!(asked.elapsed() < Duration::from_millis(500), "readiness is known at once");
    let write = repository.replace(Kind::Grant, &grant("key", "1"), version, NOW).await;
    assert!(matches!(write, Err(RepositoryError::Unavailable(_))), "{write:?}");
    server.start();
    done(repository.replace(Kind::Grant, &grant("key", "1"), version, NOW).await.unwrap());
    repository.ping().await.unwrap();
}

pub(crate) async fn stands_still<S: RecordServer>(server: S) {
    let repository = S::Target::connect(&server.url(), HASTE).await.unwrap();
    insert(&repository, &grant("key", "0")).await;
    server.freeze();
    let asked = Instant::now();
    let found = repository.get(Kind::Grant, "key", NOW).await;
    let waited = asked.elapsed();
    server.thaw();
    assert!(matches!(found, Err(RepositoryError::Unavailable(_))), "{found:?}");
    assert!((HASTE..HASTE + Duration::from_secs(3)).contains(&waited), "{waited:?}");
    let again = S::Target::connect(&server.url(), PATIENCE).await.unwrap();
    assert_eq!(value(&again, "key").await.as_deref(), Some("0"));
    assert_eq!(value(&repository, "key").await.as_deref(), Some("0"));
}

pub(crate) async fn starts<S: RecordServer>(mut server: S) {
    server.stop();
    let url = server.url();
    let waiting = tokio::spawn(async move { S::Target::connect(&url, PATIENCE).await });
    tokio::task::block_in_place(|| server.start());
    waiting.await.unwrap().unwrap();
}
