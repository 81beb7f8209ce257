//! The pages of `/connections`.

use std::time::Duration;

use super::{super::texts::Texts, *};

/// A month without use, a quarter at most.
pub(super) const LASTS: Lasting =
    Lasting { unused: Some(Duration::from_hours(30 * 24)), at_most: Duration::from_hours(90 * 24) };

fn time(text: &str) -> ShownTime {
    ShownTime { ago: text.to_owned(), datetime: text.to_owned(), written: text.to_owned() }
}

pub(super) fn list_full_of(text: &str) -> String {
    let connection = connection(text);
    list(&EN, text, &[connection.clone(), ShownConnection { own_name: None, ..connection }]).render()
}

pub(super) fn sign_in_full_of(text: &str) -> String {
    sign_in(&EN, text, Some(text)).render()
}

fn connection(text: &str) -> ShownConnection<'_> {
    ShownConnection {
        id: text,
        name: text.to_owned(),
        own_name: Some(text.to_owned()),
        is_self_named: true,
        host: text.to_owned(),
        whereabouts: Whereabouts::Device,
        resource: text,
        resource_name: Some(text),
        scopes: vec![ScopeLine { name: text, description: Some(text) }],
        granted: time(text),
        used: Some(time(text)),
        from: Some(text.to_owned()),
    }
}

fn list<'a>(
    texts: &'static Texts,
    text: &'a str,
    connections: &'a [ShownConnection<'a>],
) -> ConnectionsPage<'a> {
    ConnectionsPage {
        texts,
        brand: &PLAIN,
        action: text,
        token: text,
        sign_in_token: text,
        account: text,
        connections,
        before: Some(text),
        older: Some(text),
        is_done: true,
        noticed_after: text,
    }
}

fn sign_in<'a>(texts: &'static Texts, text: &'a str, problem: Option<&'a str>) -> ConnectionsSignInPage<'a> {
    ConnectionsSignInPage {
        texts,
        brand: &PLAIN,
        action: text,
        token: text,
        upstream_name: text,
        problem,
        reference: problem,
    }
}

/// Every form of both pages in a language.
pub(super) fn pages_in(texts: &'static Texts) -> Vec<String> {
    let full = ShownConnection { scopes: Vec::new(), granted: time("t"), ..connection("c") };
    let mut pages = Vec::new();
    for whereabouts in [Whereabouts::Computer, Whereabouts::Device, Whereabouts::Web] {
        for (own_name, is_self_named, used) in
            [(Some("n".to_owned()), false, Some(time("t"))), (None, true, None), (None, false, None)]
        {
            let shown = [ShownConnection { own_name, is_self_named, whereabouts, used, ..full.clone() }];
            for (before, older) in [(None, None), (Some("b"), None), (None, Some("o"))] {
                pages.push(ConnectionsPage { before, older, ..list(texts, "x", &shown) }.render());
                pages.push(ConnectionsPage { before, older, ..list(texts, "x", &[]) }.render());
            }
        }
    }
    pages.extend([None, Some("p")].map(|problem| sign_in(texts, "x", problem).render()));
    pages
}

#[test]
fn spans_are_in_the_unit_that_fits() {
    let spans = &EN.spans;
    for (seconds, exact, ago) in [
        (0, "1 minute", "just now"),
        (61, "2 minutes", "1 minute ago"),
        (3600, "1 hour", "1 hour ago"),
        (90 * 60, "90 minutes", "1 hour ago"),
        (36 * 3600, "36 hours", "1 day ago"),
        (30 * 86400, "30 days", "30 days ago"),
    ] {
        let span = Duration::from_secs(seconds);
        assert_eq!((&*spans.exact(span), &*spans.ago(span)), (exact, ago));
    }
}

#[test]
fn consent_says_until_when_access_lasts_and_where_it_can_be_ended() {
    let once = Lasting { unused: None, at_most: Duration::from_hours(1) };
    for (lasts, said) in [
        (LASTS, "Access ends when the app has not used it for 30 days, and after 90 days at the latest."),
        (once, "Access ends after 1 hour."),
    ] {
        let page = text(&ConsentPage { lasts, ..consent() }.render());
        let whole = format!("{said} You can end it at any time at https://mcp.example.org/connections.");
        assert!(page.contains(&whole), "{page}");
    }
}

#[test]
fn every_connection_has_its_heading() {
    let page = list_full_of("words");
    assert_eq!(page.matches("<article class=\"connection\">\n<h2 ").count(), count(&page, "article"));
}
