//! The parts that need no Vault.

use std::{num::NonZeroU64, time::Duration};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    item::{Held, Item, Place},
    recent::Recent,
    status::{Failed, Verdict, judge},
    stored,
    sweep::Almanac,
};
use crate::{
    clock::UnixTime,
    fetch::Answer,
    repository::{Kind, Record, RepositoryError, Version, Versioned},
};

const NOW: UnixTime = UnixTime::from_secs(1_000);

fn versioned(value: &str) -> Versioned {
    let record = Record {
        key: "key".to_owned(),
        value: value.to_owned(),
        parent: Some("parent".to_owned()),
        expires_at: Some(NOW),
    };
    Versioned { record, version: Version(NonZeroU64::MAX) }
}

fn item(id: &str, number: u64, value: &str) -> Held {
    let item = json!({
        "id": id, "type": "secret", "name": "a.client.key", "folder": "/a/client/", "enabled": true,
        "created_at": "2026-01-01T00:00:00.000000Z", "metadata": {},
        "item_versions": [{ "version": number, "state": "active", "secret": stored::text(&versioned(value)).unwrap() }],
    });
    Held::read("key", serde_json::from_value(item).unwrap()).unwrap()
}

fn answer(code: u16, body: &str) -> Answer {
    Answer { status: code, headers: http::HeaderMap::new(), body: body.as_bytes().to_vec() }
}

fn verdict(code: u16, status: &str, result: &Value) -> Verdict {
    let envelope = json!({ "request_id": "prq_a", "request_time": "", "response_time": "", "status": status,
        "summary": "canary", "result": result });
    judge(&answer(code, &envelope.to_string()))
}

#[test]
fn the_status_counts_before_the_code() {
    for code in [200, 400, 404, 500] {
        assert!(matches!(verdict(code, "Success", &json!({})), Verdict::Success(_)));
        assert!(matches!(verdict(code, "VaultItemNotFound", &Value::Null), Verdict::Failed(Failed::Absent)));
        assert!(matches!(verdict(code, "Unauthorized", &Value::Null), Verdict::Unauthorized));
        assert!(matches!(verdict(code, "TooManyRequests", &Value::Null), Verdict::TooMany(None)));
        assert!(matches!(verdict(code, "ServiceNotAvailable", &Value::Null), Verdict::Lost(_)));
        assert!(matches!(verdict(code, "Accepted", &Value::Null), Verdict::Accepted(id) if id == "prq_a"));
    }
}

#[test]
fn the_code_counts_where_the_status_says_nothing() {
    for (code, status, expected) in [
        (401, "", "Unauthorized"),
        (401, "NeverHeardOf", "Unauthorized"),
        (429, "", "TooMany"),
        (503, "NeverHeardOf", "Lost"),
        (502, "", "Lost"),
        (403, "NeverHeardOf", "Unusable"),
        (400, "NeverHeardOf", "Refused"),
        (404, "NeverHeardOf", "Absent"),
        (404, "", "Unusable"),
        (200, "", "Unusable"),
    ] {
        let found = format!("{:?}", verdict(code, status, &Value::Null));
        assert!(found.contains(expected), "{code} {status:?}: {found}");
        let plain = format!("{:?}", judge(&answer(code, "<html>canary</html>")));
        assert!(!status.is_empty() || plain.contains(expected), "{code}: {plain}");
    }
}

#[test]
fn what_an_operator_can_change_is_said_in_a_sentence() {
    for (status, word) in [
        ("NoCredit", "credit"),
        ("ServiceNotEnabled", "enable it"),
        ("ForbiddenVaultOperation", "IP allow list"),
        ("MissingConfigIDScope", "configuration"),
    ] {
        let Verdict::Failed(failed) = verdict(400, status, &Value::Null) else { panic!("{status}") };
        let error = RepositoryError::from(failed);
        assert!(matches!(error, RepositoryError::Unusable(_)) && error.to_string().contains(word), "{error}");
    }
}

#[test]
fn no_error_repeats_what_vault_says_in_words() {
    let detail =
        json!({"errors": [{ "code": "AboveMaxLength", "detail": "canary is long", "source": "/secret" }]});
    for (code, status) in
        [(400, "ValidationError"), (500, "InternalError"), (418, "Strange canary!"), (403, "")]
    {
        let Verdict::Failed(failed) = verdict(code, status, &detail) else { continue };
        let said = RepositoryError::from(failed).to_string();
        assert!(!said.contains("canary ") && !said.contains("long"), "{said}");
    }
    let Verdict::Failed(failed) = verdict(400, "ValidationError", &detail) else { panic!() };
    assert!(RepositoryError::from(failed).to_string().contains("AboveMaxLength at /secret"));
}

#[test]
fn a_request_id_that_is_no_word_is_not_asked_for() {
    let body = json!({ "status": "Accepted", "request_id": "../v2/delete" });
    assert!(matches!(judge(&answer(202, &body.to_string())), Verdict::Lost(_)));
}

#[test]
fn a_secret_above_the_limit_is_refused_before_it_is_sent() {
    let room = stored::LARGEST_SECRET - stored::text(&versioned("")).unwrap().len();
    assert_eq!(stored::text(&versioned(&"x".repeat(room))).unwrap().len(), 10_240);
    let error = stored::text(&versioned(&"x".repeat(room + 1))).unwrap_err();
    assert!(matches!(error, RepositoryError::TooLarge { size: 10_241, largest: 10_240 }), "{error}");
    assert!(stored::text(&versioned(&"é".repeat(room / 2 + 1))).is_err(), "bytes count, not characters");
}

