//! Findings: what was tried, what came back, the likely cause and the fix.

use serde::Serialize;

use super::Topic;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Pass,
    /// Not checked, because of another problem.
    Skip,
    /// It works, but it can cause trouble.
    Warn,
    Fail,
}

/// The result of a check. Its texts contain no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// A stable name, such as `upstream.credentials`.
    pub(crate) name: String,
    pub(crate) status: Status,
    pub(crate) tried: String,
    pub(crate) found: String,
    /// The likely cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<String>,
    /// Lines to paste into a shell, the configuration, a console or a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) paste: Option<String>,
    /// Whether the other side refused, as opposed to not answering.
    #[serde(skip)]
    pub(crate) is_refusal: bool,
}

impl Finding {
    pub(super) fn refused(self) -> Self {
        Self { is_refusal: true, ..self }
    }
}

/// What to do: a sentence, and optional lines to paste.
#[derive(Debug, Clone)]
pub(super) struct Fix {
    words: String,
    paste: Option<String>,
}

impl Fix {
    pub(super) fn pasting(words: impl Into<String>, lines: impl Into<String>) -> Self {
        Self { words: words.into(), paste: Some(lines.into()) }
    }
}

impl From<&str> for Fix {
    fn from(words: &str) -> Self {
        Self { words: words.to_owned(), paste: None }
    }
}

impl From<String> for Fix {
    fn from(words: String) -> Self {
        Self { words, paste: None }
    }
}

/// A check without a result.
#[derive(Debug, Clone)]
pub(super) struct Question {
    name: String,
    tried: String,
}

impl Question {
    pub(super) fn new(topic: Topic, tried: impl Into<String>) -> Self {
        Self { name: topic.name().to_owned(), tried: tried.into() }
    }

    /// A check of one of several repositories.
    pub(super) fn of_section(topic: Topic, section: &str, tried: impl Into<String>) -> Self {
        Self { name: topic.name_in(section), tried: tried.into() }
    }

    pub(super) fn pass(self, found: impl Into<String>) -> Finding {
        self.answered(Status::Pass, found, None, None)
    }

    pub(super) fn skip(self, why: impl Into<String>) -> Finding {
        self.answered(Status::Skip, why, None, None)
    }

    pub(super) fn warn(self, found: impl Into<String>, cause: &str, fix: impl Into<Fix>) -> Finding {
        self.answered(Status::Warn, found, Some(cause), Some(fix.into()))
    }

    pub(super) fn fail(self, found: impl Into<String>, cause: &str, fix: impl Into<Fix>) -> Finding {
        self.answered(Status::Fail, found, Some(cause), Some(fix.into()))
    }

    fn answered(
        self,
        status: Status,
        found: impl Into<String>,
        cause: Option<&str>,
        fix: Option<Fix>,
    ) -> Finding {
        let Self { name, tried } = self;
        let (fix, paste) = fix.map_or((None, None), |fix| (Some(fix.words), fix.paste));
        let (found, cause) = (found.into(), cause.map(str::to_owned));
        Finding { name, status, tried, found, cause, fix, paste, is_refusal: false }
    }
}
