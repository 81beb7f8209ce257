//! `tokens`: who is connected, and the life of each grant.

use std::collections::BTreeMap;

use clap_complete::engine::ArgValueCompleter;

use super::{
    Global, completions,
    connection::Connection,
    failure::{Exit, Failure},
    grants::{COLUMNS, GrantRow, GrantSheet},
    output::Output,
    revocations::grants,
    revoke::Revoke,
    run,
    times::Since,
    unreadable,
};
use crate::{
    config::{Config, did_you_mean},
    flow::administration::{Administration, Found, GrantFilter},
    oauth::{
        client::ClientId,
        grant::{Grant, Standing},
        resource::Resource,
        token::{GrantId, TokenId},
    },
    repository::{Access, RepositoryError},
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
            let access = match self {
                Self::Revoke(revoke) => revoke.access(),
                Self::List(_) | Self::Show(_) => Access::ReadOnly,
            };
            let connection = Connection::open(global, &output, access).await?;
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
    /// List at most this many [default: 50 on a terminal, otherwise all].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Start after this ID (the last one on the previous page).
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
    /// Those grants.
    ///
    /// A client, user or resource that nothing here knows is an error: what is misspelt has no grants, and
    /// that must not pass for "nothing to revoke".
    pub(super) async fn filter(
        &self,
        administration: &Administration,
        config: Option<&Config>,
    ) -> Result<GrantFilter, Failure> {
        let client = match &self.client {
            Some(text) => Some(client_id(administration, text).await?),
            None => None,
        };
        if let Some(user) = &self.user {
            require_user(administration, user).await?;
        }
        if let Some(resource) = &self.resource {
            require_resource(administration, config, resource).await?;
        }
        let (user, resource) = (self.user.clone(), self.resource.clone());
        Ok(GrantFilter { client, user, resource, ..GrantFilter::default() })
    }
}

async fn require_user(administration: &Administration, user: &str) -> Result<(), Failure> {
    let theirs = GrantFilter { user: Some(user.to_owned()), ..GrantFilter::default() };
    if administration.has_any(&theirs).await? {
        return Ok(());
    }
    let failure = Failure::new(Exit::NotFound, format!("no grant belongs to the user {user:?}"));
    Err(failure
        .hint("write the email address or the subject in full; `pangea-mcp-auth tokens list` shows both"))
}

async fn require_resource(
    administration: &Administration,
    config: Option<&Config>,
    resource: &str,
) -> Result<(), Failure> {
    let configured = || config.into_iter().flat_map(|config| &config.resources).map(|known| &known.url);
    let at_it = GrantFilter { resource: Some(resource.to_owned()), ..GrantFilter::default() };
    if configured().any(|known| known.is_named_by(resource)) || administration.has_any(&at_it).await? {
        return Ok(());
    }
    let message = format!("{resource:?} is not a configured resource, and no grant is for it");
    let failure = Failure::new(Exit::NotFound, message);
    Err(match did_you_mean(resource, configured().map(Resource::as_str)) {
        Some(meant) => failure.hint(format!("did you mean {meant}?")),
        None => failure,
    })
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
            ..self.of.filter(&administration, connection.config.as_ref().ok()).await?
        };
        let after = match &self.after {
            // It may be gone since the page before.
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
        let name = Names::default().of(&administration, &grant.terms().client_id).await?;
        output.sheet(&GrantSheet::of(&grant, name, administration.now()));
        Ok(())
    }
}

/// The grant that is meant, and the number of its token where one is named (`<grant>.<number>`).
pub(super) async fn grant(
    administration: &Administration,
    text: &str,
) -> Result<(Grant, Option<u64>), Failure> {
    let (name, number) = match text.split_once('.') {
        Some((name, number)) => {
            let number = number.parse().map_err(|_| not_found("grant or token", text))?;
            (name, Some(number))
        }
        None => (text, None),
    };
    match administration.find_grant(name).await? {
        Found::One(grant) if number.is_none_or(|number| (1..=grant.issued()).contains(&number)) => {
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
