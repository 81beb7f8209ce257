//! `keys`: the keys that sign and seal.

use clap::Subcommand;

use super::{
    Global,
    failure::{Exit, Failure},
    sealing::SealingRotation,
};

/// Looks after the keys that sign and seal.
#[derive(Debug, clap::Args)]
pub(super) struct KeyArguments {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    Rotate(Rotate),
}

/// Makes another key take over.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth keys rotate --sealing
  pangea-mcp-auth keys rotate --sealing --after 1h
  pangea-mcp-auth keys rotate --sealing --forget-old")]
struct Rotate {
    #[command(flatten)]
    sealing: SealingRotation,
}

impl KeyArguments {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let KeyCommand::Rotate(rotate) = &self.command;
        if !rotate.sealing.is_wanted() {
            return Err(Failure::new(Exit::Usage, "say which key: --sealing"));
        }
        super::run(rotate.sealing.run(global, &global.output()))
    }
}
