//! Cookies with `__Host-`, `Secure`, `HttpOnly` and `SameSite=Lax` (RFC 6265bis section 4.1.3.2). Over `http` on
//! loopback, the first two are left out.
//!
//! One cookie identifies the browser. Each approved sign-in has its own cookies, as many as its size needs.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::secret::{Random, random_token};

/// Identifies the browser, so that forms can be bound to it.
const BROWSER: &str = "mcp-browser";
/// Holds an approved sign-in while the browser is at the upstream.
const LOGIN: &str = "mcp-login-";
/// Holds the token of a session of the page of connected clients.
const SESSION: &str = "mcp-connections";
/// Marks a declined request.
const DECLINED: &str = "mcp-declined-";
/// Lifetime of the browser's ID and of approved sign-ins, in seconds: users who return the next morning still get an
/// answer, and so do their clients.
const LONG: u32 = 24 * 3600;
/// Time to answer one of our pages, in seconds. A session of the page of connected clients is as long.
const SHORT: u32 = 600;
/// Largest value of one cookie, in bytes.
const PART: usize = 3500;
/// Most cookies of one sign-in. Requests need far fewer.
const MOST_PARTS: usize = 12;
/// Most concurrent sign-ins of a browser. Beyond that, the oldest is dropped.
const MOST_LOGINS: usize = 10;
/// Most bytes of all sign-ins together, so that one more fits into a request's head.
const MOST_BYTES: usize = 20_000;

/// Reads the cookies of a request, and makes those of its answer.
#[derive(Debug)]
pub(super) struct Cookies<'a> {
    pairs: Vec<(&'a str, &'a str)>,
    https: bool,
}

impl<'a> Cookies<'a> {
    /// `https` is that of the public URL.
    pub(super) fn of(headers: &'a HeaderMap, https: bool) -> Self {
        let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        Self { pairs: pairs.collect(), https }
    }

