//! What operators do stands in the log of the command, for whoever asks for one.

use serde_json::Value;

use super::records::{Records, grant};
use crate::support::process::Outcome;

/// The audit lines of a command whose log is in JSON.
fn audited(outcome: &Outcome) -> Vec<Value> {
    let lines = outcome.err.lines().filter(|line| line.starts_with('{'));
    let events = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let audited: Vec<Value> = events.filter(|event| event["target"] == "audit").collect();
    for event in &audited {
        assert_eq!(event["by"], "operator", "{event}");
    }
    audited
}

#[tokio::test]
async fn each_deed_is_a_line_with_v_and_none_without() {
    let records = Records::usual().await;
    let text = records.run(&format!("-v tokens revoke {}", grant(13)));
    let is_told = |word: &&str| text.err.contains(word);
    assert!(
        ["INFO audit:", "event=\"revocation\"", &grant(13), "by=\"operator\""].iter().all(is_told),
        "{text:?}"
    );
    assert!(text.err.contains("\n1 revoked\n"), "the words for people stay: {text:?}");

    records
        .home
        .write("config.toml", &format!("{}\n[log]\nformat = \"json\"\n", records.home.read("config.toml")));
    let quiet = records.run(&format!("tokens revoke {}.6", grant(14)));
    assert!(quiet.code == Some(0) && !quiet.err.contains("audit"), "{quiet:?}");
    let add = "clients add --confidential -o json --redirect-uri https://app.example.com/callback";
    let added = records.run(&format!("-vv {add}"));
    let client: Value = serde_json::from_str(&added.out).unwrap();
    assert!(!added.err.contains(client["client_secret"].as_str().unwrap()), "{added:?}");
    assert_eq!(audited(&added)[0]["client_id"], client["client_id"]);
    for (command, events) in [
        (&*format!("tokens revoke {}.5", grant(14)), vec!["revocation"]),
        ("tokens revoke --all --yes", vec!["revocation"; 2]),
        ("tokens revoke --all --yes", vec![]),
        ("clients revoke mcp_backoffice --yes", vec!["client_removal"]),
        ("clients prune --yes", vec!["client_removal"]),
        ("keys rotate", vec!["key_rotation"]),
        ("keys rotate --revoke-all --yes", vec!["key_rotation"]),
        ("keys rotate --sealing", vec!["sealing_key_added"]),
        ("tokens list", vec![]),
    ] {
        let outcome = records.run(&format!("-v {command}"));
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let told: Vec<Value> = audited(&outcome).iter().map(|event| event["event"].clone()).collect();
        assert_eq!(told, events, "{command}: {outcome:?}");
        for key in records.home.read("sealing-key").split_whitespace() {
            assert!(!outcome.err.contains(key.split('@').next().unwrap()), "{outcome:?}");
        }
    }
}
