//! `tokens`: who is connected, and the life of each grant.

use std::collections::BTreeMap;

use clap_complete::engine::ArgValueCompleter;

use super::{
    Global, completions,
    connection::Connection,
    failure::{Exit, Failure},
    grants::{COLUMNS, GrantRow, GrantSheet},
    output::Output,
    revoke::Revoke,
    run,
    times::Since,
    unreadable,
};
use crate::{
    config::{Config, did_you_mean},
    flow::administration::{Administration, Found, GrantFilter, tokens_in},
    oauth::{
        client::ClientId,
        grant::{Grant, Standing},
        token::{GrantId, TokenId},
    },
    repository::RepositoryError,
};

/// Names of clients that are remembered for one list.
const MOST_NAMES: usize = 1000;

/// Who is connected: grants with their tokens.
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
            let connection = Connection::open(global, &output).await?;
            match self {
                Self::List(list) => list.run(&connection, &output).await,
                Self::Show(show) => show.run(&connection, &output).await,
                Self::Revoke(revoke) => revoke.run(&connection, &output).await,
            }
        })
    }
}

/// List grants, newest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "In a pipe each line is one grant, with tabs between id, client, redirect host,
user, resource, scopes, state, created, last used and expiry.

Examples:
  pangea-mcp-auth tokens list
  pangea-mcp-auth tokens list --user ada@example.com --state active
  pangea-mcp-auth tokens list --since 24h -o json
  pangea-mcp-auth tokens list --limit 50 --after d5k9c3a0m6r0")]
pub(super) struct List {
    #[command(flatten)]
    of: Of,
    /// Only those that stand so.
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<State>,
    /// Only those made since: how long ago (24h, 7d), or a date.
    #[arg(long, value_name = "WHEN", value_parser = Since::parse)]
    since: Option<Since>,
    /// At most so many.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Go on behind this one, the last of the page before.
    #[arg(long, value_name = "ID", add = ArgValueCompleter::new(completions::grants))]
    after: Option<String>,
}

/// Whose grants.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Of {
    /// Those of this client: its id or the beginning of it.
    #[arg(long, value_name = "ID", add = ArgValueCompleter::new(completions::clients))]
    pub(super) client: Option<String>,
    /// Those of this person: email address or subject.
    #[arg(long, value_name = "USER")]
    pub(super) user: Option<String>,
    /// Those at this MCP server.
    #[arg(long, value_name = "URL")]
    pub(super) resource: Option<String>,
}

impl Of {
    /// Those grants. A resource that was misspelt has none, so this is said.
    pub(super) async fn filter(
        &self,
        administration: &Administration,
        config: Option<&Config>,
        output: &Output,
    ) -> Result<GrantFilter, Failure> {
        let client = match &self.client {
            Some(text) => Some(client_id(administration, text).await?),
            None => None,
        };
        if let (Some(resource), Some(config)) = (&self.resource, config) {
            warn_if_misspelt(resource, config, output);
        }
        let (user, resource) = (self.user.clone(), self.resource.clone());
        Ok(GrantFilter { client, user, resource, ..GrantFilter::default() })
    }
}

fn warn_if_misspelt(resource: &str, config: &Config, output: &Output) {
    if config.resources.iter().any(|known| known.url.is_named_by(resource)) {
        return;
    }
    let known = config.resources.iter().map(|known| known.url.as_str());
    if let Some(meant) = did_you_mean(resource, known) {
        output.warn(&format!("{resource:?} is no configured resource; did you mean {meant}?"));
    }
}

/// The client that is meant. One that is not there any more may have grants all the same, and so may one
/// that cannot be read.
pub(super) async fn client_id(administration: &Administration, text: &str) -> Result<ClientId, Failure> {
    match administration.find_client(text).await? {
        Found::One(client) => Ok(client.client_id),
        Found::Several(candidates) => Err(ambiguous(text, &candidates)),
        Found::Unreadable(record) => {
            ClientId::parse(&record.key).ok_or_else(|| RepositoryError::from(record).into())
        }
        Found::Nothing => match ClientId::parse(text) {
            Some(gone) if administration.has_grants(&gone).await? => Ok(gone),
            _ => Err(no_client(administration, text).await?),
        },
    }
}

