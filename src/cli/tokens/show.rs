//! `tokens show`

use clap_complete::engine::ArgValueCompleter;

use super::{names::Names, sheet::GrantSheet};
use crate::cli::{completions, connection::Connection, failure::Failure, lookup::grant, output::Output};

/// Show one grant with its history.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth tokens show d5k9c3a0m6r0
  pangea-mcp-auth tokens show d5k9c3a0m6r0 -o json")]
pub(crate) struct Show {
    /// ID of a grant or of one of its tokens, or the beginning of one.
    #[arg(value_name = "ID", add = ArgValueCompleter::new(completions::grants))]
    id: String,
}

impl Show {
    pub(super) async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        let administration = connection.administration();
        let (grant, _) = grant(&administration, &self.id).await?;
        let name = Names::default().of(&administration, &grant.terms().client_id).await?;
        output.sheet(&GrantSheet::of(&grant, name, administration.now()));
        Ok(())
    }
}
