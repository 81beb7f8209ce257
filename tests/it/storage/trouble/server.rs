//! A `PostgreSQL` or Redis server that does not let the daemon in, is not there, or goes away.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
};

use super::{Patient, home, refuses};
use crate::support::{
    PostgresDatabase, PostgresServer, RecordServer, Records, RedisDatabase, RedisServer,
    postgres::{PASSWORD, ROLE, until},
    process::free_port,
};

/// The lines of `[repository]` for a daemon that does not wait long.
pub(super) fn repository(records: &impl Records) -> String {
    format!("{}timeout = \"1s\"", records.configuration())
}

/// The same for this URL of `PostgreSQL`.
fn repository_at(url: &str) -> String {
    format!("kind = \"postgres\"\nurl = \"{url}\"\ntimeout = \"1s\"")
}

#[test]
fn whoever_is_not_let_in_says_why_and_ends() {
    let server = PostgresDatabase::new();
    let place = format!("PostgreSQL at 127.0.0.1:{}", server.port());
    let cases = [
        (
            server.url_with(ROLE, "canary", server.name()),
            format!("{place} refuses the password of the role \"{ROLE}\""),
        ),
        (
            server.url_with("stranger", "canary", server.name()),
            format!("{place} refuses the password of the role \"stranger\", or has no such role"),
        ),
        (
            server.url_with(ROLE, PASSWORD, "nothing"),
            format!("{place} has no database \"nothing\": create it"),
        ),
    ];
    for (url, sentence) in cases {
        refuses(&home(&repository_at(&url)), 69, &sentence);
    }
}

#[test]
fn a_server_that_is_not_there_is_named_with_what_it_did() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let cases = [
        (format!("127.0.0.1:{}", free_port()), "does not answer: Connection refused"),
        (silent.local_addr().unwrap().to_string(), "does not answer: no answer within 1000 ms"),
        ("nowhere.invalid:5432".to_owned(), "PostgreSQL at nowhere.invalid:5432 does not answer"),
    ];
    for (address, sentence) in cases {
        refuses(&home(&repository_at(&format!("postgres://u:canary@{address}/d"))), 69, sentence);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_or_shuts_the_door_is_waited_for() {
    let mut server = PostgresServer::new();
    let mut patient = Patient::with(&repository(&*server)).await;
    tokio::task::block_in_place(|| server.kill());
    patient.is_in_trouble().await;
    tokio::task::block_in_place(|| server.start());
    patient.has_recovered().await;

    server.freeze();
    patient.is_in_trouble().await;
    server.thaw();
    patient.has_recovered().await;

    let shut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '";
    server.sql(&format!("ALTER ROLE {ROLE} NOLOGIN"));
    server.sql(&format!("{shut}{ROLE}'"));
    patient.is_in_trouble().await;
    server.sql(&format!("ALTER ROLE {ROLE} LOGIN"));
    patient.has_recovered().await;
    patient.restarted().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_its_data_is_damaged_is_waited_for_until_it_is_restored() {
    let mut server = PostgresServer::new();
    let mut patient = Patient::with(&repository(&*server)).await;
    for relation in ["pangea_mcp_auth_record", "pangea_mcp_auth_record_pkey"] {
        let file = server.file_of(relation);
        tokio::task::block_in_place(|| server.stop());
        let sound = fs::read(&file).unwrap();
        fs::write(&file, vec![0xaa; sound.len()]).unwrap();
        tokio::task::block_in_place(|| server.start());
        patient.is_in_trouble().await;
        patient.daemon.err.wait_for("SQLSTATE XX001");
        tokio::task::block_in_place(|| server.stop());
        fs::write(&file, sound).unwrap();
        tokio::task::block_in_place(|| server.start());
        patient.has_recovered().await;
    }
    patient.restarted().await;
}

#[test]
fn a_redis_server_that_lets_nobody_in_is_named() {
    let server = RedisDatabase::new();
    let redis = |url: &str| format!("kind = \"redis\"\nurl = \"{url}\"\ntimeout = \"1s\"");
    for url in [server.url_of("mcp_auth", "canary"), server.url_of("stranger", "canary")] {
        refuses(&home(&redis(&url)), 69, &format!("Redis at 127.0.0.1:{}", server.port()));
    }
    let (port, silent) = (free_port(), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    for address in [format!("127.0.0.1:{port}"), silent.local_addr().unwrap().to_string()] {
        let place = format!("Redis at {address}");
        refuses(&home(&redis(&format!("redis://u:canary@{address}/0"))), 69, &place);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_server_that_goes_away_or_stands_still_is_waited_for() {
    let mut server = RedisServer::new();
    let mut patient = Patient::with(&repository(&*server)).await;
    for _ in 0..2 {
        tokio::task::block_in_place(|| server.kill());
        patient.is_in_trouble().await;
        tokio::task::block_in_place(|| server.start());
        patient.has_recovered().await;
    }
    server.freeze();
    patient.is_in_trouble().await;
    server.thaw();
    patient.has_recovered().await;
    patient.restarted().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_server_that_refuses_writes_is_waited_for_and_read_meanwhile() {
    let server = RedisServer::new();
    let mut patient = Patient::with(&repository(&*server)).await;
    let nobody = free_port().to_string();
    let cases: [(&str, &[&str], &[&str]); 3] = [
        (
            "OOM command not allowed when used memory > 'maxmemory'",
            &["CONFIG", "SET", "maxmemory", "1"],
            &["CONFIG", "SET", "maxmemory", "0"],
        ),
        (
            "is a replica and can only be read",
            &["REPLICAOF", "127.0.0.1", &nobody],
            &["REPLICAOF", "NO", "ONE"],
        ),
        (
            "NOREPLICAS Not enough good replicas to write",
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
        ),
    ];
    for (sentence, spoil, mend) in cases {
        server.run(spoil);
        patient.is_in_trouble().await;
        patient.keeps_its_promises().await;
        patient.daemon.err.wait_for(sentence);
        server.run(mend);
        patient.has_recovered().await;
    }
    patient.restarted().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_server_whose_snapshots_fail_is_waited_for_and_read_meanwhile() {
    let server = RedisServer::new();
    let mut patient = Patient::with(&repository(&*server)).await;
    let saves = |outcome: &str| {
        server.run(&["BGSAVE"]);
        until("it has tried", || {
            let told = server.run(&["INFO", "persistence"]);
            let has = |line| told.lines().any(|told| told.trim() == line);
            has("rdb_bgsave_in_progress:0") && has(&format!("rdb_last_bgsave_status:{outcome}"))
        });
    };
    server.run(&["CONFIG", "SET", "save", "3600 1000000"]);
    // No file can take the place of a folder.
    let snapshot = server.path("dump.rdb");
    fs::create_dir(&snapshot).unwrap();
    tokio::task::block_in_place(|| saves("err"));
    patient.is_in_trouble().await;
    patient.keeps_its_promises().await;
    patient.daemon.err.wait_for("MISCONF Redis is configured to save RDB snapshots, but");
    fs::remove_dir(&snapshot).unwrap();
    tokio::task::block_in_place(|| saves("ok"));
    patient.has_recovered().await;
    patient.restarted().await;
}
