//! What a daemon says at its start: one sentence about the problem, or warnings.

use pangea_mcp_auth::repository::{Repository, RepositoryError};

use super::{connect, connect_in_haste};
use crate::{
    storage::servers::{grant, insert, restart},
    support::{
        PgBouncer, PostgresDatabase, PostgresServer, Records, at_once,
        postgres::{PASSWORD, ROLE},
    },
};

const HBA: &[u8] = b"host all locked_out 127.0.0.1/32 reject
host all trusted 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
";

/// What is said when connecting to this URL fails.
async fn sentence(url: &str) -> String {
    let error = connect_in_haste(url).await.expect_err("cannot be used");
    assert!(matches!(error, RepositoryError::Unusable(_)), "{error:?}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(PASSWORD) && !shown.contains("canary"), "{shown}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_is_told_why() {
    let server = PostgresServer::with(&[], &[("pg_hba.conf", HBA)]);
    server.sql(&format!(
        "CREATE ROLE locked_out LOGIN; CREATE ROLE bare LOGIN PASSWORD '{PASSWORD}';
         CREATE ROLE trusted_only LOGIN"
    ));
    server.sql("CREATE DATABASE closed");
    server.sql("REVOKE CONNECT ON DATABASE closed FROM PUBLIC");
    server.sql("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0");
    let place = format!("PostgreSQL at 127.0.0.1:{}", server.port());
    let cases = [
        (
            server.url_with(ROLE, "canary", ROLE),
            format!(
                "{place} refuses the password of the role \"{ROLE}\", or has no such role: correct `password` or the URL"
            ),
        ),
        (
            server.url_with("stranger", "canary", ROLE),
            format!(
                "{place} refuses the password of the role \"stranger\", or has no such role: correct `password` or the URL"
            ),
        ),
        (
            format!("postgres://{ROLE}@127.0.0.1:{}/{ROLE}", server.port()),
            format!("{place} wants a password of the role \"{ROLE}\": set `password`"),
        ),
        (
            server.url_with("trusted", "canary", ROLE),
            format!("{place} has no role \"trusted\": create it, or name another in the URL"),
        ),
        (
            server.url_with("locked_out", "canary", ROLE),
            format!("{place} does not let the role \"locked_out\" in from here ("),
        ),
        (
            server.url_with(ROLE, PASSWORD, "nothing"),
            format!("{place} has no database \"nothing\": create it, or name another in the URL"),
        ),
        (
            server.url_with("bare", PASSWORD, "closed"),
            "the role \"bare\" may not connect to the database \"closed\": grant it CONNECT".to_owned(),
        ),
        (
            server.url_with("bare", PASSWORD, "latin"),
            "the database \"latin\" holds LATIN1, not UTF8: create one with ENCODING 'UTF8'".to_owned(),
        ),
        (
            server.url_with("bare", PASSWORD, ROLE),
            format!(
                "the role \"bare\" may not make the table pangea_mcp_auth_record in the database \"{ROLE}\": grant it CREATE on a schema of its search_path, or start once with the role that owns the table"
            ),
        ),
        (
            format!("{}?sslmode=require", server.url()),
            format!(
                "{place} offers no TLS: switch it on there, or write sslmode=disable if the way there is safe"
            ),
        ),
    ];
    for (url, expected) in cases {
        let said = sentence(&url).await;
        assert!(said.starts_with(&expected), "{said}\nis not\n{expected}");
        assert!(said == expected || expected.ends_with('('), "{said}");
    }
    connect(&server.url()).await.unwrap();
    let said = sentence(&server.url_of("bare")).await;
    let expected = format!(
        "the role \"bare\" may not use the table pangea_mcp_auth_record of the database \"{ROLE}\": grant it SELECT, INSERT, UPDATE and DELETE on it"
    );
    assert_eq!(said, expected);
    server.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON pangea_mcp_auth_record TO bare");
    let repository = connect(&server.url_of("bare")).await.unwrap();
    insert(&repository, &grant("key", "{}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_unavailable() {
    restart::is_absent::<PostgresDatabase>("PostgreSQL", |port| {
        format!("postgres://u:canary@127.0.0.1:{port}/d")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_is_waited_for() {
    restart::starts(PostgresServer::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_and_a_read_only_database_are_refused() {
    let standby = PostgresServer::with(&[], &[("standby.signal", b"")]);
    let expected = format!(
        "PostgreSQL at 127.0.0.1:{} can only be read (it is in recovery or set to read-only): name the primary in the URL",
        standby.port()
    );
    assert_eq!(sentence(&standby.url()).await, expected);
    let server = PostgresDatabase::new();
    let both = format!(
        "postgres://{ROLE}:{}@127.0.0.1:{},127.0.0.1:{}/{}",
        PASSWORD.replace(' ', "%20"),
        standby.port(),
        server.port(),
        server.name()
    );
    connect(&both).await.expect("the second is a primary");
    server.sql(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", server.name()));
    assert!(sentence(&server.url()).await.contains("can only be read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_and_a_foreign_table_are_refused_and_left_alone() {
    let server = PostgresDatabase::new();
    insert(&connect(&server.url()).await.unwrap(), &grant("key", "{}")).await;
    let cases = [
        (
            "COMMENT ON TABLE pangea_mcp_auth_record IS 'pangea-mcp-auth, schema 2'",
            "was written by a newer version of this program (schema 2, known here: 1): run that version",
        ),
        (
            "COMMENT ON TABLE pangea_mcp_auth_record IS 'something else'",
            "is another program's, or its comment was lost: use another database or schema, or restore the table with its comment",
        ),
        (
            "DROP TABLE pangea_mcp_auth_record; CREATE TABLE pangea_mcp_auth_record (it int)",
            "is another program's, or its comment was lost: use another database or schema, or restore the table with its comment",
        ),
    ];
    for (spoil, expected) in cases {
        server.sql(spoil);
        let before = server.dump();
        let database = server.name();
        let expected = format!("the table pangea_mcp_auth_record of the database \"{database}\" {expected}");
        assert_eq!(sentence(&server.url()).await, expected);
        assert!(server.dump() == before, "{spoil}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_start_on_an_empty_database_at_once() {
    let server = PostgresDatabase::new();
    let pooler = PgBouncer::before(&server, 4);
    for url in [server.url(), server.url(), pooler.url()] {
        server.sql("DROP TABLE IF EXISTS pangea_mcp_auth_record");
        let starting = (0..8).map(|_| connect(&url));
        for (number, started) in at_once(starting).await.into_iter().enumerate() {
            insert(&started.unwrap(), &grant(&format!("key-{number}"), "{}")).await;
        }
        assert_eq!(server.sql("SELECT count(*) FROM pangea_mcp_auth_record"), "8\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_knows_whose_the_connections_are() {
    let server = PostgresDatabase::new();
    let repository = connect(&server.url()).await.unwrap();
    repository.ping().await.unwrap();
    let named = "SELECT DISTINCT application_name FROM pg_stat_activity
        WHERE usename = 'mcp_auth' AND datname = current_database()";
    assert_eq!(server.sql(named), "pangea-mcp-auth\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_lose_acknowledged_writes_is_warned_of() {
    let server = PostgresDatabase::new();
    let repository = connect(&server.url()).await.unwrap();
    assert_eq!(repository.warnings().await.unwrap(), Vec::<String>::new());
    server.sql("ALTER TABLE pangea_mcp_auth_record SET UNLOGGED");
    let warnings = repository.warnings().await.unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("SET LOGGED"), "{warnings:?}");

    let server = PostgresServer::with(&["fsync=off", "full_page_writes=off", "synchronous_commit=off"], &[]);
    let warnings = connect(&server.url()).await.unwrap().warnings().await.unwrap();
    let found: Vec<_> = ["`fsync = off`", "`full_page_writes = off`", "`synchronous_commit = off`"]
        .iter()
        .map(|setting| warnings.iter().filter(|warning| warning.contains(setting)).count())
        .collect();
    assert_eq!((found, warnings.len()), (vec![1, 1, 1], 3), "{warnings:?}");

    let server = PostgresServer::with(&["synchronous_standby_names=far", "synchronous_commit=local"], &[]);
    let warnings = connect(&server.url()).await.unwrap().warnings().await.unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("failover"), "{warnings:?}");
}
