//! Checks for operators: whether the upstream answers and knows the client.

use serde_json::Value;
use url::Url;

use super::endpoints::{Directory, Overrides};
use crate::{
    clock::UnixTime,
    fetch::{Answer, Fetch, FetchError, Sender, Target},
    oauth::display_text::display_text,
    secret::Secret,
};

/// Asks the upstream without a sign-in.
#[derive(Debug)]
pub struct Probe {
    directory: Directory,
    fetch: Fetch,
}

#[derive(Debug, Clone)]
pub struct LoginEndpoints {
    /// For the browser.
    pub authorization: Target,
    /// For codes.
    pub token: Target,
}

/// The upstream's judgement on client ID and secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairAnswer {
    /// Correct: only the invented code was refused.
    Good,
    /// Wrong (`invalid_client`).
    Refused(String),
    /// Correct, but the client may not redeem codes (`unauthorized_client`).
    NotAllowed(String),
    /// The redirect URI is wrong.
    RedirectUri(String),
    /// The answer does not show it.
    Unclear(String),
    Unreachable(String),
}

/// The upstream's answer to an authorization request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthorizationAnswer {
    /// A sign-in page, or a redirect to one.
    SignIn,
    UnknownClient(String),
    /// The redirect URI is not one of the client's.
    RedirectUri(String),
    /// The scope is not one of the client's.
    Scope(String),
    /// Another refusal.
    Refused(String),
    Unreachable(String),
}

/// Parameters of an authorization request.
#[derive(Debug, Clone, Copy)]
pub struct AuthorizationQuestion<'a> {
    pub client_id: &'a str,
    /// Where the answer would go.
    pub redirect_uri: &'a str,
    /// Space-separated; empty for the client's default.
    pub scope: &'a str,
    /// Would be returned with the answer.
    pub state: &'a str,
}

impl Probe {
    /// A probe of the upstream at `issuer`.
    #[must_use]
    pub fn new(issuer: Url, overrides: Overrides, fetch: Fetch) -> Self {
        Self { directory: Directory::new(issuer, overrides), fetch }
    }

    pub async fn endpoints(&self, now: UnixTime) -> LoginEndpoints {
        let endpoints = self.directory.endpoints(&self.fetch, now).await;
        LoginEndpoints { authorization: endpoints.authorization.clone(), token: endpoints.token.clone() }
    }

    /// Tries to redeem a code that was never issued.
    pub async fn pair(
        &self,
        client: (&str, &Secret),
        redirect_uri: &str,
        code: &str,
        now: UnixTime,
    ) -> PairAnswer {
        let token = self.endpoints(now).await.token;
        let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect_uri)];
        let answer = self.fetch.post_form(&token, Sender::Basic(client.0, client.1), &form).await;
        judge_pair(answer).without(client.1)
    }

    /// Sends an authorization request, as a browser would, and judges the first answer.
    pub async fn authorization(
        &self,
        question: AuthorizationQuestion<'_>,
        now: UnixTime,
    ) -> AuthorizationAnswer {
        let mut target = self.endpoints(now).await.authorization;
        {
            let mut query = target.url.query_pairs_mut();
            query
                .append_pair("client_id", question.client_id)
                .append_pair("redirect_uri", question.redirect_uri)
                .append_pair("response_type", "code")
                .append_pair("state", question.state);
            if !question.scope.is_empty() {
                query.append_pair("scope", question.scope);
            }
        }
        judge_authorization(self.fetch.get(&target, Sender::Anonymous).await)
    }
}

impl PairAnswer {
    /// Removes the secret, which an upstream may repeat.
    fn without(self, secret: &Secret) -> Self {
        let clean = |words: String| words.replace(secret.expose(), "[secret]");
        match self {
            Self::Good => Self::Good,
            Self::Refused(words) => Self::Refused(clean(words)),
            Self::NotAllowed(words) => Self::NotAllowed(clean(words)),
            Self::RedirectUri(words) => Self::RedirectUri(clean(words)),
            Self::Unclear(words) => Self::Unclear(clean(words)),
            Self::Unreachable(words) => Self::Unreachable(clean(words)),
        }
    }
}

fn judge_pair(answer: Result<Answer, FetchError>) -> PairAnswer {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return PairAnswer::Unreachable(error.to_string()),
    };
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let (error, description) = (word(&body, "error"), word(&body, "error_description"));
    let words = format!("{error} {description}").trim().to_owned();
    match (answer.status, error.as_str()) {
        (300..=399, _) => {
            let to = answer.header("location").unwrap_or("somewhere");
            PairAnswer::Unclear(format!(
                "HTTP {} to {to}, which is not followed with a secret",
                answer.status
            ))
        }
        (429 | 500.., _) => PairAnswer::Unclear(format!("HTTP {}", answer.status)),
        (_, "invalid_client") => PairAnswer::Refused(words),
        (_, "unauthorized_client") => PairAnswer::NotAllowed(words),
        (_, "redirect_uri_mismatch") => PairAnswer::RedirectUri(words),
        (_, "invalid_grant" | "invalid_request") if description.to_lowercase().contains("redirect") => {
            PairAnswer::RedirectUri(words)
        }
        (_, "invalid_grant") => PairAnswer::Good,
        (401 | 403, _) => PairAnswer::Refused(format!("HTTP {} {words}", answer.status).trim().to_owned()),
        (status, "") => PairAnswer::Unclear(format!("HTTP {status} without an OAuth answer")),
        (status, _) => PairAnswer::Unclear(format!("HTTP {status} {words}")),
    }
}

