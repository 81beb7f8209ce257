//! Whatever goes wrong on the way to Vault or back: what is written is written once, and what fails is
//! said in a sentence.

use std::time::{Duration, Instant};

use super::*;
use crate::stage::{Fault, UniqueNames, VaultCall, VaultFault};

/// What becomes of one call before its answer.
type Trouble = fn(&mut VaultCall);

/// Everything that leaves it unknown whether the call took effect.
const TROUBLES: [(&str, Trouble); 7] = [
    ("the answer never comes", |call| {
        call.fault = VaultFault::Foreign(Fault::Drop);
        call.after_commit = true;
    }),
    ("the request never arrives", |call| call.fault = VaultFault::Foreign(Fault::Drop)),
    ("500 before", |call| call.fault = VaultFault::InternalError),
    ("500 after", |call| {
        call.fault = VaultFault::InternalError;
        call.after_commit = true;
    }),
    ("503", |call| call.fault = VaultFault::NotAvailable),
    ("202 once", |call| call.put_off = 1),
    ("429 without a time", |call| call.fault = VaultFault::TooManyRequests(None)),
];

async fn items(vault: &Vault) -> Vec<Value> {
    vault.secrets().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_stores_once_whatever_becomes_of_the_call() {
    for unique_names in [UniqueNames::PerFolder, UniqueNames::PerProject, UniqueNames::Off] {
        for (trouble, change) in TROUBLES {
            let vault = Vault::start().await;
            vault.switches().habits.set(|habits| habits.unique_names = unique_names);
            let repository = vault.repository().await;
            vault.switches().store.set_for_next(1, change);
            let version = done(repository.insert(Kind::Grant, &record("key", "value"), vault.now()).await);
            let stored = items(&vault).await;
            assert_eq!(stored.len(), 1, "{trouble}, {unique_names:?}: {stored:?}");
            let found = vault.repository().await.get(Kind::Grant, "key", vault.now()).await.unwrap().unwrap();
            assert_eq!((found.version, &*found.record.value), (version, "value"), "{trouble}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_happens_once_whatever_becomes_of_the_call() {
    for (trouble, change) in TROUBLES {
        let vault = Vault::start().await;
        let repository = vault.repository().await;
        let first = done(repository.insert(Kind::Grant, &record("key", "old"), vault.now()).await);
        vault.switches().rotate.set_for_next(1, change);
        let second = done(repository.replace(Kind::Grant, &record("key", "new"), first, vault.now()).await);
        let stored = items(&vault).await;
        assert_eq!((stored.len(), &stored[0]["num_versions"]), (1, &json!(2)), "{trouble}: {stored:?}");
        let again = repository.replace(Kind::Grant, &record("key", "other"), first, vault.now()).await;
        assert_eq!(again.unwrap(), Write::Conflict, "{trouble}: one replace by one version");
        let found = vault.repository().await.get(Kind::Grant, "key", vault.now()).await.unwrap().unwrap();
        assert_eq!((found.version, &*found.record.value), (second, "new"), "{trouble}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_gives_the_record_once_whatever_becomes_of_the_call() {
    for (trouble, change) in TROUBLES {
        let vault = Vault::start().await;
        let repository = vault.repository().await;
        done(repository.insert(Kind::Replay, &record("key", "value"), vault.now()).await);
        vault.switches().delete.set_for_next(1, change);
        let taken = repository.take(Kind::Replay, "key", vault.now()).await.unwrap();
        assert_eq!(taken, Some(record("key", "value")), "{trouble}");
        assert_eq!(repository.take(Kind::Replay, "key", vault.now()).await.unwrap(), None, "{trouble}");
        assert!(items(&vault).await.is_empty(), "{trouble}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_tried_again() {
    for (trouble, change) in TROUBLES {
        let vault = Vault::start().await;
        let repository = vault.repository().await;
        done(repository.insert(Kind::Grant, &record("key", "value"), vault.now()).await);
        vault.switches().get_bulk.set_for_next(1, change);
        let found = repository.get(Kind::Grant, "key", vault.now()).await.unwrap();
        assert_eq!(value(found).as_deref(), Some("value"), "{trouble}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_vault_has_not_finished_is_not_sent_again() {
    let vault = Vault::start().await;
    let repository = vault.open_with(FOLDER, Duration::ZERO, Duration::from_secs(1)).await.unwrap();
    vault.switches().store.set_for_next(1, |call| call.put_off = 1_000);
    vault.switches().get_bulk.set(|call| call.stale = 1);
    let error = repository.insert(Kind::Grant, &record("key", "value"), vault.now()).await.unwrap_err();
    assert!(matches!(error, RepositoryError::Unavailable(_)), "{error}");
    assert_eq!(vault.calls("secret/store"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_vault_does_later_is_waited_for() {
    let vault = Vault::start().await;
    let repository = vault.repository().await;
    vault.switches().store.set_for_next(1, |call| call.put_off = 2);
    let begin = Instant::now();
    done(repository.insert(Kind::Grant, &record("key", "value"), vault.now()).await);
    assert!(begin.elapsed() >= Duration::from_secs(5), "one second, then four");
    assert_eq!((vault.calls("secret/store"), items(&vault).await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_sent_again_when_vault_says() {
    let vault = Vault::start().await;
    let repository = vault.repository().await;
    let after_a_second = |call: &mut VaultCall| {
        call.fault = VaultFault::TooManyRequests(Some("1".to_owned()));
    };
    vault.switches().store.set_for_next(2, after_a_second);
    let begin = Instant::now();
    done(repository.insert(Kind::Grant, &record("key", "value"), vault.now()).await);
    assert!(begin.elapsed() >= Duration::from_secs(2));
    assert_eq!(items(&vault).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_longer_than_may_be() {
    let vault = Vault::start().await;
    let repository = vault.open_with(FOLDER, Duration::ZERO, Duration::from_secs(1)).await.unwrap();
    for after in [None, Some("3600".to_owned())] {
        let fault = VaultFault::TooManyRequests(after);
        vault.switches().get_bulk.set(|call| call.fault = fault.clone());
        let begin = Instant::now();
        let error = repository.get(Kind::Grant, "key", vault.now()).await.unwrap_err();
        assert!(matches!(error, RepositoryError::Unavailable(_)), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_stays_away_is_unavailable() {
    let vault = Vault::start().await;
    let repository = vault.open_with(FOLDER, Duration::ZERO, Duration::from_secs(1)).await.unwrap();
    let faults = [
        VaultFault::InternalError,
        VaultFault::NotAvailable,
        VaultFault::Foreign(Fault::Drop),
        VaultFault::Refused { status: "ProviderError".to_owned(), http_status: 400 },
    ];
    for fault in faults {
        vault.switches().get_bulk.set(|call| call.fault = fault.clone());
        vault.switches().store.set(|call| call.fault = fault.clone());
        let read = repository.get(Kind::Grant, "key", vault.now()).await.unwrap_err();
        let write = repository.insert(Kind::Grant, &record("key", "v"), vault.now()).await.unwrap_err();
        for error in [read, write] {
            assert!(matches!(error, RepositoryError::Unavailable(_)), "{fault:?}: {error}");
        }
    }
    vault.switches().get_bulk.set(|call| call.delay_ms = 60_000);
    let error = repository.get(Kind::Grant, "key", vault.now()).await.unwrap_err();
    assert!(matches!(error, RepositoryError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn what_an_operator_must_change_is_said_at_the_start() {
    let refused = |status: &str, http_status| VaultFault::Refused { status: status.to_owned(), http_status };
    for (fault, words) in [
        (VaultFault::Unauthorized, "repository.token"),
        (VaultFault::Forbidden, "IP allow list"),
        (refused("NoCredit", 402), "no credit"),
        (refused("ServiceNotEnabled", 400), "not enabled"),
        (refused("NeverHeardOf", 400), "NeverHeardOf (HTTP 400)"),
        (VaultFault::Foreign(Fault::NotJson), "api_url"),
    ] {
        let vault = Vault::start().await;
        vault.switches().list.set(|call| call.fault = fault.clone());
        let error = vault.open(FOLDER, Duration::ZERO).await.unwrap_err();
        assert!(matches!(error, RepositoryError::Unusable(_)), "{fault:?}: {error:?}");
        let said = error.to_string();
        assert!(said.contains(words) && !said.contains('\n') && !said.contains("pts_"), "{fault:?}: {said}");
    }
}

#[tokio::test]
async fn a_token_that_was_rotated_is_read_again() {
    let vault = Vault::start().await;
    let repository = vault.repository().await;
    done(repository.insert(Kind::Grant, &record("key", "value"), vault.now()).await);
    let rotated = "pts_rotatedrotatedrotatedrotatedrota";
    vault.switches().habits.set(|habits| rotated.clone_into(&mut habits.token));
    let error = repository.get(Kind::Grant, "key", vault.now()).await.unwrap_err();
    assert!(matches!(error, RepositoryError::Unusable(_)), "{error}");
    assert!(!format!("{error} {error:?} {repository:?}").contains("pts_"), "no token is disclosed");
    vault.write_token(rotated);
    let found = repository.get(Kind::Grant, "key", vault.now()).await.unwrap();
    assert_eq!(value(found).as_deref(), Some("value"));
}

#[tokio::test]
async fn a_token_is_not_read_again_and_again() {
    let vault = Vault::start().await;
    let repository = vault.repository().await;
    vault.switches().habits.set(|habits| habits.token = "pts_another".to_owned());
    vault.write_token("pts_athirdathirdathirdathirdathirda");
    let before = vault.calls("get_bulk");
    assert!(repository.get(Kind::Grant, "key", vault.now()).await.is_err());
    assert_eq!(vault.calls("get_bulk") - before, 2, "once with each token");
}

#[tokio::test]
async fn a_value_that_is_too_large_is_never_sent() {
    let vault = Vault::start().await;
    let repository = vault.repository().await;
    let before = vault.all_calls();
    let error = repository.insert(Kind::Grant, &record("key", &"x".repeat(10_240)), vault.now()).await;
    let error = error.unwrap_err();
    assert!(matches!(error, RepositoryError::TooLarge { largest: 10_240, .. }), "{error}");
    assert_eq!(vault.all_calls(), before);
    done(repository.insert(Kind::Grant, &record("key", &"\"".repeat(10_200)), vault.now()).await);
}

#[tokio::test]
async fn a_name_that_is_taken_elsewhere_is_said_and_not_tried_for_ever() {
    let vault = Vault::start().await;
    vault.switches().habits.set(|habits| habits.unique_names = UniqueNames::PerProject);
    let name = "tests.vault.grant.key";
    vault
        .call("secret/store", &json!({ "type": "secret", "secret": "x", "name": name, "folder": "/x" }))
        .await;
    let repository = vault.repository().await;
    for status in ["ValidationError", "ItemExists"] {
        vault.switches().habits.set(|habits| habits.name_taken = status.to_owned());
        let error = repository.insert(Kind::Grant, &record("key", "value"), vault.now()).await.unwrap_err();
        assert!(matches!(&error, RepositoryError::Unusable(what) if what.contains(status)), "{error:?}");
    }
}
