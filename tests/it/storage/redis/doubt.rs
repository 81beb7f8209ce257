//! What becomes of a call whose connection breaks, and what a call costs when none does.

use pangea_mcp_auth::repository::{Kind, Page, Repository};

use super::connect;
use crate::{
    storage::servers::{
        NOW, done,
        doubt::{self, Costs},
        grant, insert,
    },
    support::{Records, RedisDatabase, RedisServer, redis::Make},
};

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_one_round_trip() {
    let server = RedisDatabase::new();
    let (proxy, url) = doubt::way_to(&server).await;
    let repository = connect(&url).await.unwrap();
    // The server learns each script once.
    let version = insert(&repository, &grant("first", "0")).await;
    done(repository.replace(Kind::Grant, &grant("first", "1"), version, NOW).await.unwrap());
    repository.take(Kind::Grant, "first", NOW).await.unwrap().unwrap();
    let mut costs = Costs::from_now(&proxy);
    doubt::reads_and_writes_cost_one(&repository, &mut costs).await;
    repository.take(Kind::Grant, "key", NOW).await.unwrap().unwrap();
    costs.one("take");
    repository.ping().await.unwrap();
    costs.one("ping");
    // A page is its part of the index and then its records; a purge looks for every kind.
    repository.list(Kind::Grant, &Page { limit: 5, ..Page::default() }, NOW).await.unwrap();
    costs.one("a list of nothing");
    insert(&repository, &grant("key", "0")).await;
    let before = proxy.requests();
    repository.list(Kind::Grant, &Page { limit: 5, ..Page::default() }, NOW).await.unwrap();
    assert_eq!(proxy.requests() - before, 2, "a list");
    repository.purge_expired(NOW).await.unwrap();
    assert_eq!(proxy.requests() - before, 2 + Kind::ALL.len(), "a purge of nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_asked_again() {
    doubt::a_read(RedisDatabase::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_is_sent_again_and_made_once() {
    doubt::a_replace(RedisDatabase::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_is_never_sent_twice_but_found_if_it_was_made() {
    doubt::an_insert(RedisDatabase::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_is_never_sent_twice() {
    doubt::a_take(RedisDatabase::new()).await;
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
