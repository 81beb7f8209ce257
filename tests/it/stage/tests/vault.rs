//! Vault: what every call accepts, refuses and answers.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::stage::VAULT_TOKEN;

pub(super) const NOBODY: &str = "pvi_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

impl Served {
    /// A call of Vault; checks the envelope and gives HTTP status, `status` and result.
    pub(super) async fn vault(&self, call: &str, body: &Value) -> (u16, String, Value) {
        self.vault_as(VAULT_TOKEN, call, &body.to_string()).await
    }

    pub(super) async fn vault_as(&self, token: &str, call: &str, body: &str) -> (u16, String, Value) {
        let request = self.request(Method::POST, &format!("/v2/{call}")).bearer_auth(token);
        told(request.body(body.to_owned()).send().await.unwrap()).await
    }

    /// The result of a call that succeeds.
    pub(super) async fn vault_ok(&self, call: &str, body: Value) -> Value {
        let (status, word, result) = self.vault(call, &body).await;
        assert_eq!((status, word.as_str()), (200, "Success"), "{call} {body}: {result}");
        result
    }

    /// Stores a secret and gives its id.
    pub(super) async fn stored(&self, name: &str, folder: &str) -> String {
        let body = json!({"type": "secret", "secret": "S", "name": name, "folder": folder});
        id_of(&self.vault_ok("secret/store", body).await)
    }

