//! `clients prune`

use std::time::Duration;

use indicatif::ProgressBar;
use serde::Serialize;

use super::sheet::{COLUMNS, ClientRow};
use crate::{
    cli::{connection::Connection, failure::Failure, output::Output, times, unreadable},
    flow::administration::{Administration, Pruned},
};

/// Remove unused clients that registered themselves.
///
/// Clients with a live grant and clients that you added are never removed. Daemons remove a registration
/// that no user signs in with after `registration.unused_lifetime`, and one that is no longer used after
/// `registration.idle_lifetime`. Use this command to remove them earlier.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth clients prune --dry-run
  pangea-mcp-auth clients prune --unused-for 30d --yes")]
pub(crate) struct Prune {
    /// Only clients that have not been used for this long.
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = times::duration)]
    unused_for: Duration,
    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,
    /// List what would be removed, without changing anything.
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    removed: u64,
}

impl Prune {
    pub(super) async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        let administration = connection.administration();
        if self.dry_run {
            let mut list = output.list(&COLUMNS);
            let tell = |dead: &Pruned| list.push(&ClientRow::of(&dead.client, dead.used));
            self.each_dead(&administration, output, tell).await?;
            output.remark(&format!("{} would be removed", clients(list.finish())));
            return Ok(());
        }
        let mut expected = 0;
        self.each_dead(&administration, output, |_| expected += 1).await?;
        if expected > 0 {
            let question = format!("Remove {} (--dry-run lists them)?", clients(expected));
            output.confirm(&question, self.yes)?;
        }
        let bar = output.progress("removing", Some(expected));
        let removed = self.remove(&administration, &bar, output).await;
        bar.finish_and_clear();
        let removed = removed?;
        output.outcome(&Report { removed }, &format!("{} removed", clients(removed)));
        Ok(())
    }

    async fn remove(
        &self,
        administration: &Administration,
        bar: &ProgressBar,
        output: &Output,
    ) -> Result<u64, Failure> {
        let (mut removed, mut after) = (0, None);
        loop {
            let page = administration.clients_after(after).await?;
            if page.last.is_none() {
                return Ok(removed);
            }
            after = page.last;
            for client in page.values {
                let Some(dead) = administration.if_dead(client, self.unused_for).await? else { continue };
                if administration.prune(&dead).await? {
                    removed += 1;
                    bar.inc(1);
                    output.done(dead.client.client_id.as_str());
                }
            }
        }
    }

    async fn each_dead(
        &self,
        administration: &Administration,
        output: &Output,
        mut tell: impl FnMut(&Pruned),
    ) -> Result<(), Failure> {
        let mut after = None;
        loop {
            let page = administration.clients_after(after).await?;
            if page.last.is_none() {
                return Ok(());
            }
            after = page.last;
            unreadable::warn(&page.unreadable, output);
            for client in page.values {
                if let Some(dead) = administration.if_dead(client, self.unused_for).await? {
                    tell(&dead);
                }
            }
        }
    }
}

fn clients(count: u64) -> String {
    if count == 1 { "1 client".to_owned() } else { format!("{count} clients") }
}
