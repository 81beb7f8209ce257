//! `clients prune`: removes the dead ones.

use std::time::Duration;

use serde::Serialize;

use super::{
    super::{connection::Connection, failure::Failure, output::Output, times},
    sheet::{COLUMNS, ClientRow},
};

/// Remove clients that registered themselves and that nobody uses.
///
/// Never one with a live grant, never one that you added. Daemons remove what nobody ever signed in
/// with after a day, and what nobody uses any more in the end; this is for those in between.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth clients prune --dry-run
  pangea-mcp-auth clients prune --unused-for 30d --yes")]
pub(crate) struct Prune {
    /// Only those that nobody has used for so long.
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = times::duration)]
    unused_for: Duration,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// List what would be removed, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    removed: u64,
}

impl Prune {
    pub(super) async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        if self.dry_run {
            return self.list(connection, output).await;
        }
        let question = "Remove all clients that nobody uses (--dry-run lists them)?";
        output.confirm(question, self.yes)?;
        let administration = connection.administration();
        let bar = output.progress("looked at", None);
        let (mut removed, mut after) = (0, None);
        loop {
            let page = administration.clients_after(after.as_ref()).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.client_id.clone());
            for client in page {
                bar.inc(1);
                let Some(dead) = administration.if_dead(client, self.unused_for).await? else { continue };
                if administration.prune(&dead).await? {
                    removed += 1;
                    if output.is_quiet() {
                        output.print_id(dead.client.client_id.as_str());
                    }
                }
            }
        }
        bar.finish_and_clear();
        let words =
            if removed == 1 { "1 client removed".to_owned() } else { format!("{removed} clients removed") };
        output.outcome(&Report { removed }, &words);
        Ok(())
    }

    async fn list(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        let administration = connection.administration();
        let (mut list, mut after) = (output.list(&COLUMNS), None);
        loop {
            let page = administration.clients_after(after.as_ref()).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.client_id.clone());
            for client in page {
                if let Some(dead) = administration.if_dead(client, self.unused_for).await? {
                    list.push(&ClientRow::of(&dead.client, dead.used));
                }
            }
        }
        let count = list.finish();
        output.remark(&format!("{count} would be removed"));
        Ok(())
    }
}
