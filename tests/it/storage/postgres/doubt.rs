//! What becomes of a call whose connection breaks, and what a call costs when none does.

use pangea_mcp_auth::repository::{Kind, Page, Repository, Write};

use super::connect;
use crate::{
    storage::servers::{NOW, done, doubt, grant, insert},
    support::PostgresDatabase,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_one_round_trip() {
    let server = PostgresDatabase::new();
    let (proxy, url) = doubt::way_to(&server).await;
    let repository = connect(&url).await.unwrap();
    repository.ping().await.unwrap();
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
    repository.list(Kind::Grant, &Page { limit: 5, ..Page::default() }, NOW).await.unwrap();
    costs_one("list");
    repository.take(Kind::Grant, "key", NOW).await.unwrap().unwrap();
    costs_one("take");
    repository.purge_expired(NOW).await.unwrap();
    costs_one("purge");
    repository.ping().await.unwrap();
    costs_one("ping");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_asked_again() {
    doubt::a_read(PostgresDatabase::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_is_sent_again_and_made_once() {
    doubt::a_replace(PostgresDatabase::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_is_never_sent_twice_but_found_if_it_was_made() {
    doubt::an_insert(PostgresDatabase::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_is_never_sent_twice() {
    doubt::a_take(PostgresDatabase::new()).await;
}
