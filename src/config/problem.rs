//! Problems of a configuration: where, what, and how to fix it.

use std::{fmt, path::PathBuf};

/// The location of a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A command line option, such as `--listen`.
    Flag(&'static str),
    /// A line of the configuration file, counted from 1; `None` for the file as a whole.
    File(PathBuf, Option<usize>),
    /// An environment variable.
    Variable(String),
    /// A default.
    Nowhere,
}

impl Place {
    /// Options first, then the lines of the file, missing keys, and the environment.
    fn order(&self) -> (u8, usize) {
        match self {
            Self::Flag(_) => (0, 0),
            Self::File(_, line) => (1, line.unwrap_or(usize::MAX)),
            Self::Variable(_) => (2, 0),
            Self::Nowhere => (3, 0),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::File(path, Some(line)) => write!(f, "{}:{line}", path.display()),
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "${name}"),
            Self::Nowhere => f.write_str("configuration"),
        }
    }
}

/// A problem with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where the problem is.
    pub place: Place,
    /// The key, such as `tokens.access_lifetime`; empty if the problem does not concern a key.
    pub key: String,
    /// The problem. It never contains a secret.
    pub what: String,
    /// How to fix it.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        let stop = if self.fix.ends_with(['.', '?']) { "" } else { "." };
        write!(f, "{}. {}{stop}", self.what, self.fix)
    }
}

/// All problems, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.place.order());
        Self(problems)
    }

    /// The problems, at least one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

/// A problem with a value and its fix, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) what: String,
    pub(super) fix: String,
}

impl Complaint {
    pub(super) fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), fix: fix.into() }
    }

    pub(super) fn at(self, place: Place, key: &str) -> Problem {
        Problem { place, key: key.to_owned(), what: self.what, fix: self.fix }
    }
}

/// The most similar candidate, if at most a third of its letters differ.
pub(crate) fn did_you_mean<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(written.len()) <= candidate.len().div_ceil(3))
        .map(|candidate| (distance(written, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, r) in right.chars().enumerate() {
            let substituted = diagonal + usize::from(l != r);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (left, right, edits) in
            [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("listen", "lisetn", 2), ("ü", "u", 1)]
        {
            assert_eq!((distance(left, right), distance(right, left)), (edits, edits), "{left} {right}");
        }
    }

    #[test]
    fn only_something_close_is_suggested() {
        let candidates = ["listen", "issuer", "public_url"];
        for (written, meant) in [
            ("listne", Some("listen")),
            ("Listen", Some("listen")),
            ("isuer", Some("issuer")),
            ("public-url", Some("public_url")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(written, candidates), meant, "{written}");
        }
    }

    #[test]
    fn a_problem_reads_as_one_line() {
        let problem = Complaint::new(r#""x" is not a duration"#, r#"Write it like "10m""#)
            .at(Place::File("config.toml".into(), Some(12)), "tokens.access_lifetime");
        assert_eq!(
            problem.to_string(),
            r#"config.toml:12: tokens.access_lifetime: "x" is not a duration. Write it like "10m"."#
        );
    }
}
