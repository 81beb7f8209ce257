//! A `PostgreSQL` or Redis server that does not let the daemon in, is not there, or goes away.

use std::net::{Ipv4Addr, TcpListener};

use super::{Patient, home, refuses};
use crate::support::{
    PostgresServer, RedisServer,
    postgres::{PASSWORD, ROLE},
    process::free_port,
};

fn repository(url: &str) -> String {
    format!("kind = \"postgres\"\nurl = \"{url}\"\ntimeout = \"1s\"")
}

#[test]
fn whoever_is_not_let_in_says_why_and_ends() {
    let server = PostgresServer::new();
    let place = format!("PostgreSQL at 127.0.0.1:{}", server.port());
    let cases = [
        (
            server.url_with(ROLE, "canary", ROLE),
            format!("{place} refuses the password of the role \"{ROLE}\""),
        ),
        (
            server.url_with("nobody", "canary", ROLE),
            format!("{place} refuses the password of the role \"nobody\", or has no such role"),
        ),
        (
            server.url_with(ROLE, PASSWORD, "nothing"),
            format!("{place} has no database \"nothing\": create it"),
        ),
    ];
    for (url, sentence) in cases {
        refuses(&home(&repository(&url)), 69, &sentence);
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
        refuses(&home(&repository(&format!("postgres://u:canary@{address}/d"))), 69, sentence);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_or_shuts_the_door_is_waited_for() {
    let mut server = PostgresServer::new();
    let mut patient = Patient::with(&repository(&server.url())).await;
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

#[test]
fn a_redis_server_that_lets_nobody_in_is_named() {
    let server = RedisServer::new();
    let redis = |url: &str| format!("kind = \"redis\"\nurl = \"{url}\"\ntimeout = \"1s\"");
    for url in [server.url_of("mcp_auth", "canary"), server.url_of("nobody", "canary")] {
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
    let repository = format!("kind = \"redis\"\nurl = \"{}\"\ntimeout = \"1s\"", server.url());
    let mut patient = Patient::with(&repository).await;
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
