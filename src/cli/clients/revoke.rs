//! `clients revoke`

use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;

use crate::{
    cli::{
        completions,
        connection::Connection,
        failure::Failure,
        lookup::client_id,
        output::Output,
        revocations::{Report, confirm, interrupted_by},
        unreadable,
    },
    flow::administration::{GrantFilter, Tally},
    oauth::client::ClientId,
};

/// Remove a client and revoke its grants.
///
/// A client with a metadata document, whose ID is a URL, can ask users to sign in again. To refuse it, add its host to
/// `client_documents.blocked_hosts`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth clients revoke mcp_q7Zx --dry-run
  pangea-mcp-auth clients revoke mcp_q7ZxAmV0bT5cK2hYw1uLrA --yes")]
pub(crate) struct Revoke {
    /// Client ID, or the beginning of one; for a client with a metadata document, its URL.
    #[arg(value_name = "ID", add = ArgValueCompleter::new(completions::clients))]
    id: String,
    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,
    /// Show what would be done, without changing anything.
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// The result for `--output json`.
#[derive(Debug, Serialize)]
struct Removal {
    client_id: ClientId,
    /// False if it had been removed before.
    removed: bool,
    #[serde(flatten)]
    grants: Report,
}

impl Removal {
    fn words(&self, dry_run: bool) -> String {
        let done = match (self.removed, dry_run) {
            (true, true) => "would be removed",
            (true, false) => "removed",
            (false, _) => "was already removed",
        };
        let client = format!("client {} {done}", self.client_id);
        if self.grants.revoked + self.grants.already_revoked == 0 {
            return client;
        }
        format!("{client}; of its grants, {}", self.grants.words())
    }
}

impl Revoke {
    pub(super) async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        let (administration, config) = (connection.administration(), connection.config.as_ref().ok());
        let client_id = client_id(&administration, &self.id).await?;
        let filter = GrantFilter { client: Some(client_id.clone()), ..GrantFilter::default() };
        let expected = administration.count(&filter, &|_| {}).await?;
        let (mut tally, mut removed) = (Tally::default(), false);
        if self.dry_run {
            removed = administration.has_client(&client_id).await?;
            tally = expected;
        } else {
            if expected.revoked > 0 {
                let question =
                    format!("Remove {client_id} and revoke its live grants ({})?", expected.revoked);
                confirm(&question, &expected.whose, self.yes, output)?;
            }
            let bar = output.progress("revoking", Some(expected.revoked));
            let outcome = administration.revoke_client(&client_id, &mut tally, &|_| bar.inc(1)).await;
            bar.finish_and_clear();
            removed |= outcome.map_err(|error| interrupted_by(error, tally.revoked))?;
        }
        output.done(client_id.as_str());
        let host = client_id.document().map(|document| document.host().to_owned());
        let grants = Report::of(&tally, self.dry_run, config);
        let removal = Removal { client_id, removed, grants };
        output.outcome(&removal, &removal.words(self.dry_run));
        if let Some(host) = host {
            let sentence =
                "This client can come back, because it does not register. To refuse it, add its host to";
            output.remark(&format!("{sentence} client_documents.blocked_hosts: {host}"));
        }
        unreadable::judge(&tally.unreadable, true)
    }
}