    /// The names that a search finds.
    pub(super) async fn names(&self, search: Value) -> Vec<String> {
        let result = self.vault_ok("list", search).await;
        result["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Moves on to another second, so that times tell what came first.
    fn tick(&self) {
        self.clock.advance(std::time::Duration::from_secs(1));
    }
}

pub(super) fn id_of(item: &Value) -> String {
    item["id"].as_str().unwrap().to_owned()
}

/// HTTP status, `status` and result of an answer in the envelope.
pub(super) async fn told(response: Response) -> (u16, String, Value) {
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let (status, envelope) = json_of(response).await;
    let keys: BTreeSet<&str> = envelope.as_object().unwrap().keys().map(String::as_str).collect();
    let six = ["request_id", "request_time", "response_time", "result", "status", "summary"];
    assert_eq!(Vec::from_iter(keys), six);
    assert_eq!(envelope["request_id"], request_id);
    (status, envelope["status"].as_str().unwrap().to_owned(), envelope["result"].clone())
}

#[tokio::test]
async fn a_body_that_does_not_fit_is_refused_with_the_place_and_the_reason() {
    let served = serve_ada().await;
    let too_long = "s".repeat(10_241);
    for (call, body, code, source) in [
        ("list", json!([]), "InvalidObject", ""),
        ("list", json!({"size": 101}), "NotWithinRange", "/size"),
        ("list", json!({"size": 0}), "NotWithinRange", "/size"),
        ("list", json!({"size": "9"}), "InvalidInteger", "/size"),
        ("list", json!({"order": "up"}), "NotEnumMember", "/order"),
        ("list", json!({"order_by": "secret"}), "NotEnumMember", "/order_by"),
        ("list", json!({"version": {}}), "UnexpectedProperty", "/version"),
        ("list", json!({"last": "nonsense"}), "BadFormat", "/last"),
        ("list", json!({"last": ""}), "BadFormat", "/last"),
        ("list", json!({"config_id": "pci_1"}), "DoesNotMatchPattern", "/config_id"),
        ("get_bulk", json!({"version": {NOBODY: "1"}}), "InvalidInteger", "/version"),
        ("get_bulk", json!({"verbose": true}), "UnexpectedProperty", "/verbose"),
        ("get_bulk", json!({"filter": []}), "InvalidObject", "/filter"),
        ("get_bulk", json!({"filter": {"colour": "x"}}), "UnexpectedProperty", "/filter/colour"),
        ("get_bulk", json!({"filter": {"name__gt": "x"}}), "UnexpectedProperty", "/filter/name__gt"),
        ("get_bulk", json!({"filter": {"name": 7}}), "InvalidString", "/filter/name"),
        ("get_bulk", json!({"filter": {"name": ["x"]}}), "InvalidString", "/filter/name"),
        ("get_bulk", json!({"filter": {"name__in": "x"}}), "InvalidArray", "/filter/name__in"),
        (
            "get_bulk",
            json!({"filter": {"created_at__lt": "x"}}),
            "BadFormatDateTime",
            "/filter/created_at__lt",
        ),
        ("get", json!({}), "FieldRequired", "/id"),
        ("get", json!({"id": NOBODY, "version": "0"}), "DoesNotMatchPattern", "/version"),
        ("get", json!({"id": NOBODY, "verbose": true}), "UnexpectedProperty", "/verbose"),
        ("secret/store", json!({"name": "x"}), "FieldRequired", "/secret"),
        ("secret/store", json!({"secret": ""}), "BelowMinLength", "/secret"),
        ("secret/store", json!({"secret": too_long}), "AboveMaxLength", "/secret"),
        ("secret/store", json!({"secret": null}), "InvalidString", "/secret"),
        ("secret/store", json!({"secret": "s", "type": "key"}), "NotEnumMember", "/type"),
        ("secret/store", json!({"secret": "s", "folder": "/a+b"}), "DoesNotMatchPattern", "/folder"),
        ("secret/store", json!({"secret": "s", "metadata": {"a": 1}}), "InvalidString", "/metadata"),
        ("secret/store", json!({"secret": "s", "tags": [1]}), "InvalidString", "/tags"),
        ("secret/store", json!({"secret": "s", "disabled_at": "soon"}), "BadFormatDateTime", "/disabled_at"),
        ("secret/store", json!({"secret": "s", "expiration": "x"}), "UnexpectedProperty", "/expiration"),
        ("secret/rotate", json!({"id": NOBODY}), "FieldRequired", "/secret"),
        ("secret/rotate", json!({"id": NOBODY, "secret": too_long}), "AboveMaxLength", "/secret"),
        (
            "secret/rotate",
            json!({"id": NOBODY, "secret": "s", "rotation_state": "inherited"}),
            "NotEnumMember",
            "/rotation_state",
        ),
        ("delete", json!({"id": NOBODY, "recursive": "no"}), "InvalidBool", "/recursive"),
        ("delete", json!({"id": NOBODY, "force": true}), "UnexpectedProperty", "/force"),
        ("state/change", json!({"id": NOBODY, "state": "gone"}), "NotEnumMember", "/state"),
        (
            "state/change",
            json!({"id": NOBODY, "state": "active", "version": 0}),
            "NotWithinRange",
            "/version",
        ),
        ("update", json!({"id": NOBODY, "enabled": 1}), "InvalidBool", "/enabled"),
        ("folder/create", json!({"name": "a"}), "FieldRequired", "/folder"),
        ("folder/create", json!({"name": "/", "folder": "/"}), "BelowMinLength", "/name"),
        (
            "folder/create",
            json!({"name": "a", "folder": "/", "secret": "s"}),
            "UnexpectedProperty",
            "/secret",
        ),
    ] {
        let (status, word, result) = served.vault(call, &body).await;
        assert_eq!((status, word.as_str()), (400, "ValidationError"), "{call} {body}");
        let errors = result["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{call} {body}: {result}");
        assert_eq!(
            (&errors[0]["code"], &errors[0]["source"]),
            (&json!(code), &json!(source)),
            "{call} {body}"
        );
    }
    let (_, _, result) = served.vault("secret/rotate", &json!({"more": 1})).await;
    assert_eq!(result["errors"].as_array().unwrap().len(), 3, "all that is wrong: {result}");
    assert_eq!(served.vault_as(VAULT_TOKEN, "list", "no json").await.1, "ValidationError");
    assert_eq!(served.names(json!({})).await, [""; 0], "nothing came of any of it");
}

#[tokio::test]
async fn a_secret_has_up_to_10240_characters_whatever_their_bytes() {
    let served = serve_ada().await;
    served.vault_ok("secret/store", json!({"secret": "é".repeat(10_240)})).await;
    let (_, word, _) = served.vault("secret/store", &json!({"secret": "é".repeat(10_241)})).await;
    assert_eq!(word, "ValidationError");
}

#[tokio::test]
async fn an_unknown_item_is_not_found_however_its_id_is_written() {
    let served = serve_ada().await;
    for (call, body) in [
        ("get", json!({"id": NOBODY})),
        ("get", json!({"id": "thisisnotandid"})),
        ("secret/rotate", json!({"id": NOBODY, "secret": "s"})),
        ("delete", json!({"id": NOBODY, "recursive": false})),
        ("state/change", json!({"id": NOBODY, "state": "active"})),
        ("update", json!({"id": NOBODY, "rotation_state": "inherited"})),
    ] {
        let (status, word, result) = served.vault(call, &body).await;
        assert_eq!((status, word.as_str(), result), (404, "VaultItemNotFound", Value::Null), "{call} {body}");
    }
}

#[tokio::test]
async fn answers_have_the_current_version_alone_and_writes_no_secret() {
    let served = serve_ada().await;
    let mut body = json!({"type": "secret", "secret": "one", "name": "n", "folder": "a"});
    body["disabled_at"] = json!("2030-01-01T10:00:00.000000Z");
    let stored = served.vault_ok("secret/store", body).await;
    let id = id_of(&stored);
    assert!(id.starts_with("pvi_") && id.len() == 36, "{id}");
    let first = json!([{"version": 1, "created_at": "2027-01-15T08:00:00.000000Z", "state": "active"}]);
    assert_eq!((&stored["item_versions"], &stored["folder"]), (&first, &json!("/a/")));
    assert_eq!((&stored["enabled"], &stored["num_versions"]), (&json!(true), &json!(1)));
    assert_eq!(stored["disabled_at"], "2030-01-01T10:00:00.000000Z");

    served.tick();
    let rotated = served.vault_ok("secret/rotate", json!({"id": id, "secret": "two"})).await;
    assert_eq!(
        (&rotated["num_versions"], &rotated["last_rotated"]),
        (&json!(2), &json!("2027-01-15T08:00:01.000000Z"))
    );
    let second = json!([{"version": 2, "created_at": "2027-01-15T08:00:01.000000Z", "state": "active"}]);
    assert_eq!(rotated["item_versions"], second);
    assert_eq!(
        served.vault_ok("list", json!({"filter": {"id": id}})).await["items"][0]["item_versions"],
        second
    );

    let got = served.vault_ok("get", json!({"id": id})).await;
    assert_eq!((&got["item_versions"][0]["secret"], &got["item_versions"][1]), (&json!("two"), &Value::Null));
    let bulk = served.vault_ok("get_bulk", json!({"filter": {"id": id}})).await;
    assert_eq!(bulk, json!({"items": [got]}));
    let older = served.vault_ok("get_bulk", json!({"filter": {"id": id}, "version": {id.clone(): 1}})).await;
    assert_eq!(older["items"][0]["item_versions"][0]["secret"], "one");
}

#[tokio::test]
async fn a_rotation_puts_the_version_before_into_the_state_that_was_asked_for() {
    let served = serve_ada().await;
    let id = served.stored("n", "/").await;
    for state in ["suspended", "destroyed"] {
        served.vault_ok("secret/rotate", json!({"id": id, "secret": state, "rotation_state": state})).await;
    }
    served.vault_ok("secret/rotate", json!({"id": id, "secret": "last"})).await;
    let versions = served.vault_ok("get", json!({"id": id, "version": "all"})).await["item_versions"].clone();
    let seen: Vec<_> =
        versions.as_array().unwrap().iter().map(|v| (&v["state"], v["secret"].as_str())).collect();
    assert_eq!(
        seen,
        [
            (&json!("suspended"), Some("S")),
            (&json!("destroyed"), None),
            (&json!("deactivated"), Some("destroyed")),
            (&json!("active"), Some("last")),
        ]
    );
    assert!(versions[1]["destroyed_at"].is_string() && versions[0]["rotated_at"].is_string());

    for (selector, expected) in [
        (json!(2), vec![2]),
        (json!("3"), vec![3]),
        (json!("-2"), vec![3, 4]),
        (json!("-1:"), vec![4]),
        (json!(-9), vec![1, 2, 3, 4]),
    ] {
        let got = served.vault_ok("get", json!({"id": id, "version": selector})).await;
        let numbers: Vec<_> =
            got["item_versions"].as_array().unwrap().iter().map(|v| v["version"].clone()).collect();
        assert_eq!(json!(numbers), json!(expected), "{selector}");
    }
    assert_eq!(served.vault("get", &json!({"id": id, "version": 5})).await.1, "VaultItemNotFound");
}

#[tokio::test]
async fn a_destroyed_version_stays_destroyed_and_has_no_secret() {
    let served = serve_ada().await;
    let id = served.stored("n", "/").await;
    let change = |state: &str| json!({"id": id, "state": state, "version": 1});
    for state in ["suspended", "deactivated", "compromised", "active"] {
        let changed = served.vault_ok("state/change", change(state)).await;
        assert_eq!(changed["item_versions"][0]["state"], state);
        assert_eq!(served.vault_ok("get", json!({"id": id})).await["item_versions"][0]["secret"], "S");
    }
    served.vault_ok("state/change", change("destroyed")).await;
    assert_eq!(served.vault_ok("get", json!({"id": id})).await["item_versions"][0].get("secret"), None);
    assert_eq!(served.vault("state/change", &change("active")).await.1, "ValidationError");
    let missing = json!({"id": id, "state": "active", "version": 2});
    assert_eq!(served.vault("state/change", &missing).await.1, "VaultItemNotFound");
    served.vault_ok("secret/rotate", json!({"id": id, "secret": "new"})).await;
    assert_eq!(served.vault_ok("get", json!({"id": id})).await["item_versions"][0]["secret"], "new");
}

#[tokio::test]
async fn folders_come_with_what_is_in_them_and_go_with_the_last_of_it() {
    let served = serve_ada().await;
    let folders = async || served.names(json!({"filter": {"type": "folder"}, "order_by": "name"})).await;
    let one = served.stored("one", "a/b").await;
    let two = served.stored("two", "//a/b/c/").await;
    assert_eq!(folders().await, ["a", "b", "c"]);
    for spelling in ["a/b", "/a/b", "a/b/", "/a/b/"] {
        let search = json!({"filter": {"type": "secret", "folder": spelling}});
        assert_eq!(served.names(search).await, ["one"], "{spelling}");
    }
    assert_eq!(served.names(json!({"filter": {"folder": "/"}})).await, ["a"]);

    let made = id_of(&served.vault_ok("folder/create", json!({"name": "made", "folder": "/a"})).await);
    assert_eq!(served.vault("folder/create", &json!({"name": "made", "folder": "a/"})).await.0, 400);
    served.vault_ok("delete", json!({"id": two, "recursive": false})).await;
    assert_eq!(folders().await, ["a", "b", "made"]);
    served.vault_ok("update", json!({"id": one, "folder": "/other"})).await;
    assert_eq!(folders().await, ["a", "made", "other"], "one that was made stays, and what it is in");

    for call in
        [("secret/rotate", json!({"id": made, "secret": "s"})), ("update", json!({"id": made, "name": "x"}))]
    {
        assert_eq!(served.vault(call.0, &call.1).await.1, "ForbiddenVaultOperation");
    }
    served.stored("inside", "/a/made/deep").await;
    let (status, word, _) = served.vault("delete", &json!({"id": made})).await;
    assert_eq!((status, word.as_str()), (400, "ValidationError"));
    served.vault_ok("delete", json!({"id": made, "recursive": true})).await;
    assert_eq!(folders().await, ["other"]);
    assert_eq!(served.names(json!({"filter": {"type": "secret"}})).await, ["one"]);
}

#[tokio::test]
async fn filters_have_to_fit_all_of_them() {
    let served = serve_ada().await;
    for (name, more) in [
        ("alpha", json!({"tags": ["red", "blue"], "metadata": {"kind": "x"}})),
        ("beta", json!({"tags": ["red"], "metadata": {"kind": "y", "at": "2"}})),
        ("gamma", json!({"folder": "/deep/er", "disabled_at": "2028-01-01T00:00:00Z"})),
    ] {
        let mut body = json!({"secret": "s", "name": name});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        served.vault_ok("secret/store", body).await;
        served.tick();
    }
    for (filter, expected) in [
        (json!({}), vec!["alpha", "beta", "gamma"]),
        (json!({"name": "beta"}), vec!["beta"]),
        (json!({"name": "bet"}), vec![]),
        (json!({"name__contains": "a", "tags": "red"}), vec!["alpha", "beta"]),
        (json!({"name__contains": ["mm", "lph"]}), vec!["alpha", "gamma"]),
        (json!({"name__in": ["beta", "delta"]}), vec!["beta"]),
        (json!({"tags": ["blue", "red"]}), vec!["alpha"]),
        (json!({"tags__in": ["blue", "green"]}), vec!["alpha"]),
        (json!({"metadata_kind": "y"}), vec!["beta"]),
        (json!({"metadata_kind__in": ["x", "y"], "metadata_at": "2"}), vec!["beta"]),
        (json!({"folder": "/deep"}), vec![]),
        (json!({"folder__in": ["deep/er"]}), vec!["gamma"]),
        (json!({"item_state": "disabled"}), vec![]),
        (json!({"created_at": "2027-01-15T08:00:01Z"}), vec!["beta"]),
        (json!({"created_at__gt": "2027-01-15T08:00:01Z"}), vec!["gamma"]),
        (json!({"created_at__gte": "2027-01-15T09:00:01+01:00"}), vec!["beta", "gamma"]),
        (json!({"created_at__lt": "2027-01-15T08:00:01Z"}), vec!["alpha"]),
        (json!({"created_at__lte": "2027-01-15T08:00:01Z"}), vec!["alpha", "beta"]),
        (json!({"expiration__gt": "2027-01-15T08:00:01Z"}), vec!["gamma"]),
        (json!({"last_rotated__gt": "2020-01-15T08:00:01Z"}), vec![]),
        (json!({"algorithm": "x"}), vec![]),
    ] {
        let mut filter = filter;
        filter["type"] = json!("secret");
        let names = served.names(json!({"filter": filter, "order_by": "name"})).await;
        assert_eq!(names, expected, "{filter}");
    }
}

#[tokio::test]
async fn pages_lead_from_one_to_the_next_in_every_order() {
    let served = serve_ada().await;
    let mut ids = Vec::new();
    for name in ["c", "a", "b", "e", "d"] {
        ids.push(served.stored(name, "/").await);
        served.tick();
    }
    let all = async |order_by: &str, order: &str| {
        let (mut names, mut last) = (Vec::new(), Value::Null);
        loop {
            let mut search = json!({"size": 2, "order_by": order_by, "order": order});
            if last.is_string() {
                search["last"] = last;
            }
            let page = served.vault_ok("list", search).await;
            let items = page["items"].as_array().unwrap();
            names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
            let Some(next) = page.get("last") else { break names.concat() };
            assert_eq!(items.len(), 2);
            last = next.clone();
        }
    };
    assert_eq!(all("name", "asc").await, "abcde");
    assert_eq!(all("name", "desc").await, "edcba");
    assert_eq!(all("created_at", "asc").await, "cabed");
    assert_eq!(all("folder", "asc").await.len(), 5, "equal ones also come once each");
    assert_eq!(all("algorithm", "desc").await.len(), 5);

    let page = served.vault_ok("list", json!({"size": 2, "order_by": "name"})).await;
    served.vault_ok("delete", json!({"id": ids[2]})).await;
    let rest = served.names(json!({"size": 100, "order_by": "name", "last": page["last"]})).await;
    assert_eq!(rest, ["c", "d", "e"], "whatever was deleted in between");
}

#[tokio::test]
async fn fifty_items_are_a_page_when_nothing_is_said() {
    let served = serve_ada().await;
    for number in 0..51 {
        served.stored(&number.to_string(), "/").await;
    }
    assert_eq!(served.names(json!({})).await.len(), 50);
    assert_eq!(served.names(json!({"size": 100})).await.len(), 51);
}
