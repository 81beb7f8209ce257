//! JSON documents that must be publicly readable.

use serde_json::Value;
use url::Url;

use super::{
    Finding,
    finding::{Fix, Question},
};
use crate::fetch::{Answer, FetchError};

fn proxy_fix() -> Fix {
    let words =
        "Let the proxy forward all requests for this host to the daemon (docs/reverse-proxy.md). For nginx:";
    Fix::pasting(words, "location / { proxy_pass http://127.0.0.1:8000; }")
}

/// Why there is no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    Timeout,
    Certificate,
    NoAuthorities,
    Name,
    NotListening,
    NoTls,
    WrongServer,
    Forbidden,
    Network,
}

impl Obstacle {
    fn of(error: &FetchError) -> Self {
        let reason = match error {
            FetchError::Unreachable { reason, .. } => reason.to_lowercase(),
            FetchError::Timeout { .. } => return Self::Timeout,
            FetchError::NoAuthorities(_) => return Self::NoAuthorities,
            FetchError::TooLarge { .. } => return Self::WrongServer,
            FetchError::Forbidden { .. } => return Self::Forbidden,
        };
        let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
        if has(&["certificate", "unknownissuer", "notvalidforname", "expired"]) {
            Self::Certificate
        } else if has(&["dns", "lookup", "name or service", "resolve"]) {
            Self::Name
        } else if has(&["refused"]) {
            Self::NotListening
        } else if has(&["corrupt", "tls", "handshake", "contenttype"]) {
            Self::NoTls
        } else {
            Self::Network
        }
    }
}

/// The likely cause of a failed request.
pub(super) fn cause_of(error: &FetchError) -> &'static str {
    match Obstacle::of(error) {
        Obstacle::Timeout => "a firewall drops the packets, or the server hangs",
        Obstacle::Certificate => {
            "the certificate is for another name, has expired, or was issued by an authority that this machine does not trust"
        }
        Obstacle::NoAuthorities => "the package ca-certificates is not installed, as in many containers",
        Obstacle::Name => "the host name does not exist in this machine's DNS",
        Obstacle::NotListening => "nothing listens there",
        Obstacle::NoTls => "the port does not speak TLS",
        Obstacle::WrongServer => "another server answers",
        Obstacle::Forbidden => "a document from another party points to this machine or its local network",
        Obstacle::Network => "the network connection failed",
    }
}

/// How to fix a failed request; `usual` applies if no server is listening.
pub(super) fn fix_for(error: &FetchError, url: &str, usual: impl Into<Fix>) -> Fix {
    let parsed = Url::parse(url).ok();
    let host = parsed.as_ref().and_then(Url::host_str).unwrap_or_default();
    let port = parsed.as_ref().and_then(Url::port_or_known_default).unwrap_or(443);
    match Obstacle::of(error) {
        Obstacle::Certificate => Fix::pasting(
            "Renew the certificate, or make this machine trust its authority (SSL_CERT_FILE). To see the certificate:",
            format!("openssl s_client -connect {host}:{port} -servername {host} </dev/null"),
        ),
        Obstacle::NoAuthorities => {
            let words = "Install certificate authorities, or set SSL_CERT_FILE to a file of them. On Debian and Ubuntu:";
            Fix::pasting(words, "apt-get install ca-certificates")
        }
        Obstacle::Name => {
            Fix::pasting("Correct the URL or the DNS record. To look it up:", format!("getent ahosts {host}"))
        }
        Obstacle::Timeout => {
            Fix::pasting("Allow connections from this machine. To test it:", format!("curl -v {url}"))
        }
        _ => usual.into(),
    }
}

/// The document at `url` with its response, or the problem. `fix` applies if no server is listening.
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
            let cause = "clients request exactly this URL, and do not follow redirects or reject the result";
            let fix = "Serve this URL without a redirect, or configure the URL that it redirects to";
            Err(Box::new(question.fail(format!("HTTP {} to {to}", answer.status), cause, fix)))
        }
        status if is_page => {
            let cause = "a proxy or another application answers, not this server";
            Err(Box::new(question.fail(
                format!("HTTP {status} with an HTML page ({content_type})"),
                cause,
                proxy_fix(),
            )))
        }
        200 if !content_type.starts_with("application/json") => {
            let cause = "strict clients accept only the content type application/json";
            Err(Box::new(question.fail(format!("content type {content_type}"), cause, proxy_fix())))
        }
        200 => match serde_json::from_slice(&answer.body) {
            Ok(document) => Ok((document, answer)),
            Err(error) => Err(Box::new(question.fail(
                format!("invalid JSON: {error}"),
                "something between server and client changes the response",
                proxy_fix(),
            ))),
        },
        status => {
            let cause = "another server answers, or one with another configuration";
            Err(Box::new(question.fail(format!("HTTP {status}"), cause, proxy_fix())))
        }
    }
}

fn starts_like_a_page(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}

/// Whether two URLs differ only by a trailing slash.
pub(super) fn differs_by_a_slash(found: &str, right: &str) -> bool {
    found != right && found.trim_end_matches('/') == right.trim_end_matches('/')
}
