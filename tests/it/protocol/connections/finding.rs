//! How a person's grants are found among everyone's.

use std::{sync::Arc, time::Duration};

use super::{forms::insert, *};

const DAY: Duration = Duration::from_hours(24);

/// Removes what sign-ins store besides their grant, as if an earlier release had made the grants.
fn forget_entries(server: &Server) {
    database(server).execute("DELETE FROM record WHERE kind = 4", []).unwrap();
}

#[tokio::test]
async fn a_sign_in_stores_one_record_besides_its_grant() {
    let server = Server::start().await;
    Connected::new(&server).await;
    let markers = || -> i64 {
        let count = "SELECT count(*) FROM record WHERE kind = 4";
        database(&server).query_row(count, [], |row| row.get(0)).unwrap()
    };
    let before = markers();
    let connected = Connected::new(&server).await;
    assert_eq!(markers(), before + 1);
    let refreshed = connected.client.refresh(&server, &connected.tokens.refresh).await;
    assert_eq!((refreshed.status().as_u16(), markers()), (200, before + 1));
}

#[tokio::test]
async fn grants_of_earlier_releases_are_found_and_ended() {
    let server = Server::start().await;
    let old = Connected::new(&server).await;
    forget_entries(&server);
    server.advance(DAY * 2);
    let folder = Some(Arc::clone(&server.folder));
    let updated = Server::at(Options { folder, ..Options::default() }, Arc::clone(&server.clock)).await;
    let new = Connected::new(&updated).await;
    server.advance(DAY * 2);
    let (mut browser, page) = signed_in(&updated).await;
    assert_eq!(listed(&page), [new.grant(), old.grant()]);
    let page = press(&updated, &mut browser, &page, "disconnect", &old.grant()).await;
    assert_eq!(listed(&page), [new.grant()]);
    assert_eq!(old.refresh_error(&server).await, "invalid_grant");
}

/// What other people have, however much, is not read.
#[tokio::test]
async fn grants_are_found_by_their_entries_alone() {
    let server = Server::start().await;
    Connected::new(&server).await;
    server.advance(DAY * 2);
    let (with_entry, without) = (Connected::new(&server).await, Connected::new(&server).await);
    let remove = "DELETE FROM record WHERE kind = 4 AND key = ?1";
    assert_eq!(database(&server).execute(remove, [format!("person.{}", without.grant())]).unwrap(), 1);
    let (_, page) = signed_in(&server).await;
    assert!(listed(&page).contains(&with_entry.grant()));
    assert!(!listed(&page).contains(&without.grant()), "all grants are searched");
}

/// Entries say where to look, and nothing else.
#[tokio::test]
async fn an_entry_that_names_a_foreign_grant_shows_nothing() {
    let server = Server::start().await;
    let own = Connected::new(&server).await;
    sign_in_as(&server, "grace@example.com");
    let others = Connected::new(&server).await;
    let adopt = "UPDATE record SET parent = (SELECT parent FROM record WHERE key = ?1) WHERE key = ?2";
    let keys = [&own, &others].map(|connected| format!("person.{}", connected.grant()));
    assert_eq!(database(&server).execute(adopt, keys).unwrap(), 1);
    sign_in_as(&server, "ada@example.com");
    let (mut browser, page) = signed_in(&server).await;
    assert_eq!(listed(&page), [own.grant()]);
    press(&server, &mut browser, &page, "disconnect_all", "").await;
    assert!(others.is_live(&server).await);
}

