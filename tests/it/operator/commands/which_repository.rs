//! No all-clear that is none: a command says which repository it spoke to, makes none, and knows what a
//! filter names.

use std::fs;

use super::records::{Records, grant};
use crate::{
    operator::help::{commands, words},
    support::{PostgresDatabase, Records as _, RedisDatabase, process::Home},
};

/// A line for each command that opens the configured repository.
const LINES: [&str; 14] = [
    "clients add --redirect-uri https://app.example.com/callback",
    "clients list",
    "clients prune --yes",
    "clients revoke mcp_claude --yes",
    "clients rotate-secret mcp_backoffice",
    "clients show mcp_claude",
    "keys list",
    "keys rotate",
    "repository purge",
    "tokens list -o json",
    "tokens revoke --user ada@example.com --yes",
    "tokens revoke --all --yes",
    "tokens show 145k9c",
    "keys rotate --revoke-all --yes",
];
/// Commands that need no repository, or may make one.
const OTHERS: [&str; 7] =
    ["check", "completions", "init", "man", "repository copy", "repository import", "serve"];

fn split(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn is_below(line: &str, command: &str) -> bool {
    line.strip_prefix(command).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// A new command without a line above is noticed here.
#[test]
fn every_command_is_known_here() {
    let home = Home::new();
    for command in commands(&home) {
        let help = home.run(&[words(&command), vec!["-h"]].concat()).out;
        if help.contains("\nCommands:\n") {
            continue;
        }
        let command = command.join(" ");
        let known = LINES.iter().chain(&OTHERS).any(|line| is_below(line, &command));
        assert!(known, "{command}");
    }
}

#[test]
fn without_a_configuration_every_command_ends_with_78_and_makes_nothing() {
    let home = Home::new();
    let others = ["serve", "repository copy --to sqlite:x", "repository import --from-pangea-authn-fastmcp"];
    for line in LINES.iter().chain(&others).chain(&["keys rotate --sealing"]) {
        let outcome = home.run(&split(line));
        assert_eq!((outcome.code, &*outcome.out), (Some(78), ""), "{line}: {outcome:?}");
        assert_eq!(fs::read_dir(home.path("")).unwrap().count(), 0, "{line}");
    }
}

#[test]
fn a_database_that_does_not_exist_is_an_error_and_is_not_made() {
    let records = Records::absent();
    let files = || fs::read_dir(records.home.path("")).unwrap().count();
    let before = files();
    for line in LINES {
        let outcome = records.run(line);
        assert_eq!((outcome.code, &*outcome.out), (Some(78), ""), "{line}: {outcome:?}");
        assert!(outcome.err.contains("records.sqlite"), "{outcome:?}");
        assert_eq!(files(), before, "{line}");
    }
    // Nor is an empty file, such as `touch` makes, a database.
    records.home.write("records.sqlite", "");
    for line in LINES {
        assert_eq!(records.run(line).code, Some(78), "{line}");
        assert_eq!(fs::metadata(records.home.path("records.sqlite")).unwrap().len(), 0, "{line}");
    }
}

#[test]
fn development_without_its_daemon_has_nothing_and_gets_nothing() {
    let home = Home::new();
    for line in ["tokens list", "tokens revoke --all --yes", "keys list", "clients list"] {
        let outcome = home.run(&[split(line), vec!["--dev"]].concat());
        assert_eq!(outcome.code, Some(78), "{line}: {outcome:?}");
        assert_eq!(fs::read_dir(home.path("")).unwrap().count(), 0, "{line}");
    }
}

#[tokio::test]
async fn each_command_says_which_repository_it_spoke_to_unless_only_ids_are_wanted() {
    for line in LINES {
        let records = Records::usual().await;
        let path = records.home.path("records.sqlite").canonicalize().unwrap().display().to_string();
        let outcome = records.run(line);
        assert_eq!(outcome.code, Some(0), "{line}: {outcome:?}");
        let said = format!("repository: sqlite {path}");
        assert!(outcome.err.lines().any(|line| line == said), "{line}: {outcome:?}");
        assert!(!outcome.out.contains(&path), "{line}");
    }
    let records = Records::usual().await;
    assert_eq!(records.run("tokens list -q").err, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_server_is_no_repository_and_its_password_is_not_said() {
    let (postgres, redis) = (PostgresDatabase::new(), RedisDatabase::new());
    for (kind, url, place) in [
        ("postgres", postgres.url(), format!("127.0.0.1:{}", postgres.port())),
        ("redis", redis.url(), format!("127.0.0.1:{}", redis.port())),
    ] {
        let records = Records::absent();
        records.home.reconfigure("path = \"records.sqlite\"", &format!("kind = \"{kind}\"\nurl = \"{url}\""));
        for line in ["tokens list", "tokens revoke --all --yes", "clients list", "keys list"] {
            let outcome = records.run(line);
            assert_eq!((outcome.code, &*outcome.out), (Some(78), ""), "{kind} {line}: {outcome:?}");
            assert!(outcome.err.contains(&place), "{outcome:?}");
        }
        let made = records.run("repository copy --from sqlite:absent.sqlite --to config.toml");
        assert_eq!(made.code, Some(3), "{made:?}");
    }
}

#[tokio::test]
async fn what_a_filter_names_and_nobody_knows_is_not_found() {
    let records = Records::usual().await;
    for filter in [
        "--user unknown@example.com",
        "--user ada@example.con",
        "--client mcp_nobody",
        "--resource https://notes.example.org/mpc",
        "--resource https://elsewhere.example/mcp",
        "--client mcp_claude --user unknown@example.com",
    ] {
        for command in
            ["tokens list", "tokens list -o json", "tokens revoke --yes", "tokens revoke --dry-run"]
        {
            let outcome = records.run(&format!("{command} {filter}"));
            assert_eq!((outcome.code, &*outcome.out), (Some(3), ""), "{command} {filter}: {outcome:?}");
        }
    }
    for line in ["clients show mcp_nobody", "clients revoke mcp_nobody --yes", "tokens show 995k9c"] {
        assert_eq!(records.run(line).code, Some(3), "{line}");
    }
    // What is known and has nothing that fits is an empty answer.
    for line in [
        "tokens list --user grace@example.com --client mcp_claude",
        "tokens list --user GRACE@example.com --state revoked",
        "tokens list --user pui_grace --state expired",
        "tokens revoke --user grace@example.com --client mcp_claude --yes",
        "tokens list --resource http://127.0.0.1:9/mcp --state expired --client mcp_cursor",
    ] {
        let outcome = records.run(line);
        assert_eq!((outcome.code, &*outcome.out), (Some(0), ""), "{line}: {outcome:?}");
    }
    assert!(records.run("tokens list -q").out.contains(&grant(13)));
}

/// A secret without its last character is as good as the whole secret: that one can be guessed.
#[tokio::test]
async fn a_secret_among_the_arguments_is_refused_and_never_repeated() {
    let records = Records::usual().await;
    let id = grant(14);
    let secrets = [
        format!("mcp_rt_{id}0_{}", "r".repeat(42)),
        format!("mcp_ac_{id}{}", "c".repeat(42)),
        format!("mcp_cs_{}", "s".repeat(42)),
        format!("pck_{}", "p".repeat(32)),
        format!("eyJhbGciOiJFUzI1NiJ9.eyJ{}", "x".repeat(40)),
    ];
    for secret in secrets {
        for line in [
            "tokens show SECRET",
            "tokens revoke SECRET",
            "tokens revoke --user SECRET --yes",
            "tokens list --client SECRET",
            "tokens list --resource SECRET",
            "tokens list --after SECRET",
            "tokens list --since SECRET",
            "tokens list --limit SECRET",
            "clients show SECRET",
            "clients revoke SECRET",
            "clients list --after SECRET",
            "clients add --redirect-uri SECRET",
            "tokens SECRET",
            "SECRET",
            "tokens list --config SECRET",
            "repository copy --to SECRET",
            "init --non-interactive --client-id SECRET",
        ] {
            let outcome = records.run(&line.replace("SECRET", &secret));
            assert_eq!((outcome.code, &*outcome.out), (Some(2), ""), "{line}: {outcome:?}");
            assert!(!outcome.err.contains(&secret[7..]), "{line}: {outcome:?}");
        }
    }
}
