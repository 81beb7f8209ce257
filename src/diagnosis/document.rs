//! JSON documents that strangers must be able to read.

use serde_json::Value;
use url::Url;

use super::{
    Finding,
    finding::{Fix, Question},
};
use crate::fetch::{Answer, FetchError};

/// What nginx needs, for whoever has it in front.
fn proxy_fix() -> Fix {
    let words =
        "Let the proxy hand everything under this host to the daemon (docs/reverse-proxy.md); for nginx:";
    Fix::pasting(words, "location / { proxy_pass http://127.0.0.1:8000; }")
}

/// What keeps an answer away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    Silence,
    Certificate,
    NoAuthorities,
    Name,
    Nobody,
    NoTls,
    Stranger,
    Forbidden,
    Network,
}

impl Obstacle {
    fn of(error: &FetchError) -> Self {
        let reason = match error {
            FetchError::Unreachable { reason, .. } => reason.to_lowercase(),
            FetchError::Timeout { .. } => return Self::Silence,
            FetchError::NoAuthorities(_) => return Self::NoAuthorities,
            FetchError::TooLarge { .. } => return Self::Stranger,
            FetchError::Forbidden { .. } => return Self::Forbidden,
        };
        let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
        if has(&["certificate", "unknownissuer", "notvalidforname", "expired"]) {
            Self::Certificate
        } else if has(&["dns", "lookup", "name or service", "resolve"]) {
            Self::Name
        } else if has(&["refused"]) {
            Self::Nobody
        } else if has(&["corrupt", "tls", "handshake", "contenttype"]) {
            Self::NoTls
        } else {
            Self::Network
        }
    }
}

/// Why nobody answered, in the words of somebody who looks for the reason.
pub(super) fn cause_of(error: &FetchError) -> &'static str {
    match Obstacle::of(error) {
        Obstacle::Silence => "a firewall swallows the packets, or the server hangs",
        Obstacle::Certificate => {
            "the certificate is not valid for this name, is out of date, or its authority is not known here"
        }
        Obstacle::NoAuthorities => "a minimal machine or container without the package ca-certificates",
        Obstacle::Name => "the name does not exist in the DNS that this machine asks",
        Obstacle::Nobody => "nothing listens there",
        Obstacle::NoTls => "the port does not speak TLS",
        Obstacle::Stranger => "this is not the server that it should be",
        Obstacle::Forbidden => "another party's document names this machine or its link",
        Obstacle::Network => "the network breaks on the way",
    }
}

/// What to do about a server that gave no answer; `usual` where it is not there at all.
pub(super) fn fix_for(error: &FetchError, url: &str, usual: impl Into<Fix>) -> Fix {
    let parsed = Url::parse(url).ok();
    let host = parsed.as_ref().and_then(Url::host_str).unwrap_or_default();
    let port = parsed.as_ref().and_then(Url::port_or_known_default).unwrap_or(443);
    match Obstacle::of(error) {
        Obstacle::Certificate => Fix::pasting(
            "Renew the certificate, or let this machine know its authority (SSL_CERT_FILE names a file of them); look:",
            format!("openssl s_client -connect {host}:{port} -servername {host} </dev/null"),
        ),
        Obstacle::NoAuthorities => {
            let words =
                "Install the authorities, or let SSL_CERT_FILE name a file of them; on Debian and Ubuntu:";
            Fix::pasting(words, "apt-get install ca-certificates")
        }
        Obstacle::Name => {
            Fix::pasting("Correct the address, or the DNS; look:", format!("getent ahosts {host}"))
        }
        Obstacle::Silence => Fix::pasting("Open the way from this machine; look:", format!("curl -v {url}")),
        _ => usual.into(),
    }
}

/// The document at `url` with its answer, or what is wrong with it. `fix` is for a server that is not there.
pub(super) fn json(
    question: &Question,
    url: &str,
    answer: Result<Answer, FetchError>,
    fix: impl Into<Fix>,
) -> Result<(Value, Answer), Box<Finding>> {
    let question = question.clone();
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let fix = fix_for(&error, url, fix);
            return Err(Box::new(question.fail(error.to_string(), cause_of(&error), fix)));
        }
    };
    let content_type = answer.header("content-type").unwrap_or("none").to_owned();
    let is_page = content_type.starts_with("text/html") || starts_like_a_page(&answer.body);
    match answer.status {
        300..=399 => {
            let to = answer.header("location").unwrap_or("somewhere").to_owned();
            let cause = "clients ask exactly this URL and do not follow, or refuse what they find behind it";
            let fix = "Answer here without a redirect, or configure the URL that needs none";
            Err(Box::new(question.fail(format!("HTTP {} to {to}", answer.status), cause, fix)))
        }
        status if is_page => {
            let cause = "a proxy or another application answers, not the server";
            Err(Box::new(question.fail(
                format!("HTTP {status} with a page ({content_type})"),
                cause,
                proxy_fix(),
            )))
        }
        200 if !content_type.starts_with("application/json") => {
            let cause = "strict clients refuse another content type than application/json";
            Err(Box::new(question.fail(format!("content type {content_type}"), cause, proxy_fix())))
        }
        200 => match serde_json::from_slice(&answer.body) {
            Ok(document) => Ok((document, answer)),
            Err(error) => Err(Box::new(question.fail(
                format!("no JSON: {error}"),
                "something changes the answer on its way",
                proxy_fix(),
            ))),
        },
        status => {
            let cause = "the request reaches another server, or one with another configuration";
            Err(Box::new(question.fail(format!("HTTP {status}"), cause, proxy_fix())))
        }
    }
}

fn starts_like_a_page(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}

/// How a spelling differs from the right one, where only a slash does.
pub(super) fn differs_by_a_slash(found: &str, right: &str) -> bool {
    found != right && found.trim_end_matches('/') == right.trim_end_matches('/')
}
