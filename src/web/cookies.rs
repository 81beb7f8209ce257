//! Cookies: `__Host-`, `Secure`, `HttpOnly`, `SameSite=Lax` (RFC 6265bis section 4.1.3.2).
//!
//! One names the browser; each approved login has its own, in as many parts as it needs.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::secret::{Random, random_token};

/// Names the browser, so that a form can be bound to it.
const BROWSER: &str = "__Host-mcp-browser";
/// Holds an approved login while the browser is upstream.
const LOGIN: &str = "__Host-mcp-login-";
/// Remembers that a request was declined.
const DECLINED: &str = "__Host-mcp-declined-";
/// Seconds for which a login is held, and a browser known.
const MAX_AGE: (u32, u32) = (600, 3600);
/// What fits into one cookie, its name and attributes aside.
const PART: usize = 3500;
/// Parts of one login; requests are bounded well below.
const MOST_PARTS: usize = 12;
/// Logins that a browser may have on the way; beyond this the oldest is dropped.
const MOST_LOGINS: usize = 10;
/// Bytes that they may take together, so that one more of any size fits into a request's head.
const MOST_BYTES: usize = 20_000;

/// The cookies of a request.
#[derive(Debug)]
pub(super) struct Cookies<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Cookies<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        Self(pairs.collect())
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }

    /// The browser's name, if it has one.
    pub(super) fn browser(&self) -> Option<&'a str> {
        self.get(BROWSER).filter(|name| name.len() == 43)
    }

    /// What the browser holds for a login.
    pub(super) fn login(&self, flow: &str) -> Option<String> {
        let mut sealed = self.get(&format!("{LOGIN}{flow}"))?.to_owned();
        for part in 1..MOST_PARTS {
            let Some(more) = self.get(&format!("{LOGIN}{flow}.{part}")) else { break };
            sealed.push_str(more);
        }
        Some(sealed)
    }

    /// Whether the person has declined this request.
    pub(super) fn has_declined(&self, request: &str) -> bool {
        self.get(&format!("{DECLINED}{request}")).is_some()
    }

    /// Removes the oldest logins, which browsers list first, so that one more has room.
    pub(super) fn make_room(&self) -> Vec<HeaderValue> {
        let flows: Vec<&str> = self
            .0
            .iter()
            .filter_map(|(name, _)| name.strip_prefix(LOGIN))
            .filter(|flow| !flow.contains('.'))
            .collect();
        let (mut count, mut bytes) = (0, 0);
        let newest_first = flows.iter().rev();
        let fits = newest_first.take_while(|flow| {
            count += 1;
            bytes += self.login(flow).map_or(0, |sealed| sealed.len());
            count < MOST_LOGINS && bytes <= MOST_BYTES
        });
        let kept = fits.count();
        flows[..flows.len() - kept].iter().flat_map(|flow| self.forget_login(flow)).collect()
    }

    /// Removes a login.
    pub(super) fn forget_login(&self, flow: &str) -> Vec<HeaderValue> {
        let whole = format!("{LOGIN}{flow}");
        let own = |name: &str| {
            name.strip_prefix(&whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.0.iter().filter(|(name, _)| own(name)).filter_map(|(name, _)| cookie(name, "", 0)).collect()
    }
}

/// A name for a browser, and the cookie that gives it.
pub(super) fn name_browser(known: Option<&str>, random: &dyn Random) -> (String, Option<HeaderValue>) {
    let name = known.map_or_else(|| random_token(random), str::to_owned);
    let set = cookie(BROWSER, &name, MAX_AGE.1);
    (name, set)
}

/// The cookies that hold an approved login.
pub(super) fn hold_login(flow: &str, sealed: &str) -> Vec<HeaderValue> {
    let parts = sealed.as_bytes().chunks(PART).filter_map(|part| std::str::from_utf8(part).ok());
    let name =
        |part: usize| if part == 0 { format!("{LOGIN}{flow}") } else { format!("{LOGIN}{flow}.{part}") };
    parts.enumerate().filter_map(|(part, text)| cookie(&name(part), text, MAX_AGE.0)).collect()
}

/// The cookie that remembers that a request was declined.
pub(super) fn remember_declined(request: &str) -> Option<HeaderValue> {
    cookie(&format!("{DECLINED}{request}"), "1", MAX_AGE.0)
}

fn cookie(name: &str, value: &str, max_age: u32) -> Option<HeaderValue> {
    let text = format!("{name}={value}; Path=/; Max-Age={max_age}; Secure; HttpOnly; SameSite=Lax");
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(set: &[HeaderValue]) -> HeaderMap {
        let pairs: Vec<&str> = set.iter().map(|c| c.to_str().unwrap().split(';').next().unwrap()).collect();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, pairs.join("; ").parse().unwrap());
        headers
    }

    #[test]
    fn consent_12_old_logins_make_room() {
        let set: Vec<_> =
            (0..30).flat_map(|n| hold_login(&format!("flow{n:02}"), &"x".repeat(4000))).collect();
        let headers = request(&set);
        let removed = Cookies::of(&headers).make_room();
        assert_eq!(removed.len(), 2 * 25);
        assert!(removed[0].to_str().unwrap().starts_with("__Host-mcp-login-flow00=; Path=/; Max-Age=0;"));
    }

    #[test]
    fn many_small_logins_are_kept_and_many_large_ones_are_not() {
        for (size, kept) in [(100, 9), (4000, 5), (30_000, 0)] {
            let set: Vec<_> =
                (0..20).flat_map(|n| hold_login(&format!("flow{n:02}"), &"x".repeat(size))).collect();
            let parts = set.len() / 20;
            let headers = request(&set);
            assert_eq!(Cookies::of(&headers).make_room().len(), (20 - kept) * parts, "{size}");
        }
    }

    proptest! {
        #[test]
        fn a_login_of_any_size_comes_back(sealed in "[A-Za-z0-9_-]{1,12000}") {
            let mut set = hold_login("f", &sealed);
            prop_assert!(set.iter().all(|cookie| cookie.len() < 4096));
            set.extend(hold_login("g", "other"));
            let headers = request(&set);
            let cookies = Cookies::of(&headers);
            prop_assert_eq!(cookies.login("f"), Some(sealed));
            prop_assert_eq!(cookies.login("h"), None);
            prop_assert_eq!(cookies.forget_login("g").len(), 1);
        }
    }
}
