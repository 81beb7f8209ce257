//! `tokens list`: who is connected.

use std::{fmt::Write as _, process::Stdio};

use serde_json::json;

use super::{
    records::{Records, grant},
    terminal::Terminal,
    transcript::{Transcript, same, words},
};
use crate::{
    operator::check::fits_schema,
    support::process::{Daemon, free_port},
};

#[tokio::test]
async fn in_a_pipe_every_value_is_full_and_filters_choose() {
    let records = Records::usual().await;
    let mut transcript = Transcript::new(&records);
    for arguments in [
        "tokens list",
        "tokens list --user ADA@example.com -q",
        "tokens list --user pui_grace -q",
        "tokens list --client mcp_curs -q",
        "tokens list --resource https://notes.example.org/mcp -q",
        "tokens list --state pending -q",
        "tokens list --state active -q",
        "tokens list --state expired -q",
        "tokens list --state revoked -q",
        "tokens list --since 4d -q",
        "tokens list --since 4d --state active --user ada@example.com -q",
        "tokens list --limit 2 -q",
        "tokens list --after 14 --limit 2 -q",
        "tokens list --after 145k -q",
        "tokens list --user nobody@example.com",
        "tokens list -o json --limit 2",
    ] {
        let outcome = transcript.run(arguments);
        if arguments.contains("json") {
            fits_schema("tokens-list.json", &serde_json::from_str(&outcome.out).unwrap());
        }
    }
    transcript.is("tokens-list.txt");
}

#[tokio::test]
async fn on_a_terminal_it_is_a_table_that_fits_with_relative_times_and_a_count() {
    let records = Records::usual().await;
    let mut text = String::new();
    for (line, columns) in [
        ("pangea-mcp-auth tokens list", 200),
        ("pangea-mcp-auth tokens list", 120),
        ("pangea-mcp-auth tokens list --limit 2", 80),
        ("pangea-mcp-auth tokens list --state revoked", 80),
        ("pangea-mcp-auth tokens list --user grace@example.com --state revoked", 80),
    ] {
        let (code, seen) = Terminal::open(&records.home, line, columns).end();
        assert_eq!(code, 0, "{seen}");
        let seen = words(&seen);
        assert!(seen.lines().all(|line| line.chars().count() <= usize::from(columns)), "{seen}");
        writeln!(text, "$ {line}    # {columns} columns\n{seen}").unwrap();
    }
    same("tokens-list-terminal.txt", &text);
}

/// A long list is cut on a terminal, and says how to go on; in a pipe it is whole.
#[tokio::test]
async fn a_terminal_gets_fifty_and_how_to_go_on() {
    let records = Records::many(51).await;
    let all = records.run("tokens list -q").out;
    let ids: Vec<&str> = all.lines().collect();
    assert_eq!(ids.len(), 51);
    let (_, seen) = Terminal::open(&records.home, "pangea-mcp-auth tokens list", 80).end();
    assert!(seen.contains(&format!("--after {}", ids[49])) && seen.contains("50 grants"), "{seen}");
    let (_, seen) = Terminal::open(&records.home, "pangea-mcp-auth tokens list --limit 51", 80).end();
    assert!(!seen.contains("--after") && seen.contains("51 grants"), "{seen}");
    let cut = records.run("tokens list --limit 2");
    assert!(cut.out.lines().count() == 2 && cut.err.contains(&format!("--after {}", ids[1])), "{cut:?}");
    let whole = records.run("tokens list --limit 51");
    assert!(whole.out.lines().count() == 51 && !whole.err.contains("--after"), "{whole:?}");
}

/// A column that does not fit is named, with how to see it.
#[tokio::test]
async fn a_narrow_terminal_is_told_which_columns_it_does_not_show() {
    let records = Records::usual().await;
    let (_, seen) = Terminal::open(&records.home, "pangea-mcp-auth tokens list", 80).end();
    let hidden =
        seen.lines().find(|line| line.starts_with("hidden columns: ")).unwrap_or_else(|| panic!("{seen}"));
    for title in ["RESOURCE", "SCOPES", "EXPIRES"] {
        assert!(hidden.contains(title) && !seen.lines().nth(1).unwrap().contains(title), "{title}: {seen}");
    }
    assert!(seen.contains("-o json"), "{seen}");
    let (_, seen) = Terminal::open(&records.home, "pangea-mcp-auth tokens list", 220).end();
    assert!(!seen.contains("hidden columns"), "{seen}");
}

#[test]
fn nothing_is_an_empty_list() {
    let records = Records::none();
    assert_eq!(records.json("tokens list -o json"), json!([]));
    fits_schema("tokens-list.json", &records.json("tokens list -o json"));
    for arguments in ["tokens list", "tokens list -q"] {
        let outcome = records.run(arguments);
        assert_eq!((outcome.code, &*outcome.out, &*words(&outcome.err)), (Some(0), "", ""), "{arguments}");
    }
}

