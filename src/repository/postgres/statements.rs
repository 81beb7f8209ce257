//! Every statement over records, and the rows that they return. Each statement is atomic.

use std::{borrow::Cow, num::NonZeroU64};

use tokio_postgres::{
    Row,
    types::{FromSql, ToSql, Type},
};

use crate::{
    clock::UnixTime,
    repository::{Kind, Order, Page, Record, RepositoryError, Result, Version, Versioned},
};

/// Most expired records that one call removes, in a few milliseconds.
const PURGE_BATCH: i64 = 500;

const GET: &str = "
    SELECT value, parent, expires_at, version FROM pangea_mcp_auth_record
    WHERE kind = $1 AND key = $2 AND (expires_at IS NULL OR expires_at > $3)";

const INSERT: &str = "
    INSERT INTO pangea_mcp_auth_record AS record (kind, key, version, expires_at, parent, value)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (kind, key) DO UPDATE
    SET version = excluded.version, expires_at = excluded.expires_at, parent = excluded.parent,
        value = excluded.value
    WHERE record.expires_at <= $7
    RETURNING version";

/// Also accepts the version that it writes, so that it can be sent again.
const REPLACE: &str = "
    UPDATE pangea_mcp_auth_record
    SET version = $3, expires_at = $4, parent = $5, value = $6
    WHERE kind = $1 AND key = $2 AND version IN ($3, $8) AND (expires_at IS NULL OR expires_at > $7)
    RETURNING version";

const TAKE: &str = "
    DELETE FROM pangea_mcp_auth_record
    WHERE kind = $1 AND key = $2 AND (expires_at IS NULL OR expires_at > $3)
    RETURNING value, parent, expires_at";

/// Skips locked rows, so that no call waits for a purge, and no purge for another.
const PURGE: &str = "
    WITH expired AS (
        SELECT kind, key FROM pangea_mcp_auth_record
        WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
    ), purged AS (
        DELETE FROM pangea_mcp_auth_record AS record USING expired
        WHERE record.kind = expired.kind AND record.key = expired.key
        RETURNING 1
    )
    SELECT count(*) FROM purged";

/// Reads any row.
const PING: &str = "SELECT 1 FROM pangea_mcp_auth_record LIMIT 1";

const BY_KEY: &[Type] = &[Type::TEXT, Type::TEXT, Type::INT8];
const NEW: &[Type] = &[Type::TEXT, Type::TEXT, Type::INT8, Type::INT8, Type::TEXT, Type::TEXT, Type::INT8];
const CHANGED: &[Type] =
    &[Type::TEXT, Type::TEXT, Type::INT8, Type::INT8, Type::TEXT, Type::TEXT, Type::INT8, Type::INT8];

/// The statements that are prepared in each session, with the types of their values.
pub(super) const KEPT: [(&str, &[Type]); 4] =
    [(GET, BY_KEY), (INSERT, NEW), (REPLACE, CHANGED), (TAKE, BY_KEY)];

#[derive(Debug)]
pub(super) struct Statement<'a> {
    pub(super) text: Cow<'static, str>,
    pub(super) plan: Plan,
    values: Vec<Value<'a>>,
}

/// How often the server plans a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// Once in a session: it finds one row by its key. It is one of [`KEPT`].
    Once,
    /// Each time, because the best plan depends on the values.
    EachTime,
}

/// A value of one of the table's two types.
#[derive(Debug)]
enum Value<'a> {
    Text(Option<&'a str>),
    Number(Option<i64>),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text))
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

/// A time in the table. Times beyond its integers mean never.
impl From<UnixTime> for Value<'_> {
    fn from(time: UnixTime) -> Self {
        Self::from(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
    }
}

impl From<Version> for Value<'_> {
    fn from(version: Version) -> Self {
        // The table has no larger version, so this matches none.
        Self::from(i64::try_from(version.0.get()).unwrap_or_default())
    }
}

impl<'a> Statement<'a> {
    /// A statement without values.
    pub(super) const fn plain(text: &'static str) -> Self {
        Self { text: Cow::Borrowed(text), plan: Plan::EachTime, values: Vec::new() }
    }

    const fn of_one_row(text: &'static str, values: Vec<Value<'a>>) -> Self {
        Self { text: Cow::Borrowed(text), plan: Plan::Once, values }
    }

    /// The live record under a key.
    pub(super) fn get(kind: Kind, key: &'a str, now: UnixTime) -> Self {
        Self::of_one_row(GET, vec![kind.as_str().into(), key.into(), now.into()])
    }

