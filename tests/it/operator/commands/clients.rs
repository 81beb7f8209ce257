//! `clients`: who may ask people to sign in.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};

use super::{
    records::Records,
    terminal::Terminal,
    transcript::{Transcript, same, words},
};
use crate::{
    operator::check::fits_schema,
    support::{Client, Options, Server},
};

fn fits(schema: &str, outcome: &crate::support::process::Outcome) -> Value {
    let printed = serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    fits_schema(schema, &printed);
    printed
}

#[tokio::test]
async fn they_are_listed_and_shown() {
    let records = Records::usual().await;
    let mut transcript = Transcript::new(&records);
    fits("clients-list.json", &transcript.run("clients list -o json"));
    fits("clients-show.json", &transcript.run("clients show mcp_cursor -o json"));
    for arguments in [
        "clients list",
        "clients list -q",
        "clients list --unused -q",
        "clients list --limit 2 -q",
        "clients list --after mcp_claude -q",
        "clients list --after mcp_cxxx -q",
        "clients show mcp_curs",
        "clients show mcp_backoffice -q",
        "clients show mcp_",
        "clients show mcp_nobody",
        "clients show claude",
        "clients show 145k9c",
        "clients show",
    ] {
        transcript.run(arguments);
    }
    transcript.is("clients-list.txt");
}

#[tokio::test]
async fn a_terminal_gets_tables_and_a_count() {
    let records = Records::usual().await;
    let mut text = String::new();
    for (line, columns) in [
        ("pangea-mcp-auth clients list", 120),
        ("pangea-mcp-auth clients list --unused", 60),
        ("pangea-mcp-auth clients prune --dry-run", 80),
        ("pangea-mcp-auth clients show mcp_cursor", 80),
    ] {
        let (code, seen) = Terminal::open(&records.home, line, columns).end();
        let seen = words(&seen);
        assert_eq!(code, 0, "{seen}");
        writeln!(text, "$ {line}    # {columns} columns\n{seen}").unwrap();
    }
    same("clients-list-terminal.txt", &records.without_times(&text));
}

#[test]
fn nothing_is_an_empty_list() {
    let records = Records::none();
    for arguments in ["clients list -o json", "clients prune --dry-run -o json"] {
        assert_eq!(fits("clients-list.json", &records.run(arguments)), json!([]));
    }
    assert_eq!(fits("clients-prune.json", &records.run("clients prune -o json")), json!({ "removed": 0 }));
}

#[tokio::test]
async fn a_list_that_was_cut_says_how_to_go_on() {
    let records = Records::usual().await;
    let all = records.run("clients list -q").out;
    let (first, rest) = all.split_once('\n').unwrap();
    let cut = records.run("clients list --limit 1");
    let after = format!("--after {first}");
    assert!(cut.code == Some(0) && cut.err.contains(&after), "{cut:?}");
    assert_eq!(records.run(&format!("clients list -q {after}")).out, rest);
    assert!(!records.run("clients list").err.contains("--after"));
}

#[tokio::test]
async fn a_client_is_added_with_a_secret_that_is_told_once() {
    let records = Records::none();
    let mut transcript = Transcript::new(&records);
    let add = "clients add --name Backoffice --redirect-uri https://app.example.com/cb";
    for arguments in [
        "clients add --redirect-uri javascript:alert(1)",
        "clients add --redirect-uri http://example.com/cb",
        "clients add --confidential -q --redirect-uri https://app.example.com/cb",
        "clients add",
    ] {
        transcript.run(arguments);
    }
    let public = transcript.run(add).out;
    let confidential = transcript.run(&format!("{add} --confidential")).out;
    let printed = fits("clients-add.json", &transcript.run(&format!("{add} --confidential -o json")));
    fits("clients-add.json", &records.run(&format!("{add} -o json")));
    let shown = transcript.run(&format!("clients show {}", printed["client_id"].as_str().unwrap()));
    let secret = printed["client_secret"].as_str().unwrap();
    assert!(!shown.out.contains(secret), "{shown:?}");
    let words =
        |text: &str| text.lines().map(|line| line.split('\t').nth(1).unwrap().to_owned()).collect::<Vec<_>>();
    for (number, id) in [&words(&public)[0], &words(&confidential)[0], printed["client_id"].as_str().unwrap()]
        .iter()
        .enumerate()
    {
        transcript.name(id, &format!("<client {number}>"));
    }
    for secret in [&words(&confidential)[1], secret] {
        assert!(secret.starts_with("mcp_cs_"), "{secret}");
        transcript.name(secret, "<secret>");
        let stored = std::fs::read(records.home.path("records.sqlite-wal")).unwrap_or_default();
        let stored = [stored, std::fs::read(records.home.path("records.sqlite")).unwrap()].concat();
        assert!(!String::from_utf8_lossy(&stored).contains(secret), "only its hash is kept");
    }
    transcript.is("clients-add.txt");
}