#[tokio::test]
async fn a_long_list_has_pages_and_disconnecting_all_takes_every_one() {
    let server = Server::start().await;
    let connected = Connected::new(&server).await;
    let one = server.stored_grants().remove(0);
    for number in 0..119u32 {
        let mut other = one.clone();
        let id = one["id"].as_str().unwrap();
        other["id"] = format!("{}{number:03}{}", &id[..20], &id[23..]).into();
        insert(&server, &other, i64::from(number) + 10);
    }
    let (mut browser, first) = signed_in(&server).await;
    let (mut seen, mut page) = (listed(&first), first.clone());
    assert_eq!(seen.len(), 50);
    while let Some(older) = page.html.split("?before=").nth(1) {
        let older = older.split('"').next().unwrap().to_owned();
        page = browser.get(&format!("{}?before={older}", url(&server))).await;
        assert!(listed(&page).len() <= 50);
        seen.extend(listed(&page));
    }
    let mut stored: Vec<_> = server.stored_grants().iter().map(|grant| grant["id"].clone()).collect();
    stored.sort_by(|one, other| other.as_str().cmp(&one.as_str()));
    assert_eq!(seen, stored);

    let after = press(&server, &mut browser, &first, "disconnect_all", "").await;
    assert_eq!(listed(&after), [""; 0]);
    assert!(server.stored_grants().iter().all(|grant| grant["state"].get("revoked").is_some()));
    assert!(!connected.is_live(&server).await);
}

/// From an older page on, "all" is what the button says: this page and all that is older.
#[tokio::test]
async fn disconnecting_from_an_older_page_keeps_what_is_newer() {
    let server = Server::start().await;
    let old = Connected::new(&server).await;
    server.advance(Duration::from_mins(1));
    let new = Connected::new(&server).await;
    let (mut browser, page) = signed_in(&server).await;
    let form = [("action", "disconnect_all"), ("token", &*token(&page)), ("before", &*new.grant())];
    browser.post(&url(&server), &form).await;
    assert!(new.is_live(&server).await && !old.is_live(&server).await);
}

/// Stores 10,000 grants of someone else with IDs that `id` makes of their number.
fn insert_many(server: &Server, one: &Value, id: impl Fn(u32) -> String) {
    let database = database(server);
    database.execute_batch("BEGIN").unwrap();
    for number in 0..10_000u32 {
        let mut other = one.clone();
        other["id"] = id(number).into();
        other["person"]["subject"] = "pui_someone_else".into();
        let values = (other["id"].as_str().unwrap(), other.to_string(), i64::from(number) + 10);
        let insert = "INSERT INTO record (kind, key, value, version) VALUES (2, ?1, ?2, ?3)";
        database.execute(insert, values).unwrap();
    }
    database.execute_batch("COMMIT").unwrap();
}

/// What the link to older connections shows.
async fn older(server: &Server, browser: &mut Browser, page: &Page) -> Vec<String> {
    let older = page.html.split("?before=").nth(1).expect("a way on").split('"').next().unwrap();
    listed(&browser.get(&format!("{}?before={older}", url(server))).await)
}

/// A million grants of others cost one request a bounded search, and the next one continues it.
#[tokio::test]
async fn old_grants_of_many_people_are_searched_in_steps() {
    let server = Server::start().await;
    let own = Connected::new(&server).await;
    let one = server.stored_grants().remove(0);
    // Newer than the first, because IDs begin with the time.
    insert_many(&server, &one, |number| format!("v{number:05}{}", &own.grant()[6..]));
    forget_entries(&server);
    let (mut browser, page) = signed_in(&server).await;
    assert_eq!(listed(&page), [""; 0]);
    assert_eq!(older(&server, &mut browser, &page).await, [own.grant()]);
}

/// A grant is on one page, whichever way it is found.
#[tokio::test]
async fn a_grant_that_both_searches_find_is_shown_once() {
    let server = Server::start().await;
    let own = Connected::new(&server).await;
    server.advance(Duration::from_hours(1));
    let later = Connected::new(&server).await;
    let one = server.stored_grants().into_iter().find(|grant| grant["id"] == later.grant()).unwrap();
    insert_many(&server, &one, |number| {
        format!("{}{number:05}{}", &later.grant()[..20], &later.grant()[25..])
    });
    let (mut browser, page) = signed_in(&server).await;
    let mut seen = listed(&page);
    seen.extend(older(&server, &mut browser, &page).await);
    assert_eq!(seen, [later.grant(), own.grant()]);
}
