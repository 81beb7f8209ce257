//! `tokens list`

use clap_complete::engine::ArgValueCompleter;

use super::{
    names::Names,
    of::Of,
    sheet::{COLUMNS, GrantRow},
};
use crate::{
    cli::{
        completions, connection::Connection, failure::Failure, lookup::grant, output::Output,
        revocations::grants, times::Since, unreadable,
    },
    flow::administration::GrantFilter,
    oauth::{grant::Standing, token::GrantId},
};

/// List grants, newest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "When piped, each line is one grant, with tabs between ID, client, redirect
host, user, resource, scopes, state, created, last used and expiry.

Examples:
  pangea-mcp-auth tokens list
  pangea-mcp-auth tokens list --user ada@example.com --state active
  pangea-mcp-auth tokens list --since 24h -o json
  pangea-mcp-auth tokens list --limit 50 --after d5k9c3a0m6r0")]
pub(crate) struct List {
    #[command(flatten)]
    of: Of,
    /// Only grants in this state.
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<State>,
    /// Only grants created since then: a duration (24h, 7d) or a date.
    #[arg(long, value_name = "WHEN", value_parser = Since::parse)]
    since: Option<Since>,
    /// List at most this many [default: 50 on a terminal, otherwise all].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Start after this ID (the last one on the previous page).
    #[arg(long, value_name = "ID", add = ArgValueCompleter::new(completions::grants))]
    after: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum State {
    /// The user has agreed; the client has not redeemed its code yet.
    Pending,
    /// The client can use its tokens.
    Active,
    /// Expired without being used.
    Expired,
    /// Revoked.
    Revoked,
}

impl From<State> for Standing {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Active => Self::Active,
            State::Expired => Self::Expired,
            State::Revoked => Self::Revoked,
        }
    }
}

impl List {
    pub(super) async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        let administration = connection.administration();
        let now = administration.now();
        let filter = GrantFilter {
            standing: self.state.map(Standing::from),
            since: self.since.map(|since| since.moment(now)),
            ..self.of.filter(&administration, connection.config.as_ref().ok()).await?
        };
        let after = match &self.after {
            // The grant may have been deleted since the previous page.
            Some(text) => match GrantId::parse(text) {
                Some(id) => Some(id),
                None => Some(grant(&administration, text).await?.0.id().clone()),
            },
            None => None,
        };
        let limit = self.limit.unwrap_or_else(|| output.usual_limit());
        let mut names = Names::default();
        let (mut list, mut last) = (output.list(&COLUMNS), None);
        let mut walk = administration.walk(&filter, after.as_ref());
        let (mut shown, mut is_cut) = (0, false);
        'pages: while let Some(page) = walk.next_page().await? {
            unreadable::warn(&page.unreadable, output);
            for grant in page.values {
                is_cut = shown == limit;
                if is_cut || output.is_unread() {
                    break 'pages;
                }
                let name = if output.tells_names() {
                    names.of(&administration, &grant.terms().client_id).await?
                } else {
                    None
                };
                list.push(&GrantRow::of(&grant, name, now));
                (shown, last) = (shown + 1, Some(grant.id().clone()));
            }
        }
        output.end_of_list(&grants(list.finish()), last.filter(|_| is_cut).as_ref().map(GrantId::as_str));
        Ok(())
    }
}
