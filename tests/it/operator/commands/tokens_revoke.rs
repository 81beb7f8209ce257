//! `tokens revoke`: by name, in bulk, and by the leaked token itself.

use std::time::Duration;

use serde_json::json;

use super::{
    records::{Records, access_token, code, grant, refresh_token},
    terminal::Terminal,
    transcript::{Transcript, run_with, words},
};
use crate::operator::check::fits_schema;

fn fits(outcome: &crate::support::process::Outcome) {
    fits_schema("tokens-revoke.json", &serde_json::from_str(&outcome.out).unwrap());
}

#[tokio::test]
async fn by_name_one_after_another() {
    let records = Records::usual().await;
    let mut transcript = Transcript::new(&records);
    for arguments in [
        "tokens revoke 145k9c.5 --dry-run",
        "tokens revoke 145k9c.5",
        "tokens revoke 145k9c.5",
        "tokens revoke 145k9c --dry-run -q",
        "tokens revoke 145k9c",
        "tokens revoke 145k9c 125k9c",
        "tokens revoke 995k9c 135k9c nonsense",
        "tokens show 135k9c",
        "tokens revoke 995k9c nonsense",
        "tokens revoke 115k9c 155k9c -q",
        "tokens revoke mcp_claude",
        "tokens revoke",
        "tokens revoke 145k9c --all",
    ] {
        transcript.run(arguments);
    }
    fits(&transcript.run("tokens revoke 145k9c 995k9c -o json"));
    transcript.is("tokens-revoke.txt");
}

/// A grant no longer remembers this token. Servers that do not introspect may still accept it.
#[tokio::test]
async fn an_access_token_that_is_no_longer_tracked_is_not_called_revoked() {
    let records = Records::none();
    let (id, ends) = (grant(14), records.now.plus(Duration::from_mins(9)));
    let mut busy = records.active(&id, "mcp_busy", -3600);
    busy["issued"] = 40.into();
    busy["state"]["active"]["live"][0][0] = 40.into();
    busy["state"]["active"]["dropped"] = json!({ "last": 8, "expires_at": ends });
    records.keep(vec![busy]).await;
    for dry_run in [" --dry-run", ""] {
        let told = |number: u64| records.json(&format!("tokens revoke {id}.{number} -o json{dry_run}"));
        let untracked = told(8);
        crate::operator::check::fits_schema("tokens-revoke.json", &untracked);
        assert_eq!((&untracked["untracked"], &untracked["revoked"]), (&json!(1), &json!(0)));
        assert_eq!(untracked["accepted_until"], ends.to_string());
        let revoked_before = told(9);
        assert_eq!(revoked_before["already_revoked"], 1);
        assert_eq!(
            (revoked_before.get("untracked"), &revoked_before["accepted_until"]),
            (None, &json!(null))
        );
    }
    let outcome = records.run(&format!("tokens revoke {id}.8"));
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.err.contains(&ends.to_string()), "{outcome:?}");
    assert!(!outcome.err.contains("already revoked"), "{outcome:?}");
}

#[tokio::test]
async fn in_bulk_after_a_question_that_names_the_count() {
    let records = Records::usual().await;
    let mut transcript = Transcript::new(&records);
    fits(&transcript.run("tokens revoke --all --dry-run -o json"));
    for arguments in [
        "tokens revoke --all",
        "tokens revoke --user ada@example.com --dry-run",
        "tokens revoke --user ada@example.com --yes",
        "tokens revoke --user ada@example.com --yes",
        "tokens revoke --user nobody@example.com --yes",
        "tokens revoke --client Claude --yes",
        "tokens revoke --client mcp_clauDe --yes",
        "tokens revoke --resource https://notes.example.org/mpc --yes",
        "tokens revoke --resource http://127.0.0.1:9/mpc --yes",
        "tokens revoke --client mcp_cursor --resource https://notes.example.org/mcp --yes -q",
    ] {
        transcript.run(arguments);
    }
    fits(&transcript.run("tokens revoke --all --yes -o json"));
    transcript.is("tokens-revoke-bulk.txt");
    assert_eq!(records.run("tokens list --state active").out, "");
}

#[tokio::test]
async fn a_person_at_a_terminal_is_asked() {
    let records = Records::usual().await;
    for (answer, code, left) in [("n", 1, 2), ("\u{3}", 130, 2), ("y", 0, 0)] {
        let terminal = Terminal::open(&records.home, "pangea-mcp-auth tokens revoke --all", 80);
        let (actual, seen) = terminal.answer("Revoke 3 grants?", answer).end();
        assert_eq!(actual, code, "{seen}");
        assert_eq!(records.run("tokens list --state active -q").out.lines().count(), left, "{seen}");
    }
}