#[tokio::test]
async fn a_client_is_removed_with_its_grants_and_stays_so() {
    let records = Records::usual().await;
    let mut transcript = Transcript::new(&records);
    fits("clients-revoke.json", &transcript.run("clients revoke mcp_claude --dry-run -o json"));
    for arguments in [
        "clients revoke mcp_cursor --dry-run",
        "clients revoke mcp_cursor",
        "clients revoke mcp_cursor --yes",
        "clients revoke mcp_cursor --yes",
        "tokens list --client mcp_cursor --state active",
        "clients revoke mcp_forgotten -q",
        "clients revoke mcp_forgotten",
        "clients revoke mcp_",
    ] {
        transcript.run(arguments);
    }
    fits("clients-revoke.json", &transcript.run("clients revoke mcp_claude --yes -o json"));
    transcript.is("clients-revoke.txt");
}

/// A client with a metadata document is called by its URL.
#[tokio::test]
async fn a_client_with_a_document_is_shown_with_its_host_and_removed_by_its_url() {
    const URL: &str = "https://app.example/client.json";
    let records = Records::usual().await;
    let mut client = records.client(URL, "Claude", &["https://app.example/cb"], -7200);
    client["origin"] = json!("document");
    let fetched_at = client["issued_at"].clone();
    client["document"] = json!({ "fetched_at": fetched_at, "fresh_until": fetched_at, "withdrawn": true });
    client["metadata"]["jwks_uri"] = json!("https://keys.example/jwks.json");
    records.keep_clients(vec![client]).await;
    let grant = records.active("165k9c3a0m6r0r5o8k8q7j0c2a4s6u8v", URL, -3600);
    records.keep(vec![grant]).await;
    let listed = fits("clients-list.json", &records.run("clients list -o json"));
    let row = listed.as_array().unwrap().iter().find(|row| row["id"] == URL).unwrap();
    assert_eq!((&row["origin"], &row["host"]), (&json!("document"), &json!("app.example")));
    assert_eq!(row["live_grants"], 1);
    let shown = fits("clients-show.json", &records.run(&format!("clients show {URL} -o json")));
    assert_eq!(shown["document"]["withdrawn"], true, "{shown}");
    assert_eq!(shown["jwks_uri"], "https://keys.example/jwks.json", "{shown}");
    let sheet = records.run(&format!("clients show {URL}")).out;
    assert!(sheet.contains("app.example") && sheet.contains("https://keys.example/jwks.json"), "{sheet}");
    let behind = records.run(&format!("clients list -q --after {URL}"));
    assert_eq!((behind.code, behind.out.lines().count()), (Some(0), 4), "{behind:?}");
    assert_eq!(records.run(&format!("tokens list -q --client {URL}")).out.lines().count(), 1);
    let removal = fits("clients-revoke.json", &records.run(&format!("clients revoke {URL} --yes -o json")));
    assert_eq!((&removal["removed"], &removal["revoked"]), (&json!(true), &json!(1)), "{removal}");
    assert_eq!(records.run(&format!("clients show {URL}")).code, Some(3));
    assert_eq!(records.run("clients show https://other.example/client").code, Some(3));
}

#[tokio::test]
async fn the_dead_are_pruned_and_nobody_else() {
    let records = Records::usual().await;
    let ended = records.client("mcp_ended", "Ended", &["http://127.0.0.1/cb"], -50 * 24 * 3600);
    records.keep_clients(vec![ended]).await;
    let mut transcript = Transcript::new(&records);
    fits("clients-list.json", &transcript.run("clients prune --dry-run -o json"));
    for arguments in [
        "clients prune --unused-for 35d --dry-run -q",
        "clients prune --unused-for nonsense",
        "clients prune",
        "clients prune --unused-for 35d --yes -q",
    ] {
        transcript.run(arguments);
    }
    fits("clients-prune.json", &transcript.run("clients prune --yes -o json"));
    transcript.run("clients prune");
    transcript.run("clients list -q");
    transcript.is("clients-prune.txt");
    // Of the revoked and the expired grant of `mcp_claude` neither keeps it, the live one does.
    records.run("tokens revoke 145k9c");
    assert_eq!(records.run("clients prune --unused-for 1d --yes -q").out, "", "used three hours ago");
}

/// While a daemon runs: a removed client cannot redeem its pending code, and does not reappear.
#[tokio::test]
async fn a_login_under_way_does_not_bring_a_removed_client_back() {
    let server = Server::with(Options::default()).await;
    let (client, home) = (Client::public(&server).await, Records::none());
    let before = client.login(&server).await;
    server.advance(Duration::from_hours(24 * 30));
    let code = client.code(&server).await;
    let database = server.folder.path().join("test.sqlite");
    let mut command = home.command(&format!("clients revoke {} --yes -o json", client.id));
    let outcome = command.env("PANGEA_MCP_AUTH_REPOSITORY__PATH", &database).output().unwrap();
    let removal: Value =
        serde_json::from_slice(&outcome.stdout).unwrap_or_else(|error| panic!("{error} {outcome:?}"));
    assert_eq!(removal["removed"], true, "{removal}");
    for answer in [client.redeem(&server, &code).await, client.refresh(&server, &before.refresh).await] {
        assert_eq!(answer.status(), 401, "the client is to register again");
    }
    assert_eq!(
        server.stored_grants().iter().filter(|grant| grant["state"].get("revoked").is_none()).count(),
        0
    );
}
