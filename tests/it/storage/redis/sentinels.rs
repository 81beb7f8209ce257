//! A primary and a replica under three Sentinels.

use pangea_mcp_auth::repository::{Kind, Repository, RepositoryError};

use super::{connect, connect_in_haste, rules, settings};
use crate::{
    storage::servers::{NOW, done, grant, insert, value},
    support::{RecordServer, Records, RedisDatabase, RedisSentinels, postgres::until, redis::Make},
};

#[tokio::test(flavor = "multi_thread")]
async fn two_handles_keep_every_rule_by_way_of_sentinels() {
    let group = RedisSentinels::new();
    rules::verify(&settings(&group.url()), || _ = group.servers[0].run(&["FLUSHALL"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_dies_is_replaced_and_what_can_wait_does() {
    a_primary_dies(Make::Debian).await;
}

pub(super) async fn a_primary_dies(make: Make) {
    let mut group = RedisSentinels::of(make);
    let repository = connect(&group.url()).await.unwrap();
    let version = insert(&repository, &grant("key", "0")).await;
    assert_eq!(group.servers[0].run(&["WAIT", "1", "10000"]), "1", "the replica has it");
    group.servers[0].kill();
    let next = repository.replace(Kind::Grant, &grant("key", "1"), version, NOW).await.expect("it can wait");
    let next = done(next);
    tokio::task::block_in_place(|| group.wait_for_primary(1));
    assert_eq!(value(&repository, "key").await.as_deref(), Some("1"));
    // What was the primary comes back as a replica, and no write goes there.
    tokio::task::block_in_place(|| group.servers[0].start());
    done(repository.replace(Kind::Grant, &grant("key", "2"), next, NOW).await.unwrap());
    assert!(group.servers[1].dump().windows(3).any(|bytes| bytes == b"key"));
    repository.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_that_are_changed_by_hand_are_followed() {
    let group = RedisSentinels::new();
    let repository = connect(&group.url()).await.unwrap();
    let version = insert(&repository, &grant("key", "0")).await;
    assert_eq!(group.servers[0].run(&["WAIT", "1", "10000"]), "1", "the replica has it");
    tokio::task::block_in_place(|| {
        group.fail_over();
        group.wait_for_primary(1);
        // Until a Sentinel demotes it, the old primary takes writes that will be lost.
        until("it is a replica", || group.servers[0].run(&["ROLE"]).starts_with("slave"));
    });
    done(repository.replace(Kind::Grant, &grant("key", "1"), version, NOW).await.unwrap());
    assert!(group.servers[1].run(&["GET", "pangea-mcp-auth:{grant}:record:key"]).ends_with('1'));
    let warnings = repository.warnings().await.unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("failover"), "{warnings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_sentinel_or_knows_no_such_service_is_told() {
    no_sentinel(Make::Debian).await;
}

pub(super) async fn no_sentinel(make: Make) {
    let group = RedisSentinels::of(make);
    let said = connect_in_haste(&group.url_of("nothing")).await.expect_err("no such service");
    assert!(matches!(said, RepositoryError::Unusable(_)), "{said:?}");
    assert!(said.to_string().ends_with("knows no service \"nothing\": correct the end of the URL"), "{said}");
    let single = group.url().replace("redis+sentinel://", "redis://").replace("/records", "");
    let sentinel = format!("redis://{}", single.rsplit('@').next().unwrap().split(',').next().unwrap());
    let said = connect_in_haste(&sentinel).await.expect_err("holds no records").to_string();
    assert!(said.ends_with("is a Sentinel: write redis+sentinel://host:26379/service in the URL"), "{said}");
    let wrong = RedisDatabase::new().url().replace("redis://", "redis+sentinel://");
    let wrong = format!("{}/records", wrong.rsplit_once('/').unwrap().0);
    let said = connect_in_haste(&wrong).await.expect_err("is no Sentinel").to_string();
    assert!(said.contains("is no Sentinel"), "{said}");
}