/// There is no such client; whoever wrote a name is told the ids.
pub(super) async fn no_client(
    administration: &Administration,
    text: &str,
) -> Result<Failure, RepositoryError> {
    let failure = not_found("client", text);
    let called = administration.clients_called(text).await?;
    if !called.is_empty() {
        let ids: Vec<&str> = called.iter().map(ClientId::as_str).collect();
        return Ok(
            failure.hint(format!("this is a name; clients that call themselves so: {}", ids.join(", ")))
        );
    }
    Ok(match administration.find_grant(text).await? {
        Found::Nothing => failure,
        _ => failure.hint(format!("this is a grant: pangea-mcp-auth tokens show {text}")),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum State {
    /// The person has agreed, the client has not fetched its tokens yet.
    Pending,
    /// Tokens can be used.
    Active,
    /// Over, for nobody used it.
    Expired,
    /// Ended before its time.
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
    async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        let administration = connection.administration();
        let now = administration.now();
        let filter = GrantFilter {
            standing: self.state.map(Standing::from),
            since: self.since.map(|since| since.moment(now)),
            ..self.of.filter(&administration, connection.config.as_ref().ok(), output).await?
        };
        let after = match &self.after {
            // It may be gone since the page before.
            Some(text) => match GrantId::parse(text) {
                Some(id) => Some(id),
                None => Some(grant(&administration, text).await?.0.id),
            },
            None => None,
        };
        let limit = self.limit.unwrap_or(u64::MAX);
        let mut names = Names::default();
        let (mut list, mut last) = (output.list(&COLUMNS), None);
        let mut walk = administration.walk(&filter, after.as_ref());
        let mut shown = 0;
        'pages: while let Some(page) = walk.next_page().await? {
            unreadable::warn(&page.unreadable, output);
            for grant in page.values {
                if shown == limit || output.is_unread() {
                    break 'pages;
                }
                let name = if output.tells_names() {
                    names.of(&administration, &grant.client_id).await?
                } else {
                    None
                };
                list.push(&GrantRow::of(&grant, name, now));
                (shown, last) = (shown + 1, Some(grant.id));
            }
        }
        let count = list.finish();
        output.remark(&footer(count, last.filter(|_| count == limit)));
        Ok(())
    }
}

fn footer(count: u64, last: Option<GrantId>) -> String {
    let counted = if count == 1 { "1 grant".to_owned() } else { format!("{count} grants") };
    last.map_or_else(|| counted.clone(), |last| format!("{counted}; for the next, --after {last}"))
}

/// Tell the whole life of a grant.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth tokens show d5k9c3a0m6r0
  pangea-mcp-auth tokens show d5k9c3a0m6r0 -o json")]
pub(super) struct Show {
    /// Its id, the id of one of its tokens, or the beginning of either.
    #[arg(value_name = "ID", add = ArgValueCompleter::new(completions::grants))]
    id: String,
}

impl Show {
    async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        let administration = connection.administration();
        let (grant, _) = grant(&administration, &self.id).await?;
        let name = Names::default().of(&administration, &grant.client_id).await?;
        output.sheet(&GrantSheet::of(&grant, name, administration.now()));
        Ok(())
    }
}

/// The grant that is meant, and the number of its token where one is named (`<grant>.<number>`).
pub(super) async fn grant(
    administration: &Administration,
    text: &str,
) -> Result<(Grant, Option<u64>), Failure> {
    refuse_secret(text)?;
    let (name, number) = match text.split_once('.') {
        Some((name, number)) => {
            let number = number.parse().map_err(|_| not_found("grant or token", text))?;
            (name, Some(number))
        }
        None => (text, None),
    };
    match administration.find_grant(name).await? {
        Found::One(grant) if number.is_none_or(|number| (1..=grant.issued).contains(&number)) => {
            Ok((*grant, number))
        }
        Found::Several(candidates) => Err(ambiguous(text, &candidates)),
        Found::Unreadable(record) => Err(RepositoryError::from(record).into()),
        Found::One(_) => Err(not_found("grant or token", text)),
        Found::Nothing => {
            let failure = not_found("grant or token", text);
            Err(match administration.find_client(text).await? {
                Found::Nothing => failure,
                _ => failure.hint(format!("this is a client: pangea-mcp-auth tokens list --client {text}")),
            })
        }
    }
}

/// A secret among the arguments is in the list of processes by now; at least it is not repeated.
pub(super) fn refuse_secret(text: &str) -> Result<(), Failure> {
    if !text.contains("mcp_cs_") && tokens_in(text).is_empty() {
        return Ok(());
    }
    let failure = Failure::new(
        Exit::Usage,
        "this is a secret itself and no id; everybody on this machine can read it in the list of processes",
    );
    Err(failure.hint("give it to `tokens revoke --token-stdin`"))
}

pub(super) fn not_found(what: &str, text: &str) -> Failure {
    let failure = Failure::new(Exit::NotFound, format!("there is no {what} {text:?}"));
    let id = TokenId::parse(text).is_some() || GrantId::parse(text).is_some();
    failure.hint(if id {
        "what is over for long is removed; `pangea-mcp-auth tokens list` shows what there is"
    } else {
        "write an id, or at least four characters of its beginning"
    })
}

pub(super) fn ambiguous(text: &str, candidates: &[String]) -> Failure {
    let failure = Failure::new(Exit::Usage, format!("several ids begin with {text:?}"));
    failure.hint(format!("write more of it; among them are {}", candidates.join(", ")))
}

/// The names of clients, asked for once each.
#[derive(Debug, Default)]
struct Names(BTreeMap<ClientId, Option<String>>);

impl Names {
    async fn of(
        &mut self,
        administration: &Administration,
        id: &ClientId,
    ) -> Result<Option<String>, RepositoryError> {
        if let Some(name) = self.0.get(id) {
            return Ok(name.clone());
        }
        if self.0.len() >= MOST_NAMES {
            self.0.clear();
        }
        let name = administration.client_name(id).await?;
        self.0.insert(id.clone(), name.clone());
        Ok(name)
    }
}
