//! Vault: what is not known of it, and what goes wrong there.

use serde_json::json;

use super::{
    vault::{NOBODY, id_of, told},
    *,
};
use crate::stage::{
    AtDisabledAt, Fault, FolderFilter, LastAtEnd, UniqueNames, VAULT_TOKEN, VaultFault, VaultSwitches,
};

const CALLS: [(&str, &str); 9] = [
    ("get_bulk", "get_bulk"),
    ("list", "list"),
    ("get", "get"),
    ("secret/store", "store"),
    ("secret/rotate", "rotate"),
    ("delete", "delete"),
    ("state/change", "state_change"),
    ("update", "update"),
    ("folder/create", "folder_create"),
];

impl Served {
    fn vault_switches(&self) -> &VaultSwitches {
        &self.stage.switches().vault
    }

    async fn poll(&self, token: &str, request_id: &str) -> (u16, String, Value) {
        let request = self.request(Method::GET, &format!("/request/{request_id}")).bearer_auth(token);
        told(request.send().await.unwrap()).await
    }
}

#[tokio::test]
async fn every_call_wants_the_token_that_is_valid_now() {
    let served = serve_ada().await;
    let new = format!("pts_{}", "b".repeat(32));
    for (call, _) in CALLS {
        let request = served.request(Method::POST, &format!("/v2/{call}"));
        assert_eq!(told(request.send().await.unwrap()).await.1, "Unauthorized");
    }
    assert_eq!(served.vault("list", &json!({})).await.0, 200);
    served.vault_switches().habits.set(|habits| habits.token.clone_from(&new));
    for (call, _) in CALLS {
        let (status, word, result) = served.vault(call, &json!({})).await;
        assert_eq!((status, word.as_str(), result), (401, "Unauthorized", Value::Null), "{call}");
    }
    assert_eq!(served.vault_as(&new, "list", "{}").await.0, 200);
}

#[tokio::test]
async fn every_call_fails_as_told_by_its_own_switch_and_changes_nothing() {
    let served = serve_ada().await;
    let refused = json!({"refused": {"status": "NoCredit", "http_status": 402}});
    for (call, switch) in CALLS {
        for (fault, expected) in [
            (json!("unauthorized"), (401, "Unauthorized")),
            (json!("forbidden"), (403, "ForbiddenVaultOperation")),
            (json!({"too_many_requests": null}), (429, "TooManyRequests")),
            (json!("internal_error"), (500, "InternalError")),
            (json!("not_available"), (503, "ServiceNotAvailable")),
            (refused.clone(), (402, "NoCredit")),
        ] {
            let change = json!({"vault": {switch: {"fault": fault, "times": 1}}});
            assert_eq!(served.post_json("/__stand-in/switches", &change).await.0, 200, "{change}");
            let body = json!({"secret": "s", "name": "n", "folder": "/"});
            let (status, word, _) = served.vault(call, &body).await;
            assert_eq!((status, word.as_str()), expected, "{call} {fault}");
            assert_ne!(served.vault(call, &json!({"x": 1})).await.1, expected.1, "{call} once only");
        }
    }
    assert_eq!(served.names(json!({})).await, [""; 0]);
}

#[tokio::test]
async fn too_many_requests_may_say_when_to_come_back() {
    let served = serve_ada().await;
    for after in [Some("7"), None] {
        let fault = VaultFault::TooManyRequests(after.map(str::to_owned));
        served.vault_switches().list.set_for_next(1, |call| call.fault = fault);
        let request = served.request(Method::POST, "/v2/list").bearer_auth(VAULT_TOKEN).body("{}");
        let response = request.send().await.unwrap();
        let said =
            response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!((response.status().as_u16(), said.as_deref()), (429, after));
    }
}

#[tokio::test]
async fn foreign_answers_and_none_at_all_come_as_told() {
    let served = serve_ada().await;
    let list = || served.request(Method::POST, "/v2/list").bearer_auth(VAULT_TOKEN).body("{}").send();
    let fail =
        |fault| served.vault_switches().list.set_for_next(1, |call| call.fault = VaultFault::Foreign(fault));
    fail(Fault::NotJson);
    assert!(matches!(json_of(list().await.unwrap()).await, (200, Value::String(_))));
    fail(Fault::Status(502));
    assert!(matches!(json_of(list().await.unwrap()).await, (502, Value::String(_))));
    fail(Fault::Drop);
    assert!(!arrives(list().await).await);
    assert!(arrives(list().await).await);
}

