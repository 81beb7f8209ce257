//! A build without keyring support says so, and keeps secrets in files.

use super::{Beginning, non_interactive::FOLDER};
use crate::support::process::PANGEA;

#[tokio::test(flavor = "multi_thread")]
async fn a_build_without_keyring_support_refuses_keyring_entries_and_uses_files() {
    let beginning = Beginning::start().await;
    beginning.home.write("given-secret", PANGEA.1);
    let insisting = beginning.init(&["--secrets", "keyring", "--config", "other/config.toml"]);
    assert_eq!(insisting.code, Some(78), "{insisting:?}");
    let outcome = beginning.init(&[]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(beginning.files().contains(&"sealing-key".to_owned()), "{:?}", beginning.files());
    let written = beginning.home.read(&format!("{FOLDER}/config.toml"));
    let named = written.replace("{ file = \"sealing-key\" }", "{ keyring = \"sealing-key\" }");
    assert_ne!(named, written);
    beginning.home.write("config.toml", &named);
    let served = beginning.home.run(&["serve", "--config", "config.toml"]);
    assert_eq!(served.code, Some(78), "{served:?}");
    assert!(served.err.contains("no keyring support"), "{served:?}");
}
