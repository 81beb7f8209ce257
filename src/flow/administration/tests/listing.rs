use super::*;
use crate::oauth::grant::Standing;

/// The sizes of the pages, selected grants only.
async fn pages(office: &Office, filter: &GrantFilter) -> Vec<usize> {
    let (mut sizes, mut walk) = (Vec::new(), office.desk.walk(filter, None));
    while let Some(page) = walk.next_page().await.unwrap() {
        sizes.push(page.values.len());
    }
    sizes
}

#[tokio::test]
async fn each_filter_selects_its_grants_and_all_of_them_together_the_intersection() {
    let office = Office::open();
    let ada = office.active(&Draft { lifetime: DAY, ..DRAFT }).await;
    let bob = office
        .pending(&Draft { client: "mail", user: "bob", resource: "https://other.example/mcp", ..DRAFT })
        .await;
    office.clock.advance(MINUTE);
    let late = office.pending(&DRAFT).await;
    let (none, text) = (GrantFilter::default(), |text: &str| Some(text.to_owned()));
    let everything = GrantFilter {
        client: Some(id("notes")),
        user: text("pui_ada"),
        resource: text("https://mcp.example/mcp"),
        standing: Some(Standing::Active),
        since: Some(START),
    };
    for (filter, selected) in [
        (none.clone(), vec![&ada, &bob, &late]),
        (GrantFilter { client: Some(id("mail")), ..none.clone() }, vec![&bob]),
        (GrantFilter { user: text("pui_bob"), ..none.clone() }, vec![&bob]),
        (GrantFilter { user: text("BOB@example.com"), ..none.clone() }, vec![&bob]),
        (GrantFilter { user: text("pui_eve"), ..none.clone() }, vec![]),
        (GrantFilter { resource: text("https://OTHER.example:443/mcp"), ..none.clone() }, vec![&bob]),
        (GrantFilter { standing: Some(Standing::Active), ..none.clone() }, vec![&ada]),
        (GrantFilter { standing: Some(Standing::Pending), ..none.clone() }, vec![&late]),
        (GrantFilter { standing: Some(Standing::Expired), ..none.clone() }, vec![&bob]),
        (GrantFilter { since: Some(START.plus(MINUTE)), ..none.clone() }, vec![&late]),
        (everything.clone(), vec![&ada]),
        (GrantFilter { client: Some(id("mail")), ..everything.clone() }, vec![]),
        (GrantFilter { user: text("pui_bob"), ..everything.clone() }, vec![]),
        (GrantFilter { resource: text("https://other.example/mcp"), ..everything.clone() }, vec![]),
        (GrantFilter { standing: Some(Standing::Revoked), ..everything.clone() }, vec![]),
        (GrantFilter { since: Some(START.plus(MINUTE)), ..everything.clone() }, vec![]),
    ] {
        let page = office.desk.walk(&filter, None).next_page().await.unwrap().unwrap();
        let mut ids: Vec<_> = page.values.iter().map(Grant::id).collect();
        let mut expected: Vec<_> = selected.into_iter().map(Grant::id).collect();
        ids.sort();
        expected.sort();
        assert_eq!(ids, expected, "{filter:?}");
        assert_eq!(office.desk.has_any(&filter).await.unwrap(), !expected.is_empty(), "{filter:?}");
    }
}

#[tokio::test]
async fn a_grant_that_cannot_be_read_counts_as_selected() {
    let office = Office::open();
    let of_eve = GrantFilter { user: Some("pui_eve".to_owned()), ..GrantFilter::default() };
    assert!(!office.desk.has_any(&of_eve).await.unwrap());
    office.keep_damaged(Kind::Grant, "damaged", None).await;
    assert!(office.desk.has_any(&of_eve).await.unwrap());
}

#[tokio::test]
async fn grants_are_read_newest_first_a_page_at_a_time_until_all_others_are_too_old() {
    let office = Office::open();
    let oldest = office.pending(&DRAFT).await;
    office.clock.advance(MINUTE);
    for _ in 1..PAGE {
        office.pending(&DRAFT).await;
    }
    let all = GrantFilter::default();
    assert_eq!(pages(&office, &all).await, [PAGE, 0], "a full page may have another one behind it");
    office.clock.advance(MINUTE);
    let newest = office.pending(&DRAFT).await;
    assert_eq!(pages(&office, &all).await, [PAGE, 1]);
    let mut walk = office.desk.walk(&all, None);
    assert_eq!(walk.next_page().await.unwrap().unwrap().values[0].id(), newest.id());
    assert_eq!(walk.next_page().await.unwrap().unwrap().values[0].id(), oldest.id());
    let behind = office.desk.walk(&all, Some(newest.id())).next_page().await.unwrap().unwrap();
    assert_eq!(behind.values.len(), PAGE);

    // The last grant of the first page was made at this time.
    let made = START.plus(MINUTE);
    let since = |since: UnixTime| GrantFilter { since: Some(since), ..GrantFilter::default() };
    assert_eq!(pages(&office, &since(made)).await, [PAGE, 0]);
    let hour = Duration::from_hours(1);
    assert_eq!(
        pages(&office, &since(made.plus(hour))).await,
        [0, 0],
        "grants may be out of order by an hour"
    );
    assert_eq!(pages(&office, &since(made.plus(hour + Duration::from_secs(1)))).await, [0]);
}
