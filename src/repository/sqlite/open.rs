//! Opens the file, and prepares its settings and schema.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf, absolute},
    thread,
    time::Duration,
};

use rusqlite::{
    Connection, Error, ErrorCode, MAIN_DB, OpenFlags, Transaction, TransactionBehavior, config::DbConfig,
    ffi::SQLITE_IOERR_SHMSIZE,
};

use super::{APPLICATION_ID, is_busy, statements};
use crate::{
    permissions::{self, Contents, Fault, Verdict},
    repository::{Access, RepositoryError},
};

/// The migrations, one for each schema version. A released migration never changes.
///
/// Rows have numbers, and keys an index. A table ordered by key would hold whole records in its inner nodes. With
/// records of a kilobyte, that took three times the space, three times as long to read, and twice as long to write.
/// Rows are appended in order of time, like grant keys. Records without parent or expiry take no space in the
/// other two indexes.
const SCHEMA: [&str; 1] = ["
    CREATE TABLE record (
        id         INTEGER PRIMARY KEY,
        kind       INTEGER NOT NULL,
        key        TEXT NOT NULL,
        version    INTEGER NOT NULL,
        expires_at INTEGER,
        parent     TEXT,
        value      TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX record_by_key ON record (kind, key);
    CREATE INDEX record_by_parent ON record (kind, parent, key) WHERE parent IS NOT NULL;
    CREATE INDEX record_by_expiry ON record (expires_at) WHERE expires_at IS NOT NULL;
"];

/// How often a writer retries, a millisecond apart, while another process writes.
///
/// `SQLite`'s busy handler sleeps up to a tenth of a second between tries, too long to hit the short pauses of a busy
/// process.
const TRIES: i32 = 5_000;

/// A file that is open for writing.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
}

/// Why a file cannot be used, and how to fix it.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("cannot open {}: {}", .0.display(), .1)]
    CannotOpen(PathBuf, String),
    #[error("no permission for {}: this user must own it and be able to write to its folder", .0.display())]
    Forbidden(PathBuf),
    #[error("{}. {}", .0.what, .0.fix)]
    Exposed(Fault),
    #[error("{} is read-only: make it and its folder writable", .0.display())]
    ReadOnly(PathBuf),
    #[error("there is no space left for {}: free some, or choose another path", .0.display())]
    Full(PathBuf),
    #[error("{} is damaged or not a SQLite database: restore it from a backup or choose another path", .0.display())]
    NotADatabase(PathBuf),
    #[error("{} is the database of another program: choose another path", .0.display())]
    Foreign(PathBuf),
    #[error(
        "{} was written by a newer version of this program (schema {}, known here: {}): run that version",
        .path.display(), .found, SCHEMA.len()
    )]
    Newer { path: PathBuf, found: i32 },
    /// There is no file, or an empty one.
    #[error("{}", .0.display())]
    Absent(PathBuf),
}

impl From<Problem> for RepositoryError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Absent(_) => Self::Absent(problem.to_string()),
            _ => Self::Unusable(problem.to_string()),
        }
    }
}

impl Problem {
    fn io(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::PermissionDenied => Self::Forbidden(path.to_owned()),
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(path.to_owned()),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full(path.to_owned()),
            _ => Self::CannotOpen(path.to_owned(), error.to_string()),
        }
    }

    fn engine(path: &Path, error: &Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::NotADatabase(path.to_owned()),
            // The file exists, but the file or its companions may not be opened.
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Self::Forbidden(path.to_owned()),
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(path.to_owned()),
            Some(ErrorCode::DiskFull) => Self::Full(path.to_owned()),
            // SQLite creates the index of the log in its full size.
            _ if is_extended(error, SQLITE_IOERR_SHMSIZE) => Self::Full(path.to_owned()),
            _ => Self::CannotOpen(path.to_owned(), error.to_string()),
        }
    }
}

fn is_extended(error: &Error, code: i32) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == code)
}

/// Opens the file for the writer. Migrates the schema unless access is read-only.
pub(super) fn for_writing(path: &Path, access: Access) -> Result<Opened, RepositoryError> {
    let path = absolute(path).map_err(|error| Problem::io(path, &error))?;
    if access == Access::Create {
        make(&path).map_err(|error| Problem::io(&path, &error))?;
    } else if !path.exists() {
        return Err(Problem::Absent(path).into());
    }
    examine(&path)?;
    let connection = connect(&path, access)?;
    Ok(Opened { path, connection })
}

