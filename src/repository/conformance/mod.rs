//! Checks that a backend keeps the rules of [`Repository`], races included.
//!
//! ```
//! # use std::sync::Arc;
//! # use pangea_mcp_auth::repository::{MemoryRepository, Repository, conformance};
//! # #[tokio::main]
//! # async fn main() {
//! let verdict = conformance::verify(async || {
//!     let one: Arc<dyn Repository> = Arc::new(MemoryRepository::default());
//!     let other = Arc::clone(&one);
//!     [one, other]
//! });
//! assert_eq!(verdict.await, Ok(()));
//! # }
//! ```

mod races;
mod rules;
#[cfg(test)]
mod tests;

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::{task::JoinError, time::timeout};

use super::{Kind, Record, Repository, RepositoryError, Version, Versioned, Write};
use crate::clock::UnixTime;

/// Timeout of one rule.
const PATIENCE: Duration = Duration::from_mins(2);

/// The suite's current time: 2100-01-01. No storage engine's clock is that late, so records expire only by the time
/// that is passed in.
const NOW: UnixTime = UnixTime::from_secs(4_102_444_800);

/// A rule that a repository broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {found}")]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// What the repository did instead.
    pub found: String,
}

/// Checks every rule.
///
/// `open` is called once for each rule. It returns two handles to one *empty* storage, as two processes would have. A
/// backend for a single process returns the same handle twice. Call this on a multi-threaded runtime with timers;
/// otherwise few races happen.
///
/// # Errors
///
/// Every broken rule.
pub async fn verify(open: impl AsyncFn() -> [Arc<dyn Repository>; 2]) -> Result<(), Vec<Violation>> {
    let mut violations = Vec::new();
    for (rule, check) in rules::RULES.iter().chain(races::RULES) {
        let verdict = timeout(PATIENCE, check(Storage { handles: open().await })).await;
        let verdict = verdict.unwrap_or_else(|_| fault(format!("no answer within {PATIENCE:?}")));
        if let Err(Fault(found)) = verdict {
            violations.push(Violation { rule, found });
        }
    }
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

/// A rule, and its check on an empty storage.
type Rule = (&'static str, fn(Storage) -> Checking);
type Checking = Pin<Box<dyn Future<Output = Verdict> + Send>>;
type Verdict<T = ()> = Result<T, Fault>;

/// What contradicts the rule.
struct Fault(String);

impl From<RepositoryError> for Fault {
    fn from(error: RepositoryError) -> Self {
        Self(format!("a call failed: {error}"))
    }
}

impl From<JoinError> for Fault {
    fn from(error: JoinError) -> Self {
        Self(format!("a call panicked: {error}"))
    }
}

fn fault<T>(found: impl Into<String>) -> Verdict<T> {
    Err(Fault(found.into()))
}

/// Compares a result with the expected one.
fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { fault(otherwise()) }
}

/// Two handles to one storage: the first writes, the second reads.
struct Storage {
    handles: [Arc<dyn Repository>; 2],
}

impl Storage {
    fn writer(&self) -> &dyn Repository {
        &*self.handles[0]
    }

    fn reader(&self) -> &dyn Repository {
        &*self.handles[1]
    }

    /// The handle of the racer with this number.
    fn of(&self, racer: usize) -> Arc<dyn Repository> {
        Arc::clone(&self.handles[racer % 2])
    }

    async fn insert(&self, kind: Kind, record: &Record) -> Verdict<Version> {
        let key = &record.key;
        match self.writer().insert(kind, record, NOW).await? {
            Write::Done(version) => Ok(version),
            Write::Conflict => {
                fault(format!("inserting {key} conflicts, though no live record has that key"))
            }
        }
    }

    async fn replace(&self, kind: Kind, record: &Record, read: Version) -> Verdict<Version> {
        let key = &record.key;
        match self.writer().replace(kind, record, read, NOW).await? {
            Write::Done(version) => Ok(version),
            Write::Conflict => fault(format!("replacing {key} by its present version conflicts")),
        }
    }

    async fn get(&self, kind: Kind, key: &str) -> Verdict<Versioned> {
        let found = self.reader().get(kind, key, NOW).await?;
        found.map_or_else(|| fault(format!("{key} is absent, though it was stored and lives")), Ok)
    }

    /// Checks that exactly this record is stored.
    async fn expect(&self, kind: Kind, record: &Record) -> Verdict<Version> {
        let found = self.get(kind, &record.key).await?;
        ensure(found.record == *record, || format!("{:?} is stored, not {record:?}", found.record))?;
        Ok(found.version)
    }

    async fn expect_absent(&self, kind: Kind, key: &str) -> Verdict {
        let found = self.reader().get(kind, key, NOW).await?;
        ensure(found.is_none(), || format!("{key} is there, though it must not be"))
    }
}

/// A record without expiry and parent.
fn record(key: &str, value: &str) -> Record {
    Record {
        key: key.to_owned(),
        value: format!("{{\"v\":1,\"it\":\"{value}\"}}"),
        parent: None,
        expires_at: None,
    }
}

impl Record {
    fn of_parent(self, parent: &str) -> Self {
        Self { parent: Some(parent.to_owned()), ..self }
    }

    /// Sets the expiry, in seconds after [`NOW`]; negative for the past.
    fn expiring(self, seconds: i64) -> Self {
        Self { expires_at: Some(seconds_from_now(seconds)), ..self }
    }
}

const fn seconds_from_now(seconds: i64) -> UnixTime {
    UnixTime::from_secs(NOW.as_secs().saturating_add_signed(seconds))
}

fn conflicts(write: Write, what: &str) -> Verdict {
    ensure(write == Write::Conflict, || format!("{what} succeeded"))
}
