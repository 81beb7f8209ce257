//! What is in the table, what reading it costs, and how it is kept clean.

use pangea_mcp_auth::repository::{Kind, Order, Page, PostgresRepository, Repository, RepositoryError};

use super::connect;
use crate::{
    storage::servers::{NOW, done, grant, insert},
    support::{PostgresDatabase, PostgresServer, Records, at_once},
};

/// Grants of ten clients, with their plans in the server's log.
async fn many(number: usize) -> (PostgresServer, std::sync::Arc<PostgresRepository>) {
    let server = PostgresServer::with(
        &[
            "session_preload_libraries=auto_explain",
            "auto_explain.log_min_duration=0",
            "auto_explain.log_analyze=on",
            "auto_explain.log_buffers=on",
        ],
        &[],
    );
    let repository = connect(&server.url()).await.unwrap();
    server.sql(&format!(
        "INSERT INTO pangea_mcp_auth_record
         SELECT 'grant', 'grant-' || lpad(n::text, 8, '0'), n, {}::bigint + n, 'client-' || n % 10, repeat('x', 300)
         FROM generate_series(1, {number}) AS n",
        NOW.as_secs()
    ));
    server.sql("VACUUM ANALYZE pangea_mcp_auth_record");
    // So that what a connection asks at its begin has been asked.
    repository.ping().await.unwrap();
    (server, repository)
}

/// The plans that the server has logged since its log was so long.
fn plans(server: &PostgresServer, since: usize) -> Vec<String> {
    let log = server.said()[since..].to_owned();
    log.split("plan:").skip(1).map(str::to_owned).collect()
}

/// How many pages of memory a statement has touched.
fn buffers(plan: &str) -> u64 {
    let line = plan.lines().find(|line| line.trim().starts_with("Buffers: shared")).expect(plan);
    let counts = line.split(['=', ' ']).filter_map(|word| word.trim().parse::<u64>().ok());
    counts.sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_finds_its_rows_by_an_index() {
    let (server, repository) = many(20_000).await;
    let since = server.said().len();
    // After five times the server may think of a plan that serves all values.
    for _ in 0..8 {
        let read = repository.get(Kind::Grant, "grant-00010000", NOW).await.unwrap().unwrap();
        done(repository.replace(Kind::Grant, &read.record, read.version, NOW).await.unwrap());
        insert(&repository, &grant("new", "{}")).await;
        repository.take(Kind::Grant, "new", NOW).await.unwrap().unwrap();
    }
    for order in [Order::Ascending, Order::Descending] {
        for parent in [None, Some("client-3".to_owned())] {
            for after in [None, Some("grant-00010000".to_owned())] {
                let page = Page { parent: parent.clone(), after, order, limit: 50 };
                assert_eq!(repository.list(Kind::Grant, &page, NOW).await.unwrap().len(), 50);
            }
        }
    }
    repository.purge_expired(NOW.plus(std::time::Duration::from_secs(10))).await.unwrap();
    let plans = plans(&server, since);
    assert_eq!(plans.len(), 4 * 8 + 9, "{plans:#?}");
    let by = |index: &str| plans.iter().filter(|plan| plan.contains(index)).count();
    assert_eq!(
        (by("record_pkey on"), by("record_by_parent on"), by("record_by_expiry on")),
        (3 * 8 + 5, 4, 1)
    );
    for plan in plans {
        assert!(!plan.contains("Seq Scan") && !plan.contains("Sort"), "{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_costs_the_same_at_the_end_as_at_the_start() {
    let (server, repository) = many(20_000).await;
    for parent in [None, Some("client-9".to_owned())] {
        let mut costs = Vec::new();
        for after in ["grant-00000000", "grant-00018000"] {
            let since = server.said().len();
            let after = Some(after.to_owned());
            let page = Page { parent: parent.clone(), after, order: Order::Ascending, limit: 100 };
            assert_eq!(repository.list(Kind::Grant, &page, NOW).await.unwrap().len(), 100);
            costs.push(buffers(&plans(&server, since)[0]));
        }
        assert!(costs[1] <= costs[0] + costs[0] / 2 + 5, "{parent:?}: {costs:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_comes_in_batches_and_waits_for_nobody() {
    let server = PostgresDatabase::new();
    let repository = connect(&server.url()).await.unwrap();
    server.sql(&format!(
        "INSERT INTO pangea_mcp_auth_record
         SELECT 'replay', 'key-' || n, 1, {}, NULL, '{{}}' FROM generate_series(1, 1200) AS n",
        NOW.as_secs()
    ));
    insert(&repository, &grant("alive", "{}")).await;
    let (mut client, connection) =
        tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let holder = client.transaction().await.unwrap();
    holder.batch_execute("SELECT FROM pangea_mcp_auth_record WHERE key = 'key-7' FOR UPDATE").await.unwrap();
    let mut purged = Vec::new();
    for _ in 0..4 {
        purged.push(repository.purge_expired(NOW).await.unwrap());
    }
    assert_eq!(purged, [500, 500, 199, 0]);
    holder.rollback().await.unwrap();
    assert_eq!(repository.purge_expired(NOW).await.unwrap(), 1);
    assert_eq!(server.sql("SELECT key FROM pangea_mcp_auth_record"), "alive\n");
    drop(client);
    connection.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn daemons_that_purge_at_once_share_the_work() {
    let server = PostgresDatabase::new();
    let (one, other) = (connect(&server.url()).await.unwrap(), connect(&server.url()).await.unwrap());
    server.sql(&format!(
        "INSERT INTO pangea_mcp_auth_record
         SELECT 'replay', 'key-' || n, 1, {} - n % 7, NULL, '{{}}' FROM generate_series(1, 5000) AS n",
        NOW.as_secs()
    ));
    let purging = [&one, &other, &one, &other].map(async |repository| {
        let mut purged = 0;
        loop {
            match repository.purge_expired(NOW).await.unwrap() {
                0 => return purged,
                batch => purged += batch,
            }
        }
    });
    assert_eq!(at_once(purging).await.into_iter().sum::<u64>(), 5000);
    assert_eq!(
        server.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"),
        "0\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_row_is_corrupt() {
    let server = PostgresDatabase::new();
    let repository = connect(&server.url()).await.unwrap();
    insert(&repository, &grant("key", "{}")).await;
    for version in [0, -1] {
        server.sql(&format!("UPDATE pangea_mcp_auth_record SET version = {version}"));
        let found = repository.get(Kind::Grant, "key", NOW).await;
        assert!(matches!(found, Err(RepositoryError::Corrupt(_))), "{version}: {found:?}");
    }
}
