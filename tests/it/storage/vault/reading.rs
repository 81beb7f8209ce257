//! What is read: duplicates, old answers, the cache, lists, and what the sweep looks at.

use std::time::Duration;

use axum::{extract::Request, middleware::Next, response::Response};
use pangea_mcp_auth::repository::{Order, Page};

use super::*;
use crate::stage::{FolderFilter, LastAtEnd, UniqueNames};

/// Stores a second copy of an item, as a store whose answer was lost would have.
async fn duplicate(vault: &Vault, item: &Value, secret: &str) {
    let body = json!({ "type": "secret", "secret": secret, "name": item["name"], "folder": item["folder"],
        "metadata": item["metadata"] });
    vault.call("secret/store", &body).await;
}

fn text(item: &Value) -> &str {
    item["item_versions"][0]["secret"].as_str().unwrap()
}

#[tokio::test]
async fn of_duplicates_the_newest_counts_and_a_write_removes_the_others() {
    let vault = Vault::start().await;
    vault.switches().habits.set(|habits| habits.unique_names = UniqueNames::Off);
    let repository = vault.repository().await;
    done(repository.insert(Kind::Grant, &record("key", "old"), vault.now()).await);
    done(repository.insert(Kind::Grant, &record("other", "new"), vault.now()).await);
    let secrets = vault.secrets().await;
    let named = |name: &str| secrets.iter().find(|item| item["name"] == format!("tests.vault.grant.{name}"));
    vault.clock.advance(Duration::from_secs(10));
    duplicate(&vault, named("key").unwrap(), text(named("other").unwrap())).await;

    let repository = vault.repository().await;
    let found = repository.get(Kind::Grant, "key", vault.now()).await.unwrap().unwrap();
    assert_eq!(found.record.value, "new");
    let listed = repository.list(Kind::Grant, &page(10), vault.now()).await.unwrap();
    assert_eq!(listed, [record("key", "new"), record("other", "new")]);
    done(repository.replace(Kind::Grant, &record("key", "newest"), found.version, vault.now()).await);
    assert_eq!(vault.secrets().await.len(), 2, "the duplicate is gone");
    let found = repository.get(Kind::Grant, "key", vault.now()).await.unwrap();
    assert_eq!(value(found).as_deref(), Some("newest"));
}

#[tokio::test]
async fn nothing_of_a_duplicate_is_left_when_the_record_is_taken() {
    let vault = Vault::start().await;
    vault.switches().habits.set(|habits| habits.unique_names = UniqueNames::Off);
    let repository = vault.repository().await;
    done(repository.insert(Kind::Replay, &record("key", "value"), vault.now()).await);
    let item = vault.secrets().await.remove(0);
    duplicate(&vault, &item, text(&item)).await;
    duplicate(&vault, &item, text(&item)).await;
    assert!(repository.take(Kind::Replay, "key", vault.now()).await.unwrap().is_some());
    assert_eq!(vault.secrets().await, Vec::<Value>::new());
    assert_eq!(repository.take(Kind::Replay, "key", vault.now()).await.unwrap(), None);
}

#[tokio::test]
async fn hits_that_come_twice_are_one_record() {
    let vault = Vault::start().await;
    let repository = vault.repository().await;
    vault.switches().get_bulk.set(|call| call.repeated = true);
    let mut version = done(repository.insert(Kind::Grant, &record("key", "0"), vault.now()).await);
    done(repository.insert(Kind::Grant, &record("other", "0"), vault.now()).await);
    for round in 1..3 {
        let next = record("key", &round.to_string());
        version = done(repository.replace(Kind::Grant, &next, version, vault.now()).await);
    }
    let listed = repository.list(Kind::Grant, &page(10), vault.now()).await.unwrap();
    assert_eq!(listed, [record("key", "2"), record("other", "0")]);
    assert!(repository.take(Kind::Grant, "key", vault.now()).await.unwrap().is_some());
}

