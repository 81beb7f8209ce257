//! What becomes of a call whose connection breaks, and what a call costs when none does.

use pangea_mcp_auth::repository::{Kind, Page, Repository};

use super::connect;
use crate::{
    storage::servers::{
        NOW,
        doubt::{self, Costs},
    },
    support::PostgresDatabase,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_one_round_trip() {
    let server = PostgresDatabase::new();
    let (proxy, url) = doubt::way_to(&server).await;
    let repository = connect(&url).await.unwrap();
    repository.ping().await.unwrap();
    let mut costs = Costs::from_now(&proxy);
    doubt::reads_and_writes_cost_one(&repository, &mut costs).await;
    repository.list(Kind::Grant, &Page { limit: 5, ..Page::default() }, NOW).await.unwrap();
    costs.one("list");
    repository.take(Kind::Grant, "key", NOW).await.unwrap().unwrap();
    costs.one("take");
    repository.purge_expired(NOW).await.unwrap();
    costs.one("purge");
    repository.ping().await.unwrap();
    costs.one("ping");
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