#[tokio::test]
async fn a_long_list_is_whole_and_its_pages_meet() {
    let records = Records::many(1203).await;
    let whole = records.run("tokens list -q").out;
    let ids: Vec<&str> = whole.lines().collect();
    assert_eq!(ids.len(), 1203);
    assert!(ids.is_sorted_by(|newer, older| newer > older), "newest first, each once");
    let array = records.json("tokens list -o json");
    fits_schema("tokens-list.json", &array);
    assert_eq!(
        array.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>(),
        ids
    );
    let (mut paged, mut after) = (String::new(), String::new());
    while let page = records.run(&format!("tokens list -q --limit 400{after}")).out
        && !page.is_empty()
    {
        after = format!(" --after {}", page.lines().last().unwrap());
        paged += &page;
    }
    assert_eq!(paged, whole);
    assert_eq!(records.run("tokens list --user pui_7").out.lines().count(), 1, "it is not on the first page");
}

#[tokio::test]
async fn whoever_reads_a_few_lines_and_goes_ends_it_in_peace() {
    let records = Records::many(1203).await;
    let (read, write) = std::io::pipe().unwrap();
    drop(read);
    let mut command = records.command("tokens list");
    command.stdout(Stdio::from(write));
    let outcome = command.output().unwrap();
    let said = String::from_utf8(outcome.stderr).unwrap();
    assert_eq!((outcome.status.code(), &*words(&said)), (Some(0), ""));
}

/// Shown to an operator, a name that a stranger chose moves no cursor, ends no line, turns no writing and
/// hides nothing.
#[tokio::test]
async fn what_strangers_call_themselves_is_text_everywhere() {
    let records = Records::none();
    let hostile = ['\u{1b}', '\u{9b}', '\u{202e}', '\u{200b}', '\u{e0041}', '\u{3164}'];
    let name = "Claude\u{1b}[2J\u{9b}2J\u{202e}\n\tx\u{200b}\u{e0041}\u{3164}";
    let mut theirs = records.active(&grant(15), "mcp_evil", -600);
    theirs["person"] = json!({ "subject": "pui_x", "email": format!("{name}@example.com") });
    records.keep(vec![theirs]).await;
    records.keep_clients(vec![records.client("mcp_evil", name, &["http://127.0.0.1/cb"], -600)]).await;
    for arguments in ["tokens list", "clients list", "tokens show 155k", "clients show mcp_evil"] {
        for form in ["", " -o json"] {
            let outcome = records.run(&format!("{arguments}{form}"));
            assert_eq!(outcome.code, Some(0), "{outcome:?}");
            assert!(!outcome.out.contains(hostile), "{arguments}{form} {outcome:?}");
        }
        let (_, seen) = Terminal::open(&records.home, &format!("pangea-mcp-auth {arguments}"), 120).end();
        assert!(!seen.contains(hostile) && !seen.contains('\t'), "{arguments} {seen:?}");
    }
    assert_eq!(records.json("clients list -o json")[0]["name"], name, "programs get it as it is");
    assert_eq!(records.run("tokens list").out.lines().count(), 1);
    let named = records.run(&format!("tokens list --client {}", "x\u{9b}2J"));
    assert!(!named.err.contains('\u{9b}'), "{named:?}");
}

/// Shows the exit codes of every command that looks into the repository.
#[test]
fn what_cannot_be_used_is_said_with_the_code_that_fits() {
    let records = Records::none();
    let unreachable = format!("postgres://a:canary@127.0.0.1:{}/x", free_port());
    for arguments in
        ["tokens list", "tokens revoke --all --yes", "clients list", "clients prune --yes", "keys list"]
    {
        for (kind, url, code, words) in [
            ("postgres", &*unreachable, 69, "the repository"),
            ("memory", "", 78, "repository.kind is"),
            ("nonsense", "", 78, "repository.kind"),
        ] {
            let mut command = records.command(arguments);
            command.env("PANGEA_MCP_AUTH_REPOSITORY__KIND", kind);
            if !url.is_empty() {
                command.env("PANGEA_MCP_AUTH_REPOSITORY__URL", url);
                command.env("PANGEA_MCP_AUTH_REPOSITORY__PATH", "");
            }
            let outcome = Daemon::start(&mut command).wait();
            assert_eq!((outcome.code, &*outcome.out), (Some(code), ""), "{arguments} {kind} {outcome:?}");
            assert!(outcome.err.contains(words) && !outcome.err.contains("canary"), "{outcome:?}");
        }
        let misspelt = records.run(&arguments.replace("list", "lst").replace("--", "--x"));
        assert_eq!((misspelt.code, &*misspelt.out), (Some(2), ""), "{misspelt:?}");
        assert!(misspelt.err.contains("similar") || misspelt.err.contains("unexpected"), "{misspelt:?}");
    }
}

/// A configuration with which no daemon would start does not prevent revocation.
#[tokio::test]
async fn a_mistake_elsewhere_in_the_configuration_is_a_warning() {
    let records = Records::usual().await;
    records.home.reconfigure("client_id = \"psa_test\"", "client_id = \"\"");
    let outcome = records.run("tokens revoke 145k");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.err.starts_with("warning: "), "{outcome:?}");
    assert_eq!(records.json("tokens list --state revoked -o json").as_array().unwrap().len(), 2);
}
