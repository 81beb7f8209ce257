//! `clients`: who may ask people to sign in.

mod prune;
mod sheet;

use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;

use self::{
    prune::Prune,
    sheet::{Added, COLUMNS, ClientRow, ClientSheet},
};
use super::{
    Global, completions,
    connection::Connection,
    failure::{Exit, Failure},
    output::Output,
    revocations::{Report, confirm, interrupted_by},
    run,
    tokens::{ambiguous, client_id, no_client, not_found},
    unreadable,
};
use crate::{
    flow::administration::{Administration, Found, GrantFilter, NewClient, Tally},
    oauth::{
        client::{Client, ClientId},
        error::{ErrorCode, OAuthError},
    },
    repository::{Access, RepositoryError},
    secret::SystemRandom,
};

/// MCP clients: those that registered themselves, and those that you add.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Examples:
  pangea-mcp-auth clients list
  pangea-mcp-auth clients add --name Backoffice --confidential \\
    --redirect-uri https://app.example.com/callback")]
pub(super) enum Clients {
    List(List),
    Show(Show),
    Add(Add),
    Revoke(Revoke),
    Prune(Prune),
}

impl Clients {
    /// What the command may do to the repository.
    const fn access(&self) -> Access {
        match self {
            Self::List(_)
            | Self::Show(_)
            | Self::Revoke(Revoke { dry_run: true, .. })
            | Self::Prune(Prune { dry_run: true, .. }) => Access::ReadOnly,
            Self::Add(_) | Self::Revoke(_) | Self::Prune(_) => Access::ReadWrite,
        }
    }

    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let output = global.output();
        if matches!(self, Self::Add(Add { confidential: true, .. })) && output.is_quiet() {
            let failure = Failure::new(Exit::Usage, "--quiet would hide the secret, which is told only once");
            return Err(failure.hint("use -o json"));
        }
        run(async {
            let connection = Connection::open(global, &output, self.access()).await?;
            match self {
                Self::List(list) => list.run(&connection, &output).await,
                Self::Show(show) => show.run(&connection, &output).await,
                Self::Add(add) => add.run(&connection, &output).await,
                Self::Revoke(revoke) => revoke.run(&connection, &output).await,
                Self::Prune(prune) => prune.run(&connection, &output).await,
            }
        })
    }
}

/// List clients, in the order of their ids, with how many grants of each live.
#[derive(Debug, clap::Args)]
#[command(after_help = "In a pipe each line is one client, with tabs between id, name, origin, live
grants, last used, created, expiry and redirect URIs.

Examples:
  pangea-mcp-auth clients list
  pangea-mcp-auth clients list --unused -q
  pangea-mcp-auth clients list -o json")]
pub(super) struct List {
    /// Only those without a live grant.
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
    async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        let administration = connection.administration();
        let limit = self.limit.unwrap_or_else(|| output.usual_limit());
        let mut after = match &self.after {
            // It may be gone since the page before.
            Some(text) => match administration.find_client(text).await? {
                Found::One(client) => Some(client.client_id.to_string()),
                Found::Several(candidates) => return Err(ambiguous(text, &candidates)),
                Found::Unreadable(record) => Some(record.key),
                Found::Nothing => {
                    Some(ClientId::parse(text).ok_or_else(|| not_found("client", text))?.to_string())
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

/// Tell all about a client.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth clients show mcp_q7Zx")]
pub(super) struct Show {
    /// Its id or the beginning of it.
    #[arg(value_name = "ID", add = ArgValueCompleter::new(completions::clients))]
    id: String,
}

impl Show {
    async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        let administration = connection.administration();
        let client = client(&administration, &self.id).await?;
        let used = administration.client_use(&client.client_id).await?;
        output.sheet(&ClientSheet::of(&client, used));
        Ok(())
    }
}

async fn client(administration: &Administration, text: &str) -> Result<Client, Failure> {
    match administration.find_client(text).await? {
        Found::One(client) => Ok(*client),
        Found::Several(candidates) => Err(ambiguous(text, &candidates)),
        Found::Unreadable(record) => Err(RepositoryError::from(record).into()),
        Found::Nothing => Err(no_client(administration, text).await?),
    }
}

/// Add a client that cannot register itself.
///
/// It does not expire and is never pruned. The secret of a confidential client is printed once and
/// kept nowhere.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth clients add --name Inspector \\
    --redirect-uri http://127.0.0.1:6274/oauth/callback
  pangea-mcp-auth clients add --confidential -o json \\
    --redirect-uri https://app.example.com/callback")]
pub(super) struct Add {
    /// A name for people.
    #[arg(long)]
    name: Option<String>,
    /// Where it may be answered; several times for several.
    #[arg(long = "redirect-uri", value_name = "URI", required = true)]
    redirect_uris: Vec<String>,
    /// Give it a secret (`client_secret_basic` or `client_secret_post`); else it is a public client.
    #[arg(long)]
    confidential: bool,
}

impl Add {
    async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        let new = NewClient {
            name: self.name.clone(),
            redirect_uris: self.redirect_uris.clone(),
            confidential: self.confidential,
        };
        let schemes =
            connection.config.as_ref().map(|config| config.registration.private_use_schemes.clone());
        let added = connection
            .administration()
            .add_client(new, &schemes.unwrap_or_default(), &SystemRandom)
            .await
            .map_err(|error| refused(&error))?;
        let (client, secret) = added;
        let is_secret = secret.is_some();
        output.sheet(&Added::of(&client, secret));
        if is_secret {
            output.remark("The secret is told this once and kept nowhere: store it now.");
        }
        Ok(())
    }
}

fn refused(error: &OAuthError) -> Failure {
    let exit = match error.code() {
        ErrorCode::InvalidRedirectUri | ErrorCode::InvalidClientMetadata => Exit::Usage,
        _ => Exit::Unreachable,
    };
    let failure = Failure::new(exit, error.description());
    if error.code() == ErrorCode::InvalidRedirectUri {
        failure.hint("change --redirect-uri")
    } else {
        failure
    }
}

/// Remove a client and revoke its grants.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth clients revoke mcp_q7Zx --dry-run
  pangea-mcp-auth clients revoke mcp_q7ZxAmV0bT5cK2hYw1uLrA --yes")]
pub(super) struct Revoke {
    /// Its id or the beginning of it.
    #[arg(value_name = "ID", add = ArgValueCompleter::new(completions::clients))]
    id: String,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What came of a removal, for programs.
#[derive(Debug, Serialize)]
struct Removal {
    client_id: ClientId,
    /// False if it was removed before.
    removed: bool,
    /// What became of its grants.
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
    async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
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
        let grants = Report::of(&tally, self.dry_run, config);
        let removal = Removal { client_id, removed, grants };
        output.outcome(&removal, &removal.words(self.dry_run));
        unreadable::judge(&tally.unreadable, true)
    }
}