/// Opens a file that a writer has already opened. Waits at most `patience` for a busy file.
pub(super) fn for_reading(path: &Path, patience: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(patience)?;
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cache_size = -1024;")?;
    Ok(connection)
}

/// Creates the file if it is missing. `SQLite` gives its companions the same permissions.
///
/// Does not open an existing file: closing it would release the locks that `SQLite` holds on it in this process.
fn make(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome.map(|_| ()),
    }
}

/// Checks the path and its permissions before `SQLite` opens it.
fn examine(path: &Path) -> Result<(), Problem> {
    let metadata = fs::metadata(path).map_err(|error| Problem::io(path, &error))?;
    if metadata.is_dir() {
        return Err(Problem::CannotOpen(path.to_owned(), "it is a folder".to_owned()));
    }
    let faults = permissions::faults(path, Contents::Records, None);
    let mut faults = faults.map_err(|error| Problem::io(path, &error))?.into_iter();
    if let Some(fault) = faults.find(|fault| fault.verdict == Verdict::Refused) {
        return Err(Problem::Exposed(fault));
    }
    if metadata.permissions().readonly() {
        return Err(Problem::ReadOnly(path.to_owned()));
    }
    Ok(())
}

/// Reopens the file for the writer.
pub(super) fn again(path: &Path) -> Result<Connection, RepositoryError> {
    Ok(connect(path, Access::ReadWrite)?)
}

fn connect(path: &Path, access: Access) -> Result<Connection, Problem> {
    let engine = |error: Error| Problem::engine(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let left_behind = access == Access::ReadOnly && has_log(path);
    let mut connection = Connection::open_with_flags(path, flags).map_err(engine)?;
    if connection.is_readonly(MAIN_DB).map_err(engine)? {
        return Err(Problem::ReadOnly(path.to_owned()));
    }
    connection.busy_handler(Some(wait_for_the_other_writer)).map_err(engine)?;
    check_owner(&mut connection, path, access)?;
    if access == Access::ReadOnly {
        // Otherwise closing the file would merge the log that a killed process left.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, left_behind).map_err(engine)?;
    } else {
        configure(&mut connection, path)?;
        migrate(&mut connection, path)?;
    }
    statements::ping(&connection).map_err(engine)?;
    Ok(connection)
}

/// Whether the file has a write-ahead log that is not empty.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

fn wait_for_the_other_writer(tries: i32) -> bool {
    thread::sleep(Duration::from_millis(1));
    tries < TRIES
}

/// Refuses files of other programs and of newer versions, before anything changes.
fn check_owner(connection: &mut Connection, path: &Path, access: Access) -> Result<(), Problem> {
    let engine = |error: Error| Problem::engine(path, &error);
    // Another process may be creating the schema: a transaction sees all of it or nothing.
    let seen = connection.transaction().map_err(engine)?;
    let tables: i64 =
        seen.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(engine)?;
    let application: i32 =
        seen.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(engine)?;
    if application != APPLICATION_ID && tables > 0 {
        return Err(Problem::Foreign(path.to_owned()));
    }
    if tables == 0 && access != Access::Create {
        return Err(Problem::Absent(path.to_owned()));
    }
    let found = schema_version(&seen).map_err(engine)?;
    if usize::try_from(found).is_ok_and(|found| found <= SCHEMA.len()) {
        return Ok(());
    }
    Err(Problem::Newer { path: path.to_owned(), found })
}

/// Configures the writing connection.
///
/// `secure_delete = FAST` overwrites deleted values where that costs no extra page write, so that few old encrypted
/// values stay in the file.
fn configure(connection: &mut Connection, path: &Path) -> Result<(), Problem> {
    let engine = |error: Error| Problem::engine(path, &error);
    let journal = keep_log(connection).map_err(engine)?;
    if journal != "wal" {
        let reason = "its file system cannot hold a write-ahead log".to_owned();
        return Err(Problem::CannotOpen(path.to_owned(), reason));
    }
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL;
             PRAGMA fullfsync = ON;
             PRAGMA checkpoint_fullfsync = ON;
             PRAGMA secure_delete = FAST;
             PRAGMA trusted_schema = OFF;
             PRAGMA cache_size = -8192;",
        )
        .map_err(engine)
}

