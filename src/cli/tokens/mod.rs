//! `tokens`: grants and their tokens.

mod list;
mod names;
mod of;
mod revoke;
mod sheet;
mod show;

use self::{list::List, revoke::Revoke, show::Show};
use super::{Global, connection::Connection, failure::Failure, run};
use crate::repository::Access;

/// List and revoke grants and their tokens.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Examples:
  pangea-mcp-auth tokens list
  pangea-mcp-auth tokens revoke --user ada@example.com")]
pub(super) enum Tokens {
    List(List),
    Show(Show),
    Revoke(Revoke),
}

impl Tokens {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let output = global.output();
        run(async {
            let access = match self {
                Self::Revoke(revoke) => revoke.access(),
                Self::List(_) | Self::Show(_) => Access::ReadOnly,
            };
            let connection = Connection::open(global, &output, access).await?;
            match self {
                Self::List(list) => list.run(&connection, &output).await,
                Self::Show(show) => show.run(&connection, &output).await,
                Self::Revoke(revoke) => revoke.run(&connection, &output).await,
            }
        })
    }
}
