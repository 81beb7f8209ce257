//! `repository copy` and `purge`, as operators run them, while a daemon works.

use std::{path::Path, sync::Arc};

use pangea_mcp_auth::{
    clock::UnixTime,
    repository::{Kind, Record, Repository, SqliteRepository, Write},
};
use serde_json::Value;

use crate::{
    operator::check::fits_schema,
    support::{
        Client, PostgresDatabase, Records, RedisDatabase, Server, Tokens, at_once,
        process::{Daemon, Home, Outcome, is_audited},
    },
};

fn sqlite(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

/// The database of a server of this process.
fn database(server: &Server) -> String {
    sqlite(&server.folder.path().join("test.sqlite"))
}

fn copy(home: &Home, from: &str, to: &str, more: &[&str]) -> Outcome {
    let mut arguments = vec!["repository", "copy", "--from", from, "--to", to];
    arguments.extend(more);
    home.run(&arguments)
}

/// The rows of a successful copy by kind.
fn moved(outcome: &Outcome) -> Value {
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let rows: Value = serde_json::from_str(&outcome.out).unwrap();
    fits_schema("repository-copy.json", &rows);
    let rows = rows.as_array().unwrap().clone();
    rows.into_iter()
        .map(|row| (row["kind"].as_str().unwrap().to_owned(), row))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[tokio::test]
async fn tokens_work_on_after_the_copy_and_the_switch() {
    let (mut server, home) = (Server::start().await, Home::new());
    let client = Client::confidential(&server).await;
    let (kept, used) = (client.login(&server).await, client.login(&server).await);
    let target = sqlite(&home.path("copy.sqlite"));
    let first = moved(&copy(&home, &database(&server), &target, &["-o", "json"]));
    assert_eq!(first["grant"]["added"], 2);
    assert_eq!(first["client"]["added"], 1);
    assert_eq!(first["key"]["comparison"]["verified"], true);

    // The daemon has gone on meanwhile.
    let refreshed = Tokens::of(client.refresh(&server, &used.refresh).await).await;
    let late = client.login(&server).await;
    let other = Client::public(&server).await;
    let second = moved(&copy(&home, &database(&server), &target, &["-o", "json"]));
    assert_eq!((&second["grant"]["added"], &second["grant"]["replaced"]), (&1.into(), &1.into()));
    assert_eq!(second["client"]["added"], 1);
    assert_eq!(second["grant"]["comparison"]["verified"], true);

    server.repository = Some(Arc::new(SqliteRepository::open(&home.path("copy.sqlite")).unwrap()));
    let switched = server.twin().await;
    for tokens in [&kept, &refreshed, &late] {
        assert_eq!(switched.introspect(&tokens.access).await["active"], true);
        let next = Tokens::of(client.refresh(&switched, &tokens.refresh).await).await;
        assert_eq!(switched.introspect(&next.access).await["active"], true);
    }
    let retried = Tokens::of(client.refresh(&switched, &used.refresh).await).await;
    assert_ne!(retried.refresh, refreshed.refresh, "the rotation before the switch is known");
    drop(other);

    // A copy that comes too late spoils nothing: what is newer there stays.
    let late_copy = copy(&home, &database(&server), &target, &["-o", "json"]);
    assert_eq!(late_copy.code, Some(4), "{late_copy:?}");
    assert!(late_copy.err.contains("source and target differ: grant"), "{}", late_copy.err);
    let again = Tokens::of(client.refresh(&switched, &retried.refresh).await).await;
    assert_eq!(switched.introspect(&again.access).await["active"], true);
}

#[tokio::test]
async fn a_dry_run_writes_nothing_and_says_what_would_be() {
    let (server, home) = (Server::start().await, Home::new());
    Client::public(&server).await.login(&server).await;
    let target = sqlite(&home.path("copy.sqlite"));
    for _ in 0..2 {
        let dry = copy(&home, &database(&server), &target, &["--dry-run"]);
        assert_eq!(
            (dry.code, &*dry.out),
            (
                Some(0),
                "key\t1\t1\t0\t0\t0\t\t\nclient\t1\t1\t0\t0\t0\t\t\nreplay\t2\t2\t0\t0\t0\t\t\ngrant\t1\t1\t0\t0\t0\t\t\n"
            )
        );
    }
    let copied = copy(&home, &database(&server), &target, &[]);
    assert!(copied.out.contains("grant\t1\t1\t0\t0\t0\t1\tyes\n"), "{copied:?}");
}

#[tokio::test]
async fn the_configured_repository_is_the_source_and_a_file_the_target() {
    let home = Home::with_configuration("http://127.0.0.1:1", "http://127.0.0.1:1");
    let server = Server::start().await;
    Client::public(&server).await.login(&server).await;
    let records = sqlite(&home.path("records.sqlite"));
    moved(&copy(&home, &database(&server), &records, &["-o", "json"]));
    home.write("other.toml", "[repository]\nkind = \"sqlite\"\npath = \"other.sqlite\"\n[nonsense]\nx = 1\n");
    let mut command =
        home.command(&["--config", "config.toml", "repository", "copy", "--to", "other.toml", "-o", "json"]);
    command.env("PANGEA_MCP_AUTH_REPOSITORY__PATH", home.path("records.sqlite"));
    assert_eq!(moved(&Daemon::start(&mut command).wait())["grant"]["added"], 1);
    assert!(home.path("other.sqlite").exists(), "the variable moves the configured repository alone");
}

#[tokio::test]
async fn what_cannot_be_copied_is_said_without_a_password() {
    let (server, other, home) = (Server::start().await, Server::start().await, Home::new());
    home.write("memory.toml", "[repository]\nkind = \"memory\"\n");
    home.write("broken.toml", "[repository]\nkind = \"redis\"\n");
    let (here, there) = (database(&server), database(&other));
    let missing = sqlite(&home.path("missing.sqlite"));
    for (from, to, code, words) in [
        (&*here, "postgres://app:canary@db/x", 2, "--to is a URL"),
        ("redis://:canary@db", &here, 2, "--from is a URL"),
        (&missing, &here, 3, "no such file"),
        ("memory.toml", &here, 2, "--from names a repository in memory"),
        (&here, "broken.toml", 78, "repository.url: is missing"),
        (&here, "gone.toml", 78, "gone.toml"),
        (&here, &there, 1, "another installation; copy into an empty repository"),
    ] {
        let outcome = copy(&home, from, to, &[]);
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        assert!(outcome.err.contains(words) && outcome.out.is_empty(), "{outcome:?}");
        assert!(!outcome.err.contains("canary"), "{outcome:?}");
    }
    assert!(!home.path("missing.sqlite").exists());
}

fn record(key: String, expires_at: Option<UnixTime>) -> Record {
    Record { key, value: "{}".to_owned(), parent: None, expires_at }
}

async fn fill(path: &Path, count: usize, expires_at: Option<UnixTime>) {
    let repository: Arc<dyn Repository> = Arc::new(SqliteRepository::open(path).unwrap());
    let now = UnixTime::from_secs(1);
    let key = Record { value: "{\"kid\":\"k\"}".to_owned(), ..record("00000001".to_owned(), None) };
    assert_ne!(repository.insert(Kind::Key, &key, now).await.unwrap(), Write::Conflict);
    let writes = (0..count).map(|number| {
        let repository = Arc::clone(&repository);
        async move {
            let record = record(format!("r{number:06}"), expires_at);
            assert_ne!(repository.insert(Kind::Replay, &record, now).await.unwrap(), Write::Conflict);
        }
    });
    at_once(writes).await;
}

#[tokio::test]
async fn a_copy_that_is_interrupted_or_killed_goes_on_when_it_is_run_again() {
    for (signal, code) in [("INT", Some(130)), ("KILL", None)] {
        let home = Home::new();
        fill(&home.path("from.sqlite"), 20_000, None).await;
        let (from, to) = (sqlite(&home.path("from.sqlite")), sqlite(&home.path("to.sqlite")));
        let running = Daemon::start(&mut home.command(&["repository", "copy", "--from", &from, "--to", &to]));
        while !home.path("to.sqlite-wal").metadata().is_ok_and(|wal| wal.len() > 100_000) {
            tokio::task::yield_now().await;
        }
        running.signal(signal);
        let interrupted = running.wait();
        assert_eq!(interrupted.code, code, "{interrupted:?}");
        let finished = moved(&copy(&home, &from, &to, &["-o", "json"]));
        let added = finished["replay"]["added"].as_u64().unwrap();
        assert!((1..20_000).contains(&added), "it went on: {added}");
        assert_eq!(finished["replay"]["comparison"]["target_count"], 20_000);
    }
}

#[tokio::test]
async fn in_a_pipe_progress_is_a_line_now_and_then() {
    let home = Home::new();
    fill(&home.path("from.sqlite"), 5_000, None).await;
    let (from, to) = (sqlite(&home.path("from.sqlite")), sqlite(&home.path("to.sqlite")));
    let copied = copy(&home, &from, &to, &[]);
    let lines: Vec<&str> = copied.err.lines().filter(|line| !is_audited(line)).collect();
    let expected: Vec<String> = (1..=5).map(|thousands| format!("{thousands}000 of 5001 records")).collect();
    assert_eq!(lines, expected);
    assert!(copied.out.contains("replay\t5000\t5000\t0\t0\t0\t5000\tyes\n"), "{copied:?}");
}

#[tokio::test]
async fn on_a_terminal_progress_is_a_bar_that_goes_when_it_is_done() {
    let home = Home::new();
    fill(&home.path("from.sqlite"), 5_000, None).await;
    let (from, to) = (sqlite(&home.path("from.sqlite")), sqlite(&home.path("to.sqlite")));
    let mut command = std::process::Command::new("sh");
    command.args(["-c", r#"stty cols 80 && exec "$0" "$@""#, env!("CARGO_BIN_EXE_pangea-mcp-auth")]);
    command.args(["repository", "copy", "--from", &from, "--to", &to]);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("TERM", "xterm").env("HOME", home.path(""));
    let options = rexpect::session::Options::new().timeout_ms(Some(60_000));
    let mut terminal = rexpect::spawn_with_options(command, options).unwrap();
    // The library takes each byte for a character.
    let bytes = terminal.exp_eof().unwrap().chars().filter_map(|byte| u8::try_from(byte).ok()).collect();
    let seen = String::from_utf8(bytes).unwrap();
    let (bar, table) = seen.split_once("KIND").unwrap_or_else(|| panic!("{seen:?}"));
    assert!(bar.contains("copying ") && bar.contains("/5001"), "{bar:?}");
    assert!(bar.contains('\u{2588}') || bar.contains('\u{2591}'), "a bar: {bar:?}");
    assert!(!bar.rsplit("\u{1b}[2K").next().unwrap().contains("/5001"), "it goes: {bar:?}");
    assert!(!seen.contains("of 5001 records") && table.contains("5000"), "{seen:?}");
}

#[tokio::test]
async fn all_that_has_expired_is_purged() {
    let home = Home::with_configuration("http://127.0.0.1:1", "http://127.0.0.1:1");
    fill(&home.path("records.sqlite"), 1200, Some(UnixTime::from_secs(2))).await;
    for (purged, more) in [(1200, "json"), (0, "json")] {
        let outcome = home.run(&["--config", "config.toml", "repository", "purge", "-o", more]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let report: Value = serde_json::from_str(&outcome.out).unwrap();
        fits_schema("repository-purge.json", &report);
        assert_eq!(report["purged"], purged);
    }
    let words = home.run(&["--config", "config.toml", "repository", "purge"]);
    assert!(words.out.is_empty() && words.err.ends_with("\n0 expired records removed\n"), "{words:?}");
}

/// Copies what a login left, goes on over there, copies back, and goes on here.
async fn switch_and_back<R: Records>(records: R) {
    let (mut server, home) = (Server::start().await, Home::new());
    let client = Client::public(&server).await;
    let first = client.login(&server).await;
    let file = format!("{}.toml", R::KIND);
    home.write(&file, &format!("[repository]\n{}", records.configuration()));
    let sqlite = database(&server);
    let copied = moved(&copy(&home, &sqlite, &file, &["-o", "json"]));
    assert_eq!(copied["grant"]["comparison"]["verified"], true);

    let before = server.repository.replace(records.repository().await);
    let switched = server.twin().await;
    assert_eq!(switched.introspect(&first.access).await["active"], true);
    let second = Tokens::of(client.refresh(&switched, &first.refresh).await).await;

    let back = moved(&copy(&home, &file, &sqlite, &["-o", "json"]));
    assert_eq!(
        (&back["grant"]["replaced"], &back["grant"]["comparison"]["verified"]),
        (&1.into(), &true.into())
    );
    server.repository = before;
    let rolled_back = server.twin().await;
    let retried = Tokens::of(client.refresh(&rolled_back, &first.refresh).await).await;
    assert_eq!(retried.refresh, second.refresh, "what happened there is known here");
    Tokens::of(client.refresh(&rolled_back, &second.refresh).await).await;
}

#[tokio::test]
async fn a_switch_to_postgres_and_back() {
    Box::pin(switch_and_back(PostgresDatabase::new())).await;
}

#[tokio::test]
async fn a_switch_to_redis_and_back() {
    Box::pin(switch_and_back(RedisDatabase::new())).await;
}