#[tokio::test]
async fn an_old_answer_undoes_nothing_of_what_we_have_written() {
    for behind in 1..4 {
        let vault = Vault::start().await;
        let repository = vault.repository().await;
        vault.switches().get_bulk.set(|call| call.stale = behind);
        let first = done(repository.insert(Kind::Grant, &record("key", "code"), vault.now()).await);
        let again = repository.insert(Kind::Grant, &record("key", "twice"), vault.now()).await.unwrap();
        assert_eq!(again, Write::Conflict, "{behind} behind: what was stored is there");
        let second = done(repository.replace(Kind::Grant, &record("key", "spent"), first, vault.now()).await);
        let again = repository.replace(Kind::Grant, &record("key", "spent again"), first, vault.now()).await;
        assert_eq!(again.unwrap(), Write::Conflict, "{behind} behind: a code is spent once");
        if behind == 1 {
            // An old value is never believed; that nothing is there, is after a while.
            vault.clock.advance(Duration::from_hours(1));
        }
        let found = repository.get(Kind::Grant, "key", vault.now()).await.unwrap().unwrap();
        assert_eq!((&*found.record.value, found.version), ("spent", second), "{behind} behind");
        assert!(repository.take(Kind::Grant, "key", vault.now()).await.unwrap().is_some());
        assert_eq!(repository.take(Kind::Grant, "key", vault.now()).await.unwrap(), None, "{behind} behind");
        assert_eq!(value(repository.get(Kind::Grant, "key", vault.now()).await.unwrap()), None);
    }
}

#[tokio::test]
async fn what_another_process_wrote_is_seen_at_once_without_a_cache() {
    let vault = Vault::start().await;
    let (daemon, command) = (vault.repository().await, vault.repository().await);
    let version = done(daemon.insert(Kind::Grant, &record("key", "live"), vault.now()).await);
    done(command.replace(Kind::Grant, &record("key", "revoked"), version, vault.now()).await);
    assert_eq!(value(daemon.get(Kind::Grant, "key", vault.now()).await.unwrap()).as_deref(), Some("revoked"));
    let stale = daemon.replace(Kind::Grant, &record("key", "live again"), version, vault.now()).await;
    assert_eq!(stale.unwrap(), Write::Conflict);
    vault.clock.advance(Duration::from_secs(3));
    command.take(Kind::Grant, "key", vault.now()).await.unwrap();
    assert_eq!(value(daemon.get(Kind::Grant, "key", vault.now()).await.unwrap()), None);
}

#[tokio::test]
async fn a_cache_saves_calls_and_ends_in_time() {
    let vault = Vault::start().await;
    let daemon = vault.open(FOLDER, Duration::from_secs(10)).await.unwrap();
    let command = vault.repository().await;
    let version = done(daemon.insert(Kind::Grant, &record("key", "live"), vault.now()).await);
    let before = vault.all_calls();
    for _ in 0..5 {
        assert_eq!(
            value(daemon.get(Kind::Grant, "key", vault.now()).await.unwrap()).as_deref(),
            Some("live")
        );
    }
    assert_eq!(vault.all_calls(), before, "own writes are known");
    let revoked = done(command.replace(Kind::Grant, &record("key", "revoked"), version, vault.now()).await);
    let conflict = daemon.replace(Kind::Grant, &record("key", "live"), version, vault.now()).await.unwrap();
    assert_eq!(conflict, Write::Conflict, "a write never trusts the cache");
    assert_eq!(value(daemon.get(Kind::Grant, "key", vault.now()).await.unwrap()).as_deref(), Some("revoked"));
    done(command.replace(Kind::Grant, &record("key", "gone"), revoked, vault.now()).await);
    vault.clock.advance(Duration::from_secs(9));
    let early = value(daemon.get(Kind::Grant, "key", vault.now()).await.unwrap());
    vault.clock.advance(Duration::from_secs(1));
    let late = value(daemon.get(Kind::Grant, "key", vault.now()).await.unwrap());
    assert_eq!((early.as_deref(), late.as_deref()), (Some("revoked"), Some("gone")));
}

#[tokio::test]
async fn absence_is_remembered_no_longer_than_presence() {
    let vault = Vault::start().await;
    let daemon = vault.open(FOLDER, Duration::from_secs(10)).await.unwrap();
    assert_eq!(value(daemon.get(Kind::Client, "key", vault.now()).await.unwrap()), None);
    let command = vault.repository().await;
    done(command.insert(Kind::Client, &record("key", "value"), vault.now()).await);
    assert_eq!(value(daemon.get(Kind::Client, "key", vault.now()).await.unwrap()), None);
    vault.clock.advance(Duration::from_secs(10));
    assert_eq!(value(daemon.get(Kind::Client, "key", vault.now()).await.unwrap()).as_deref(), Some("value"));
}

