//! `repository purge`

use serde::Serialize;

use crate::{
    audit::Event,
    cli::{
        Global,
        connection::{self, Connection},
        failure::Failure,
        output::Output,
    },
    clock::SystemClock,
    migration,
    repository::Access,
};

/// Delete expired records.
///
/// Daemons do this every minute. Use it for a repository without a daemon.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth repository purge")]
pub(super) struct Purge {}

pub(super) async fn purge(global: &Global, output: &Output) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Purged {
        purged: u64,
    }
    let connection = Connection::open(global, output, Access::ReadWrite).await?;
    let bar = output.progress("expired records removed", None);
    let purged =
        migration::purge(&*connection.repository, &SystemClock, |so_far| bar.set_position(so_far)).await;
    bar.finish_and_clear();
    let purged = purged?;
    if purged > 0 {
        connection::audit(Event::RepositoryPurge { records: purged });
    }
    output.outcome(&Purged { purged }, &format!("{purged} expired records removed"));
    Ok(())
}
