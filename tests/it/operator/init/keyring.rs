//! A real keyring: a Secret Service on a bus of the test's own. Where there is none, files take its place.

use std::process::Command;

use super::{Beginning, non_interactive::FOLDER};
use crate::support::process::{Daemon, Outcome, PANGEA};

/// Starts a keyring that is unlocked, and makes it if there is none.
const UNLOCKED: &str =
    "printf 'open sesame' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1";
/// Starts a keyring that no one can unlock, because there is no screen.
const LOCKED: &str = "gnome-keyring-daemon --start --components=secrets >/dev/null 2>&1";

/// Runs a script on a bus of its own that has a keyring.
fn with_keyring(beginning: &Beginning, keyring: &str, script: &str) -> Outcome {
    let home = beginning.home.path("");
    let mut command = Command::new("dbus-run-session");
    command.args(["--", "sh", "-c", &format!("{keyring}\n{script}")]);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &home).env("XDG_RUNTIME_DIR", &home);
    command.env("PROGRAM", env!("CARGO_BIN_EXE_pangea-mcp-auth")).current_dir(home);
    command.stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    Daemon::start(&mut command).wait()
}

/// The command line of `init` for a shell.
fn init(beginning: &Beginning) -> String {
    format!("\"$PROGRAM\" {}", beginning.flags().join(" "))
}

const LOOKUP: &str = "secret-tool lookup service pangea-mcp-auth username";

#[tokio::test(flavor = "multi_thread")]
async fn secrets_go_into_a_keyring_where_there_is_one() {
    let beginning = Beginning::start().await;
    beginning.home.write("given-secret", PANGEA.1);
    let script =
        format!("{} && {LOOKUP} authn-client-secret && echo && \"$PROGRAM\" check -o json", init(&beginning));
    let outcome = with_keyring(&beginning, UNLOCKED, &script);
    assert!(outcome.out.contains("in the keyring, service pangea-mcp-auth"), "{outcome:?}");
    assert!(outcome.out.contains(&format!("\n{}\n", PANGEA.1)), "{outcome:?}");
    let findings = outcome.out.split_once("\"findings\"").unwrap().1;
    assert!(findings.contains("\"name\": \"secrets\",\n      \"status\": \"pass\""), "{findings}");
    let files = beginning.files();
    for name in ["authn-client-secret", "sealing-key"] {
        assert!(!files.iter().any(|file| file == name), "{files:?}");
    }
    let written = beginning.home.read(&format!("{FOLDER}/config.toml"));
    assert!(written.contains("{ keyring = \"sealing-key\" }"), "{written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_into_the_keyring_is_taken_out_when_the_rest_fails() {
    let beginning = Beginning::start().await;
    beginning.home.write("given-secret", PANGEA.1);
    let script = format!(
        "printf spoilt | secret-tool store --label=x service pangea-mcp-auth username sealing-key
         {}; echo \"ended $?\"; {LOOKUP} authn-client-secret; echo \"found $?\"; {LOOKUP} sealing-key",
        init(&beginning)
    );
    let outcome = with_keyring(&beginning, UNLOCKED, &script);
    assert_eq!(outcome.out, "ended 1\nfound 1\nspoilt\n", "{outcome:?}");
    assert!(outcome.err.contains("never overwrites"), "{outcome:?}");
    assert!(!beginning.home.path(FOLDER).exists(), "{:?}", beginning.files());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_keyring_is_said_to_be_locked_and_nothing_waits_for_it() {
    let beginning = Beginning::start().await;
    beginning.home.write("given-secret", PANGEA.1);
    let made = with_keyring(&beginning, UNLOCKED, &init(&beginning));
    assert_eq!(made.code, Some(0), "{made:?}");

    let checked = with_keyring(&beginning, LOCKED, "\"$PROGRAM\" check --output json");
    let findings = checked.out.split_once("\"findings\"").unwrap().1;
    assert!(findings.contains("\"secrets\"") && findings.contains("keyring"), "{checked:?}");
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let insisting = format!("{} --secrets keyring --config other/config.toml", init(&beginning));
    let insisting = with_keyring(&beginning, LOCKED, &insisting);
    assert_eq!(insisting.code, Some(69), "{insisting:?}");
    let other = with_keyring(&beginning, LOCKED, &format!("{} --config other/config.toml", init(&beginning)));
    assert_eq!(other.code, Some(0), "{other:?}");
    assert!(other.out.contains("no keyring is available"), "{other:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_keyring_it_is_said_that_files_take_its_place() {
    let beginning = Beginning::start().await;
    beginning.home.write("given-secret", PANGEA.1);
    let outcome = beginning.init(&[]);
    assert!(outcome.out.contains("no keyring is available"), "{outcome:?}");
    let insisting = beginning.init(&["--secrets", "keyring", "--config", "other/config.toml"]);
    assert_eq!(insisting.code, Some(69), "{insisting:?}");
    assert!(insisting.err.contains("--secrets files"), "{insisting:?}");
    assert!(!beginning.home.path("other").exists());
}