#[tokio::test]
async fn a_page_costs_the_same_at_the_end_as_at_the_start() {
    let vault = Vault::start().await;
    let repository = vault.repository().await;
    for number in 100..300 {
        let child = Record { parent: Some("parent".to_owned()), ..record(&format!("key-{number}"), "value") };
        done(repository.insert(Kind::Grant, &child, vault.now()).await);
    }
    for (order, parent, limit) in [
        (Order::Ascending, None, 10),
        (Order::Descending, None, 25),
        (Order::Descending, Some("parent".to_owned()), 7),
        (Order::Ascending, None, 100),
    ] {
        let mut next = Page { parent, after: None, order, limit };
        let (mut found, mut costs) = (Vec::new(), Vec::new());
        loop {
            let before = vault.calls("get_bulk");
            let listed = repository.list(Kind::Grant, &next, vault.now()).await.unwrap();
            costs.push(vault.calls("get_bulk") - before);
            let Some(last) = listed.last() else { break };
            next.after = Some(last.key.clone());
            found.extend(listed.into_iter().map(|record| record.key));
        }
        let mut expected: Vec<String> = (100..300).map(|number| format!("key-{number}")).collect();
        if order == Order::Descending {
            expected.reverse();
        }
        assert_eq!(found, expected);
        let most = limit as u64 / 40 + 2;
        assert!(costs.iter().all(|cost| *cost <= most), "pages of {limit}, {order:?}: {costs:?}");
    }
}

#[tokio::test]
async fn a_page_is_right_though_something_came_and_went_in_between() {
    let vault = Vault::start().await;
    let repository = vault.repository().await;
    for key in ["a", "b", "c", "d", "e"] {
        done(repository.insert(Kind::Grant, &record(key, "value"), vault.now()).await);
    }
    let first = repository.list(Kind::Grant, &page(2), vault.now()).await.unwrap();
    assert_eq!(first.last().unwrap().key, "b");
    for key in ["a", "b"] {
        repository.take(Kind::Grant, key, vault.now()).await.unwrap();
    }
    done(repository.insert(Kind::Grant, &record("bb", "value"), vault.now()).await);
    let next = Page { after: Some("b".to_owned()), ..page(2) };
    let listed = repository.list(Kind::Grant, &next, vault.now()).await.unwrap();
    assert_eq!(listed, [record("bb", "value"), record("c", "value")]);
}

#[tokio::test]
async fn lists_are_whole_in_every_way_that_vault_may_speak() {
    for folder_filter in [
        FolderFilter::AnySpelling,
        FolderFilter::SlashAtEnd,
        FolderFilter::NoSlashAtEnd,
        FolderFilter::Subtree,
    ] {
        for last_at_end in [LastAtEnd::Absent, LastAtEnd::Empty, LastAtEnd::Present] {
            let vault = Vault::start().await;
            vault.switches().habits.set(|habits| {
                habits.folder_filter = folder_filter;
                habits.last_at_end = last_at_end;
                habits.secret_in_answers = true;
                habits.count = true;
                habits.not_found = 400;
            });
            for folder in [FOLDER, "", "/tests"] {
                let repository = vault.open(folder, Duration::ZERO).await.unwrap();
                for number in 10..55 {
                    done(
                        repository
                            .insert(Kind::Client, &record(&format!("k{number}"), "v"), vault.now())
                            .await,
                    );
                }
                let listed = repository.list(Kind::Client, &page(1_000), vault.now()).await.unwrap();
                assert_eq!(listed.len(), 45, "{folder:?} {folder_filter:?} {last_at_end:?}");
                assert!(repository.take(Kind::Client, "k10", vault.now()).await.unwrap().is_some());
            }
        }
    }
}

/// A request for the order of names gets another order, as from a Vault with its own collation.
async fn with_another_order(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let body =
        String::from_utf8(body.to_vec()).unwrap().replace("\"order_by\":\"name\"", "\"order_by\":\"id\"");
    let mut head = head;
    head.headers.remove("content-length");
    next.run(Request::from_parts(head, body.into())).await
}

#[tokio::test]
async fn lists_are_in_the_order_of_bytes_though_vault_sorts_otherwise() {
    let vault = Vault::with(|router| router.layer(axum::middleware::from_fn(with_another_order))).await;
    let repository = vault.repository().await;
    let keys: Vec<String> = (100..190).map(|number| format!("key-{number}")).collect();
    for key in &keys {
        done(repository.insert(Kind::Grant, &record(key, "value"), vault.now()).await);
    }
    for (order, limit) in [(Order::Ascending, 7), (Order::Descending, 50), (Order::Ascending, 1_000)] {
        let mut next = Page { parent: None, after: None, order, limit };
        let mut found = Vec::new();
        loop {
            let listed = repository.list(Kind::Grant, &next, vault.now()).await.unwrap();
            let Some(last) = listed.last() else { break };
            next.after = Some(last.key.clone());
            found.extend(listed.into_iter().map(|record| record.key));
        }
        if order == Order::Descending {
            found.reverse();
        }
        assert_eq!(found, keys, "{order:?} by {limit}");
    }
}

