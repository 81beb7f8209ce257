//! Fetch Metadata: headers that the browser sets and no page can change.
//!
//! They distinguish a user's navigation from a script of another page on our origin, which can read our pages and send
//! our cookies.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

static SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
static MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
static DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
static USER: HeaderName = HeaderName::from_static("sec-fetch-user");

/// The `Sec-Fetch-*` headers of a request. Browsers that send none are not restricted.
#[derive(Debug, Clone, Copy)]
pub(super) struct FetchMetadata<'a> {
    site: Option<&'a [u8]>,
    mode: Option<&'a [u8]>,
    dest: Option<&'a [u8]>,
    user: Option<&'a [u8]>,
    /// Whether this browser sends `Sec-Fetch-User` (Safari does not).
    marks_users: bool,
}

/// Who sent a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Submission {
    /// As far as we can tell, the user, from one of our pages.
    Genuine,
    /// A script, or another site.
    Forged,
    /// One of our pages, without a click or key.
    Unattended,
}

impl<'a> FetchMetadata<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let get = |name: &HeaderName| headers.get(name).map(HeaderValue::as_bytes);
        Self {
            site: get(&SITE),
            mode: get(&MODE),
            dest: get(&DEST),
            user: get(&USER),
            marks_users: marks_users(headers),
        }
    }

    const fn is_absent(&self) -> bool {
        self.site.is_none() && self.mode.is_none() && self.dest.is_none() && self.user.is_none()
    }

    /// Whether this could be a navigation in a tab or window, and not in a script or frame.
    pub(super) fn may_be_navigation(&self) -> bool {
        self.is_absent() || (self.mode == Some(b"navigate") && self.dest == Some(b"document"))
    }

    /// Judges the submission of a form on one of our pages.
    pub(super) fn submission(&self) -> Submission {
        if self.is_absent() {
            Submission::Genuine
        } else if self.site != Some(b"same-origin") || !self.may_be_navigation() {
            Submission::Forged
        } else if self.marks_users && self.user != Some(b"?1") {
            Submission::Unattended
        } else {
            Submission::Genuine
        }
    }
}

/// Chromium and Firefox send `Sec-Fetch-User: ?1` with every navigation that a user starts. On iOS, browsers with these
/// names (`CriOS`, `FxiOS`) are `WebKit` and do not.
fn marks_users(headers: &HeaderMap) -> bool {
    let has = |name, words: &[&str]| {
        let text = headers.get(name).map(axum::http::HeaderValue::as_bytes).unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        words.iter().any(|word| text.contains(word))
    };
    has("sec-ch-ua", &["\"Chromium\""])
        || has(header::USER_AGENT.as_str(), &["Chrome/", "Chromium/", "Firefox/"])
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHROME: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    const SAFARI: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15";
    const CHROME_ON_IOS: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0.0.0 Mobile/15E148 Safari/604.1";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    /// `site mode dest user` as sent; `-` for a header that is missing.
    fn metadata(sent: &str, user_agent: &str) -> HeaderMap {
        let names = ["sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-user"];
        let mut pairs: Vec<_> = names.into_iter().zip(sent.split(' ')).filter(|(_, v)| *v != "-").collect();
        pairs.push(("user-agent", user_agent));
        headers(&pairs)
    }

    #[test]
    fn only_a_page_in_a_window_of_its_own_is_a_navigation() {
        for (sent, good) in [
            ("- - - -", true),
            ("none navigate document ?1", true),
            ("cross-site navigate document -", true),
            ("same-origin navigate document -", true),
            ("same-origin cors empty -", false),
            ("same-origin same-origin empty -", false),
            ("same-origin no-cors image -", false),
            ("same-origin navigate iframe -", false),
            ("same-origin navigate object ?1", false),
            ("same-origin websocket websocket -", false),
            ("same-origin - - -", false),
            ("- navigate - -", false),
            ("- - document ?1", false),
        ] {
            let headers = metadata(sent, FIREFOX);
            assert_eq!(FetchMetadata::of(&headers).may_be_navigation(), good, "{sent}");
        }
    }

    #[test]
    fn a_decision_is_sent_by_a_user_from_our_own_page() {
        use Submission::{Forged, Genuine, Unattended};
        for (sent, user_agent, judged) in [
            ("- - - -", CHROME, Genuine),
            ("same-origin navigate document ?1", CHROME, Genuine),
            ("same-origin navigate document ?1", FIREFOX, Genuine),
            ("same-origin navigate document -", CHROME, Unattended),
            ("same-origin navigate document -", FIREFOX, Unattended),
            ("same-origin navigate document ?0", FIREFOX, Unattended),
            ("same-origin navigate document -", SAFARI, Genuine),
            ("same-origin navigate document -", CHROME_ON_IOS, Genuine),
            ("same-origin navigate document -", "", Genuine),
            ("same-origin cors empty -", SAFARI, Forged),
            ("same-origin cors empty -", CHROME, Forged),
            ("same-origin navigate iframe ?1", CHROME, Forged),
            ("same-site navigate document ?1", CHROME, Forged),
            ("cross-site navigate document ?1", SAFARI, Forged),
            ("none navigate document ?1", CHROME, Forged),
            ("- navigate document ?1", CHROME, Forged),
            ("- - - ?1", CHROME, Forged),
        ] {
            let headers = metadata(sent, user_agent);
            assert_eq!(FetchMetadata::of(&headers).submission(), judged, "{sent} {user_agent}");
        }
    }

    #[test]
    fn chromium_is_known_by_its_client_hints_too() {
        let mut headers = metadata("same-origin navigate document -", "a name of its own");
        headers.insert("sec-ch-ua", "\"Chromium\";v=\"140\", \"Brave\";v=\"140\"".parse().unwrap());
        assert_eq!(FetchMetadata::of(&headers).submission(), Submission::Unattended);
    }
}