#[test]
fn names_say_where_they_belong_and_hold_safe_characters_alone() {
    for (folder, prefix) in [("/a/b", "a.b.client."), ("/a/b/", "a.b.client."), ("", "client.")] {
        let place = Place::new(folder);
        assert_eq!(place.name(Kind::Client, "k-_.9").as_deref(), Some(&*format!("{prefix}k-_.9")));
        for key in ["", "a/b", "a~b", "a b", "é", &"k".repeat(256)] {
            assert_eq!(place.name(Kind::Client, key), None);
        }
    }
}

#[test]
fn items_elsewhere_or_switched_off_are_none_of_ours() {
    let place = Place::new("/a");
    let told = |folder: &str, kind: &str, enabled: bool, state: &str| -> Item {
        serde_json::from_value(json!({ "id": "pvi_a", "type": kind, "name": "a.client.key", "folder": folder,
            "enabled": enabled, "item_versions": [{ "version": 1, "state": state }] }))
        .unwrap()
    };
    for folder in ["/a/client/", "/a/client", "a/client"] {
        assert_eq!(place.key(Kind::Client, &told(folder, "secret", true, "active")), Some("key"));
    }
    for (folder, kind, enabled, state) in [
        ("/b/client/", "secret", true, "active"),
        ("/a/client/", "folder", true, "active"),
        ("/a/client/", "secret", false, "active"),
        ("/a/client/", "secret", true, "suspended"),
    ] {
        assert_eq!(place.key(Kind::Client, &told(folder, kind, enabled, state)), None);
    }
}

#[test]
fn an_answer_that_is_older_than_our_own_write_is_not_believed() {
    let mut recent = Recent::default();
    recent.wrote(Kind::Grant, "key", item("pvi_a", 2, "new"), NOW);
    let known = recent.known(Kind::Grant, "key").unwrap();
    let newer = |items: &[Held], seconds: u64| {
        known
            .newer_than(items, UnixTime::from_secs(1_000 + seconds))
            .map(|held| held.stored.record.value.clone())
    };
    assert_eq!(newer(&[item("pvi_a", 1, "old")], 3600).as_deref(), Some("new"), "however late");
    assert_eq!(newer(&[item("pvi_a", 2, "new")], 0), None);
    assert_eq!(newer(&[item("pvi_a", 3, "another's")], 0), None);
    assert_eq!(newer(&[], 0).as_deref(), Some("new"), "not shown yet");
    assert_eq!(newer(&[], 60), None, "another process has deleted it");
}

#[test]
fn what_we_have_deleted_does_not_come_back_by_an_old_answer() {
    let mut recent = Recent::default();
    recent.wrote(Kind::Grant, "key", item("pvi_a", 1, "x"), NOW);
    recent.deleted(Kind::Grant, "key", "pvi_a", NOW);
    let known = recent.known(Kind::Grant, "key").unwrap();
    assert!(known.is_deleted("pvi_a") && !known.is_deleted("pvi_b") && known.held().is_none());
}

#[test]
fn what_is_remembered_is_fresh_for_less_than_the_time_it_may_be_and_bounded() {
    let mut recent = Recent::default();
    recent.read(Kind::Grant, "key", Some(item("pvi_a", 1, "x")), NOW);
    let known = recent.known(Kind::Grant, "key").unwrap();
    let fresh = |cache, at| known.is_fresh(Duration::from_secs(cache), UnixTime::from_secs(at));
    assert!(fresh(2, 1_001) && !fresh(2, 1_002) && !fresh(0, 1_000), "bounded, zero is none");
    assert!(!fresh(600, 999), "a clock that goes back");
    let large = "x".repeat(10_000);
    for number in 0..10_000 {
        recent.read(Kind::Grant, &format!("key-{number}"), Some(item("pvi_a", 1, &large)), NOW);
    }
    let remembered = (0..10_000).filter(|n| recent.known(Kind::Grant, &format!("key-{n}")).is_some()).count();
    assert!((100..4_000).contains(&remembered), "{remembered} of 10 kB each");
}

#[test]
fn the_almanac_is_blind_until_it_is_told_and_beyond_what_it_can_hold() {
    let mut almanac = Almanac::default();
    almanac.note(Kind::Grant, "unseen", Some(NOW));
    assert!(almanac.is_blind(NOW), "nothing was scanned yet");
    almanac.begin(NOW);
    for number in 0..20_000 {
        almanac.note(Kind::Grant, &format!("key-{number}"), Some(UnixTime::from_secs(2_000 + number)));
    }
    almanac.note(Kind::Grant, "forever", None);
    assert!(!almanac.is_blind(UnixTime::from_secs(1_999)));
    let due = almanac.due(UnixTime::from_secs(2_000)).unwrap();
    assert_eq!(due.2, "key-0");
    for number in 0..10_000 {
        almanac.forget(Kind::Grant, &format!("key-{number}"), Some(UnixTime::from_secs(2_000 + number)));
    }
    assert!(almanac.is_blind(UnixTime::from_secs(12_000)), "more expires than is remembered");
}

proptest! {
    #[test]
    fn a_record_is_read_as_it_was_stored(value: String, parent: Option<String>, expires_at: Option<u64>, version in 1_u64..) {
        let record = Record { key: "key".to_owned(), value, parent, expires_at: expires_at.map(UnixTime::from_secs) };
        let stored = Versioned { record, version: Version(NonZeroU64::new(version).unwrap()) };
        let text = stored::text(&stored).unwrap();
        prop_assert_eq!(stored::read("key", &text), Some(stored));
    }

    #[test]
    fn any_answer_gets_a_verdict(code: u16, body: String, status: String) {
        let _ = judge(&answer(code, &body));
        let _ = verdict(code, &status, &Value::Null);
    }
}
