//! `clients list`

use clap_complete::engine::ArgValueCompleter;

use super::sheet::{COLUMNS, ClientRow};
use crate::{
    cli::{
        completions,
        connection::Connection,
        failure::Failure,
        lookup::{ambiguous, not_found},
        output::Output,
        unreadable,
    },
    flow::administration::Found,
    oauth::client::ClientId,
};

/// List clients by ID, each with its number of live grants.
#[derive(Debug, clap::Args)]
#[command(after_help = "When piped, each line is one client, with tabs between ID, name, origin, live
grants, last used, created, expiry and redirect URIs.

Examples:
  pangea-mcp-auth clients list
  pangea-mcp-auth clients list --unused -q
  pangea-mcp-auth clients list -o json")]
pub(crate) struct List {
    /// Only clients without a live grant.
    #[arg(long)]
    unused: bool,
    /// List at most this many [default: 50 on a terminal, otherwise all].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Start after this ID (the last one on the previous page).
    #[arg(long, value_name = "ID", add = ArgValueCompleter::new(completions::clients))]
    after: Option<String>,
}

impl List {
    pub(super) async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        let administration = connection.administration();
        let limit = self.limit.unwrap_or_else(|| output.usual_limit());
        let mut after = match &self.after {
            // The client may have been deleted since the previous page.
            Some(text) => match administration.find_client(text).await? {
                Found::One(client) => Some(client.client_id.key().to_owned()),
                Found::Several(candidates) => return Err(ambiguous(text, &candidates)),
                Found::Unreadable(record) => Some(record.key),
                Found::Nothing => {
                    let gone = ClientId::of_request(text).ok_or_else(|| not_found("client", text))?;
                    Some(gone.key().to_owned())
                }
            },
            None => None,
        };
        let mut list = output.list(&COLUMNS);
        let (mut shown, mut last, mut is_cut) = (0, None, false);
        'pages: loop {
            let page = administration.clients_after(after).await?;
            if page.last.is_none() {
                break;
            }
            after = page.last;
            unreadable::warn(&page.unreadable, output);
            for client in page.values {
                if output.is_unread() {
                    break 'pages;
                }
                let used = administration.client_use(&client.client_id).await?;
                if self.unused && used.live_grants > 0 {
                    continue;
                }
                is_cut = shown == limit;
                if is_cut {
                    break 'pages;
                }
                list.push(&ClientRow::of(&client, used));
                (shown, last) = (shown + 1, Some(client.client_id));
            }
        }
        let count = list.finish();
        let counted = if count == 1 { "1 client".to_owned() } else { format!("{count} clients") };
        output.end_of_list(&counted, last.filter(|_| is_cut).as_ref().map(ClientId::as_str));
        Ok(())
    }
}
