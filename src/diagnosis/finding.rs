//! One thing that was looked at, and what came of it.

use serde::Serialize;

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Pass,
    /// Not looked at, for something else stands in the way.
    Skip,
    /// It works, and somebody will be sorry.
    Warn,
    /// It does not work.
    Fail,
}

/// One thing that was looked at. The texts hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about, such as `upstream.credentials`. Stable.
    pub name: String,
    /// How it is to be taken.
    pub status: Status,
    /// What was tried.
    pub tried: String,
    /// What came back.
    pub found: String,
    /// Why that is, as far as can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What to do about it; where it is to be pasted, ready to paste.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// Whether somebody said no, rather than nothing.
    #[serde(skip)]
    pub is_refusal: bool,
}

impl Finding {
    pub(super) fn refused(self) -> Self {
        Self { is_refusal: true, ..self }
    }
}

/// A question that has no answer yet.
#[derive(Debug, Clone)]
pub(super) struct Question {
    name: String,
    tried: String,
}

impl Question {
    pub(super) fn new(name: impl Into<String>, tried: impl Into<String>) -> Self {
        Self { name: name.into(), tried: tried.into() }
    }

    pub(super) fn pass(self, found: impl Into<String>) -> Finding {
        self.answered(Status::Pass, found.into(), None, None)
    }

    pub(super) fn skip(self, why: impl Into<String>) -> Finding {
        self.answered(Status::Skip, why.into(), None, None)
    }

    pub(super) fn warn(self, found: impl Into<String>, cause: &str, fix: impl Into<String>) -> Finding {
        self.answered(Status::Warn, found.into(), Some(cause.to_owned()), Some(fix.into()))
    }

    pub(super) fn fail(self, found: impl Into<String>, cause: &str, fix: impl Into<String>) -> Finding {
        self.answered(Status::Fail, found.into(), Some(cause.to_owned()), Some(fix.into()))
    }

    fn answered(self, status: Status, found: String, cause: Option<String>, fix: Option<String>) -> Finding {
        let Self { name, tried } = self;
        Finding { name, status, tried, found, cause, fix, is_refusal: false }
    }
}
