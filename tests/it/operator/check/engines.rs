//! Each kind of repository, well and otherwise.

use super::{check, well_with};
use crate::support::{PostgresDatabase, PostgresServer, RecordServer, Records};

const WELL: [&str; 4] = ["repository", "repository.round_trip", "repository.settings", "keys"];

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_looked_into_and_left_as_it_was() {
    let mut postgres = PostgresServer::new();
    let well = well_with(postgres.configuration().trim_end()).await;
    let checked = check(&well.home, &[]);
    assert_eq!((checked.code, checked.troubles()), (Some(0), vec![]), "{}", checked.report);
    for name in WELL {
        assert_eq!(checked.status(name), ["pass"], "{name} {}", checked.report);
    }
    let left = postgres.sql("SELECT count(*) FROM pangea_mcp_auth_record WHERE key LIKE 'check-%'");
    assert_eq!(left.trim(), "0");

    postgres.stop();
    let checked = check(&well.home, &[]);
    assert_eq!((checked.code, checked.status("repository")), (Some(1), vec!["fail"]), "{}", checked.report);
    let words = checked.words("repository");
    assert!(words.contains("repository.url and repository.password"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_that_refuses_the_password_says_so() {
    let postgres = PostgresDatabase::new();
    let well = well_with(postgres.configuration().trim_end()).await;
    well.home.reconfigure("open%20sesame", "something%20else");
    let checked = check(&well.home, &[]);
    assert_eq!((checked.code, checked.status("repository")), (Some(1), vec!["fail"]), "{}", checked.report);
    assert!(checked.words("repository").contains("password"), "{}", checked.report);
    assert!(!checked.report.to_string().contains("something"), "{}", checked.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn vault_is_looked_into_and_another_token_is_refused() {
    let lines = "kind = \"vault\"\napi_url = \"{upstream}\"\ntoken = { file = \"vault-token\" }";
    let well = well_with(lines).await;
    let checked = check(&well.home, &[]);
    assert_eq!((checked.code, checked.troubles()), (Some(0), vec![]), "{}", checked.report);
    for name in WELL {
        assert_eq!(checked.status(name), ["pass"], "{name} {}", checked.report);
    }
    assert!(checked.words("repository.settings").contains("one daemon at a time"), "{}", checked.report);
    well.home.write("vault-token", "pts_of_somebody_else");
    let checked = check(&well.home, &[]);
    assert_eq!((checked.code, checked.status("repository")), (Some(1), vec!["fail"]), "{}", checked.report);
    assert!(checked.words("repository").contains("repository.token"), "{}", checked.report);
    assert!(!checked.report.to_string().contains("pts_of_somebody_else"));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_elsewhere_are_named_by_their_table() {
    let elsewhere =
        "path = \"records.sqlite\"\n[repository.clients]\nkind = \"sqlite\"\npath = \"clients.sqlite\"";
    let well = well_with(elsewhere).await;
    let checked = check(&well.home, &[]);
    assert_eq!((checked.code, checked.troubles()), (Some(0), vec![]), "{}", checked.report);
    for name in ["repository.clients", "repository.clients.round_trip", "repository.clients.settings"] {
        assert_eq!(checked.status(name), ["pass"], "{name} {}", checked.report);
    }
    let left = super::repository::records(&well.home.path("clients.sqlite")).await;
    assert_eq!(left, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_a_warning() {
    let home = crate::support::process::Home::with_configuration("http://127.0.0.1:1", "http://127.0.0.1:2");
    home.reconfigure("path = \"records.sqlite\"", "kind = \"memory\"");
    let checked = check(&home, &[]);
    assert_eq!(checked.status("repository.settings"), ["warn"], "{}", checked.report);
    assert!(checked.words("repository.settings").contains("kind = \\\"sqlite\\\""), "{}", checked.report);
}
