//! `clients show`

use clap_complete::engine::ArgValueCompleter;

use super::sheet::ClientSheet;
use crate::cli::{completions, connection::Connection, failure::Failure, lookup::client, output::Output};

/// Show one client.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth clients show mcp_q7Zx")]
pub(crate) struct Show {
    /// Client ID, or the beginning of one.
    #[arg(value_name = "ID", add = ArgValueCompleter::new(completions::clients))]
    id: String,
}

impl Show {
    pub(super) async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        let administration = connection.administration();
        let client = client(&administration, &self.id).await?;
        let used = administration.client_use(&client.client_id).await?;
        output.sheet(&ClientSheet::of(&client, used, administration.now()));
        Ok(())
    }
}
