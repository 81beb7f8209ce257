//! `keys`: the keys that sign access tokens.

mod list;
mod rotate;
mod sealing;

use self::{list::List, rotate::Rotate};
use super::{Global, connection::Connection, failure::Failure, run};
use crate::repository::Access;

/// List and rotate the keys that sign access tokens.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Examples:
  pangea-mcp-auth keys list
  pangea-mcp-auth keys rotate")]
pub(super) enum Keys {
    List(List),
    Rotate(Rotate),
}

impl Keys {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let output = global.output();
        run(async {
            match self {
                Self::List(_) => {
                    let connection = Connection::open(global, &output, Access::ReadOnly).await?;
                    list::list(&connection, &output).await
                }
                Self::Rotate(rotate) if rotate.sealing.is_wanted() => {
                    rotate.sealing.run(global, &output, rotate.dry_run).await
                }
                Self::Rotate(rotate) => {
                    let access = if rotate.dry_run { Access::ReadOnly } else { Access::ReadWrite };
                    rotate.run(&Connection::open(global, &output, access).await?, &output).await
                }
            }
        })
    }
}
