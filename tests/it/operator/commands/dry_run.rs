//! `--dry-run` of every command: it ends well, and every file is as it was, byte for byte.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use pangea_mcp_auth::{
    clock::UnixTime,
    repository::{Repository, SqliteRepository},
};

use super::{
    records::{Records, access_token, grant},
    transcript::run_with,
};
use crate::{
    operator::help::{commands, words},
    stage::VAULT_TOKEN,
    storage::vault::Vault,
    support::process::Outcome,
};

/// The forms of each command that has `--dry-run`, without it. `VAULT` is the address of a Vault.
const FORMS: [(&str, &[&str]); 6] = [
    ("clients prune", &["clients prune --unused-for 1d", "clients prune --yes -q"]),
    ("clients revoke", &["clients revoke mcp_claude", "clients revoke mcp_backoffice --yes"]),
    (
        "keys rotate",
        &[
            "keys rotate",
            "keys rotate --yes -o json",
            "keys rotate --force",
            "keys rotate --revoke-all",
            "keys rotate --revoke-all --yes",
            "keys rotate --sealing",
            "keys rotate --sealing --yes --after 1h -o json",
        ],
    ),
    (
        "repository copy",
        &[
            "repository copy --to sqlite:new/copy.sqlite",
            "repository copy --from sqlite:records.sqlite --to sqlite:copy.sqlite",
        ],
    ),
    (
        "repository import",
        &[
            "repository import --from-pangea-authn-fastmcp --token-file vault-token --api-url VAULT",
            "repository import --from-pangea-authn-fastmcp --token-file vault-token --api-url VAULT --to sqlite:x",
        ],
    ),
    (
        "tokens revoke",
        &[
            "tokens revoke --all",
            "tokens revoke --all --yes -q",
            "tokens revoke --user ada@example.com",
            "tokens revoke --client mcp_claude",
            "tokens revoke --resource https://notes.example.org/mcp",
            "tokens revoke 145k9c 135k9c.1",
            "tokens revoke --token-stdin",
        ],
    ),
];

/// Every file below a folder, with its mode and its bytes. The index of a write-ahead log is left out: SQLite
/// may rebuild it from the log at any time.
fn all_in(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let mode = entry.metadata().unwrap().mode();
        if entry.is_dir() {
            found.insert(entry.clone(), (mode, Vec::new()));
            found.extend(all_in(&entry));
        } else if !entry.to_string_lossy().ends_with("-shm") {
            found.insert(entry.clone(), (mode, fs::read(&entry).unwrap()));
        }
    }
    found
}

fn assert_changes_nothing(records: &Records, arguments: &str) -> Outcome {
    let folder = records.home.path("");
    let before = all_in(&folder);
    let outcome = run_with(records, arguments, access_token(14, 6).as_bytes());
    let after = all_in(&folder);
    assert!(before.keys().eq(after.keys()), "{arguments}: {:?}", after.keys());
    for (path, content) in &before {
        assert!(after[path] == *content, "{arguments} changed {}", path.display());
    }
    outcome
}

