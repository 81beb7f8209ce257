//! `tokens show`: the whole life of a grant.

use super::{
    records::{Records, access_token, code, grant, refresh_token},
    terminal::Terminal,
    transcript::{Transcript, same, words},
};
use crate::operator::check::fits_schema;

#[tokio::test]
async fn each_life_is_told_and_mistakes_are_answered() {
    let records = Records::usual().await;
    let mut transcript = Transcript::new(&records);
    for number in 11..=15 {
        let outcome = transcript.run(&format!("tokens show {} -o json", grant(number)));
        fits_schema("tokens-show.json", &serde_json::from_str(&outcome.out).unwrap());
    }
    for arguments in [
        "tokens show 155k9c",
        "tokens show 145k9c",
        "tokens show 145k9c.6",
        "tokens show 125k9c -q",
        "tokens show 145k9c.7",
        "tokens show 14",
        "tokens show 995k9c",
        "tokens show mcp_claude",
        "tokens show not/an/id",
        "tokens show",
    ] {
        transcript.run(arguments);
    }
    transcript.is("tokens-show.txt");
}

#[tokio::test]
async fn a_terminal_hears_how_long_ago_it_was() {
    let records = Records::usual().await;
    let (code, seen) = Terminal::open(&records.home, "pangea-mcp-auth tokens show 145k", 80).end();
    assert_eq!(code, 0, "{seen}");
    same("tokens-show-terminal.txt", &records.without_times(&words(&seen)));
}

#[tokio::test]
async fn a_beginning_that_several_have_is_answered_with_them() {
    let records = Records::many(7).await;
    let outcome = records.run("tokens show 0000");
    assert_eq!((outcome.code, &*outcome.out), (Some(2), ""), "{outcome:?}");
    assert_eq!(outcome.err.matches("5k9c3a0m6r0r5o8k8q7j0c2a").count(), 5, "{outcome:?}");
    assert_eq!(records.run("tokens show 00000003 -q").code, Some(0));
}

/// Neither a secret nor its hash is shown, and a secret that was given as an ID is not repeated.
#[tokio::test]
async fn no_secret_is_told_or_repeated() {
    let records = Records::usual().await;
    let hashes = ["hash", "current", "seed", "challenge", "sealed"];
    for number in 11..=15 {
        let shown = records.run(&format!("tokens show {} -o json", grant(number))).out;
        assert!(hashes.iter().all(|name| !shown.contains(name)), "{shown}");
    }
    for secret in [
        access_token(14, 6),
        refresh_token(&grant(14)),
        code(&grant(15)),
        format!("mcp_cs_{}", "s".repeat(43)),
    ] {
        for command in ["tokens show", "tokens revoke", "tokens revoke 145k"] {
            let outcome = records.run(&format!("{command} {secret}"));
            assert_eq!((outcome.code, &*outcome.out), (Some(2), ""), "{outcome:?}");
            assert!(outcome.err.contains("--token-stdin") && !outcome.err.contains(&secret), "{outcome:?}");
        }
    }
    assert_eq!(records.run("tokens list --state revoked -q").out.lines().count(), 1, "nothing was done");
}
