//! `repository import`: imports the clients of another program.

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde::Serialize;

use super::places::{Purpose, open, repositories_at};
use crate::{
    audit::Event,
    cli::{
        Global, connection,
        failure::{Exit, Failure},
        output::Output,
    },
    clock::SystemClock,
    config::{self, Environment, RepositoryConfig, SystemEnvironment, VaultConfig},
    daemon,
    migration::{Found, OriginalImport},
    secret::Secret,
};

/// The variable that the library's examples use for its token.
const TOKEN_VARIABLE: &str = "PANGEA_VAULT_TOKEN";
/// The only Vault URL that the library supports.
const API_URL: &str = "https://vault.aws.us.pangea.cloud";
/// Our own folder by default; it contains no secrets of the library.
const OUR_FOLDER: &str = "/pangea-mcp-auth";
/// Timeout of one request to Vault.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Without a progress bar, a line is printed after this many secrets.
const A_LINE_EVERY: u64 = 1000;

/// Import the clients of pangea-authn-fastmcp, so that they need not register again.
///
/// It reads them from the Pangea Vault of the library's `PangeaVaultRepository`, which stays unchanged. Of a
/// client secret, only the hash is stored. The library's tokens and codes are counted, but not imported:
/// they are not valid here. Clients that are already in the target stay, so you can run an interrupted
/// import again.
///
/// The Vault token comes from --token-file, otherwise from the variable `PANGEA_VAULT_TOKEN`, otherwise from
/// the configured repository if that is in Vault. A LOCATION is a configuration file, of which only
/// [repository] is read, or sqlite:PATH.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth repository import --from-pangea-authn-fastmcp --dry-run
  pangea-mcp-auth repository import --from-pangea-authn-fastmcp \\
      --folder /mcp/clients
  pangea-mcp-auth repository import --from-pangea-authn-fastmcp \\
      --token-file vault-token --to postgres.toml")]
pub(super) struct Import {
    /// Import from the Vault of pangea-authn-fastmcp.
    #[arg(long)]
    from_pangea_authn_fastmcp: bool,
    /// Target [default: the configured repository].
    #[arg(long, value_name = "LOCATION", value_hint = clap::ValueHint::FilePath)]
    to: Option<String>,
    /// Vault folder of the library [default: all folders].
    #[arg(long, value_name = "FOLDER")]
    folder: Option<String>,
    /// File with the Vault token.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    token_file: Option<PathBuf>,
    /// URL of the Vault service [default: as configured, otherwise that of the region aws.us].
    #[arg(long, value_name = "URL", value_hint = clap::ValueHint::Url)]
    api_url: Option<String>,
    /// Show what would be done, without changing anything.
    #[arg(long)]
    dry_run: bool,
}