#[tokio::test]
async fn an_item_that_an_operator_has_switched_off_is_absent_and_not_replaced() {
    let vault = Vault::start().await;
    let repository = vault.repository().await;
    let version = done(repository.insert(Kind::Client, &record("key", "value"), vault.now()).await);
    vault.clock.advance(Duration::from_secs(3));
    let id = vault.secrets().await[0]["id"].clone();
    vault.call("update", &json!({ "id": id, "enabled": false })).await;
    assert_eq!(value(repository.get(Kind::Client, "key", vault.now()).await.unwrap()), None);
    assert!(repository.list(Kind::Client, &page(10), vault.now()).await.unwrap().is_empty());
    let replaced = repository.replace(Kind::Client, &record("key", "new"), version, vault.now()).await;
    assert_eq!(replaced.unwrap(), Write::Conflict);
    let inserted = repository.insert(Kind::Client, &record("key", "new"), vault.now()).await;
    assert_eq!(inserted.unwrap(), Write::Conflict);
}

#[tokio::test]
async fn a_sweep_costs_nothing_while_nothing_expires() {
    let vault = Vault::start().await;
    let repository = vault.repository().await;
    assert_eq!(repository.purge_expired(vault.now()).await.unwrap(), 0);
    let expiring = |seconds| Record {
        expires_at: Some(vault.now().plus(Duration::from_secs(seconds))),
        ..record("key", "value")
    };
    let version = done(repository.insert(Kind::Grant, &expiring(60), vault.now()).await);
    let before = vault.all_calls();
    assert_eq!(repository.purge_expired(vault.now()).await.unwrap(), 0);
    assert_eq!(vault.all_calls(), before);
    done(repository.replace(Kind::Grant, &expiring(600), version, vault.now()).await);
    vault.clock.advance(Duration::from_mins(1));
    let before = vault.all_calls();
    assert_eq!(repository.purge_expired(vault.now()).await.unwrap(), 0);
    assert_eq!(vault.all_calls(), before, "that it was prolonged is known");
    vault.clock.advance(Duration::from_mins(9));
    assert_eq!(repository.purge_expired(vault.now()).await.unwrap(), 1);
    assert!(vault.secrets().await.is_empty());
}

#[tokio::test]
async fn a_sweep_finds_what_an_earlier_process_left_and_spares_what_was_prolonged() {
    let vault = Vault::start().await;
    let earlier = vault.repository().await;
    let begin = vault.now();
    let expiring = |key: &str, seconds| Record {
        expires_at: Some(begin.plus(Duration::from_secs(seconds))),
        ..record(key, "value")
    };
    done(earlier.insert(Kind::Grant, &expiring("gone", 60), vault.now()).await);
    let version = done(earlier.insert(Kind::Grant, &expiring("prolonged", 60), vault.now()).await);
    done(earlier.replace(Kind::Grant, &expiring("prolonged", 6_000), version, vault.now()).await);
    vault.clock.advance(Duration::from_mins(1));
    let later = vault.repository().await;
    assert_eq!(later.purge_expired(vault.now()).await.unwrap(), 1);
    let left = vault.secrets().await;
    assert_eq!(left.len(), 1);
    let expiry = begin.plus(Duration::from_mins(100)).as_secs().to_string();
    assert_eq!(left[0]["metadata"]["expires_at"], expiry, "it is next to the value now");
}

#[tokio::test]
async fn a_sweep_reads_no_secret_to_find_what_has_expired() {
    let vault = Vault::start().await;
    let earlier = vault.repository().await;
    for number in 0..150 {
        done(earlier.insert(Kind::Client, &record(&format!("k{number}"), "v"), vault.now()).await);
    }
    let later = vault.repository().await;
    let before = (vault.calls("get_bulk"), vault.calls("list"));
    assert_eq!(later.purge_expired(vault.now()).await.unwrap(), 0);
    assert_eq!(vault.calls("get_bulk"), before.0);
    assert!(vault.calls("list") - before.1 <= 6, "a hundred at a time");
}

#[tokio::test]
async fn a_sweep_removes_a_bounded_batch_at_a_time() {
    let vault = Vault::start().await;
    let repository = vault.repository().await;
    let expires_at = Some(vault.now().plus(Duration::from_secs(1)));
    for number in 0..120 {
        let expiring = Record { expires_at, ..record(&format!("k{number}"), "v") };
        done(repository.insert(Kind::Client, &expiring, vault.now()).await);
    }
    vault.clock.advance(Duration::from_secs(1));
    for swept in [100, 20, 0] {
        assert_eq!(repository.purge_expired(vault.now()).await.unwrap(), swept);
    }
    assert!(vault.secrets().await.is_empty());
}

fn page(limit: usize) -> Page {
    Page { limit, ..Page::default() }
}
