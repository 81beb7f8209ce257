//! What becomes of a call whose connection breaks, and what a call costs when none does.

use pangea_mcp_auth::repository::{Kind, Page, Repository, RepositoryError, Write};

use super::{NOW, connect, done, grant, insert, value};
use crate::support::{Fate, Proxy, RedisServer, redis::Make};

const BROKEN: [Fate; 2] = [Fate::Lost, Fate::AnswerLost];

async fn server() -> (RedisServer, Proxy, String) {
    let server = RedisServer::new();
    let proxy = Proxy::before(server.port()).await;
    let url = proxy.url(&server.url(), server.port());
    (server, proxy, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_one_round_trip() {
    let (_server, proxy, url) = server().await;
    let repository = connect(&url).await.unwrap();
    // The server learns each script once.
    let version = insert(&repository, &grant("first", "0")).await;
    done(repository.replace(Kind::Grant, &grant("first", "1"), version, NOW).await.unwrap());
    repository.take(Kind::Grant, "first", NOW).await.unwrap().unwrap();
    let mut before = proxy.requests();
    let mut costs_one = |call: &str| {
        assert_eq!(proxy.requests() - before, 1, "{call}");
        before = proxy.requests();
    };
    let version = insert(&repository, &grant("key", "0")).await;
    costs_one("insert");
    let read = repository.get(Kind::Grant, "key", NOW).await.unwrap().unwrap();
    costs_one("get");
    assert_eq!(read.version, version);
    done(repository.replace(Kind::Grant, &grant("key", "1"), version, NOW).await.unwrap());
    costs_one("replace");
    let conflict = repository.replace(Kind::Grant, &grant("key", "2"), version, NOW).await.unwrap();
    assert_eq!(conflict, Write::Conflict);
    costs_one("a replace that conflicts");
    let conflict = repository.insert(Kind::Grant, &grant("key", "2"), NOW).await.unwrap();
    assert_eq!(conflict, Write::Conflict);
    costs_one("an insert that conflicts");
    repository.take(Kind::Grant, "key", NOW).await.unwrap().unwrap();
    costs_one("take");
    repository.ping().await.unwrap();
    costs_one("ping");
    // A page is its part of the index and then its records; a purge looks for every kind.
    repository.list(Kind::Grant, &Page { limit: 5, ..Page::default() }, NOW).await.unwrap();
    assert_eq!(proxy.requests() - before, 1, "a list of nothing");
    insert(&repository, &grant("key", "0")).await;
    before = proxy.requests();
    repository.list(Kind::Grant, &Page { limit: 5, ..Page::default() }, NOW).await.unwrap();
    assert_eq!(proxy.requests() - before, 2, "a list");
    repository.purge_expired(NOW).await.unwrap();
    assert_eq!(proxy.requests() - before, 2 + Kind::ALL.len(), "a purge of nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_asked_again() {
    let (_server, proxy, url) = server().await;
    let repository = connect(&url).await.unwrap();
    insert(&repository, &grant("key", "0")).await;
    for fate in BROKEN {
        proxy.next(fate);
        assert_eq!(value(&repository, "key").await.as_deref(), Some("0"), "{fate:?}");
        proxy.next(fate);
        let listed = repository.list(Kind::Grant, &Page { limit: 5, ..Page::default() }, NOW).await.unwrap();
        assert_eq!(listed, [grant("key", "0")], "{fate:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_is_sent_again_and_made_once() {
    let (_server, proxy, url) = server().await;
    let repository = connect(&url).await.unwrap();
    let mut version = insert(&repository, &grant("key", "0")).await;
    for fate in BROKEN {
        proxy.next(fate);
        let next = repository.replace(Kind::Grant, &grant("key", &format!("{fate:?}")), version, NOW).await;
        let next = done(next.unwrap());
        let found = repository.get(Kind::Grant, "key", NOW).await.unwrap().unwrap();
        assert_eq!((found.record.value, found.version), (format!("{fate:?}"), next));
        assert_ne!(next, version);
        proxy.next(fate);
        let stale = repository.replace(Kind::Grant, &grant("key", "stale"), version, NOW).await;
        assert!(matches!(stale, Err(RepositoryError::Unavailable(_))), "nobody knows: {stale:?}");
        assert_eq!(value(&repository, "key").await, Some(format!("{fate:?}")));
        version = next;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_is_never_sent_twice_but_found_if_it_was_made() {
    let (_server, proxy, url) = server().await;
    let repository = connect(&url).await.unwrap();
    // The server learns the script.
    insert(&repository, &grant("first", "0")).await;
    proxy.next(Fate::AnswerLost);
    let version = insert(&repository, &grant("made", "0")).await;
    let found = repository.get(Kind::Grant, "made", NOW).await.unwrap().unwrap();
    assert_eq!(found.version, version);

    proxy.next(Fate::Lost);
    let lost = repository.insert(Kind::Grant, &grant("lost", "0"), NOW).await;
    assert!(matches!(lost, Err(RepositoryError::Unavailable(_))), "{lost:?}");
    assert_eq!(value(&repository, "lost").await, None);

    proxy.next(Fate::AnswerLost);
    let taken = repository.insert(Kind::Grant, &grant("made", "1"), NOW).await;
    assert!(matches!(taken, Err(RepositoryError::Unavailable(_))), "{taken:?}");
    assert_eq!(value(&repository, "made").await.as_deref(), Some("0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_is_never_sent_twice() {
    let (_server, proxy, url) = server().await;
    let repository = connect(&url).await.unwrap();
    for (fate, left) in [(Fate::Lost, true), (Fate::AnswerLost, false)] {
        insert(&repository, &grant("key", "0")).await;
        proxy.next(fate);
        let taken = repository.take(Kind::Grant, "key", NOW).await;
        assert!(matches!(taken, Err(RepositoryError::Unavailable(_))), "{fate:?}: {taken:?}");
        assert_eq!(value(&repository, "key").await.is_some(), left, "{fate:?}");
        repository.take(Kind::Grant, "key", NOW).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_lost_the_scripts_gets_them_again() {
    lost_scripts(Make::Debian).await;
}

pub(super) async fn lost_scripts(make: Make) {
    let server = RedisServer::of(make, "", &[]);
    let repository = connect(&server.url()).await.unwrap();
    let mut version = insert(&repository, &grant("key", "0")).await;
    server.run(&["SCRIPT", "FLUSH"]);
    repository.ping().await.unwrap();
    server.run(&["SCRIPT", "FLUSH"]);
    version = done(repository.replace(Kind::Grant, &grant("key", "1"), version, NOW).await.unwrap());
    server.run(&["SCRIPT", "FLUSH"]);
    insert(&repository, &grant("other", "0")).await;
    server.run(&["SCRIPT", "FLUSH"]);
    done(repository.replace(Kind::Grant, &grant("key", "2"), version, NOW).await.unwrap());
    server.run(&["SCRIPT", "FLUSH"]);
    assert_eq!(repository.take(Kind::Grant, "key", NOW).await.unwrap().unwrap().value, "2");
    server.run(&["SCRIPT", "FLUSH"]);
    assert_eq!(repository.purge_expired(NOW).await.unwrap(), 0);
}
