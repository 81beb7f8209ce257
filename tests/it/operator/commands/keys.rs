//! `keys`: the keys that sign access tokens.

use pangea_mcp_auth::clock::UnixTime;
use serde_json::{Value, json};

use super::{
    records::Records,
    terminal::Terminal,
    transcript::{Transcript, words},
};
use crate::operator::check::fits_schema;

fn fits(schema: &str, outcome: &crate::support::process::Outcome) -> Value {
    let printed = serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    fits_schema(schema, &printed);
    printed
}

#[tokio::test]
async fn they_are_listed_and_rotate_and_on_the_worst_day_go_at_once() {
    let records = Records::usual().await;
    let mut transcript = Transcript::new(&records);
    assert_eq!(fits("keys-list.json", &transcript.run("keys list -o json")), json!([]));
    transcript.run("keys list");
    let first = fits("keys-rotate.json", &transcript.run("keys rotate -o json"));
    let refused = transcript.run("keys rotate");
    assert_eq!((refused.code, &*refused.out), (Some(1), ""), "one is waiting already");
    let second = transcript.run("keys rotate --force -q").out;
    transcript.run("keys list");
    let listed = fits("keys-list.json", &transcript.run("keys list -o json"));
    assert_eq!(listed[0]["kid"].as_str().unwrap(), second.trim());
    fits("tokens-revoke.json", &transcript.run("keys rotate --revoke-all --dry-run -o json"));
    transcript.run("keys rotate --revoke-all");
    transcript.run("keys rotate --yes");
    transcript.run("keys rotate --revoke-all --yes");
    let last = fits("keys-rotate.json", &transcript.run("keys rotate --revoke-all --yes -o json"));
    transcript.run("keys list");
    let third = transcript.run("keys rotate");
    transcript.run("keys list -q");
    assert_eq!((third.code, &*third.out), (Some(0), ""));
    let kids = records.json("keys list -o json");
    assert_eq!(kids.as_array().unwrap().len(), 2, "{kids}");
    transcript.name(listed[2]["kid"].as_str().unwrap(), "<kid 1>");
    transcript.name(first["kid"].as_str().unwrap(), "<kid 2>");
    transcript.name(second.trim(), "<kid 3>");
    transcript.name(last["kid"].as_str().unwrap(), "<kid 5>");
    transcript.name(kids[0]["kid"].as_str().unwrap(), "<kid 6>");
    transcript.hide_after("! key ", "<kid 4>");
    transcript.is("keys.txt");
    assert_eq!(records.run("tokens list --state active").out, "");
}

#[tokio::test]
async fn a_terminal_gets_a_table_and_a_question() {
    let records = Records::usual().await;
    records.run("keys rotate");
    let (code, seen) = Terminal::open(&records.home, "pangea-mcp-auth keys list", 100).end();
    assert_eq!(code, 0, "{seen}");
    let is_there = |word: &&str| seen.contains(word);
    assert!(["KID", "next", "signing", "just now", " in "].iter().all(is_there), "{seen}");
    assert_eq!(words(&seen).lines().count(), 3, "{seen}");
    let terminal = Terminal::open(&records.home, "pangea-mcp-auth keys rotate --revoke-all", 80);
    let (code, seen) = terminal.answer("Remove all signing keys and revoke 3 grants?", "n").end();
    assert_eq!(code, 1, "{seen}");
    assert_eq!(records.json("keys list -o json").as_array().unwrap().len(), 2);
}

#[test]
fn the_sealing_key_gets_a_successor_and_goes() {
    let records = Records::none();
    let added = fits("keys-rotate-sealing.json", &records.run("keys rotate --sealing -o json"));
    assert_eq!(added["place"], "sealing-key");
    let early = records.run("keys rotate --sealing --forget-old -o json");
    assert_eq!((early.code, &*early.out), (Some(1), ""), "{early:?}");
    // As if that had been ten days ago.
    let then = UnixTime::from_secs(records.now.as_secs() - 10 * 24 * 3600).to_string();
    let keys = records.home.read("sealing-key").replace(added["seals_from"].as_str().unwrap(), &then);
    assert!(keys.contains(&then), "the new key has its time");
    records.home.write("sealing-key", &keys);
    let gone = fits(
        "keys-rotate-sealing-forget-old.json",
        &records.run("keys rotate --sealing --forget-old -o json"),
    );
    assert_eq!(gone["forgotten"].as_array().unwrap().len(), 1, "{gone}");
    assert_ne!(gone["forgotten"][0], added["key"]);
    assert_eq!(records.home.read("sealing-key").split_whitespace().count(), 1);
}
