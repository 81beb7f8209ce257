use super::*;

const ALMOST_A_DAY: Duration = Duration::from_mins(24 * 60 - 1);

#[tokio::test]
async fn an_id_or_the_beginning_of_one_finds_a_record() {
    let office = Office::open();
    for known in ["alpha-1", "alpha-2", "beta-12", "beta"] {
        office.client(known, None).await;
    }
    office.keep_damaged(Kind::Client, "gamma-1", None).await;
    office.keep_damaged(Kind::Client, "delta-1", None).await;
    office.client("delta-2", None).await;
    for (text, found) in [
        ("alpha-1", "alpha-1"),
        ("alph", "alpha-1 alpha-2"),
        ("beta", "beta"),
        ("beta-", "beta-12"),
        ("bet", "nothing"),
        ("gamma", "unreadable gamma-1"),
        ("gamma-1", "unreadable gamma-1"),
        ("delt", "delta-2 delta-1"),
        ("omega", "nothing"),
        ("alpha/1", "nothing"),
    ] {
        let answer = match office.desk.find_client(text).await.unwrap() {
            Found::One(client) => client.client_id.as_str().to_owned(),
            Found::Several(ids) => ids.join(" "),
            Found::Unreadable(record) => format!("unreadable {}", record.key),
            Found::Nothing => "nothing".to_owned(),
        };
        assert_eq!(answer, found, "{text}");
    }
}

#[tokio::test]
async fn a_grant_is_found_by_its_id() {
    let office = Office::open();
    let grant = office.pending(&DRAFT).await;
    let Found::One(found) = office.desk.find_grant(grant.id().as_str()).await.unwrap() else {
        panic!("not found")
    };
    assert_eq!(found.id(), grant.id());
}

#[tokio::test]
async fn a_client_is_known_with_its_name() {
    let office = Office::open();
    office.client("named", Some("Notes")).await;
    office.client("nameless", None).await;
    office.keep_damaged(Kind::Client, "damaged", None).await;
    for (client, exists, name) in [
        ("named", true, Some("Notes")),
        ("nameless", true, None),
        ("damaged", true, None),
        ("other", false, None),
    ] {
        assert_eq!(office.desk.has_client(&id(client)).await.unwrap(), exists, "{client}");
        assert_eq!(office.desk.client_name(&id(client)).await.unwrap().as_deref(), name, "{client}");
    }
}

#[tokio::test]
async fn clients_are_found_by_name_in_any_case() {
    let office = Office::open();
    office.client("one", Some("Notes")).await;
    office.client("two", Some("NOTES")).await;
    office.client("three", Some("Mail")).await;
    let called = async |name: &str| {
        let found = office.desk.clients_called(name).await.unwrap();
        found.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(called("notes").await, ["one", "two"]);
    assert_eq!(called("mail").await, ["three"]);
    assert!(called("note").await.is_empty());
    for more in 0..CANDIDATES {
        office.client(&format!("more-{more}"), Some("Mail")).await;
    }
    assert_eq!(called("mail").await.len(), CANDIDATES);
}

#[tokio::test]
async fn the_use_of_a_client_is_counted() {
    let office = Office::open();
    office.active(&DRAFT).await;
    office.clock.advance(MINUTE);
    office.active(&DRAFT).await;
    office.pending(&DRAFT).await;
    office.active(&Draft { client: "other", ..DRAFT }).await;
    office.keep_damaged(Kind::Grant, "a", Some("notes")).await;
    office.keep_damaged(Kind::Grant, "b", Some("notes")).await;
    let used = ClientUse { live_grants: 2, unreadable_grants: 2, last_used_at: Some(START.plus(MINUTE)) };
    assert_eq!(office.desk.client_use(&id("notes")).await.unwrap(), used);
    assert!(office.desk.has_grants(&id("notes")).await.unwrap());
    assert!(!office.desk.has_grants(&id("unused")).await.unwrap());
    assert_eq!(office.desk.client_use(&id("unused")).await.unwrap(), ClientUse::default());
}

#[tokio::test]
async fn a_client_is_pruned_that_registered_itself_and_is_long_unused() {
    let office = Office::open();
    let unused = office.client("unused", None).await;
    let used = office.client("used", None).await;
    let operators = Client { origin: crate::oauth::client::Origin::Operator, ..unused.clone() };
    let can_be_pruned =
        async |client: &Client| office.desk.if_dead(client.clone(), DAY).await.unwrap().is_some();

    office.clock.advance(ALMOST_A_DAY);
    assert!(!can_be_pruned(&unused).await);
    office.active(&Draft { client: "used", ..DRAFT }).await;
    office.clock.advance(MINUTE);
    assert!(can_be_pruned(&unused).await);
    assert!(!can_be_pruned(&operators).await);
    assert!(!can_be_pruned(&used).await, "it was used yesterday");
    office.clock.advance(ALMOST_A_DAY);
    assert!(can_be_pruned(&used).await);
    let long = Draft { client: "used", lifetime: 2 * DAY, ..DRAFT };
    office.active(&long).await;
    office.clock.advance(DAY);
    assert!(!can_be_pruned(&used).await, "a grant of it is live");
    office.keep_damaged(Kind::Grant, "damaged", Some("unused")).await;
    assert!(!can_be_pruned(&unused).await, "a grant of it may be live");
}

#[tokio::test]
async fn pruning_puts_a_client_back_that_a_user_has_just_used() {
    let office = Office::open();
    let client = office.client("notes", None).await;
    office.clock.advance(DAY);
    let dead = office.desk.if_dead(client, DAY).await.unwrap().unwrap();
    office.active(&DRAFT).await;
    assert!(!office.desk.prune(&dead).await.unwrap());
    assert!(office.desk.has_client(&id("notes")).await.unwrap());
    office.clock.advance(MINUTE);
    assert!(office.desk.prune(&dead).await.unwrap());
    assert!(!office.desk.has_client(&id("notes")).await.unwrap());
    assert!(!office.desk.prune(&dead).await.unwrap(), "another process was faster");
}
