//! A Cluster of three servers: every kind of record is in one of them.

use pangea_mcp_auth::repository::{Kind, Page, Repository, RepositoryError, Write};

use super::{connect, connect_in_haste, rules};
use crate::{
    storage::servers::{NOW, done, grant, insert, value},
    support::{
        RecordServer, Records, RedisCluster,
        postgres::until,
        redis::{Make, settings},
    },
};

/// The slot of the hash tag of grants.
fn slot(cluster: &RedisCluster) -> String {
    cluster.servers[0].run(&["CLUSTER", "KEYSLOT", "{grant}"])
}

#[tokio::test(flavor = "multi_thread")]
async fn two_handles_keep_every_rule_in_a_cluster() {
    two_handles(Make::Debian).await;
}

pub(super) async fn two_handles(make: Make) {
    let cluster = RedisCluster::of(make);
    let empty = || cluster.servers.iter().for_each(|server| _ = server.run(&["FLUSHALL"]));
    rules::verify(&settings(&cluster.url_by(1)), empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_moves_is_followed_and_nothing_is_lost() {
    let cluster = RedisCluster::new();
    let (slot, from) = (slot(&cluster), RedisCluster::owner(&slot(&cluster)));
    let to = (from + 1) % 3;
    let repository = connect(&cluster.url_by(to)).await.unwrap();
    let mut version = insert(&repository, &grant("key", "0")).await;
    for number in 0..20 {
        insert(&repository, &grant(&format!("more-{number}"), "0")).await;
    }
    let (handle, runtime) = (repository.clone(), tokio::runtime::Handle::current());
    let mut halfway = None;
    tokio::task::block_in_place(|| {
        cluster.move_slot(&slot, from, to, || {
            assert_eq!(runtime.block_on(value(&handle, "key")).as_deref(), Some("0"));
            // A script needs all its keys on one side, and waits.
            halfway = Some(runtime.spawn(async move {
                let mine = grant("key", "halfway");
                let next = handle.replace(Kind::Grant, &mine, version, NOW).await.unwrap();
                let again = handle.insert(Kind::Grant, &mine, NOW).await.unwrap();
                assert_eq!(again, Write::Conflict);
                done(next)
            }));
        });
    });
    version = halfway.unwrap().await.unwrap();
    assert_eq!(value(&repository, "key").await.as_deref(), Some("halfway"));
    done(repository.replace(Kind::Grant, &grant("key", "there"), version, NOW).await.unwrap());
    assert_eq!(value(&repository, "key").await.as_deref(), Some("there"));
    let page = Page { parent: Some("client".to_owned()), limit: 100, ..Page::default() };
    assert_eq!(repository.list(Kind::Grant, &page, NOW).await.unwrap().len(), 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_it_that_is_away_is_waited_for() {
    let mut cluster = RedisCluster::new();
    let owner = RedisCluster::owner(&slot(&cluster));
    let url = cluster.url_by((owner + 1) % 3);
    let (patient, hasty) = (connect(&url).await.unwrap(), connect_in_haste(&url).await.unwrap());
    let version = insert(&patient, &grant("key", "0")).await;
    cluster.servers[owner].kill();
    let ping = hasty.ping().await;
    assert!(matches!(ping, Err(RepositoryError::Unavailable(_))), "{ping:?}");
    let lost = hasty.replace(Kind::Grant, &grant("key", "1"), version, NOW).await;
    assert!(matches!(lost, Err(RepositoryError::Unavailable(_))), "{lost:?}");
    let other = &cluster.servers[(owner + 1) % 3];
    let is_down = || other.run(&["CLUSTER", "INFO"]).contains("cluster_state:fail");
    tokio::task::block_in_place(|| until("the Cluster is down", is_down));
    let refused = connect_in_haste(&url).await.expect_err("a part is missing");
    assert!(matches!(refused, RepositoryError::Unavailable(_)), "{refused:?}");
    let waiting = patient.clone();
    let waiting =
        tokio::spawn(async move { waiting.replace(Kind::Grant, &grant("key", "2"), version, NOW).await });
    tokio::task::block_in_place(|| cluster.servers[owner].start());
    done(waiting.await.unwrap().unwrap());
    assert_eq!(value(&hasty, "key").await.as_deref(), Some("2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_no_single_server_and_may_lose_what_it_acknowledged() {
    no_single_server(Make::Debian).await;
}

pub(super) async fn no_single_server(make: Make) {
    let cluster = RedisCluster::of(make);
    let single = connect_in_haste(&cluster.servers[0].url()).await.expect_err("is one of many");
    assert!(matches!(single, RepositoryError::Unusable(_)), "{single:?}");
    assert!(
        single.to_string().ends_with("belongs to a Cluster: write redis+cluster:// in the URL"),
        "{single}"
    );
    let warnings = connect(&cluster.url_by(0)).await.unwrap().warnings().await.unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("failover"), "{warnings:?}");
}
