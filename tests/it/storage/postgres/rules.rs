//! The rules of every repository, by two handles with a pool each.

use std::sync::Arc;

use pangea_mcp_auth::repository::{Kind, PostgresRepository, PostgresSettings, Repository, conformance};

use super::connect;
use crate::{
    storage::servers::{NOW, done, grant, insert, value},
    support::{PgBouncer, PostgresDatabase, PostgresServer, Records, postgres::settings},
};

/// Checks every rule, each on an empty database.
pub(super) async fn verify(server: &PostgresDatabase, settings: &PostgresSettings) {
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
    let server = PostgresDatabase::new();
    verify(&server, &settings(&server.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pools_keep_every_rule_through_a_pooler_of_transactions() {
    let server = PostgresDatabase::new();
    for start in [PgBouncer::before, PgBouncer::that_ignores_options] {
        let pooler = start(&server, 3);
        verify(&server, &settings(&pooler.url())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_in_the_sessions_of_a_pooler() {
    let server = PostgresDatabase::new();
    for start in [PgBouncer::before, PgBouncer::that_ignores_options] {
        let pooler = start(&server, 1);
        let repository = connect(&pooler.url()).await.unwrap();
        server.sql("TRUNCATE pangea_mcp_auth_record");
        insert(&repository, &grant("key", "{}")).await;
        repository.ping().await.unwrap();
        assert_eq!(left_behind(&pooler).await, ["0", "0", "0"]);
    }
}

/// How many statements, settings and locks the only session behind a pooler has.
async fn left_behind(pooler: &PgBouncer) -> Vec<String> {
    let (client, connection) = tokio_postgres::connect(&pooler.url(), tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let left = "SELECT count(*) FROM pg_prepared_statements
        UNION ALL SELECT count(*) FROM pg_settings WHERE source = 'session'
            AND name NOT IN ('application_name', 'client_encoding')
        UNION ALL SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let left = client.simple_query(left).await.unwrap();
    let counts = left.iter().filter_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    let counts = counts.collect();
    drop(client);
    connection.await.unwrap().unwrap();
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_its_own_keeps_what_is_asked_again_and_again() {
    let server = PostgresServer::with(&["log_statement=all"], &[]);
    let repository = connect(&server.url()).await.unwrap();
    let since = server.said().len();
    let version = insert(&repository, &grant("key", "0")).await;
    repository.get(Kind::Grant, "key", NOW).await.unwrap().unwrap();
    done(repository.replace(Kind::Grant, &grant("key", "1"), version, NOW).await.unwrap());
    repository.take(Kind::Grant, "key", NOW).await.unwrap().unwrap();
    repository.ping().await.unwrap();
    let said = server.said()[since..].to_owned();
    let named = said.matches("execute s").count();
    assert_eq!((named, said.matches("execute <unnamed>: \n    SELECT 1").count()), (4, 0), "{said}");
}

/// As when a later version changes the table while this one runs.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_keeps_may_be_overtaken_by_a_change_of_the_table() {
    let server = PostgresDatabase::new();
    let repository = connect(&server.url()).await.unwrap();
    insert(&repository, &grant("key", "0")).await;
    assert_eq!(value(&repository, "key").await.as_deref(), Some("0"));
    server.sql("ALTER TABLE pangea_mcp_auth_record ALTER COLUMN value TYPE varchar");
    assert_eq!(value(&repository, "key").await.as_deref(), Some("0"));
}
