//! Records in a `SQLite` file: the default, for one machine.
//!
//! Writes queue up for one thread, which commits all that wait in one transaction: a disk sync is
//! the dear part of a small write, and so many writes share one. A caller is answered when the
//! commit has reached the disk.
//!
//! Reads of one record happen at once on the thread of the caller. From the page cache they take
//! a few microseconds, less than the hop to another thread and back, and as nothing is cached
//! between the file and the caller, each sees every write that any process has committed: what
//! one daemon revokes, all daemons refuse. Whatever may take longer (a list, or a file that is
//! busy for a moment) moves to a thread that may block.

mod open;
mod readers;
mod statements;
#[cfg(test)]
mod tests;
mod writer;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use rusqlite::{Connection, Error, ErrorCode};

use self::{readers::Readers, writer::Writer};
use super::{Access, Kind, Page, Record, Repository, RepositoryError, Result, Version, Versioned, Write};
use crate::clock::UnixTime;

/// A repository in a `SQLite` file, which several processes of one machine may share.
///
/// Dropping it commits what still waits; the last one to leave a file folds the write-ahead log
/// into it.
#[derive(Debug)]
pub struct SqliteRepository {
    // Before the writer, for the last connection to close must be one that may write.
    readers: Arc<Readers>,
    writer: Writer,
}

impl SqliteRepository {
    /// Opens the file at `path`, or makes it, readable for its owner alone.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unusable`], with the sentence that says what to change.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_for(path, Access::Create)
    }

    /// Opens the file at `path` for what `access` allows. Writes are not refused here where it is
    /// [`Access::ReadOnly`]: opening and closing the file change nothing in it.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Absent`] when there is no database and none may be made;
    /// [`RepositoryError::Unusable`], with the sentence that says what to change.
    pub fn open_for(path: &Path, access: Access) -> Result<Self> {
        let opened = open::for_writing(path, access)?;
        let readers = Arc::new(Readers::new(opened.path.clone()));
        Ok(Self { readers, writer: Writer::start(opened)? })
    }

    /// How many transactions this handle has committed, for metrics: there are fewer of them than
    /// writes as soon as writes meet.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.writer.commits()
    }
}

#[async_trait]
impl Repository for SqliteRepository {
    async fn get(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Versioned>> {
        match self.readers.read_now(|connection| statements::get(connection, kind, key, now)) {
            Err(error) if is_busy(&error) => {
                let key = key.to_owned();
                let query = move |connection: &Connection| statements::get(connection, kind, &key, now);
                Readers::read_elsewhere(&self.readers, query).await
            }
            outcome => outcome.map_err(|error| failure(&error)),
        }
    }

    async fn insert(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write> {
        let record = record.clone();
        self.writer.write(move |connection| statements::insert(connection, kind, &record, now)).await
    }

    async fn replace(&self, kind: Kind, record: &Record, read: Version, now: UnixTime) -> Result<Write> {
        let record = record.clone();
        self.writer.write(move |connection| statements::replace(connection, kind, &record, read, now)).await
    }

    async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>> {
        let key = key.to_owned();
        self.writer.write(move |connection| statements::take(connection, kind, &key, now)).await
    }

    async fn list(&self, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>> {
        let page = page.clone();
        let query = move |connection: &Connection| statements::list(connection, kind, &page, now);
        Readers::read_elsewhere(&self.readers, query).await
    }

    async fn purge_expired(&self, now: UnixTime) -> Result<u64> {
        self.writer.write(move |connection| statements::purge(connection, now)).await
    }

    async fn ping(&self) -> Result<()> {
        self.readers.read_now(statements::ping).map_err(|error| failure(&error))?;
        self.writer.write(statements::touch).await
    }
}

/// Whether another connection was in the way, so that waiting helps.
fn is_busy(error: &Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed)
    )
}

/// What a caller is told of an error: one without a code of the engine's is of a value that was
/// read. A damaged file is as good as away until somebody restores it.
fn failure(error: &Error) -> RepositoryError {
    match error.sqlite_error_code() {
        None => RepositoryError::Corrupt(error.to_string()),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            RepositoryError::Unavailable(format!("the file is damaged, restore it from a backup ({error})"))
        }
        Some(ErrorCode::SystemIoFailure | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            let hint = "the file cannot be read or written, look at its disk and what the kernel says of it";
            RepositoryError::Unavailable(format!("{hint} ({error})"))
        }
        Some(_) => RepositoryError::Unavailable(error.to_string()),
    }
}

/// The writer is gone, or the runtime is.
fn stopped() -> RepositoryError {
    RepositoryError::Unavailable("it has stopped".to_owned())
}
