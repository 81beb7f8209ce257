//! Servers that go away under load, stand still, or are busy.

use pangea_mcp_auth::repository::{Kind, RepositoryError};

use super::connect_in_haste;
use crate::{
    storage::servers::{NOW, grant, insert, restart, value},
    support::{PgBouncer, PostgresDatabase, PostgresServer, Records, postgres::until},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9_of_the_server_and_what_can_wait_does() {
    let mut server = PostgresServer::new();
    let url = server.url();
    restart::promises_hold(&mut server, &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_holds_behind_a_pooler() {
    let mut server = PostgresServer::new();
    let pooler = PgBouncer::before(&server, 4);
    restart::promises_hold(&mut server, &pooler.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_unavailable_and_then_usable_again() {
    restart::is_away(PostgresServer::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_is_waited_for_so_long() {
    restart::stands_still(PostgresServer::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_ended_in_the_server() {
    let server = PostgresDatabase::new();
    let repository = connect_in_haste(&server.url()).await.unwrap();
    let version = insert(&repository, &grant("key", "0")).await;
    let (mut client, connection) =
        tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let holder = client.transaction().await.unwrap();
    holder.batch_execute("LOCK TABLE pangea_mcp_auth_record").await.unwrap();
    let write = repository.replace(Kind::Grant, &grant("key", "1"), version, NOW).await;
    assert!(matches!(write, Err(RepositoryError::Unavailable(_))), "{write:?}");
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND datname = current_database()";
    tokio::task::block_in_place(|| until("nothing waits", || server.sql(waiting) == "0\n"));
    holder.rollback().await.unwrap();
    assert_eq!(value(&repository, "key").await.as_deref(), Some("0"));
    drop(client);
    connection.await.unwrap().unwrap();
}
