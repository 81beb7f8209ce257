//! Every statement over records. Each statement is atomic.

use std::num::NonZeroU64;

use rusqlite::{Connection, Error, OptionalExtension, Result, Row, ToSql, params};

use super::APPLICATION_ID;
use crate::{
    clock::UnixTime,
    repository::{Kind, Order, Page, Record, Version, Versioned, Write},
};

/// Most expired records that one call removes, in a few milliseconds.
const PURGE_BATCH: u32 = 500;

const GET: &str = "
    SELECT value, parent, expires_at, version FROM record
    WHERE kind = ?1 AND key = ?2 AND (expires_at IS NULL OR expires_at > ?3)";

/// A version is a random number of 62 bits. It never repeats, even after a backup was restored, and needs no stored
/// counter. It is drawn before the write, because `RETURNING` would need a temporary table.
const NEW_VERSION: &str = "SELECT 1 + (random() & 0x3fffffffffffffff)";

const INSERT: &str = "
    INSERT INTO record (kind, key, value, parent, expires_at, version)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (kind, key) DO UPDATE
    SET value = excluded.value, parent = excluded.parent, expires_at = excluded.expires_at,
        version = excluded.version
    WHERE record.expires_at <= ?7";

/// Updates that leave out unchanged columns; the first that fits is used. An update rewrites the index of every
/// column that it names, even if the value is the same. In an old row, that is one more page to write.
const REPLACE: [&str; 3] = [REPLACE_VALUE, REPLACE_EXPIRY, REPLACE_PARENT];

const REPLACE_VALUE: &str = "
    UPDATE record
    SET value = ?1, version = ?8
    WHERE kind = ?3 AND key = ?4 AND version = ?5 AND (expires_at IS NULL OR expires_at > ?6)
      AND parent IS ?7 AND expires_at IS ?2";

const REPLACE_EXPIRY: &str = "
    UPDATE record
    SET value = ?1, expires_at = ?2, version = ?8
    WHERE kind = ?3 AND key = ?4 AND version = ?5 AND (expires_at IS NULL OR expires_at > ?6)
      AND parent IS ?7";

const REPLACE_PARENT: &str = "
    UPDATE record
    SET value = ?1, expires_at = ?2, version = ?8, parent = ?7
    WHERE kind = ?3 AND key = ?4 AND version = ?5 AND (expires_at IS NULL OR expires_at > ?6)";

const TAKE: &str = "
    DELETE FROM record
    WHERE kind = ?1 AND key = ?2 AND (expires_at IS NULL OR expires_at > ?3)
    RETURNING value, parent, expires_at";

const PURGE: &str = "
    DELETE FROM record
    WHERE id IN (SELECT id FROM record WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";

/// Lists by kind (`?1`), time (`?2`) and limit (`?3`), then by parent and key if the page has them.
fn list_statement(page: &Page) -> String {
    let (behind, direction) = match page.order {
        Order::Ascending => ("AND key > ?5", "ASC"),
        Order::Descending => ("AND key < ?5", "DESC"),
    };
    let behind = if page.after.is_some() { behind } else { "" };
    let parent = if page.parent.is_some() { "AND parent = ?4" } else { "" };
    format!(
        "SELECT key, value, parent, expires_at FROM record
         WHERE kind = ?1 AND (expires_at IS NULL OR expires_at > ?2) {parent} {behind}
         ORDER BY key {direction} LIMIT ?3"
    )
}

/// The live record under a key.
pub(super) fn get(
    connection: &Connection,
    kind: Kind,
    key: &str,
    now: UnixTime,
) -> Result<Option<Versioned>> {
    connection
        .prepare_cached(GET)?
        .query_row(params![number(kind), key, seconds(now)], |row| {
            Ok(Versioned { record: record(key.to_owned(), row, 0)?, version: version(row, 3)? })
        })
        .optional()
}

/// Stores a new record, or replaces an expired one.
pub(super) fn insert(connection: &Connection, kind: Kind, record: &Record, now: UnixTime) -> Result<Write> {
    let (new, drawn) = new_version(connection)?;
    let expires_at = record.expires_at.map(seconds);
    let values =
        params![number(kind), record.key, record.value, record.parent, expires_at, drawn, seconds(now)];
    let stored = connection.prepare_cached(INSERT)?.execute(values)?;
    Ok(if stored > 0 { Write::Done(new) } else { Write::Conflict })
}

/// Replaces the record that was read.
pub(super) fn replace(
    connection: &Connection,
    kind: Kind,
    record: &Record,
    read: Version,
    now: UnixTime,
) -> Result<Write> {
    let (new, drawn) = new_version(connection)?;
    let read = i64::try_from(read.0.get()).unwrap_or_default();
    let expires_at = record.expires_at.map(seconds);
    let (kind, now) = (number(kind), seconds(now));
    for statement in REPLACE {
        let values = params![record.value, expires_at, kind, record.key, read, now, record.parent, drawn];
        if connection.prepare_cached(statement)?.execute(values)? > 0 {
            return Ok(Write::Done(new));
        }
    }
    Ok(Write::Conflict)
}

/// A new version, and its number in the file.
fn new_version(connection: &Connection) -> Result<(Version, i64)> {
    let mut draw = connection.prepare_cached(NEW_VERSION)?;
    draw.query_row([], |row| Ok((version(row, 0)?, row.get(0)?)))
}

/// Removes the live record under a key.
pub(super) fn take(connection: &Connection, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>> {
    connection
        .prepare_cached(TAKE)?
        .query_row(params![number(kind), key, seconds(now)], |row| record(key.to_owned(), row, 0))
        .optional()
}

pub(super) fn list(connection: &Connection, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>> {
    let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&list_statement(page))?;
    let values: [&dyn ToSql; 5] = [&number(kind), &seconds(now), &limit, &page.parent, &page.after];
    // The statement has only the placeholders that it uses.
    let values = &values[..statement.parameter_count()];
    statement.query_map(values, |row| record(row.get(0)?, row, 1))?.collect()
}

/// Removes a batch of expired records.
pub(super) fn purge(connection: &Connection, now: UnixTime) -> Result<u64> {
    let purged = connection.prepare_cached(PURGE)?.execute(params![seconds(now), PURGE_BATCH])?;
    Ok(purged as u64)
}

/// Reads any row.
pub(super) fn ping(connection: &Connection) -> Result<()> {
    connection
        .prepare_cached("SELECT id FROM record LIMIT 1")?
        .query_row([], |_| Ok(()))
        .optional()
        .map(|_| ())
}

/// A write without effect, which fails on a full disk or a damaged file.
pub(super) fn touch(connection: &Connection) -> Result<()> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)
}

