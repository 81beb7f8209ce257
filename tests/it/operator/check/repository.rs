//! The repository and the keys in it.

use std::path::Path;

use pangea_mcp_auth::{
    clock::{Clock, SystemClock},
    repository::{Kind, Page, Repository, SqliteRepository},
};

use super::{Well, check};

/// The keys of everything that may be used once.
pub(super) async fn records(path: &Path) -> Vec<String> {
    let repository = SqliteRepository::open(path).unwrap();
    let page = Page { limit: 10, ..Page::default() };
    let records = repository.list(Kind::Replay, &page, SystemClock.now()).await.unwrap();
    records.into_iter().map(|record| record.key).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_cannot_be_opened_fails_with_its_sentence() {
    let well = Well::start().await;
    well.home.reconfigure("records.sqlite", "config.toml");
    let checked = check(&well.home, &[]);
    assert_eq!((checked.code, checked.status("repository")), (Some(1), vec!["fail"]), "{}", checked.report);
    assert!(checked.words("repository").contains("repository.path"), "{}", checked.report);
    assert_eq!(checked.status("upstream.credentials"), ["pass"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sealing_key_opens_nothing() {
    let well = Well::start().await;
    well.home.write("sealing-key", "//8CAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let checked = check(&well.home, &[]);
    assert_eq!((checked.code, checked.status("keys")), (Some(1), vec!["fail"]), "{}", checked.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_there_yet_is_not_made() {
    let well = Well::start().await;
    well.home.reconfigure("records.sqlite", "other.sqlite");
    let checked = check(&well.home, &[]);
    assert_eq!(checked.status("repository"), ["pass"], "{}", checked.report);
    assert!(!well.home.path("other.sqlite").exists());
}
