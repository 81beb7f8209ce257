//! TLS, with an authority of the test's own.

use std::sync::Arc;

use pangea_mcp_auth::repository::{Kind, RedisRepository, RedisSettings, Repository};

use super::rules;
use crate::{
    storage::servers::{NOW, done, grant, insert, value},
    support::{Authority, RecordServer, Records, RedisCluster, RedisSentinels, RedisServer, redis::settings},
};

/// How the servers of a Cluster name each other by what their certificates say.
const BY_NAME: &str = "cluster-announce-hostname localhost\ncluster-preferred-endpoint-type hostname\n";

fn trusting(url: &str, authority: &Authority) -> RedisSettings {
    RedisSettings { ca_file: Some(authority.file()), ..settings(url) }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_connections_keep_every_rule_over_tls() {
    let authority = Authority::new("IP:127.0.0.1");
    let server = RedisServer::over_tls(&authority, "");
    let settings = trusting(&server.tls_url("127.0.0.1"), &authority);
    rules::verify(&settings, || _ = server.run(&["FLUSHALL"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_certificate_is_verified_with_the_name_of_its_server() {
    let (known, other) = (Authority::new("DNS:localhost"), Authority::new("DNS:localhost"));
    let server = RedisServer::over_tls(&known, "");
    let by_name = server.tls_url("localhost");
    RedisRepository::connect(&trusting(&by_name, &known)).await.unwrap();
    let refused =
        [trusting(&by_name, &other), trusting(&server.tls_url("127.0.0.1"), &known), settings(&by_name)];
    for settings in refused {
        refuses_the_certificate(&settings).await;
    }
    let with_ca = trusting(&server.url(), &known);
    let plain = RedisRepository::connect(&with_ca).await.expect_err("ca_file means nothing").to_string();
    assert!(plain.contains("write rediss://"), "{plain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_handles_keep_every_rule_in_a_cluster_over_tls() {
    let authority = Authority::new("DNS:localhost");
    let cluster = RedisCluster::over_tls(&authority, BY_NAME);
    let empty = || cluster.servers.iter().for_each(|server| _ = server.run(&["FLUSHALL"]));
    rules::verify(&trusting(&cluster.tls_url_by(1, "localhost"), &authority), empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_of_a_cluster_are_verified_under_the_names_that_they_give_each_other() {
    let authority = Authority::new("DNS:localhost");
    let cluster = RedisCluster::over_tls(&authority, "");
    // The first is found by its name, the others by their address.
    refuses_the_certificate(&trusting(&cluster.tls_url_by(0, "localhost"), &authority)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_handles_keep_every_rule_by_way_of_sentinels_over_tls() {
    let authority = Authority::new("DNS:localhost");
    let group = RedisSentinels::over_tls(&authority);
    let settings = trusting(&group.tls_url(), &authority);
    rules::verify(&settings, || _ = group.servers[0].run(&["FLUSHALL"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_dies_is_replaced_over_tls() {
    let authority = Authority::new("DNS:localhost");
    let mut group = RedisSentinels::over_tls(&authority);
    let settings = trusting(&group.tls_url(), &authority);
    let repository = Arc::new(RedisRepository::connect(&settings).await.unwrap());
    let version = insert(&repository, &grant("key", "0")).await;
    assert_eq!(group.servers[0].run(&["WAIT", "1", "10000"]), "1", "the replica has it");
    group.servers[0].kill();
    let next = repository.replace(Kind::Grant, &grant("key", "1"), version, NOW).await;
    done(next.expect("it can wait"));
    tokio::task::block_in_place(|| group.wait_for_primary(1));
    assert_eq!(value(&repository, "key").await.as_deref(), Some("1"));
    let other = Authority::new("DNS:localhost");
    refuses_the_certificate(&trusting(&group.tls_url(), &other)).await;
}

async fn refuses_the_certificate(settings: &RedisSettings) {
    let error = RedisRepository::connect(settings).await.expect_err("is not trusted").to_string();
    assert!(error.starts_with("the certificate of Redis at "), "{error}");
    assert!(error.contains(" is not trusted ("), "{error}");
}
