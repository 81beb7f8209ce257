//! The table. The first daemon that starts creates or migrates it.

use deadpool_postgres::{Client, Object};
use tokio::time::timeout_at;
use tokio_postgres::{Error, IsolationLevel, Row, error::SqlState};

use super::{
    TABLE,
    connections::Connections,
    problem::{Names, Problem},
};
use crate::repository::{self, Access, RepositoryError};

/// The migrations, one for each schema version. A released migration never changes.
///
/// Keys compare by bytes, regardless of the database's locale. Records without parent or expiry take no space in the
/// other two indexes. The fill factor leaves space in each page for the next version of a record, which then
/// needs no new index entry.
pub(super) const SCHEMA: [&str; 1] = [r#"
    CREATE TABLE pangea_mcp_auth_record (
        kind       text COLLATE "C" NOT NULL,
        key        text COLLATE "C" NOT NULL,
        version    bigint NOT NULL,
        expires_at bigint,
        parent     text COLLATE "C",
        value      text NOT NULL,
        PRIMARY KEY (kind, key)
    ) WITH (fillfactor = 80);
    CREATE INDEX pangea_mcp_auth_record_by_parent ON pangea_mcp_auth_record (kind, parent, key)
        WHERE parent IS NOT NULL;
    CREATE INDEX pangea_mcp_auth_record_by_expiry ON pangea_mcp_auth_record (expires_at)
        WHERE expires_at IS NOT NULL;
"#];

/// The table's comment up to its schema version. It marks the table as ours without a second table.
const MARK: &str = "pangea-mcp-auth, schema ";

/// The advisory lock that daemons take to change the schema: "pMCP".
const LOCK: i64 = 0x704d_4350;

/// Looks in the catalogue, because `to_regclass` may have cached that there is no table.
const INSPECT: &str = "
    SELECT current_setting('server_version_num')::int4, current_setting('server_encoding'),
        found.oid IS NOT NULL, obj_description(found.oid, 'pg_class'),
        has_table_privilege(found.oid, 'SELECT') AND has_table_privilege(found.oid, 'INSERT')
            AND has_table_privilege(found.oid, 'UPDATE') AND has_table_privilege(found.oid, 'DELETE')
    FROM (VALUES (1)) AS always
    LEFT JOIN pg_class AS found
        ON found.relname = 'pangea_mcp_auth_record' AND pg_table_is_visible(found.oid)";

/// Creates or migrates the table if needed and allowed. Never touches a newer schema.
pub(super) async fn prepare(connections: &Connections, access: Access) -> repository::Result<()> {
    let (names, deadline) = (connections.names(), connections.deadline());
    let mut client = connections.connect_patiently(deadline).await?;
    let work = async {
        let row = client.query_typed_one(INSPECT, &[]).await.map_err(|error| names.refused(&error))?;
        match inspect(names, &row)? {
            0 if access != Access::Create => Err(RepositoryError::Absent(names.place())),
            version if version < SCHEMA.len() && access != Access::ReadOnly => {
                Ok(migrate(names, &mut client).await?)
            }
            _ => Ok(()),
        }
    };
    let done = timeout_at(deadline, work).await;
    // The session may have begun before the table existed, and so without prepared statements.
    drop(Object::take(client));
    done.unwrap_or_else(|_| Err(connections.too_slow().into()))
}

/// The table's schema version; 0 without a table.
fn inspect(names: &Names, row: &Row) -> Result<usize, Problem> {
    let unreadable = |error: Error| names.refused(&error);
    names.judge_version(row.try_get(0).map_err(unreadable)?)?;
    names.judge_encoding(row.try_get(1).map_err(unreadable)?)?;
    if !row.try_get::<_, bool>(2).map_err(unreadable)? {
        return Ok(0);
    }
    let mark: Option<&str> = row.try_get(3).map_err(unreadable)?;
    let version = mark.and_then(|mark| mark.strip_prefix(MARK)?.parse().ok());
    let version: usize = version.filter(|version| *version > 0).ok_or_else(|| names.foreign())?;
    if version > SCHEMA.len() {
        return Err(names.newer(version, SCHEMA.len()));
    }
    if row.try_get::<_, Option<bool>>(4).map_err(unreadable)? != Some(true) {
        return Err(names.may_not_use());
    }
    Ok(version)
}

/// Runs the missing migrations in one transaction. The lock makes other daemons wait, and ends with the transaction,
/// which a pooler keeps on one connection.
async fn migrate(names: &Names, client: &mut Client) -> Result<(), Problem> {
    let unreadable = |error: Error| names.refused(&error);
    let transaction = client.build_transaction().isolation_level(IsolationLevel::ReadCommitted).start();
    let transaction = transaction.await.map_err(unreadable)?;
    let lock = format!("SELECT pg_advisory_xact_lock({LOCK})");
    transaction.batch_execute(&lock).await.map_err(unreadable)?;
    let row = transaction.query_typed(INSPECT, &[]).await.map_err(unreadable)?;
    let done = row.first().map_or(Ok(0), |row| inspect(names, row))?;
    for (version, step) in (1..).zip(SCHEMA).skip(done) {
        let marked = format!("{step} COMMENT ON TABLE {TABLE} IS '{MARK}{version}'");
        transaction.batch_execute(&marked).await.map_err(|error| match error.code() {
            Some(&(SqlState::INSUFFICIENT_PRIVILEGE | SqlState::INVALID_SCHEMA_NAME)) => names.may_not_make(),
            _ => names.refused(&error),
        })?;
    }
    transaction.commit().await.map_err(unreadable)
}
