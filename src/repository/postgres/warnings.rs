//! Server settings that may lose acknowledged writes.

use tokio_postgres::Row;

use super::statements::{Statement, column};
use crate::repository::Result;

/// The network can read the connection.
pub(super) const PLAIN: &str = "Nothing makes sure that the connection to PostgreSQL is encrypted, \
    and it leaves this machine. Write `sslmode=verify-full` in its URL.";

const FSYNC: &str = "PostgreSQL runs with `fsync = off`: when its machine stops, the whole database may be lost. \
    Set `fsync = on`.";

const FULL_PAGE_WRITES: &str = "PostgreSQL runs with `full_page_writes = off`: when its machine stops in the \
    middle of a write, the database may be damaged. Set `full_page_writes = on`.";

const NOT_SYNCHRONOUS: &str = "PostgreSQL runs with `synchronous_commit = off`: when it stops, it forgets what \
    it acknowledged last, revocations included. Set `synchronous_commit = on`.";

const STANDBY: &str = "PostgreSQL has synchronous standbys but runs with `synchronous_commit = local` or \
    `remote_write`: after a failover, what it acknowledged last may be missing. Set `synchronous_commit = on`.";

const UNLOGGED: &str = "The table pangea_mcp_auth_record is unlogged: it is empty after a crash of PostgreSQL. \
    Run `ALTER TABLE pangea_mcp_auth_record SET LOGGED`.";

/// Reads what [`of_server`] judges.
pub(super) const fn statement() -> Statement<'static> {
    Statement::plain(
        "SELECT current_setting('fsync'), current_setting('full_page_writes'),
            current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
            EXISTS (SELECT FROM pg_class
                WHERE oid = to_regclass('pangea_mcp_auth_record') AND relpersistence = 'u')",
    )
}

/// The warnings that follow from the answer.
pub(super) fn of_server(row: &Row) -> Result<Vec<String>> {
    let synchronous: &str = column(row, 2)?;
    let has_standbys = !column::<&str>(row, 3)?.is_empty();
    let warnings = [
        (column::<&str>(row, 0)? == "off", FSYNC),
        (column::<&str>(row, 1)? == "off", FULL_PAGE_WRITES),
        (synchronous == "off", NOT_SYNCHRONOUS),
        (has_standbys && matches!(synchronous, "local" | "remote_write"), STANDBY),
        (column(row, 4)?, UNLOGGED),
    ];
    Ok(warnings.into_iter().filter(|(holds, _)| *holds).map(|(_, warning)| warning.to_owned()).collect())
}