fn judge_authorization(answer: Result<Answer, FetchError>) -> AuthorizationAnswer {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return AuthorizationAnswer::Unreachable(error.to_string()),
    };
    let location = answer.header("location").and_then(|location| Url::parse(location).ok());
    let parameter = |name: &str| {
        let pairs = location.iter().flat_map(Url::query_pairs);
        pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).next()
    };
    let words = match (answer.status, parameter("error")) {
        (300..=399, Some(error)) => {
            format!("{error} {}", parameter("error_description").unwrap_or_default()).trim().to_owned()
        }
        (200..=399, _) => return AuthorizationAnswer::SignIn,
        (status, _) => format!("HTTP {status}: {}", visible_text(&answer.body)),
    };
    let lower = words.to_lowercase();
    if lower.contains("redirect") {
        AuthorizationAnswer::RedirectUri(words)
    } else if lower.contains("scope") {
        AuthorizationAnswer::Scope(words)
    } else if lower.contains("client") && answer.status < 500 {
        AuthorizationAnswer::UnknownClient(words)
    } else {
        AuthorizationAnswer::Refused(words)
    }
}

fn word(body: &Value, name: &str) -> String {
    display_text(body[name].as_str().unwrap_or_default(), 200)
}

/// The first words of an HTML page.
fn visible_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let body = text.split_once("<body").map_or(&*text, |(_, body)| body);
    let (mut out, mut in_tag) = (String::new(), body.len() != text.len());
    for c in body.chars() {
        match c {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                out.push(' ');
            }
            _ if in_tag => {}
            c => out.push(c),
        }
    }
    display_text(&without_references(&out), 160)
}

/// Resolves character references of HTML.
fn without_references(text: &str) -> String {
    let mut pieces = text.split('&');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once(';').and_then(|(name, rest)| Some((referenced(name)?, rest))) {
            Some((c, rest)) => {
                out.push(c);
                out.push_str(rest);
            }
            None => out.extend(["&", piece]),
        }
    }
    out
}

/// The visible character of a reference.
fn referenced(name: &str) -> Option<char> {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        _ => match name.strip_prefix('#')? {
            hex if hex.starts_with(['x', 'X']) => number(&hex[1..], 16)?,
            decimal => number(decimal, 10)?,
        },
    };
    Some(c).filter(|c| !c.is_control())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn answer(status: u16, location: Option<&str>, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(location) = location {
            headers.insert("location", location.parse().unwrap());
        }
        Answer { status, headers, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn only_a_refused_code_shows_that_the_pair_is_good() {
        let good = |status, body: &str| judge_pair(Ok(answer(status, None, body))) == PairAnswer::Good;
        assert!(good(400, r#"{"error":"invalid_grant"}"#));
        for (status, body) in [
            (401, r#"{"error":"invalid_client"}"#),
            (400, r#"{"error":"unauthorized_client"}"#),
            (200, r#"{"access_token":"x"}"#),
            (503, r#"{"error":"invalid_grant"}"#),
            (400, "<html>"),
            (404, "{}"),
            (400, r#"{"error":"invalid_grant","error_description":"redirect_uri does not match"}"#),
        ] {
            assert!(!good(status, body), "{status} {body}");
        }
    }

    #[test]
    fn a_refusal_at_the_front_door_says_what_is_wrong() {
        use AuthorizationAnswer::{RedirectUri, Scope, SignIn, UnknownClient};
        let judged = |status, location, body: &str| judge_authorization(Ok(answer(status, location, body)));
        assert_eq!(judged(200, None, "<html>redirect client"), SignIn);
        assert_eq!(judged(302, Some("https://login.example/x?flow=1"), ""), SignIn);
        assert!(matches!(judged(302, Some("http://localhost/?error=invalid_scope"), ""), Scope(_)));
        let page =
            "<html><head><style>redirect</style></head><body class=\"redirect\"><p>No such\n client</p>";
        assert_eq!(judged(400, None, page), UnknownClient("HTTP 400: No such client".to_owned()));
        assert!(matches!(judged(400, None, "bad redirect URI of client"), RedirectUri(_)));
    }

    #[test]
    fn what_a_page_says_is_read_as_a_browser_shows_it() {
        for (page, seen) in [
            (
                "<p>Can&#39;t find &quot;x&quot; &amp; &lt;y&gt;&nbsp;&#x2014; sorry",
                "Can't find \"x\" & <y> \u{2014} sorry",
            ),
            ("a & b &unknown; c; &#27;[2J &#xffffffff;", "a & b &unknown; c; &#27;[2J &#xffffffff;"),
            ("&amp;lt;", "&lt;"),
        ] {
            assert_eq!(visible_text(page.as_bytes()), seen);
        }
    }
}
