//! The rules of every repository, by two handles with a connection each.

use std::sync::Arc;

use pangea_mcp_auth::repository::{RedisRepository, RedisSettings, Repository, conformance};

use crate::support::{
    Records, RedisServer,
    redis::{Make, settings},
};

/// Checks every rule, each on empty servers.
pub(super) async fn verify(settings: &RedisSettings, empty: impl Fn()) {
    let verdict = conformance::verify(async || {
        empty();
        let one = RedisRepository::connect(settings).await.unwrap();
        let other = RedisRepository::connect(settings).await.unwrap();
        [Arc::new(one) as Arc<dyn Repository>, Arc::new(other)]
    });
    assert_eq!(verdict.await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_connections_keep_every_rule() {
    two_connections_to(Make::Debian).await;
}

pub(super) async fn two_connections_to(make: Make) {
    let server = RedisServer::of(make, "", &[]);
    verify(&settings(&server.url()), || _ = server.run(&["FLUSHALL"])).await;
}
