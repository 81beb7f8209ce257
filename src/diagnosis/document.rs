//! JSON documents that strangers must be able to read.

use serde_json::Value;

use super::{Finding, finding::Question};
use crate::fetch::{Answer, FetchError};

/// What nginx needs, for whoever has it in front.
const PROXY_FIX: &str = "Let the proxy hand everything under this host to the daemon; for nginx: \
     location / { proxy_pass http://127.0.0.1:8000; }";

/// Why nobody answered, in the words of somebody who looks for the reason.
pub(super) fn cause_of(error: &FetchError) -> &'static str {
    let FetchError::Unreachable { reason, .. } = error else {
        return match error {
            FetchError::Timeout { .. } => "a firewall swallows the packets, or the server hangs",
            _ => "this is not the server that it should be",
        };
    };
    let reason = reason.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if has(&["certificate", "unknownissuer", "notvalidforname", "expired"]) {
        "the certificate is not valid for this name, is out of date, or its authority is not known here"
    } else if has(&["dns", "lookup", "name or service", "resolve"]) {
        "the name does not exist in the DNS that this machine asks"
    } else if has(&["refused"]) {
        "nothing listens there"
    } else if has(&["corrupt", "tls", "handshake", "contenttype"]) {
        "the port does not speak TLS"
    } else {
        "the network breaks on the way"
    }
}

/// The document with its answer, or what is wrong with it. `fix` is for a server that is not there.
pub(super) fn json(
    question: &Question,
    answer: Result<Answer, FetchError>,
    fix: &str,
) -> Result<(Value, Answer), Box<Finding>> {
    let question = question.clone();
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Err(Box::new(question.fail(error.to_string(), cause_of(&error), fix))),
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
                PROXY_FIX,
            )))
        }
        200 if !content_type.starts_with("application/json") => {
            let cause = "strict clients refuse another content type than application/json";
            Err(Box::new(question.fail(format!("content type {content_type}"), cause, PROXY_FIX)))
        }
        200 => match serde_json::from_slice(&answer.body) {
            Ok(document) => Ok((document, answer)),
            Err(error) => Err(Box::new(question.fail(
                format!("no JSON: {error}"),
                "something changes the answer on its way",
                PROXY_FIX,
            ))),
        },
        status => {
            let cause = "the request reaches another server, or one with another configuration";
            Err(Box::new(question.fail(format!("HTTP {status}"), cause, PROXY_FIX)))
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