/// Turns on the write-ahead log, and returns the journal mode.
///
/// If two processes do this at once, `SQLite` fails one of them without calling its busy handler.
fn keep_log(connection: &mut Connection) -> rusqlite::Result<String> {
    connection.busy_timeout(Duration::ZERO)?;
    let mut tries = 0;
    let journal = loop {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)) {
            Err(error) if is_busy(&error) && wait_for_the_other_writer(tries) => tries += 1,
            outcome => break outcome?,
        }
    };
    connection.busy_handler(Some(wait_for_the_other_writer))?;
    Ok(journal)
}

/// Migrates the schema in one transaction. Other processes wait.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Problem> {
    let engine = |error: Error| Problem::engine(path, &error);
    if missing_steps(connection).map_err(engine)?.next().is_none() {
        return Ok(());
    }
    let apply = |transaction: Transaction<'_>| {
        for (version, step) in missing_steps(&transaction)? {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", version)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.commit()
    };
    connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(apply).map_err(engine)
}

/// The missing migrations, each with its schema version.
fn missing_steps(connection: &Connection) -> rusqlite::Result<impl Iterator<Item = (i32, &'static str)>> {
    let done = schema_version(connection)?;
    Ok((1..).zip(SCHEMA).filter(move |(version, _)| *version > done))
}

fn schema_version(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use tempfile::TempDir;

    use super::*;

    fn folder() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("records.db");
        (folder, path)
    }

    #[test]
    fn many_may_open_a_new_file_at_once() {
        for _ in 0..8 {
            let (_folder, path) = folder();
            thread::scope(|scope| {
                let opening: Vec<_> =
                    (0..8).map(|_| scope.spawn(|| for_writing(&path, Access::Create))).collect();
                for opened in opening {
                    opened.join().expect("no panic").expect("opens");
                }
            });
        }
    }

    /// Creates a good file, then damages it.
    fn spoilt(path: &Path, statements: &str) {
        for_writing(path, Access::Create)
            .expect("opens")
            .connection
            .execute_batch(statements)
            .expect("spoils");
    }

    fn with_mode(path: &Path, mode: u32) {
        for_writing(path, Access::Create).expect("opens");
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("sets");
    }

    fn overwritten(path: &Path, from: usize) {
        for_writing(path, Access::Create).expect("opens");
        let bytes = fs::read(path).expect("reads");
        fs::write(path, [&bytes[..from], &vec![0xaa; bytes.len() - from]].concat()).expect("overwrites");
    }

    #[test]
    fn what_cannot_be_used_is_refused_in_one_sentence_and_left_alone() {
        type Spoil = fn(&Path);
        const DAMAGED: &str =
            "{} is damaged or not a SQLite database: restore it from a backup or choose another path";
        let cases: [(Spoil, &str); 9] = [
            (|path| fs::create_dir(path).expect("makes"), "cannot open {}: it is a folder"),
            (|path| fs::remove_dir(path.parent().expect("a folder")).expect("removes"), "cannot open {}: "),
            (|path| overwritten(path, 0), DAMAGED),
            (|path| overwritten(path, 100), DAMAGED),
            (|path| with_mode(path, 0o400), "{} is read-only: make it and its folder writable"),
            (
                |path| with_mode(path, 0o644),
                "{} is open to every user of this machine (mode 644). Run `chmod 600",
            ),
            (|path| with_mode(path, 0o660), "{} can be changed by group "),
            (
                |path| spoilt(path, "PRAGMA application_id = 1"),
                "{} is the database of another program: choose another path",
            ),
            (
                |path| spoilt(path, "PRAGMA user_version = 2"),
                "{} was written by a newer version of this program (schema 2, known here: 1): run that version",
            ),
        ];
        for (spoil, sentence) in cases {
            let (_folder, path) = folder();
            spoil(&path);
            let before = fs::read(&path).ok();
            let error = for_writing(&path, Access::Create).expect_err(sentence);
            assert!(matches!(error, RepositoryError::Unusable(_)), "{error:?}");
            let sentence = sentence.replace("{}", &path.display().to_string());
            assert!(error.to_string().starts_with(&sentence), "{error}\nis not\n{sentence}");
            assert_eq!(fs::read(&path).ok(), before, "{sentence}");
        }
    }
}
