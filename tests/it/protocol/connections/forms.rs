//! Which forms count, and for whom.

use super::*;

/// Whatever is sent, a grant of anyone else is left alone, and the answer does not tell whether it exists.
#[tokio::test]
async fn a_foreign_grant_is_answered_like_one_that_is_gone() {
    let server = Server::start().await;
    let own = Connected::new(&server).await;
    sign_in_as(&server, "grace@example.com");
    let others = Connected::new(&server).await;
    sign_in_as(&server, "ada@example.com");
    let (mut browser, page) = signed_in(&server).await;
    let mut pages = Vec::new();
    for grant in
        [&*others.grant(), "d5k9c3a0m6r0r5o8k8q7j0c2a4s6u8v0", "", "../x", &own.grant(), &own.grant()]
    {
        let after = press(&server, &mut browser, &page, "disconnect", grant).await;
        pages.push((after.url.clone(), after.status, after.html));
    }
    assert!(others.is_live(&server).await && !own.is_live(&server).await);
    for answer in &pages[1..4] {
        assert_eq!(*answer, pages[0]);
    }
    assert_eq!(pages[4], pages[5], "a second click");
}

/// The subject of one upstream says nothing about the subject of another, and a client's ID nothing about a person's.
#[tokio::test]
async fn the_same_subject_elsewhere_is_another_person() {
    let server = Server::start().await;
    let own = Connected::new(&server).await;
    let mut other = server.stored_grants().remove(0);
    other["id"] = json_id(&other, 'v');
    other["person"]["upstream"] = "github".into();
    insert(&server, &other, 2);
    let mut machine = server.stored_grants().into_iter().find(|grant| grant["id"] == own.grant()).unwrap();
    machine["id"] = json_id(&machine, 'u');
    machine["client_id"] = machine["person"]["subject"].clone();
    for member in ["person", "return_address", "consented_from", "upstream"] {
        machine.as_object_mut().unwrap().remove(member);
    }
    insert(&server, &machine, 2);

    let (mut browser, page) = signed_in(&server).await;
    assert_eq!(listed(&page), [own.grant()]);
    for foreign in [&other, &machine] {
        press(&server, &mut browser, &page, "disconnect", foreign["id"].as_str().unwrap()).await;
    }
    press(&server, &mut browser, &page, "disconnect_all", "").await;
    let ended = |grant: &&Value| grant["state"].get("revoked").is_some();
    let ended: Vec<_> =
        server.stored_grants().iter().filter(ended).map(|grant| grant["id"].clone()).collect();
    assert_eq!(ended, [Value::from(own.grant())]);
}

/// The ID of the grant with another end.
pub(super) fn json_id(grant: &Value, end: char) -> Value {
    let id = grant["id"].as_str().unwrap();
    format!("{}vvv{end}", &id[..id.len() - 4]).into()
}

/// Stores a grant without an entry.
pub(super) fn insert(server: &Server, grant: &Value, version: i64) {
    let expires_at = grant["expires_at"].as_i64().unwrap();
    let values = (grant["id"].as_str().unwrap(), grant.to_string(), grant["client_id"].as_str().unwrap());
    let insert =
        "INSERT INTO record (kind, key, value, parent, expires_at, version) VALUES (2, ?1, ?2, ?3, ?4, ?5)";
    database(server).execute(insert, (values.0, values.1, values.2, expires_at, version)).unwrap();
}

/// Sends the form that disconnects, not quite as the page does.
async fn forged(
    server: &Server,
    browser: &Browser,
    change: &[(&str, &str)],
    headers: &[(&str, &str)],
    grant: &str,
) -> (u16, bool) {
    let mut form = vec![("action", "disconnect"), ("grant", grant)];
    form.extend_from_slice(change);
    let mut request =
        server.form("/connections", &form).header("cookie", browser.cookie_header(&url(server)));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.text().await.unwrap().contains("value=\"sign_in\""))
}

#[tokio::test]
async fn only_a_form_of_this_session_from_our_own_page_counts() {
    let server = Server::start().await;
    let connected = Connected::new(&server).await;
    let (browser, page) = signed_in(&server).await;
    let (_, of_another) = signed_in(&server).await;
    let (own, grant) = (token(&page), connected.grant());
    let tokens = fields(&page, "token");
    let of_browser = *tokens.last().unwrap();
    assert_ne!(own, of_browser);
    let navigation =
        [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-fetch-user", "?1")];
    let from = |site| [&[("sec-fetch-site", site)], &navigation[..]].concat();

    for (what, token, headers) in [
        ("no token", "", vec![]),
        ("a token of another session", &*super::token(&of_another), vec![]),
        ("the token that begins a sign-in", of_browser, vec![]),
        ("another site", &own, from("cross-site")),
        ("a neighbour", &own, from("same-site")),
        ("another origin", &own, vec![("origin", "https://evil.example")]),
        ("a page without an origin", &own, vec![("origin", "null")]),
    ] {
        let answer = forged(&server, &browser, &[("token", token)], &headers, &grant).await;
        assert_eq!(answer, (403, true), "{what}");
    }
    let script = [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")];
    assert_eq!(forged(&server, &browser, &[("token", &own)], &script, &grant).await.0, 403, "a script");
    let unattended = [&from("same-origin")[..3], &[("user-agent", "Firefox/140")]].concat();
    assert_eq!(forged(&server, &browser, &[("token", &own)], &unattended, &grant).await.0, 403, "no click");
    assert_eq!(
        forged(&server, &browser, &[("token", &own), ("token", &own)], &[], &grant).await.0,
        403,
        "two"
    );
    assert!(connected.is_live(&server).await);

    assert_eq!(forged(&server, &browser, &[("token", &own)], &from("same-origin"), &grant).await.0, 303);
    assert!(!connected.is_live(&server).await);
}

/// A double click sends the form twice, and browsers may not vouch for the second one.
#[tokio::test]
async fn a_form_that_is_sent_twice_does_the_same_twice() {
    let server = Server::start().await;
    let connected = Connected::new(&server).await;
    let (browser, page) = signed_in(&server).await;
    let own = token(&page);
    let sent = [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        ("user-agent", "Firefox/140"),
        ("sec-fetch-user", "?1"),
    ];
    for headers in [&sent[..], &sent[..4]] {
        assert_eq!(forged(&server, &browser, &[("token", &own)], headers, &connected.grant()).await.0, 303);
    }
}

#[tokio::test]
async fn an_unknown_action_is_refused() {
    let server = Server::start().await;
    let (mut browser, page) = signed_in(&server).await;
    for action in ["", "revoke"] {
        assert_eq!(
            browser.post(&url(&server), &[("action", action), ("token", &token(&page))]).await.status,
            400
        );
    }
    assert_eq!(browser.post(&url(&server), &[("token", &token(&page))]).await.status, 400);
    assert_eq!(server.http.put(url(&server)).send().await.unwrap().status(), 405);
}

/// Shows: LIM-1.
#[tokio::test]
async fn a_flood_is_limited() {
    let top = "trusted_proxies = [\"127.0.0.1/32\"]";
    let sections = "[limits.authorize]\nper_minute = 1\nburst = 3\n";
    let server = Server::with(Options { top, sections, ..Options::default() }).await;
    let mut browser = Browser::new().sending("x-forwarded-for", "192.0.2.1");
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(browser.get(&url(&server)).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!(browser.post(&url(&server), &[("action", "sign_in")]).await.status, 429);
    let mut elsewhere = Browser::new().sending("x-forwarded-for", "192.0.2.2");
    assert_eq!(elsewhere.get(&url(&server)).await.status, 200);
}
