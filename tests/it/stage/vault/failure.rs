//! Why a call has no result, and how Vault says so.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::switches::Habits;
use crate::stage::faults::status_code;

/// Why a call has no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// The token is not right.
    Unauthorized,
    /// The body does not fit.
    Invalid(Vec<Flaw>),
    /// There is no such item, or no such version of it.
    ItemNotFound,
    /// There is no such request to ask for.
    RequestNotFound,
    /// Another item has this name.
    NameTaken,
    /// This cannot be done to that item.
    Forbidden,
}

/// A problem of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// The kind of mistake, one of Pangea's codes.
    pub(super) code: &'static str,
    /// Where it is, a JSON pointer.
    pub(super) source: String,
    /// The rule that it breaks, a JSON pointer into the schema.
    pub(super) path: Option<String>,
}

impl Flaw {
    pub(super) fn new(code: &'static str, source: impl Into<String>) -> Self {
        Self { code, source: source.into(), path: None }
    }
}

impl From<Flaw> for Failure {
    fn from(flaw: Flaw) -> Self {
        Self::Invalid(vec![flaw])
    }
}

impl Failure {
    /// `status`, HTTP status and summary.
    pub(super) fn voice<'a>(&self, habits: &'a Habits) -> (&'a str, StatusCode, &'static str) {
        let not_found = status_code(habits.not_found);
        match self {
            Self::Unauthorized => {
                ("Unauthorized", StatusCode::UNAUTHORIZED, "Not authorized to access this resource")
            }
            Self::Invalid(_) => ("ValidationError", StatusCode::BAD_REQUEST, "There were validation errors"),
            Self::ItemNotFound => ("VaultItemNotFound", not_found, "The item was not found"),
            Self::RequestNotFound => ("NotFound", not_found, "The request was not found"),
            Self::NameTaken => {
                (&habits.name_taken, StatusCode::BAD_REQUEST, "An item with this name exists already")
            }
            Self::Forbidden => {
                ("ForbiddenVaultOperation", StatusCode::BAD_REQUEST, "The item does not allow this")
            }
        }
    }

    pub(super) fn result(&self, habits: &Habits) -> Value {
        match self {
            Self::Invalid(flaws) => json!({"errors": flaws.iter().map(error).collect::<Vec<_>>()}),
            Self::NameTaken if habits.name_taken == "ValidationError" => {
                json!({"errors": [error(&Flaw::new("BadState", "/name"))]})
            }
            _ => Value::Null,
        }
    }
}

fn error(flaw: &Flaw) -> Value {
    let mut error = json!({"code": flaw.code, "detail": "the request is not valid", "source": flaw.source});
    if let Some(path) = &flaw.path {
        error["path"] = json!(path);
    }
    error
}
