//! What a daemon says at its start: one sentence about the problem, or warnings.

use std::io::{Read, Write as _};

use pangea_mcp_auth::repository::{Kind, Repository, RepositoryError};

use super::{connect, connect_in_haste};
use crate::{
    storage::servers::{NOW, grant, insert, restart},
    support::{
        Records, RedisDatabase, RedisServer, at_once,
        process::free_port,
        redis::{Make, PASSWORD, USER, documented_permissions},
    },
};

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
    let server = RedisServer::new();
    let place = format!("Redis at 127.0.0.1:{}", server.port());
    let anonymous = format!("redis://127.0.0.1:{}", server.port());
    let refuses = |user: &str| {
        format!(
            "{place} refuses the password of the user \"{user}\", or has no such user: correct `password` or the URL"
        )
    };
    let cases = [
        (server.url_of(USER, "canary"), refuses(USER)),
        (server.url_of("stranger", "canary"), refuses("stranger")),
        (server.url_of("", "canary"), refuses("default")),
        (
            anonymous.clone(),
            format!(
                "{place} wants a password: set `password`, and name the user in the URL if it has one of its own"
            ),
        ),
        (server.url().replace("/0", "/99"), format!("{place} has no database 99: name another in the URL")),
    ];
    for (url, expected) in cases {
        assert_eq!(sentence(&url).await, expected);
    }
    // It either complains of what it got, or waits for more.
    let with_tls = connect_in_haste(&server.url().replace("redis://", "rediss://")).await;
    let said = with_tls.expect_err("it offers no TLS").to_string();
    assert!(said.contains(&place) && said.contains("TLS port"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lacks_one_permission_is_told_the_line_that_gives_all() {
    lacking_permissions(Make::Debian).await;
}

pub(super) async fn lacking_permissions(make: Make) {
    let server = RedisServer::of(make, "", &[]);
    connect(&server.url()).await.unwrap();
    let permissions = documented_permissions();
    let optional = ["+info", "+config|get", "+select", "+asking"];
    for lacking in permissions.split(' ').filter(|one| one.starts_with('+') && !optional.contains(one)) {
        // Redis 6 takes away whole commands alone.
        let denied = lacking.split('|').next().unwrap().replacen('+', "-", 1);
        server.run(&["ACL", "SETUSER", USER, &denied]);
        if lacking == "+script|load" {
            server.run(&["SCRIPT", "FLUSH"]);
        }
        let said = sentence(&server.url()).await;
        let place = format!("Redis at 127.0.0.1:{}", server.port());
        assert!(
            said.starts_with(&format!("{place} does not let the user \"{USER}\" do all that is needed (")),
            "{lacking}: {said}"
        );
        assert!(said.ends_with(&format!("): run ACL SETUSER {USER} {permissions}")), "{lacking}: {said}");
        server.run(&["ACL", "SETUSER", USER, lacking]);
    }
    server.run(&["ACL", "SETUSER", USER, "resetkeys", "~pangea-mcp-auth:{grant}:*"]);
    assert!(sentence(&server.url()).await.contains("ACL SETUSER"));
    server.run(&["ACL", "SETUSER", USER, "~pangea-mcp-auth:*", "-info", "-config"]);
    let repository = connect(&server.url()).await.expect("what is only asked for is not needed");
    insert(&repository, &grant("key", "{}")).await;
    let warnings = repository.warnings().await.unwrap();
    assert!(warnings.len() == 2 && warnings[0].contains("could not be determined"), "{warnings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_and_sockets_are_found() {
    let server = RedisServer::with("unixsocket redis.sock\n", &[]);
    let first = connect(&server.url()).await.unwrap();
    insert(&first, &grant("key", "{}")).await;
    let socket = server.path("redis.sock");
    let who = format!("redis+unix://{USER}:{}@{}", PASSWORD.replace(' ', "%20"), socket.display());
    let same = connect(&who).await.unwrap();
    assert!(same.get(Kind::Grant, "key", NOW).await.unwrap().is_some());
    let second = connect(&format!("{who}?db=1")).await.unwrap();
    assert!(second.get(Kind::Grant, "key", NOW).await.unwrap().is_none());
    server.run(&["ACL", "SETUSER", USER, "-select"]);
    assert!(sentence(&format!("{who}?db=1")).await.contains("ACL SETUSER"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_unavailable() {
    restart::is_absent::<RedisDatabase>("Redis", |port| format!("redis://u:canary@127.0.0.1:{port}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_is_waited_for() {
    restart::starts(RedisServer::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_refused_and_a_primary_that_becomes_one_is_unavailable() {
    replicas(Make::Debian).await;
}

pub(super) async fn replicas(make: Make) {
    let primary = RedisServer::of(make, "", &[]);
    let replica = RedisServer::of(make, &format!("replicaof 127.0.0.1 {}\n", primary.port()), &[]);
    let expected = format!(
        "Redis at 127.0.0.1:{} is a replica and can only be read: name the primary in the URL, or the Sentinels",
        replica.port()
    );
    assert_eq!(sentence(&replica.url()).await, expected);
    let repository = connect_in_haste(&primary.url()).await.unwrap();
    insert(&repository, &grant("key", "{}")).await;
    primary.run(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    for outcome in [
        repository.ping().await,
        repository.insert(Kind::Grant, &grant("other", "{}"), NOW).await.map(|_| ()),
    ] {
        let error = outcome.expect_err("it is read-only");
        assert!(matches!(error, RepositoryError::Unavailable(_)), "{error:?}");
        assert!(error.to_string().contains("is a replica"), "{error}");
    }
    primary.run(&["REPLICAOF", "NO", "ONE"]);
    insert(&repository, &grant("other", "{}")).await;
}

/// What answers every command with the same line.
fn old_server(answer: &'static [u8]) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while stream.read(&mut bytes).is_ok_and(|read| read > 0) {
                    if stream.write_all(answer).is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_before_6_is_too_old() {
    let port = old_server(b"-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n");
    let expected = format!(
        "Redis at 127.0.0.1:{port} is older than Redis 6 (it says it has no HELLO): use a newer one, or Valkey"
    );
    assert_eq!(sentence(&format!("redis://127.0.0.1:{port}")).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_and_foreign_keys_are_refused_and_left_alone() {
    let server = RedisDatabase::new();
    let repository = connect(&server.url()).await.unwrap();
    insert(&repository, &grant("key", "{}")).await;
    for (mark, expected) in [
        ("2", "was written by a newer version of this program (schema 2, known here: 1): run that version"),
        ("something", "holds something else under a key of this program's: its mark is no number"),
    ] {
        server.run(&["SET", "pangea-mcp-auth:{key}:schema", mark]);
        let said = sentence(&server.url()).await;
        assert!(said.contains(expected), "{said}");
        assert_eq!(server.run(&["GET", "pangea-mcp-auth:{key}:schema"]), mark);
    }
    server.run(&["SET", "pangea-mcp-auth:{key}:schema", "1"]);
    connect(&server.url()).await.unwrap();
    for (spoil, key) in [
        (["SET", "pangea-mcp-auth:{grant}:record:odd", "what is this"], "odd"),
        (["SADD", "pangea-mcp-auth:{grant}:record:set", "member"], "set"),
    ] {
        server.run(&spoil);
        let got = repository.get(Kind::Grant, key, NOW).await;
        assert!(matches!(got, Err(RepositoryError::Corrupt(_))), "{got:?}");
        let taken = repository.take(Kind::Grant, key, NOW).await;
        assert!(matches!(taken, Err(RepositoryError::Corrupt(_))), "{taken:?}");
        assert_eq!(server.run(&["EXISTS", spoil[1]]), "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_start_on_an_empty_server_at_once() {
    let server = RedisDatabase::new();
    let url = server.url();
    let starting = (0..8).map(|_| connect(&url));
    for (number, started) in at_once(starting).await.into_iter().enumerate() {
        insert(&started.unwrap(), &grant(&format!("key-{number}"), "{}")).await;
    }
    assert_eq!(server.run(&["ZCARD", "pangea-mcp-auth:{grant}:keys"]), "8");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_lose_acknowledged_writes_is_warned_of() {
    warnings(Make::Debian).await;
}

pub(super) async fn warnings(make: Make) {
    let server = RedisServer::of(make, "", &[]);
    let repository = connect(&server.url()).await.unwrap();
    assert_eq!(repository.warnings().await.unwrap(), Vec::<String>::new());
    for (name, spoilt, sound) in [
        ("appendonly", "no", "yes"),
        ("appendfsync", "everysec", "always"),
        ("appendfsync", "no", "always"),
        ("no-appendfsync-on-rewrite", "yes", "no"),
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
        ("maxmemory-policy", "allkeys-random", "volatile-lru"),
    ] {
        server.run(&["CONFIG", "SET", name, spoilt]);
        let warnings = repository.warnings().await.unwrap();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(&format!("`{name} {spoilt}`")), "{warnings:?}");
        server.run(&["CONFIG", "SET", name, sound]);
        assert_eq!(repository.warnings().await.unwrap(), Vec::<String>::new(), "{name} {sound}");
    }
    server.run(&["ACL", "SETUSER", USER, "-config"]);
    let warnings = repository.warnings().await.unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("could not be determined"), "{warnings:?}");
    server.run(&["CONFIG", "SET", "appendonly", "no"]);
    let warnings = repository.warnings().await.unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("`appendonly no`"), "INFO tells, too: {warnings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_may_take_over_is_warned_of() {
    let primary = RedisServer::new();
    let repository = connect(&primary.url()).await.unwrap();
    let _replica = RedisServer::with(&format!("replicaof 127.0.0.1 {}\n", primary.port()), &[]);
    let is_known = || primary.run(&["INFO", "replication"]).contains("connected_slaves:1");
    tokio::task::block_in_place(|| crate::support::postgres::until("the replica is there", is_known));
    let warnings = repository.warnings().await.unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("failover"), "{warnings:?}");
}
