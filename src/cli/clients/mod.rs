//! `clients`: the MCP clients that may ask users to sign in.

mod add;
mod list;
mod prune;
mod revoke;
mod sheet;
mod show;

use self::{add::Add, list::List, prune::Prune, revoke::Revoke, show::Show};
use super::{
    Global,
    connection::Connection,
    failure::{Exit, Failure},
    run,
};
use crate::repository::Access;

/// Manage MCP clients: self-registered ones, and ones that you add.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Examples:
  pangea-mcp-auth clients list
  pangea-mcp-auth clients add --name Backoffice --confidential \\
    --redirect-uri https://app.example.com/callback")]
pub(super) enum Clients {
    List(List),
    Show(Show),
    Add(Add),
    Revoke(Revoke),
    Prune(Prune),
}

impl Clients {
    /// Read-only commands and dry runs cannot write, even by mistake.
    const fn access(&self) -> Access {
        match self {
            Self::List(_)
            | Self::Show(_)
            | Self::Revoke(Revoke { dry_run: true, .. })
            | Self::Prune(Prune { dry_run: true, .. }) => Access::ReadOnly,
            Self::Add(_) | Self::Revoke(_) | Self::Prune(_) => Access::ReadWrite,
        }
    }

    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let output = global.output();
        if matches!(self, Self::Add(Add { confidential: true, .. })) && output.is_quiet() {
            let failure =
                Failure::new(Exit::Usage, "--quiet would hide the client secret, which is printed only once");
            return Err(failure.hint("use -o json"));
        }
        run(async {
            let connection = Connection::open(global, &output, self.access()).await?;
            match self {
                Self::List(list) => list.run(&connection, &output).await,
                Self::Show(show) => show.run(&connection, &output).await,
                Self::Add(add) => add.run(&connection, &output).await,
                Self::Revoke(revoke) => revoke.run(&connection, &output).await,
                Self::Prune(prune) => prune.run(&connection, &output).await,
            }
        })
    }
}