    /// The prefix of every name. Over `http`, Safari stores no cookie with `__Host-`.
    const fn prefix(&self) -> &'static str {
        if self.https { "__Host-" } else { "" }
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let name_of = |full: &'a str| full.strip_prefix(self.prefix());
        self.pairs.iter().find(|(full, _)| name_of(full) == Some(name)).map(|(_, value)| *value)
    }

    /// The browser's ID, if it has one.
    pub(super) fn browser(&self) -> Option<&'a str> {
        self.get(BROWSER).filter(|name| name.len() == 43)
    }

    /// The browser's existing ID or a new one, and the cookie that stores it.
    pub(super) fn name_browser(&self, random: &dyn Random) -> (String, Option<HeaderValue>) {
        let name = self.browser().map_or_else(|| random_token(random), str::to_owned);
        let set = self.cookie(BROWSER, &name, LONG);
        (name, set)
    }

    /// The token of the session of the page of connected clients.
    pub(super) fn session(&self) -> Option<&'a str> {
        self.get(SESSION).filter(|token| token.len() == 43)
    }

    pub(super) fn hold_session(&self, token: &str) -> Option<HeaderValue> {
        self.cookie(SESSION, token, SHORT)
    }

    pub(super) fn forget_session(&self) -> Option<HeaderValue> {
        self.get(SESSION).and_then(|_| self.cookie(SESSION, "", 0))
    }

    pub(super) fn login(&self, flow: &str) -> Option<String> {
        let mut sealed = self.get(&format!("{LOGIN}{flow}"))?.to_owned();
        for part in 1..MOST_PARTS {
            let Some(more) = self.get(&format!("{LOGIN}{flow}.{part}")) else { break };
            sealed.push_str(more);
        }
        Some(sealed)
    }

    pub(super) fn has_declined(&self, request: &str) -> bool {
        self.get(&format!("{DECLINED}{request}")).is_some()
    }

    /// The cookies that hold an approved login, in place of older ones where the browser holds too many:
    /// those come first, for so browsers list them.
    pub(super) fn hold_login(&self, flow: &str, sealed: &str) -> Vec<HeaderValue> {
        let held = self.held();
        let (mut count, mut bytes) = (0, 0);
        let newest_first = held.iter().rev();
        let fits = newest_first.take_while(|flow| {
            count += 1;
            bytes += self.login(flow).map_or(0, |sealed| sealed.len());
            count < MOST_LOGINS && bytes <= MOST_BYTES
        });
        let kept = fits.count();
        let dropped = held[..held.len() - kept].iter().filter(|old| **old != flow);
        let mut set: Vec<_> = dropped.flat_map(|old| self.forget_login(old)).collect();
        set.extend(self.forget_login(flow));
        set.extend(self.parts(flow, sealed, LONG));
        set
    }

    /// The cookies that hold a login in the place of what the browser holds for it, while a page of ours
    /// waits for an answer.
    pub(super) fn hold_for_answer(&self, flow: &str, sealed: &str) -> Vec<HeaderValue> {
        let mut set = self.forget_login(flow);
        set.extend(self.parts(flow, sealed, SHORT));
        set
    }

    fn parts(&self, flow: &str, sealed: &str, max_age: u32) -> impl Iterator<Item = HeaderValue> {
        let parts = sealed.as_bytes().chunks(PART).filter_map(|part| std::str::from_utf8(part).ok());
        let name = move |part: usize| {
            if part == 0 { format!("{LOGIN}{flow}") } else { format!("{LOGIN}{flow}.{part}") }
        };
        parts.enumerate().filter_map(move |(part, text)| self.cookie(&name(part), text, max_age))
    }

    /// The flows that the browser holds a login for.
    fn held(&self) -> Vec<&'a str> {
        let own = |full: &'a str| full.strip_prefix(self.prefix())?.strip_prefix(LOGIN);
        self.pairs.iter().filter_map(|(full, _)| own(full)).filter(|flow| !flow.contains('.')).collect()
    }

    pub(super) fn forget_login(&self, flow: &str) -> Vec<HeaderValue> {
        let is_part = |rest: &str| rest.is_empty() || rest.starts_with('.');
        let own = |name: &str| name.strip_prefix(LOGIN)?.strip_prefix(flow).map(is_part);
        let names = self.pairs.iter().filter_map(|(full, _)| full.strip_prefix(self.prefix()));
        names.filter(|name| own(name) == Some(true)).filter_map(|name| self.cookie(name, "", 0)).collect()
    }

    pub(super) fn remember_declined(&self, request: &str) -> Option<HeaderValue> {
        self.cookie(&format!("{DECLINED}{request}"), "1", SHORT)
    }

    fn cookie(&self, name: &str, value: &str, max_age: u32) -> Option<HeaderValue> {
        let (prefix, secure) = (self.prefix(), if self.https { "; Secure" } else { "" });
        let text =
            format!("{prefix}{name}={value}; Path=/; Max-Age={max_age}{secure}; HttpOnly; SameSite=Lax");
        HeaderValue::from_str(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hold(flow: &str, sealed: &str, https: bool) -> Vec<HeaderValue> {
        Cookies { pairs: Vec::new(), https }.hold_login(flow, sealed)
    }

    fn request(set: &[HeaderValue]) -> HeaderMap {
        let pairs: Vec<&str> = set.iter().map(|c| c.to_str().unwrap().split(';').next().unwrap()).collect();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, pairs.join("; ").parse().unwrap());
        headers
    }

    /// A cookie, without prefix and `Secure` over `http`, because Safari would drop it.
    #[test]
    fn cookies_are_guarded_as_far_as_the_scheme_allows() {
        let written = |https| hold("f", "sealed", https)[0].to_str().unwrap().to_owned();
        let secure = "__Host-mcp-login-f=sealed; Path=/; Max-Age=86400; Secure; HttpOnly; SameSite=Lax";
        assert_eq!(written(true), secure);
        assert_eq!(written(false), "mcp-login-f=sealed; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax");
        for (sent_over_https, read_over_https) in [(true, true), (false, false), (true, false), (false, true)]
        {
            let headers = request(&hold("f", "sealed", sent_over_https));
            let read = Cookies::of(&headers, read_over_https).login("f");
            assert_eq!(read.is_some(), sent_over_https == read_over_https);
        }
    }

    #[test]
    fn consent_12_old_logins_make_room() {
        let set: Vec<_> =
            (0..30).flat_map(|n| hold(&format!("flow{n:02}"), &"x".repeat(4000), true)).collect();
        let headers = request(&set);
        let set = Cookies::of(&headers, true).hold_login("new", "sealed");
        assert_eq!(set.len(), 2 * 25 + 1);
        assert!(set[0].to_str().unwrap().starts_with("__Host-mcp-login-flow00=; Path=/; Max-Age=0;"));
        assert!(set[50].to_str().unwrap().starts_with("__Host-mcp-login-new=sealed;"));
    }

    #[test]
    fn many_small_logins_are_kept_and_many_large_ones_are_not() {
        for (size, kept) in [(100, 9), (4000, 5), (30_000, 0)] {
            let set: Vec<_> =
                (0..20).flat_map(|n| hold(&format!("flow{n:02}"), &"x".repeat(size), true)).collect();
            let parts = set.len() / 20;
            let headers = request(&set);
            let set = Cookies::of(&headers, true).hold_login("new", "sealed");
            assert_eq!(set.len(), (20 - kept) * parts + 1, "{size}");
        }
    }

    #[test]
    fn a_login_that_shrinks_leaves_no_part_behind() {
        let headers = request(&hold("f", &"x".repeat(9000), true));
        let mut held: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
        for set in Cookies::of(&headers, true).hold_for_answer("f", "short") {
            let set = set.to_str().unwrap();
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            if set.contains("Max-Age=0") {
                held.remove(name);
            } else {
                held.insert(name.to_owned(), value.to_owned());
            }
        }
        assert_eq!(
            held.into_iter().collect::<Vec<_>>(),
            [("__Host-mcp-login-f".to_owned(), "short".to_owned())]
        );
    }

    proptest! {
        #[test]
        fn a_login_of_any_size_comes_back(sealed in "[A-Za-z0-9_-]{1,12000}", https: bool) {
            let mut set = hold("f", &sealed, https);
            prop_assert!(set.iter().all(|cookie| cookie.len() < 4096));
            set.extend(hold("g", "other", https));
            let headers = request(&set);
            let cookies = Cookies::of(&headers, https);
            prop_assert_eq!(cookies.login("f"), Some(sealed));
            prop_assert_eq!(cookies.login("h"), None);
            prop_assert_eq!(cookies.forget_login("g").len(), 1);
        }
    }
}
