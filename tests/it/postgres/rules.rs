//! The rules of every repository, by two handles with a pool each.

use std::sync::Arc;

use pangea_mcp_auth::repository::{PostgresRepository, PostgresSettings, Repository, conformance};

use super::settings;
use crate::support::{PgBouncer, PostgresServer};

/// Checks every rule, each on an empty database.
pub(super) async fn verify(server: &PostgresServer, settings: &PostgresSettings) {
    let verdict = conformance::verify(async || {
        server.sql("DROP TABLE IF EXISTS pangea_mcp_auth_record");
        let one = PostgresRepository::connect(settings).await.unwrap();
        let other = PostgresRepository::connect(settings).await.unwrap();
        [Arc::new(one) as Arc<dyn Repository>, Arc::new(other)]
    });
    assert_eq!(verdict.await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pools_keep_every_rule() {
    let server = PostgresServer::new();
    verify(&server, &settings(&server.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pools_keep_every_rule_through_a_pooler_of_transactions() {
    let server = PostgresServer::new();
    let pooler = PgBouncer::before(&server, 3);
    verify(&server, &settings(&pooler.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_in_the_sessions_of_a_pooler() {
    let server = PostgresServer::new();
    let pooler = PgBouncer::before(&server, 1);
    let repository = super::connect(&pooler.url()).await.unwrap();
    super::insert(&repository, &super::grant("key", "{}")).await;
    repository.ping().await.unwrap();
    let (client, connection) = tokio_postgres::connect(&pooler.url(), tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let left = "SELECT count(*) FROM pg_prepared_statements
        UNION ALL SELECT count(*) FROM pg_settings WHERE source = 'session'
            AND name NOT IN ('application_name', 'client_encoding')
        UNION ALL SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    let left = client.simple_query(left).await.unwrap();
    let counts: Vec<_> = left
        .iter()
        .filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .collect();
    assert_eq!(counts, ["0", "0", "0"]);
    drop(client);
    connection.await.unwrap().unwrap();
}
