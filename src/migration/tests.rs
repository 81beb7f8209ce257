//! Copies between memory repositories, with realistic records.

use serde_json::{Value, json};

use super::*;
use crate::{clock::ManualClock, repository::MemoryRepository};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

fn migration() -> Migration {
    Migration {
        from: Arc::new(MemoryRepository::default()),
        to: Arc::new(MemoryRepository::default()),
        clock: Arc::new(ManualClock::at(NOW)),
    }
}

fn record(key: &str, value: &Value, parent: Option<&str>, expires_in: Option<u64>) -> Record {
    Record {
        key: key.to_owned(),
        value: value.to_string(),
        parent: parent.map(str::to_owned),
        expires_at: expires_in.map(|seconds| UnixTime::from_secs(NOW.as_secs() + seconds)),
    }
}

fn signing_key(kid: &str) -> Record {
    record("00000001", &json!({ "number": "00000001", "kid": kid }), None, None)
}

fn client(name: &str, issued_at: u64, expires_in: u64) -> Record {
    let value = json!({ "client_id": name, "origin": "self_registered", "issued_at": issued_at, "metadata": {
        "redirect_uris": ["http://127.0.0.1/callback"], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code"], "response_types": ["code"] } });
    record(name, &value, None, Some(expires_in))
}

/// A grant that was created at `made` and used `issued` times, or ended.
fn grant(made: u64, issued: u64, ended: bool) -> Record {
    let state = match (ended, issued) {
        (true, _) => json!({ "revoked": { "at": made, "by": "client" } }),
        (false, 0) => json!({ "code_issued": code() }),
        (false, _) => json!({ "active": { "code": code(), "live": [] } }),
    };
    let id = crate::oauth::token::GrantId::of_login("state", UnixTime::from_secs(made));
    let value = json!({ "id": id, "client_id": "c", "person": { "subject": "pui_x" }, "resource": "https://r",
        "scope": "user", "return_address": "http://127.0.0.1/callback", "created_at": made, "last_used_at": made,
        "expires_at": NOW.as_secs() + 1000, "issued": issued,
        "upstream": { "sealed": "x", "checked_at": made }, "state": state });
    serde_json::from_value::<crate::oauth::grant::Grant>(value.clone()).expect("as it is stored");
    record(id.as_str(), &value, Some("c"), Some(1000))
}

fn code() -> Value {
    json!({ "hash": crate::secret::TokenHash::of("x"), "challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "expires_at": NOW })
}

async fn put(repository: &Arc<dyn Repository>, kind: Kind, record: &Record) {
    if let Some(found) = repository.get(kind, &record.key, NOW).await.unwrap() {
        assert_ne!(repository.replace(kind, record, found.version, NOW).await.unwrap(), Write::Conflict);
    } else {
        assert_ne!(repository.insert(kind, record, NOW).await.unwrap(), Write::Conflict);
    }
}

async fn held(repository: &Arc<dyn Repository>, kind: Kind, key: &str) -> Option<Record> {
    repository.get(kind, key, NOW).await.unwrap().map(|found| found.record)
}

async fn copied(migration: &Migration, kind: Kind) -> Tally {
    let tallies = migration.copy(true, || ()).await.unwrap();
    tallies.into_iter().find(|tally| tally.kind == kind.as_str()).unwrap()
}

async fn agrees(migration: &Migration) -> bool {
    migration.check().await.unwrap().iter().all(Checked::agrees)
}

#[tokio::test]
async fn everything_is_copied_and_a_second_run_brings_new_changed_and_gone_records() {
    let migration = migration();
    let (from, to) = (&migration.from, &migration.to);
    put(from, Kind::Key, &signing_key("k")).await;
    put(from, Kind::Replay, &record("used", &json!(1), None, Some(60))).await;
    for number in 0..700 {
        put(from, Kind::Client, &client(&format!("c{number:03}"), 1000 + number, 500)).await;
        put(from, Kind::Grant, &grant(1000 + number, 1, false)).await;
    }
    put(from, Kind::Client, &record("expired", &json!({}), None, Some(0))).await;
    assert_eq!(migration.size().await.unwrap(), 1402);
    let dry = migration.copy(false, || ()).await.unwrap();
    assert_eq!(dry.iter().map(|tally| tally.added).sum::<u64>(), 1402);
    assert!(!agrees(&migration).await, "nothing was written");
    let mut heard = 0;
    let tallies = migration.copy(true, || heard += 1).await.unwrap();
    assert_eq!((heard, tallies == dry), (1402, true), "{tallies:?}");
    assert!(agrees(&migration).await);
    assert_eq!(held(to, Kind::Grant, &grant(1000, 1, false).key).await, Some(grant(1000, 1, false)));

    put(from, Kind::Grant, &grant(9000, 1, false)).await;
    put(from, Kind::Grant, &grant(1000, 2, false)).await;
    put(from, Kind::Grant, &grant(1001, 1, true)).await;
    assert!(from.take(Kind::Client, "c007", NOW).await.unwrap().is_some());
    let tallies = migration.copy(true, || ()).await.unwrap();
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
    assert_eq!([sum(|t| t.added), sum(|t| t.replaced), sum(|t| t.removed), sum(|t| t.kept)], [1, 2, 1, 0]);
    assert!(agrees(&migration).await);
}

#[tokio::test]
async fn what_happened_in_the_target_since_the_switch_stays() {
    let migration = migration();
    let (from, to) = (&migration.from, &migration.to);
    put(from, Kind::Key, &signing_key("k")).await;
    put(from, Kind::Client, &client("old", 1000, 500)).await;
    for made in 1000..1005 {
        put(from, Kind::Grant, &grant(made, 1, false)).await;
    }
    copied(&migration, Kind::Grant).await;
    let since = [
        (Kind::Grant, grant(1000, 2, false)),
        (Kind::Grant, grant(1001, 1, true)),
        (Kind::Grant, grant(2000, 1, false)),
        (Kind::Client, client("old", 1000, 900)),
        (Kind::Client, client("new", 2000, 500)),
        (
            Kind::Key,
            Record { expires_at: Some(NOW.plus(std::time::Duration::from_mins(1))), ..signing_key("k") },
        ),
        (Kind::Replay, record("used", &json!(1), None, Some(60))),
    ];
    for (kind, record) in &since {
        put(to, *kind, record).await;
    }
    // In the source: one was used more often but has ended since, another was used again.
    put(from, Kind::Grant, &grant(1001, 5, false)).await;
    put(from, Kind::Grant, &grant(1002, 2, false)).await;
    let tally = copied(&migration, Kind::Grant).await;
    assert_eq!((tally.kept, tally.replaced, tally.removed), (3, 1, 0), "{tally:?}");
    for (kind, record) in since {
        assert_eq!(held(to, kind, &record.key).await, Some(record));
    }
    assert_eq!(held(to, Kind::Grant, &grant(1002, 2, false).key).await, Some(grant(1002, 2, false)));
}

#[tokio::test]
async fn another_installation_is_not_touched_and_an_empty_source_not_copied() {
    let migration = migration();
    assert!(matches!(migration.copy(true, || ()).await, Err(MigrationError::NoInstallation)));
    put(&migration.from, Kind::Key, &signing_key("k")).await;
    for (kind, foreign) in [(Kind::Key, signing_key("other")), (Kind::Client, client("c", 1000, 500))] {
        let other = Migration { to: Arc::new(MemoryRepository::default()), ..migration.clone() };
        put(&other.to, kind, &foreign).await;
        for write in [false, true] {
            assert!(matches!(other.copy(write, || ()).await, Err(MigrationError::AnotherInstallation)));
        }
        assert_eq!(held(&other.to, kind, &foreign.key).await, Some(foreign));
    }
}

#[tokio::test]
async fn a_difference_of_any_part_is_found() {
    let changes: [fn(&mut Record); 4] = [
        |record| record.value.push(' '),
        |record| record.parent = None,
        |record| record.expires_at = None,
        |record| record.key.push('x'),
    ];
    for change in changes {
        let migration = migration();
        let mut other = grant(1000, 1, false);
        put(&migration.from, Kind::Grant, &other).await;
        change(&mut other);
        put(&migration.to, Kind::Grant, &other).await;
        assert!(!agrees(&migration).await, "{other:?}");
    }
}

#[tokio::test]
async fn all_that_has_expired_is_purged_and_counted() {
    let repository: Arc<dyn Repository> = Arc::new(MemoryRepository::default());
    let before = UnixTime::from_secs(1);
    for number in 0..1234 {
        let expired = record(&format!("c{number}"), &json!({}), None, Some(0));
        assert_ne!(repository.insert(Kind::Client, &expired, before).await.unwrap(), Write::Conflict);
    }
    put(&repository, Kind::Client, &client("live", 1, 1)).await;
    let mut last = 0;
    let purged = purge(&*repository, &ManualClock::at(NOW), |so_far| last = so_far).await.unwrap();
    assert_eq!((purged, last), (1234, 1234));
    assert!(held(&repository, Kind::Client, "live").await.is_some());
}
