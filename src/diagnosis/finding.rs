//! One thing that was looked at, and what came of it.

use serde::Serialize;

use super::Topic;

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
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
pub(crate) struct Finding {
    /// What it is about, such as `upstream.credentials`. Stable.
    pub(crate) name: String,
    /// How it is to be taken.
    pub(crate) status: Status,
    /// What was tried.
    pub(crate) tried: String,
    /// What came back.
    pub(crate) found: String,
    /// Why that is, as far as can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<String>,
    /// The lines for it, ready to paste: into a shell, the configuration, a console or a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) paste: Option<String>,
    /// Whether somebody said no, rather than nothing.
    #[serde(skip)]
    pub(crate) is_refusal: bool,
}

impl Finding {
    pub(super) fn refused(self) -> Self {
        Self { is_refusal: true, ..self }
    }
}

/// What to do: a sentence, and the lines to paste where there are some.
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

/// A question that has no answer yet.
#[derive(Debug, Clone)]
pub(super) struct Question {
    name: String,
    tried: String,
}

impl Question {
    pub(super) fn new(topic: Topic, tried: impl Into<String>) -> Self {
        Self { name: topic.name().to_owned(), tried: tried.into() }
    }

    /// About one of several repositories.
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