/// Records of clients that the library of the import keeps, one of them.
async fn with_a_client(vault: &Vault) {
    let client = serde_json::json!({ "client_id": "0b7c9a3e-3f0e-4d1c-9f3a-1c1d1e1f2021",
        "redirect_uris": ["http://127.0.0.1:4711/callback"], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"] });
    let body =
        serde_json::json!({ "type": "secret", "name": client["client_id"], "secret": client.to_string() });
    vault.call("secret/store", &body).await;
}

/// Leaves the home as a daemon leaves it that was killed: with a log that is not folded into the file.
async fn leave_a_log(records: &Records) {
    let (database, folder) = (records.home.path("records.sqlite"), tempfile::tempdir().unwrap());
    let open = SqliteRepository::open(&database).unwrap();
    open.ping().await.unwrap();
    records.keep(vec![records.active(&grant(17), "mcp_claude", -60)]).await;
    let names = ["records.sqlite", "records.sqlite-wal"];
    for name in names {
        fs::copy(records.home.path(name), folder.path().join(name)).unwrap();
    }
    drop(open);
    for name in names {
        fs::copy(folder.path().join(name), records.home.path(name)).unwrap();
    }
    assert!(fs::metadata(records.home.path("records.sqlite-wal")).unwrap().len() > 0);
}

async fn each_form_changes_nothing(records: &Records) {
    let vault = Vault::start().await;
    with_a_client(&vault).await;
    records.home.write("vault-token", VAULT_TOKEN);
    let secrets = vault.secrets().await;
    for form in FORMS.iter().flat_map(|(_, forms)| *forms) {
        let arguments = format!("{form} --dry-run").replace("VAULT", vault.url());
        let outcome = tokio::task::block_in_place(|| assert_changes_nothing(records, &arguments));
        assert_eq!(outcome.code, Some(0), "{arguments}: {outcome:?}");
    }
    assert_eq!(vault.secrets().await, secrets);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_no_byte_whatever_the_command() {
    let records = Records::usual().await;
    assert_eq!(records.run("keys rotate").code, Some(0));
    let refused = assert_changes_nothing(&records, "keys rotate --dry-run");
    assert_eq!(refused.code, Some(1), "as it would be without --dry-run: {refused:?}");
    assert_eq!(records.run("keys rotate --revoke-all --yes").code, Some(0));
    assert_eq!(records.run("repository copy --to sqlite:copy.sqlite").code, Some(0));
    records.keep(vec![records.active(&grant(16), "mcp_claude", -60)]).await;
    each_form_changes_nothing(&records).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_it_touch_the_log_that_a_killed_daemon_left_behind() {
    let records = Records::usual().await;
    assert_eq!(records.run("keys rotate --revoke-all --yes").code, Some(0));
    leave_a_log(&records).await;
    each_form_changes_nothing(&records).await;
    let listed = records.run("tokens list --client mcp_claude --state active -q");
    assert!(listed.out.contains(&grant(17)), "what is in the log is seen: {listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_sealing_key_stays_in_a_dry_run_of_its_removal() {
    let records = Records::none();
    assert_eq!(records.run("keys rotate --sealing").code, Some(0));
    let waits = assert_changes_nothing(&records, "keys rotate --sealing --dry-run");
    assert_eq!(waits.code, Some(1), "{waits:?}");
    let early = assert_changes_nothing(&records, "keys rotate --sealing --forget-old --dry-run");
    assert_eq!(early.code, Some(1), "{early:?}");
    // As if that had been ten days ago.
    let then = UnixTime::from_secs(records.now.as_secs() - 10 * 24 * 3600).to_string();
    let keys = records.home.read("sealing-key");
    let from = keys.split('@').nth(1).unwrap().split_whitespace().next().unwrap();
    records.home.write("sealing-key", &keys.replace(from, &then));
    for more in ["", " --yes", " -o json", " -q"] {
        let arguments = format!("keys rotate --sealing --forget-old --dry-run{more}");
        let outcome = assert_changes_nothing(&records, &arguments);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    }
    assert_eq!(records.run("keys rotate --sealing --forget-old --yes").code, Some(0));
}

/// A command that gets `--dry-run` without a form above is noticed here.
#[test]
fn every_command_with_a_dry_run_has_its_forms_here() {
    let records = Records::absent();
    let has = |command: &Vec<String>| {
        let help = records.home.run(&[words(command), vec!["-h"]].concat()).out;
        help.lines().any(|line| line.trim_start().starts_with("--dry-run"))
    };
    let with: BTreeSet<String> = commands(&records.home)
        .iter()
        .filter(|command| has(command))
        .map(|command| command.join(" "))
        .collect();
    assert_eq!(with, FORMS.iter().map(|(command, _)| (*command).to_owned()).collect());
}

/// A flag that means nothing in another form must not be passed over in silence.
#[test]
fn flags_of_one_form_are_refused_in_another() {
    let records = Records::none();
    for form in [
        "keys rotate --revoke-all --forget-old",
        "keys rotate --revoke-all --after 1h",
        "keys rotate --sealing --force",
        "keys rotate --sealing --revoke-all",
        "keys rotate --forget-old",
        "keys rotate --after 1h",
    ] {
        let outcome = assert_changes_nothing(&records, &format!("{form} --yes"));
        assert_eq!(outcome.code, Some(2), "{form}: {outcome:?}");
    }
}
