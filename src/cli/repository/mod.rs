//! `repository`: copies records between repositories, imports clients, and deletes expired records.

mod copy;
mod import;
mod places;
mod purge;

use clap::Subcommand;

use self::{copy::Copy, import::Import, purge::Purge};
use super::{
    Global,
    failure::{Exit, Failure},
};
use crate::migration::MigrationError;

/// Copy, import and purge records.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth repository copy --to postgres.toml --dry-run
  pangea-mcp-auth repository purge")]
pub(super) struct RepositoryArguments {
    #[command(subcommand)]
    command: RepositoryCommand,
}

#[derive(Debug, Subcommand)]
enum RepositoryCommand {
    Copy(Copy),
    Import(Import),
    Purge(Purge),
}

impl RepositoryArguments {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let output = global.output();
        match &self.command {
            RepositoryCommand::Copy(copy) => super::run(copy.run(global, &output)),
            RepositoryCommand::Import(import) => super::run(import.run(global, &output)),
            RepositoryCommand::Purge(_) => super::run(purge::purge(global, &output)),
        }
    }
}

impl From<MigrationError> for Failure {
    fn from(error: MigrationError) -> Self {
        let exit = match error {
            MigrationError::Source(_) | MigrationError::Target(_) => Exit::Unreachable,
            MigrationError::Contention(..) => Exit::Partly,
            MigrationError::NoInstallation | MigrationError::AnotherInstallation | MigrationError::Cut(_) => {
                Exit::Failed
            }
        };
        Self::new(exit, error.to_string())
    }
}
