//! The meaning of Vault's answers. `status` counts first, and the HTTP code only without one.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::{fetch::Answer, repository::RepositoryError};

/// What to make of an answer.
#[derive(Debug)]
pub(super) enum Verdict {
    Success(Value),
    /// Accepted for later. Poll with this request ID.
    Accepted(String),
    /// The token is invalid or was rotated.
    Unauthorized,
    /// Retry later; the answer may say when.
    TooMany(Option<Duration>),
    /// Vault failed or is unreachable. The request may have run.
    Lost(String),
    /// The request is refused.
    Failed(Failed),
}

/// Why a call did not succeed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The item does not exist.
    Absent,
    /// Vault refuses the request: its status and explanation.
    Refused(String),
    /// No usable answer. The request may have run.
    Lost(String),
    /// Accepted, but not finished in time. The request may still run.
    Pending,
    /// Another try would have the same result.
    Final(RepositoryError),
}

impl Failed {
    pub(super) fn unauthorized() -> Self {
        Self::Final(RepositoryError::Unusable(
            "Vault refuses the token: give repository.token one that is valid and made for Vault".to_owned(),
        ))
    }

    pub(super) fn impatient() -> Self {
        let sentence = "Vault turns requests away, for there are too many of them";
        Self::Final(RepositoryError::Unavailable(sentence.to_owned()))
    }
}

impl From<Failed> for RepositoryError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Absent => {
                Self::Unavailable("Vault does not find an item that it has just named".to_owned())
            }
            Failed::Refused(what) => Self::Unusable(format!("Vault does not accept a request: {what}")),
            Failed::Lost(reason) => Self::Unavailable(reason),
            Failed::Pending => {
                Self::Unavailable("Vault has accepted a request and not finished it in time".to_owned())
            }
            Failed::Final(error) => error,
        }
    }
}

/// The envelope of every answer.
#[derive(Debug, Default, Deserialize)]
struct Envelope {
    #[serde(default)]
    request_id: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    result: Value,
}

pub(super) fn judge(answer: &Answer) -> Verdict {
    let envelope: Envelope = serde_json::from_slice(&answer.body).unwrap_or_default();
    let unusable = |sentence: String| Verdict::Failed(Failed::Final(RepositoryError::Unusable(sentence)));
    match envelope.status.as_str() {
        "Success" => Verdict::Success(envelope.result),
        "Accepted" => accepted(envelope),
        "Unauthorized" | "ExpiredToken" | "InvalidToken" => Verdict::Unauthorized,
        "TooManyRequests" => Verdict::TooMany(answer.retry_after()),
        "VaultItemNotFound" | "NotFound" => Verdict::Failed(Failed::Absent),
        "NoCredit" => unusable("the Pangea account has no credit left: add some in its console".to_owned()),
        "ServiceNotEnabled" => {
            unusable("Vault is not enabled in this Pangea project: enable it in its console".to_owned())
        }
        "MissingConfigID" | "MissingConfigIDScope" => unusable(
            "the token fits several configurations of Vault or none: make one for a single configuration"
                .to_owned(),
        ),
        "ServiceNotAvailable" | "InternalError" | "ProviderError" => lost(&envelope, answer.status),
        "ValidationError" => Verdict::Failed(Failed::Refused(complaints(&envelope))),
        status if status.contains("Forbidden") || status.contains("NotAllowed") => {
            unusable(forbidden(status))
        }
        _ => by_code(&envelope, answer),
    }
}

/// For an undocumented status, or an answer that is not from Vault.
fn by_code(envelope: &Envelope, answer: &Answer) -> Verdict {
    let status = Some(word(&envelope.status)).filter(|status| !status.is_empty());
    let unusable = |sentence| Verdict::Failed(Failed::Final(RepositoryError::Unusable(sentence)));
    match (answer.status, status) {
        (202, _) => accepted_by_code(envelope),
        (401, _) => Verdict::Unauthorized,
        (403, status) => unusable(forbidden(status.unwrap_or("403"))),
        (404, Some(_)) => Verdict::Failed(Failed::Absent),
        (429, _) => Verdict::TooMany(answer.retry_after()),
        (500.., _) => lost(envelope, answer.status),
        (code, Some(status)) => Verdict::Failed(Failed::Refused(format!("{status} (HTTP {code})"))),
        (code, None) => unusable(format!(
            "whatever answers at api_url is not Pangea Vault (HTTP {code}): write the service's URL there"
        )),
    }
}

fn accepted(envelope: Envelope) -> Verdict {
    let id = envelope.request_id;
    let safe = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if safe {
        Verdict::Accepted(id)
    } else {
        Verdict::Lost("Vault accepted a request without naming it".to_owned())
    }
}

fn accepted_by_code(envelope: &Envelope) -> Verdict {
    accepted(Envelope { request_id: envelope.request_id.clone(), ..Envelope::default() })
}

fn lost(envelope: &Envelope, code: u16) -> Verdict {
    let request = word(&envelope.request_id);
    let named = if request.is_empty() { String::new() } else { format!(", request {request}") };
    Verdict::Lost(format!("Vault cannot answer now (HTTP {code}{named})"))
}

fn forbidden(status: &str) -> String {
    format!(
        "Vault forbids the request ({}): let the token read, write and delete in the folder, and if Vault has \
         an IP allow list, add this machine to it",
        word(status)
    )
}

/// Which members Vault refuses and why, in its words. Never their values.
fn complaints(envelope: &Envelope) -> String {
    let errors = envelope.result.get("errors").and_then(Value::as_array);
    let said = |error: &Value| {
        let part = |name| error.get(name).and_then(Value::as_str).map(word).unwrap_or_default();
        format!(", {} at {}", part("code"), part("source"))
    };
    let said: String = errors.into_iter().flatten().take(3).map(said).collect();
    format!("ValidationError{said}")
}

/// A foreign text, only if it is a word or a JSON pointer.
fn word(text: &str) -> &str {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '-');
    if text.len() <= 60 && text.chars().all(is_word) { text } else { "" }
}
