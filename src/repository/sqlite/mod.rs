//! Records in a `SQLite` file: the default, for one machine.
//!
//! Writes queue for one thread, which commits all waiting writes in one transaction, because the disk sync is the
//! expensive part of a small write. A caller is answered when the commit is on the disk.
//!
//! Single records are read on the caller's thread. From the page cache, that takes a few microseconds, less than a
//! hop to another thread. Nothing is cached above the file, so every read sees every committed write of any process:
//! all daemons refuse what one daemon revoked. Reads that may take longer (lists, or a busy file) move to a
//! thread that may block.

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

/// Marks a file as ours (`PRAGMA application_id`): "pMCP".
const APPLICATION_ID: i32 = 0x704d_4350;

/// A repository in a `SQLite` file. Several processes on one machine may share it.
///
/// Dropping it commits the waiting writes. The last process that closes the file merges the write-ahead log into it.
#[derive(Debug)]
pub struct SqliteRepository {
    // Dropped before the writer: the last connection that closes must be able to write.
    readers: Arc<Readers>,
    writer: Writer,
}

impl SqliteRepository {
    /// Opens the file at `path`. Creates it if it is missing, readable only by its owner.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unusable`]. The message says what to change.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_for(path, Access::Create)
    }

    /// Opens the file at `path` with the rights of `access`. With [`Access::ReadOnly`], opening and closing change
    /// nothing in the file, but this type does not refuse writes.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Absent`] when there is no database and `access` does not allow creating one;
    /// [`RepositoryError::Unusable`]. The message says what to change.
    pub fn open_for(path: &Path, access: Access) -> Result<Self> {
        let opened = open::for_writing(path, access)?;
        let readers = Arc::new(Readers::new(opened.path.clone()));
        Ok(Self { readers, writer: Writer::start(opened)? })
    }

    /// Number of committed transactions, for metrics. Concurrent writes share one.
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

/// Whether another connection holds a lock, so that waiting helps.
fn is_busy(error: &Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed)
    )
}

/// The error for the caller. Without a code of `SQLite`, it is about a value that was read. A damaged file counts as
/// unavailable until it is restored.
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

/// The writing thread or the runtime has stopped.
fn stopped() -> RepositoryError {
    RepositoryError::Unavailable("it has stopped".to_owned())
}