/// Who would have to sign in again is said before it is too late.
#[tokio::test]
async fn whose_grants_they_are_is_said_in_the_dry_run_the_question_and_json() {
    let records = Records::usual().await;
    let theirs = ["ada@example.com (2)", "grace@example.com (1)", "mcp_cursor (2)", "mcp_claude (1)"];
    for command in ["tokens revoke --all", "keys rotate --revoke-all"] {
        let dry = records.run(&format!("{command} --dry-run"));
        assert!(theirs.iter().all(|words| dry.err.contains(words)), "{dry:?}");
        let unattended = records.run(command);
        assert_eq!(unattended.code, Some(2));
        assert!(theirs.iter().all(|words| unattended.err.contains(words)), "{unattended:?}");
        let report = records.json(&format!("{command} --dry-run -o json"));
        let users = json!([
            { "subject": "pui_ada", "email": "ada@example.com", "grants": 2 },
            { "subject": "pui_grace", "email": "grace@example.com", "grants": 1 },
        ]);
        let clients = json!([
            { "client_id": "mcp_claude", "grants": 1 },
            { "client_id": "mcp_cursor", "grants": 2 },
        ]);
        assert_eq!((&report["users"], &report["clients"]), (&users, &clients));
    }
    let one = records.json("clients revoke mcp_cursor --dry-run -o json");
    assert_eq!(one["users"].as_array().unwrap().len(), 2, "{one}");
    let done = records.json("tokens revoke --all --yes -o json");
    assert_eq!((&done["revoked"], &done["users"][0]["grants"]), (&3.into(), &2.into()), "{done}");
}

#[tokio::test]
async fn a_thousand_grants_go_in_one_command() {
    let records = Records::many(1203).await;
    let outcome = records.run("tokens revoke --all --yes -q");
    assert_eq!((outcome.code, outcome.out.lines().count()), (Some(0), 1203), "{}", outcome.err);
    assert_eq!(records.run("tokens list --state active").out, "");
    assert_eq!(words(&records.run("tokens revoke --all --yes").err), "all 1203 already revoked\n  http://127.0.0.1:9/mcp refuses them now if it introspects each token, otherwise after X\n".replace('X', &accepted_until(&records)));
}

fn accepted_until(records: &Records) -> String {
    let report = records.json("tokens revoke --all --yes -o json");
    report["accepted_until"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn by_the_token_that_leaked_in_whatever_it_was_found() {
    let records = Records::usual().await;
    let mut transcript = Transcript::new(&records);
    let mut leak = |arguments: &str, what: &str, text: &str| {
        transcript.run_with(&format!("tokens revoke --token-stdin{arguments}"), what, text.as_bytes())
    };
    let access = access_token(14, 6);
    leak(" --dry-run", "access-token", &access);
    leak("", "line-of-a-log", &format!("12:01 GET /mcp 200 \"Authorization: Bearer {access}\" 5 ms\n"));
    leak("", "access-token", &format!("{access}\n"));
    leak(" -q", "refresh-token", &refresh_token(&grant(13)));
    leak("", "url-with-a-code", &format!("http://127.0.0.1:4711/callback?code={}&state=x", code(&grant(15))));
    leak("", "token-of-a-revoked-grant", &access_token(12, 1));
    let never = access_token(11, 1);
    leak("", "expired-access-token", &never);
    let (forged, other) = (access_token(11, 1).replace("c2ln", "c2lm"), refresh_token(&grant(99)));
    leak("", "forged-access-token", &forged);
    leak("", "token-of-another-server", &other);
    leak("", "jwt-of-another-issuer", "eyJhbGciOiJSUzI1NiJ9.eyJqdGkiOiJ4In0.c2ln");
    leak("", "client-secret", &format!("mcp_cs_{}", "s".repeat(43)));
    leak("", "garbage", "\u{0}\u{1}nothing");
    leak("", "nothing", "");
    leak("", "a-whole-log", &"x".repeat(65 * 1024));
    fits(&leak(" -o json", "access-and-expired-token", &format!("{access} {never}")));
    transcript.is("tokens-revoke-leaked.txt");
    assert_eq!(run_with(&records, "tokens revoke --token-stdin", &[0xff, 0xfe]).code, Some(3));
}

/// Knowing the ID of a grant is not enough to have it revoked with an invented token.
#[tokio::test]
async fn a_token_that_only_names_a_grant_revokes_nothing() {
    let records = Records::usual().await;
    let id = grant(14);
    let made_up = [
        access_token(14, 6).replace("c2lnbmF0dXJl", "Zm9yZ2Vk"),
        access_token(14, 4),
        format!("mcp_rt_{id}0_{}", "x".repeat(43)),
        format!("mcp_rt_{id}7_{}", "r".repeat(43)),
        format!("mcp_ac_{id}{}", "x".repeat(43)),
    ];
    for text in made_up {
        let outcome = run_with(&records, "tokens revoke --token-stdin", text.as_bytes());
        assert_eq!((outcome.code, &*outcome.out), (Some(3), ""), "{text} {outcome:?}");
        assert!(outcome.err.contains(&format!("tokens revoke {id}")), "{outcome:?}");
        assert!(!outcome.err.contains(&text), "{outcome:?}");
    }
    assert_eq!(records.json(&format!("tokens show {id} -o json"))["state"], "active");
}