    /// Stores a new record, or replaces an expired one.
    pub(super) fn insert(kind: Kind, record: &'a Record, mine: Version, now: UnixTime) -> Self {
        Self::of_one_row(INSERT, written(kind, record, mine, now))
    }

    /// Replaces the record that was read.
    pub(super) fn replace(
        kind: Kind,
        record: &'a Record,
        read: Version,
        mine: Version,
        now: UnixTime,
    ) -> Self {
        let mut values = written(kind, record, mine, now);
        values.push(read.into());
        Self::of_one_row(REPLACE, values)
    }

    /// Removes the live record under a key.
    pub(super) fn take(kind: Kind, key: &'a str, now: UnixTime) -> Self {
        Self::of_one_row(TAKE, vec![kind.as_str().into(), key.into(), now.into()])
    }

    /// A page of live records.
    pub(super) fn list(kind: Kind, page: &'a Page, now: UnixTime) -> Self {
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
        let mut values = vec![kind.as_str().into(), now.into(), limit.into()];
        let (comparison, direction) = match page.order {
            Order::Ascending => (">", "ASC"),
            Order::Descending => ("<", "DESC"),
        };
        let mut place = |value: &'a str| {
            values.push(value.into());
            values.len()
        };
        let parent = page.parent.as_deref().map(|parent| format!("AND parent = ${}", place(parent)));
        let behind = page.after.as_deref().map(|after| format!("AND key {comparison} ${}", place(after)));
        let text = format!(
            "SELECT value, parent, expires_at, key FROM pangea_mcp_auth_record
             WHERE kind = $1 AND (expires_at IS NULL OR expires_at > $2) {} {}
             ORDER BY key {direction} LIMIT $3",
            parent.unwrap_or_default(),
            behind.unwrap_or_default()
        );
        Self { text: text.into(), plan: Plan::EachTime, values }
    }

    /// Removes a batch of expired records and counts them.
    pub(super) fn purge(now: UnixTime) -> Self {
        Self { text: PURGE.into(), plan: Plan::EachTime, values: vec![now.into(), PURGE_BATCH.into()] }
    }

    /// Checks that the table can be read.
    pub(super) const fn ping() -> Self {
        Self::plain(PING)
    }

    /// The values with their types, so that the server does not guess.
    pub(super) fn parameters(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        let parameters = self.values.iter().map(|value| match value {
            Value::Text(text) => (text as &(dyn ToSql + Sync), Type::TEXT),
            Value::Number(number) => (number as &(dyn ToSql + Sync), Type::INT8),
        });
        parameters.collect()
    }
}

/// The values that insert and replace share.
fn written(kind: Kind, record: &Record, mine: Version, now: UnixTime) -> Vec<Value<'_>> {
    vec![
        kind.as_str().into(),
        record.key.as_str().into(),
        mine.into(),
        record.expires_at.map_or(Value::Number(None), Value::from),
        Value::Text(record.parent.as_deref()),
        record.value.as_str().into(),
        now.into(),
    ]
}

/// The record in a row that begins with value, parent and expiry.
pub(super) fn record(key: String, row: &Row) -> Result<Record> {
    let expires_at: Option<i64> = column(row, 2)?;
    let expires_at = expires_at.map(|time| u64::try_from(time).map_err(|_| corrupt(&key, "its expiry")));
    let expires_at = expires_at.transpose()?.map(UnixTime::from_secs);
    Ok(Record { key, value: column(row, 0)?, parent: column(row, 1)?, expires_at })
}

/// The same with its version.
pub(super) fn versioned(key: &str, row: &Row) -> Result<Versioned> {
    let version: i64 = column(row, 3)?;
    let version = u64::try_from(version).ok().and_then(NonZeroU64::new);
    let version = version.map(Version).ok_or_else(|| corrupt(key, "its version"))?;
    Ok(Versioned { record: record(key.to_owned(), row)?, version })
}

/// A record of a list, whose last column is the key.
pub(super) fn listed(row: &Row) -> Result<Record> {
    record(column(row, 3)?, row)
}

/// A number of records.
pub(super) fn count(row: &Row) -> Result<u64> {
    let count: i64 = column(row, 0)?;
    Ok(u64::try_from(count).unwrap_or_default())
}

pub(super) fn column<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T> {
    row.try_get(at).map_err(|error| RepositoryError::Corrupt(error.to_string()))
}

fn corrupt(key: &str, what: &str) -> RepositoryError {
    RepositoryError::Corrupt(format!("the record {key}: {what} is not positive"))
}
