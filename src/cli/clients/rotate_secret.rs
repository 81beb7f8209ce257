//! `clients rotate-secret`

use std::time::Duration;

use clap_complete::engine::ArgValueCompleter;

use super::sheet::Rotated;
use crate::{
    cli::{
        completions,
        connection::Connection,
        failure::{Exit, Failure},
        lookup::client,
        output::Output,
        times,
    },
    flow::administration::NotRotated,
    secret::SystemRandom,
};

/// Give a client a new secret.
///
/// The secret is printed once; only its hash is stored. The old secret is accepted for the overlap, so that you
/// can distribute the new one without an outage. Only the secret before the new one is accepted: rotating twice
/// ends the first secret at once. Tokens stay valid.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth clients rotate-secret mcp_q7Zx
  pangea-mcp-auth clients rotate-secret mcp_q7Zx --overlap 0s")]
pub(crate) struct RotateSecret {
    /// Client ID, or the beginning of one.
    #[arg(value_name = "ID", add = ArgValueCompleter::new(completions::clients))]
    id: String,
    /// How long the old secret is accepted; 0s ends it at once.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = times::duration)]
    overlap: Duration,
}

impl RotateSecret {
    pub(super) async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        let administration = connection.administration();
        let id = client(&administration, &self.id).await?.client_id;
        let rotated =
            administration.rotate_secret(&id, self.overlap, &SystemRandom).await.map_err(refused)?;
        let until = rotated.client.previous_secret.as_ref().map(|previous| previous.until);
        output.sheet(&Rotated::of(rotated));
        output.remark("Store the secret now: it is not shown again.");
        if until.is_none() {
            output.remark("The old secret is no longer accepted.");
        }
        Ok(())
    }
}

fn refused(error: NotRotated) -> Failure {
    match error {
        NotRotated::Repository(error) => error.into(),
        NotRotated::Absent => Failure::new(Exit::NotFound, error.to_string()),
        NotRotated::NoSecret => {
            let failure = Failure::new(Exit::Failed, error.to_string());
            failure.hint("`pangea-mcp-auth clients show` says how it authenticates")
        }
        NotRotated::SelfRegistered => {
            let failure = Failure::new(Exit::Failed, error.to_string());
            failure.hint("`pangea-mcp-auth clients revoke` removes it, and it registers again")
        }
    }
}
