//! `clients`: the MCP clients that may ask users to sign in, and machine clients, which act for themselves.

mod add;
mod list;
mod machine;
mod prune;
mod revoke;
mod rotate_secret;
mod sheet;
mod show;

use self::{add::Add, list::List, prune::Prune, revoke::Revoke, rotate_secret::RotateSecret, show::Show};
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
    RotateSecret(RotateSecret),
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
            Self::Add(_) | Self::RotateSecret(_) | Self::Revoke(_) | Self::Prune(_) => Access::ReadWrite,
        }
    }

    const fn prints_secret(&self) -> bool {
        match self {
            Self::Add(add) => add.makes_secret(),
            Self::RotateSecret(_) => true,
            Self::List(_) | Self::Show(_) | Self::Revoke(_) | Self::Prune(_) => false,
        }
    }

    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let output = global.output();
        if self.prints_secret() && output.is_quiet() {
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
                Self::RotateSecret(rotate) => rotate.run(&connection, &output).await,
                Self::Revoke(revoke) => revoke.run(&connection, &output).await,
                Self::Prune(prune) => prune.run(&connection, &output).await,
            }
        })
    }
}