/// Whether a whole answer came.
async fn arrives(response: reqwest::Result<Response>) -> bool {
    match response {
        Ok(response) => response.bytes().await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test]
async fn an_answer_may_fail_after_all_was_done() {
    let served = serve_ada().await;
    let store = |name: &str| {
        let body = json!({"secret": "s", "name": name}).to_string();
        served.request(Method::POST, "/v2/secret/store").bearer_auth(VAULT_TOKEN).body(body).send()
    };
    for (name, fault, done) in [
        ("dropped before", VaultFault::Foreign(Fault::Drop), false),
        ("dropped after", VaultFault::Foreign(Fault::Drop), true),
        ("broken after", VaultFault::InternalError, true),
    ] {
        let dial = &served.vault_switches().store;
        dial.set_for_next(1, |call| (call.fault, call.after_commit) = (fault.clone(), done));
        let response = store(name).await;
        assert_eq!(arrives(response).await, fault == VaultFault::InternalError);
        assert_eq!(served.names(json!({"filter": {"name": name}})).await.len(), usize::from(done), "{name}");
    }
}

#[tokio::test]
async fn a_slow_answer_takes_its_time() {
    let served = serve_ada().await;
    served.vault_switches().list.set_for_next(1, |call| call.delay_ms = 80);
    let before = std::time::Instant::now();
    served.names(json!({})).await;
    assert!(before.elapsed() >= std::time::Duration::from_millis(80));
}

#[tokio::test]
async fn an_answer_may_be_put_off_and_asked_for_with_the_same_token() {
    let served = serve_ada().await;
    served.vault_switches().store.set_for_next(1, |call| call.put_off = 2);
    let request = served.request(Method::POST, "/v2/secret/store").bearer_auth(VAULT_TOKEN);
    let response = request.body(json!({"secret": "s", "name": "later"}).to_string()).send().await.unwrap();
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let (status, word, accepted) = told(response).await;
    assert_eq!((status, word.as_str()), (202, "Accepted"));
    assert_eq!(accepted["location"], format!("{}/request/{request_id}", served.issuer));
    assert_eq!((&accepted["ttl_mins"], &accepted["retry_counter"]), (&json!(5760), &json!(0)));

    assert_eq!(served.poll("pts_other", &request_id).await.1, "Unauthorized");
    assert_eq!(served.poll(VAULT_TOKEN, "prq_unknown").await.1, "NotFound");
    let (status, word, accepted) = served.poll(VAULT_TOKEN, &request_id).await;
    assert_eq!((status, word.as_str(), &accepted["retry_counter"]), (202, "Accepted", &json!(1)));
    for _ in 0..2 {
        let (status, word, stored) = served.poll(VAULT_TOKEN, &request_id).await;
        assert_eq!((status, word.as_str(), &stored["name"]), (200, "Success", &json!("later")));
    }

    served.vault_switches().habits.set(|habits| habits.token = "pts_new".to_owned());
    assert_eq!(served.poll("pts_new", &request_id).await.1, "Unauthorized", "valid, but not who asked");
}

#[tokio::test]
async fn names_are_unique_as_far_as_the_habit_goes() {
    let served = serve_ada().await;
    let id = served.stored("name", "/a").await;
    for (habit, same_folder, other_folder) in [
        (UniqueNames::PerFolder, 400, 200),
        (UniqueNames::PerProject, 400, 400),
        (UniqueNames::Off, 200, 200),
    ] {
        served.vault_switches().habits.set(|habits| habits.unique_names = habit);
        for (folder, expected) in [("a", same_folder), ("b", other_folder)] {
            let (status, word, result) =
                served.vault("secret/store", &json!({"secret": "s", "name": "name", "folder": folder})).await;
            assert_eq!(status, expected, "{habit:?} {folder}");
            match status {
                200 => drop(served.vault_ok("delete", json!({"id": id_of(&result)})).await),
                _ => assert_eq!(
                    (word.as_str(), &result["errors"][0]["source"]),
                    ("ValidationError", &json!("/name"))
                ),
            }
        }
    }
    served.vault_switches().habits.set(|habits| {
        (habits.unique_names, habits.name_taken) = (UniqueNames::PerFolder, "NameExists".to_owned());
    });
    let taken = served.vault("secret/store", &json!({"secret": "s", "name": "name", "folder": "/a/"})).await;
    assert_eq!(taken, (400, "NameExists".to_owned(), Value::Null));
    let moving = served.stored("other", "/b").await;
    let renaming = json!({"id": moving, "name": "name", "folder": "/a"});
    assert_eq!(served.vault("update", &renaming).await.0, 400);
    served.vault_ok("update", json!({"id": id, "name": "name", "folder": "/a"})).await;
}

#[tokio::test]
async fn what_is_not_found_is_404_or_400() {
    let served = serve_ada().await;
    served.vault_switches().habits.set(|habits| habits.not_found = 400);
    let missing = served.vault("get", &json!({"id": NOBODY})).await;
    assert_eq!(missing, (400, "VaultItemNotFound".to_owned(), Value::Null));
}

#[tokio::test]
async fn reads_can_be_behind_by_so_many_changes() {
    let served = serve_ada().await;
    let id = served.stored("n", "/a").await;
    served.vault_ok("secret/rotate", json!({"id": id, "secret": "two"})).await;
    served.vault_ok("delete", json!({"id": id})).await;
    assert_eq!(served.vault("delete", &json!({"id": id})).await.0, 404, "no change");
    for (stale, expected) in [(0, None), (1, Some("two")), (2, Some("S")), (3, None)] {
        served.vault_switches().get_bulk.set_for_next(1, |call| call.stale = stale);
        let found = served.vault_ok("get_bulk", json!({"filter": {"name": "n"}})).await;
        assert_eq!(found["items"][0]["item_versions"][0]["secret"].as_str(), expected, "{stale}");
    }
    served.vault_switches().list.set_for_next(1, |call| call.stale = 3);
    assert_eq!(served.names(json!({})).await, [""; 0], "no folder either");
}

#[tokio::test]
async fn lists_have_the_form_that_the_habits_give_them() {
    let served = serve_ada().await;
    served.stored("a", "/x").await;
    served.stored("b", "/x/y").await;
    let secrets = json!({"filter": {"type": "secret"}, "order_by": "name", "size": 1});
    let switches = served.vault_switches();
    switches.list.set_for_next(1, |call| call.repeated = true);
    assert_eq!(served.names(secrets.clone()).await, ["a", "a"]);

    switches.habits.set(|habits| habits.count = true);
    assert_eq!(served.vault_ok("list", secrets.clone()).await["count"], 2);
    let all = json!({"filter": {"type": "secret"}, "size": 2});
    for (habit, expected) in [(LastAtEnd::Absent, None), (LastAtEnd::Empty, Some(json!("")))] {
        switches.habits.set(|habits| habits.last_at_end = habit);
        assert_eq!(served.vault_ok("list", all.clone()).await.get("last").cloned(), expected);
        assert_ne!(served.vault_ok("list", secrets.clone()).await["last"].as_str().unwrap(), "");
    }
    switches.habits.set(|habits| habits.last_at_end = LastAtEnd::Present);
    let mut after = all.clone();
    after["last"] = served.vault_ok("list", all).await["last"].clone();
    assert_eq!(served.vault_ok("list", after).await, json!({"items": [], "count": 2}));

    for (habit, found) in [
        (FolderFilter::AnySpelling, ["a", "a"]),
        (FolderFilter::SlashAtEnd, ["", "a"]),
        (FolderFilter::NoSlashAtEnd, ["a", ""]),
        (FolderFilter::Subtree, ["ab", "ab"]),
    ] {
        switches.habits.set(|habits| habits.folder_filter = habit);
        for (spelling, expected) in ["/x", "/x/"].into_iter().zip(found) {
            let search = json!({"filter": {"type": "secret", "folder": spelling}, "order_by": "name"});
            assert_eq!(served.names(search).await.concat(), expected, "{habit:?} {spelling}");
        }
    }
    switches.habits.set(|habits| habits.secret_in_answers = true);
    let stored = served.vault_ok("secret/store", json!({"secret": "s"})).await;
    assert_eq!(stored["item_versions"][0]["secret"], "s");
}

#[tokio::test]
async fn an_item_that_has_run_out_is_disabled_or_hidden_or_neither() {
    let served = serve_ada().await;
    let body = json!({"secret": "s", "name": "n", "disabled_at": "2027-01-15T08:00:05Z"});
    let id = id_of(&served.vault_ok("secret/store", body).await);
    let found =
        async || served.vault_ok("list", json!({"filter": {"id": id}})).await["items"][0]["enabled"].clone();
    assert_eq!(found().await, true);
    served.clock.advance(std::time::Duration::from_secs(5));
    for (habit, expected) in [
        (AtDisabledAt::Disabled, json!(false)),
        (AtDisabledAt::Hidden, Value::Null),
        (AtDisabledAt::Nothing, json!(true)),
    ] {
        served.vault_switches().habits.set(|habits| habits.at_disabled_at = habit);
        assert_eq!(found().await, expected, "{habit:?}");
    }
}

#[tokio::test]
async fn switches_of_vault_are_seen_turned_and_reset_over_http() {
    let served = serve_ada().await;
    let path = "/__stand-in/switches";
    let change = json!({"vault": {"habits": {"not_found": 400}, "get": {"stale": 2}}});
    let (status, seen) = served.post_json(path, &change).await;
    assert_eq!((status, &seen["vault"]["habits"]["not_found"]), (200, &json!(400)));
    assert_eq!(seen["vault"]["get"]["stale"], 2);
    for change in
        [json!(7), json!({"rotat": {}}), json!({"get": {"stale": -1}}), json!({"get": {"colour": 1}})]
    {
        assert_eq!(served.post_json(path, &json!({"vault": change})).await.0, 400, "{change}");
    }
    served.request(Method::DELETE, path).send().await.unwrap();
    let seen = served.get_json(path).await;
    assert_eq!(
        (&seen["vault"]["habits"]["not_found"], &seen["vault"]["get"]["stale"]),
        (&json!(404), &json!(0))
    );
}

#[tokio::test]
async fn vault_is_there_behind_a_path_too() {
    let served = serve_ada().await;
    served.stored("n", "/").await;
    let request = served.request(Method::POST, "/vault/v2/list").bearer_auth(VAULT_TOKEN).body("{}");
    assert_eq!(told(request.send().await.unwrap()).await.2["items"][0]["name"], "n");
    let request = served.request(Method::GET, "/vault/request/prq_unknown").bearer_auth(VAULT_TOKEN);
    assert_eq!(told(request.send().await.unwrap()).await.1, "NotFound");
}