/// The stored number of a kind, part of the file format.
const fn number(kind: Kind) -> i64 {
    match kind {
        Kind::Client => 1,
        Kind::Grant => 2,
        Kind::Key => 3,
        Kind::Replay => 4,
    }
}

/// A time in the file. Times beyond its integers mean never.
fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// The record whose value, parent and expiry are the columns from `first`.
fn record(key: String, row: &Row<'_>, first: usize) -> Result<Record> {
    let expires_at: Option<i64> = row.get(first + 2)?;
    let expires_at = expires_at
        .map(|time| u64::try_from(time).map_err(|_| Error::IntegralValueOutOfRange(first + 2, time)))
        .transpose()?
        .map(UnixTime::from_secs);
    Ok(Record { key, value: row.get(first)?, parent: row.get(first + 1)?, expires_at })
}

fn version(row: &Row<'_>, column: usize) -> Result<Version> {
    let version: i64 = row.get(column)?;
    let positive = u64::try_from(version).ok().and_then(NonZeroU64::new);
    positive.map(Version).ok_or(Error::IntegralValueOutOfRange(column, version))
}

#[cfg(test)]
mod tests {
    use super::{super::open, *};

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let opened = open::for_writing(&folder.path().join("records.db"), crate::repository::Access::Create)
            .expect("opens");
        let page = |parent: bool, after: bool, order| {
            let (parent, after) = (parent.then(String::new), after.then(String::new));
            list_statement(&Page { parent, after, order, limit: 1 })
        };
        let statements = [
            (GET.to_owned(), "record_by_key (kind=? AND key=?)"),
            (REPLACE_VALUE.to_owned(), "record_by_key (kind=? AND key=?)"),
            (REPLACE_EXPIRY.to_owned(), "record_by_key (kind=? AND key=?)"),
            (REPLACE_PARENT.to_owned(), "record_by_key (kind=? AND key=?)"),
            (TAKE.to_owned(), "record_by_key (kind=? AND key=?)"),
            (page(false, false, Order::Ascending), "record_by_key (kind=?)"),
            (page(false, true, Order::Ascending), "record_by_key (kind=? AND key>?)"),
            (page(false, true, Order::Descending), "record_by_key (kind=? AND key<?)"),
            (page(true, false, Order::Descending), "record_by_parent (kind=? AND parent=?)"),
            (page(true, true, Order::Ascending), "record_by_parent (kind=? AND parent=? AND key>?)"),
            (page(true, true, Order::Descending), "record_by_parent (kind=? AND parent=? AND key<?)"),
            (PURGE.to_owned(), "record_by_expiry (expires_at<?)"),
        ];
        for (statement, index) in statements {
            let mut explained =
                opened.connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).expect("a statement");
            let plan = explained.raw_query().mapped(|row| row.get("detail"));
            let plan: Vec<String> = plan.map(|line| line.expect("a line")).collect();
            assert!(plan.iter().any(|line| line.ends_with(index)), "{statement}: {plan:?}");
            let slow = |line: &String| line.contains("SCAN record") || line.contains("TEMP B-TREE");
            assert!(!plan.iter().any(slow), "{statement}: {plan:?}");
        }
    }
}
