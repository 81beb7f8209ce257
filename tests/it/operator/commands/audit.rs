//! What operators do is in the log of the command, whether or not they ask for one, and in the records.

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
        assert!(["user", "host"].iter().all(|who| event[who].is_string()), "{event}");
    }
    audited
}

/// Promise 11: each deed of an operator is an audit line with who did it, also without `-v`.
#[tokio::test]
async fn each_deed_is_a_line_that_says_whose() {
    let records = Records::usual().await;
    let text = records.run(&format!("tokens revoke {}", grant(13)));
    let is_told = |word: &&str| text.err.contains(word);
    assert!(
        ["INFO audit:", "event=\"revocation\"", &grant(13), "by=\"operator\"", "user=\""].iter().all(is_told),
        "{text:?}"
    );
    assert!(text.err.contains("\n1 revoked\n"), "the words for people stay: {text:?}");
    assert!(!text.out.contains("audit"), "data is on standard output: {text:?}");
    records
        .home
        .write("config.toml", &format!("{}\n[log]\nformat = \"json\"\n", records.home.read("config.toml")));
    let add = "clients add --confidential -o json --redirect-uri https://app.example.com/callback";
    let added = records.run(&format!("-vv {add}"));
    let client: Value = serde_json::from_str(&added.out).unwrap();
    assert!(!added.err.contains(client["client_secret"].as_str().unwrap()), "{added:?}");
    assert_eq!(audited(&added)[0]["client_id"], client["client_id"]);
    for (command, events) in [
        (&*format!("tokens revoke {}.6", grant(14)), vec!["revocation"]),
        (&*format!("-v tokens revoke {}.5", grant(14)), vec!["revocation"]),
        ("-q tokens revoke --all --yes", vec!["revocation"; 2]),
        ("tokens revoke --all --yes", vec![]),
        ("clients revoke mcp_backoffice --yes", vec!["client_removal"]),
        ("clients prune --yes", vec!["client_removal"]),
        ("keys rotate", vec!["key_rotation"]),
        ("keys rotate --revoke-all --yes", vec!["key_rotation"]),
        ("keys rotate --sealing", vec!["sealing_key_added"]),
        ("repository copy --to sqlite:copy.sqlite", vec!["repository_copy"]),
        ("repository copy --to sqlite:copy.sqlite", vec![]),
        ("tokens list", vec![]),
    ] {
        let outcome = records.run(command);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let told: Vec<Value> = audited(&outcome).iter().map(|event| event["event"].clone()).collect();
        assert_eq!(told, events, "{command}: {outcome:?}");
        for key in records.home.read("sealing-key").split_whitespace() {
            assert!(!outcome.err.contains(key.split('@').next().unwrap()), "{outcome:?}");
        }
    }
}

/// An operator on another machine sees who it was.
#[tokio::test]
async fn a_changed_record_says_who_changed_it() {
    let records = Records::usual().await;
    let shown = |command: &str| -> Value {
        let outcome = records.run(&format!("{command} -o json"));
        serde_json::from_str(&outcome.out).unwrap_or_else(|_| panic!("{outcome:?}"))
    };
    assert_eq!(shown(&format!("tokens show {}", grant(14)))["operated"], Value::Null);
    let revoke = records.command(&format!("tokens revoke {}.6", grant(14))).env("SUDO_USER", "ada").output();
    assert!(revoke.unwrap().status.success());
    let operated = shown(&format!("tokens show {}", grant(14)))["operated"].clone();
    assert_eq!((&operated["action"], &operated["sudo_user"]), (&"token_revoked".into(), &"ada".into()));
    assert!(["user", "host", "at"].iter().all(|field| operated[field].is_string()), "{operated}");
    records.run(&format!("tokens revoke {}", grant(14)));
    let operated = shown(&format!("tokens show {}", grant(14)))["operated"].clone();
    assert_eq!((&operated["action"], &operated["sudo_user"]), (&"revoked".into(), &Value::Null));

    let added = records.run("clients add --redirect-uri https://app.example.com/callback -q");
    let client = shown(&format!("clients show {}", added.out.trim()));
    assert_eq!(client["operated"]["action"], "added");
    let sheet = records.run(&format!("clients show {}", added.out.trim()));
    assert!(sheet.out.contains("operator"), "{sheet:?}");
}