impl Import {
    pub(super) async fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        if !self.from_pangea_authn_fastmcp {
            let failure = Failure::new(Exit::Usage, "no source to import from");
            return Err(failure.hint("add --from-pangea-authn-fastmcp"));
        }
        let vault = self.vault(global)?;
        let (to, flag) = match &self.to {
            Some(place) => (repositories_at(place, "--to")?, "--to"),
            None => (connection::load_repositories(global)?, "the configuration"),
        };
        connection::start_log(global, connection::load(global).ok().as_ref());
        if self.to.is_none() {
            connection::tell_repository(output, &to);
        }
        let to = open(&to, flag, Purpose::target(self.dry_run)).await?;
        let from = daemon::connect_vault(&vault).await?;
        let import = OriginalImport { from, folder: self.folder.clone(), to, clock: Arc::new(SystemClock) };
        let found = self.import(&import, output).await?;
        if !self.dry_run && found.imported > 0 {
            connection::audit(Event::RepositoryImport { clients: found.imported });
        }
        for (client, sentence) in &found.left {
            output.warn(&format!("client {client:?} was not imported: {sentence}"));
        }
        output.outcome(&Report::of(&found, self.dry_run), &words(&found, self.dry_run));
        verdict(&found)
    }

    async fn import(&self, import: &OriginalImport, output: &Output) -> Result<Found, Failure> {
        let bar = output.progress(if self.dry_run { "comparing" } else { "importing" }, None);
        let mut seen: u64 = 0;
        let found = import.run(!self.dry_run, || {
            seen += 1;
            bar.inc(1);
            if bar.is_hidden() && seen.is_multiple_of(A_LINE_EVERY) {
                output.say(&format!("{seen} secrets read"));
            }
        });
        let found = found.await;
        bar.finish_and_clear();
        Ok(found?)
    }

    fn vault(&self, global: &Global) -> Result<VaultConfig, Failure> {
        let unusable = |sentence: String| Failure::new(Exit::Configuration, sentence);
        let configured = configured_vault(global);
        let api_url = match (&self.api_url, &configured) {
            (Some(text), _) => config::service_url(text)
                .map_err(|sentence| Failure::new(Exit::Usage, format!("--api-url: {sentence}")))?,
            (None, Some(vault)) => vault.api_url.clone(),
            (None, None) => config::service_url(API_URL).map_err(unusable)?,
        };
        let variable = SystemEnvironment.variables().remove(TOKEN_VARIABLE).filter(|token| !token.is_empty());
        let token = match (&self.token_file, variable, &configured) {
            (Some(file), ..) => config::read_secret_file(file, "--token-file")
                .map_err(|sentence| unusable(format!("--token-file: {sentence}")))?,
            (None, Some(token), _) => Secret::new(TOKEN_VARIABLE, token),
            (None, None, Some(vault)) => vault.token.clone(),
            (None, None, None) => {
                let failure = unusable("no Vault token is known".to_owned());
                let hint =
                    format!("set the variable {TOKEN_VARIABLE}, or use --token-file with a file of mode 600");
                return Err(failure.hint(hint));
            }
        };
        Ok(VaultConfig {
            api_url,
            token,
            token_file: self.token_file.clone(),
            folder: configured.map_or_else(|| OUR_FOLDER.to_owned(), |vault| vault.folder),
            timeout: TIMEOUT,
            cache: Duration::ZERO,
        })
    }
}

fn configured_vault(global: &Global) -> Option<VaultConfig> {
    let repositories = connection::load_repositories(global).ok()?;
    repositories.all().find_map(|place| match place {
        RepositoryConfig::Vault(vault) => Some(vault.clone()),
        _ => None,
    })
}

fn words(found: &Found, is_dry: bool) -> String {
    let done = if is_dry { "would be imported" } else { "imported" };
    let (clients, left) = (counted(found.imported, "client"), found.left.len());
    let mut words = vec![format!("{clients} {done}, {} already present, {left} not imported", found.present)];
    if found.tokens + found.codes > 0 {
        let (tokens, codes) = (counted(found.tokens, "token"), counted(found.codes, "code"));
        words.push(format!(
            "not imported, because they are not valid here: {tokens} and {codes} of the library"
        ));
    }
    if found.foreign > 0 {
        words.push(format!("other secrets, ignored: {}", counted(found.foreign, "secret")));
    }
    if is_dry {
        words.push("nothing was written".to_owned());
    }
    words.join("\n")
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn verdict(found: &Found) -> Result<(), Failure> {
    if found.clients() == 0 {
        let failure = Failure::new(Exit::NotFound, "no client of pangea-authn-fastmcp was found");
        return Err(failure.hint("check --folder, and which Pangea project the token belongs to"));
    }
    if found.left.is_empty() {
        return Ok(());
    }
    let message = format!("{} not imported", counted(found.left.len() as u64, "client"));
    let hint = "these clients must register again; most MCP clients do so automatically";
    Err(Failure::new(Exit::Partly, message).hint(hint))
}

/// The result for `--output json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    dry_run: bool,
    imported: u64,
    present: u64,
    not_imported: Vec<NotImported<'a>>,
    left_behind: LeftBehind,
}

#[derive(Debug, Serialize)]
struct NotImported<'a> {
    client_id: &'a str,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
struct LeftBehind {
    tokens: u64,
    codes: u64,
    others: u64,
}

impl<'a> Report<'a> {
    fn of(found: &'a Found, dry_run: bool) -> Self {
        let left = found.left.iter().map(|(client_id, reason)| NotImported { client_id, reason });
        Self {
            dry_run,
            imported: found.imported,
            present: found.present,
            not_imported: left.collect(),
            left_behind: LeftBehind { tokens: found.tokens, codes: found.codes, others: found.foreign },
        }
    }
}
