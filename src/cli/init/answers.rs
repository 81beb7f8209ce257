//! The answers that a configuration needs, from options or from the wizard.

use std::{
    io::{self, Read},
    path::PathBuf,
};

use url::Url;

use super::typed;
use crate::{
    cli::failure::{Exit, Failure},
    config::{self, Config, Environment, RepositoryConfig, SystemEnvironment},
    oauth::{issuer::Issuer, resource::Resource},
    secret::Secret,
};

/// Longest secret that is read, in bytes.
const LONGEST_SECRET: u64 = 64 * 1024;

/// Variables of the original library. They provide defaults if they are set.
const ISSUER_URL: &str = "PANGEA_AUTHN_ISSUER_URL";
const CLIENT_ID: &str = "PANGEA_AUTHN_CLIENT_ID";
const CLIENT_SECRET: &str = "PANGEA_AUTHN_CLIENT_SECRET";

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Deployment {
    /// Only on this machine, with http on loopback.
    ThisMachine,
    /// Under a public host name, behind a reverse proxy with TLS.
    ReverseProxy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Engine {
    Sqlite,
    Postgres,
    Redis,
    Vault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum SecretStore {
    /// The platform's keyring.
    Keyring,
    /// Files of mode 600 next to the configuration.
    Files,
}

/// An option for each answer. Secrets come from stdin, a file or the environment, never from an argument.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Answers")]
pub(super) struct Flags {
    /// Where everything runs [default: follows from the public URL].
    #[arg(long, value_enum, value_name = "WHERE")]
    deployment: Option<Deployment>,
    /// This server's public URL, with a host name of its own.
    #[arg(long, value_name = "URL", value_parser = given_public_url)]
    public_url: Option<GivenPublicUrl>,
    /// Address to listen on.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<std::net::SocketAddr>,
    /// URL of the MCP server, as users enter it in their MCP client.
    #[arg(long, value_name = "URL", value_parser = typed::mcp_server)]
    mcp_url: Option<Resource>,
    /// Name of the MCP server on the consent page.
    #[arg(long, value_name = "NAME", value_parser = typed::name)]
    mcp_name: Option<String>,
    /// Address of the MCP server behind a gateway; accepted for compatibility.
    #[arg(long, value_name = "URL", value_parser = typed::upstream, hide = true)]
    gateway: Option<Url>,
    /// Let only users with addresses in these domains sign in [default: all users of the Pangea project].
    #[arg(long = "allow-domain", value_name = "DOMAIN", value_delimiter = ',', value_parser = typed::domain)]
    allowed_domains: Vec<String>,
    /// Let only these users sign in, by email address.
    #[arg(long = "allow-email", value_name = "EMAIL", value_delimiter = ',', value_parser = typed::email)]
    allowed_emails: Vec<String>,
    /// Hosted Login URL from the Pangea console.
    #[arg(long, value_name = "URL", value_parser = typed::hosted_login)]
    issuer_url: Option<String>,
    /// ID of the OAuth client in the Pangea console.
    #[arg(long, value_name = "ID", value_parser = typed::client_id)]
    client_id: Option<String>,
    /// Read the client secret from a file.
    #[arg(long, value_name = "FILE", group = "secret")]
    client_secret_file: Option<PathBuf>,
    /// Read the client secret from an environment variable.
    #[arg(long, value_name = "NAME", group = "secret")]
    client_secret_env: Option<String>,
    /// Read the client secret from standard input.
    #[arg(long, group = "secret", requires = "non_interactive")]
    client_secret_stdin: bool,
    /// Scope that you created in the Pangea console.
    #[arg(long, value_name = "NAME", value_parser = typed::scope)]
    scope: Option<String>,
    /// Where clients, grants and keys are stored.
    #[arg(long, value_enum, value_name = "KIND")]
    repository: Option<Engine>,
    /// URL of PostgreSQL, Redis or Vault, without a password.
    #[arg(long, value_name = "URL", value_parser = typed::without_password)]
    repository_url: Option<String>,
    /// Read the database password or the Vault token from a file.
    #[arg(long, value_name = "FILE", group = "repository_secret")]
    repository_secret_file: Option<PathBuf>,
    /// Read the database password or the Vault token from an environment variable.
    #[arg(long, value_name = "NAME", group = "repository_secret")]
    repository_secret_env: Option<String>,
    /// Where secrets are stored [default: the keyring, or files without one].
    #[arg(long, value_enum, value_name = "STORE")]
    secrets: Option<SecretStore>,
}

#[derive(Debug, Clone)]
pub(super) struct Answers {
    pub(super) deployment: Option<Deployment>,
    pub(super) public_url: Option<Issuer>,
    pub(super) listen: Option<std::net::SocketAddr>,
    pub(super) mcp_url: Option<Resource>,
    pub(super) mcp_name: Option<String>,
    pub(super) gateway: Option<Url>,
    pub(super) allowed_domains: Vec<String>,
    pub(super) allowed_emails: Vec<String>,
    pub(super) issuer_url: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<Secret>,
    pub(super) scope: Option<String>,
    pub(super) repository: Option<Engine>,
    pub(super) repository_url: Option<String>,
    pub(super) repository_secret: Option<Secret>,
    pub(super) secrets: Option<SecretStore>,
}

/// A public URL in its normal form, and as it was given.
#[derive(Debug, Clone)]
struct GivenPublicUrl {
    taken: Issuer,
    given: String,
}

fn given_public_url(text: &str) -> Result<GivenPublicUrl, String> {
    typed::public_url(text).map(|taken| GivenPublicUrl { taken, given: text.to_owned() })
}

impl Flags {
    /// A remark for each value that was normalised.
    pub(super) fn changes(&self) -> Option<String> {
        let given = self.public_url.as_ref()?;
        typed::change(&given.given, given.taken.as_str()).map(|words| format!("--public-url: {words}"))
    }

    /// The answers from the options, with the secrets they name.
    pub(super) fn answers(&self) -> Result<Answers, Failure> {
        let flags = self.clone();
        let variables = SystemEnvironment.variables();
        let original = |name: &str| variables.get(name).filter(|value| !value.is_empty());
        let (issuer_url, client_id) = (original(ISSUER_URL), original(CLIENT_ID));
        let client_secret = if self.client_secret_stdin {
            Some(from_stdin()?)
        } else {
            let usual = CLIENT_SECRET.to_owned();
            let usual =
                Some(&usual).filter(|name| original(name).is_some() && self.client_secret_file.is_none());
            let variable = self.client_secret_env.as_ref().or(usual);
            secret("client secret", self.client_secret_file.as_ref(), variable)?
        };
        Ok(Answers {
            client_secret,
            repository_secret: secret(
                "repository secret",
                self.repository_secret_file.as_ref(),
                self.repository_secret_env.as_ref(),
            )?,
            deployment: flags.deployment,
            public_url: flags.public_url.map(|given| given.taken),
            listen: flags.listen,
            mcp_url: flags.mcp_url,
            mcp_name: flags.mcp_name,
            gateway: flags.gateway,
            allowed_domains: flags.allowed_domains,
            allowed_emails: flags.allowed_emails,
            issuer_url: flags.issuer_url.or_else(|| typed::hosted_login(issuer_url?).ok()),
            client_id: flags.client_id.or_else(|| typed::client_id(client_id?).ok()),
            scope: flags.scope,
            repository: flags.repository,
            repository_url: flags.repository_url,
            secrets: flags.secrets,
        })
    }
}

impl Answers {
    /// The given deployment, or the one that the public URL implies.
    pub(super) fn deployment(&self) -> Deployment {
        self.deployment.unwrap_or_else(|| match &self.public_url {
            Some(url) if url.is_https() => Deployment::ReverseProxy,
            _ => Deployment::ThisMachine,
        })
    }

    pub(super) fn engine(&self) -> Engine {
        self.repository.unwrap_or(Engine::Sqlite)
    }

    /// The redirect URI for the Pangea console.
    pub(super) fn redirect_uri(&self) -> String {
        self.public_url.as_ref().map(Issuer::upstream_callback).unwrap_or_default()
    }

    /// Adds defaults, and fails with the names of the missing options.
    pub(super) fn complete(&mut self) -> Result<(), Failure> {
        if self.deployment() == Deployment::ThisMachine {
            self.public_url = self.public_url.take().or_else(|| Issuer::parse("http://localhost:8000").ok());
            self.mcp_url = self.mcp_url.take().or_else(|| Resource::parse(Self::usual_mcp_url()).ok());
        }
        if self.engine() == Engine::Vault && self.repository_url.is_none() {
            self.repository_url = Some(self.usual_repository_url());
        }
        let missing = [
            (self.public_url.is_none(), "--public-url"),
            (self.mcp_url.is_none(), "--mcp-url"),
            (self.issuer_url.is_none(), "--issuer-url"),
            (self.client_id.is_none(), "--client-id"),
            (self.client_secret.is_none(), "--client-secret-file, -env or -stdin"),
            (self.needs_repository_url() && self.repository_url.is_none(), "--repository-url"),
            (
                self.engine() == Engine::Vault && self.repository_secret.is_none(),
                "--repository-secret-file or -env",
            ),
        ];
        let missing: Vec<&str> = missing.iter().filter(|(lacks, _)| *lacks).map(|(_, flag)| *flag).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Usage,
            format!("missing options with --non-interactive: {}", missing.join("; ")),
        ))
    }

    pub(super) fn needs_repository_url(&self) -> bool {
        self.engine() != Engine::Sqlite
    }

    /// Default URL of the repository; Vault is in the region of the hosted login.
    pub(super) fn usual_repository_url(&self) -> String {
        match self.engine() {
            Engine::Redis => "redis://localhost:6379/0".to_owned(),
            Engine::Vault => {
                let url = self.issuer_url.as_deref().and_then(|url| Url::parse(url).ok());
                let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
                let region = host.split_once(".login.").map(|(_, region)| region);
                let region = region.filter(|region| region.ends_with("pangea.cloud"));
                format!("https://vault.{}", region.unwrap_or("aws.us.pangea.cloud"))
            }
            _ => "postgres://pangea_mcp_auth@localhost/pangea_mcp_auth".to_owned(),
        }
    }

    pub(super) fn usual_mcp_url() -> &'static str {
        "http://localhost:9000/mcp"
    }

    /// Whether the MCP server shares this server's public host name.
    pub(super) fn shares_its_host(&self) -> bool {
        let host = |url: &str| Url::parse(url).ok()?.host_str().map(str::to_owned);
        let public = self.public_url.as_ref().filter(|url| url.is_https()).and_then(|url| host(url.as_str()));
        public.is_some_and(|public| {
            self.mcp_url.as_ref().and_then(|url| host(url.as_str())).is_some_and(|mcp| mcp == public)
        })
    }

    /// The address to listen on. On this machine, it has the port of the public URL.
    pub(super) fn listen(&self) -> String {
        let port = self.public_url.as_ref().filter(|_| self.deployment() == Deployment::ThisMachine);
        let port = port.and_then(|url| Url::parse(url.as_str()).ok()?.port_or_known_default());
        self.listen.map_or_else(|| format!("127.0.0.1:{}", port.unwrap_or(8000)), |listen| listen.to_string())
    }

    /// The options that differ from a configuration.
    pub(super) fn differences(&self, config: &Config) -> Vec<&'static str> {
        let engine = match &config.repository.main {
            RepositoryConfig::Sqlite { .. } => Some(Engine::Sqlite),
            RepositoryConfig::Postgres(_) => Some(Engine::Postgres),
            RepositoryConfig::Redis(_) => Some(Engine::Redis),
            RepositoryConfig::Vault(_) => Some(Engine::Vault),
            RepositoryConfig::Memory => None,
        };
        let secret = config.authn.client_secret.expose();
        let has_resource = |url: &Resource| config.resources.iter().any(|resource| resource.url == *url);
        let repository_url = match &config.repository.main {
            RepositoryConfig::Postgres(server) => server.url.expose(),
            RepositoryConfig::Redis(server) => server.url.expose(),
            RepositoryConfig::Vault(vault) => vault.api_url.as_str().trim_end_matches('/'),
            RepositoryConfig::Sqlite { .. } | RepositoryConfig::Memory => "",
        };
        let all = [
            (self.public_url.as_ref().is_some_and(|url| *url != config.public_url), "--public-url"),
            (self.listen.is_some_and(|listen| !config.listen.contains(&listen)), "--listen"),
            (self.mcp_url.as_ref().is_some_and(|url| !has_resource(url)), "--mcp-url"),
            (self.issuer_url.as_ref().is_some_and(|url| *url != config.authn.issuer_url), "--issuer-url"),
            (self.client_id.as_ref().is_some_and(|id| *id != config.authn.client_id), "--client-id"),
            (self.client_secret.as_ref().is_some_and(|given| given.expose() != secret), "the client secret"),
            (self.scope.as_ref().is_some_and(|scope| !config.authn.scopes.contains(scope)), "--scope"),
            (self.allowed_domains.iter().any(|it| !config.access.domains.contains(it)), "--allow-domain"),
            (self.allowed_emails.iter().any(|it| !config.access.emails.contains(it)), "--allow-email"),
            (self.repository.is_some_and(|chosen| Some(chosen) != engine), "--repository"),
            (self.repository_url.as_ref().is_some_and(|url| url != repository_url), "--repository-url"),
        ];
        all.into_iter().filter(|(differs, _)| *differs).map(|(_, flag)| flag).collect()
    }
}

fn secret(
    name: &'static str,
    file: Option<&PathBuf>,
    variable: Option<&String>,
) -> Result<Option<Secret>, Failure> {
    let unusable = |what: String| Failure::new(Exit::Usage, what);
    let text = match (file, variable) {
        (Some(file), _) => {
            return config::read_secret_file(file, name).map(Some).map_err(unusable);
        }
        (None, Some(variable)) => SystemEnvironment.variables().remove(variable).unwrap_or_default(),
        (None, None) => return Ok(None),
    };
    bare(name, &text).map(Some)
}

fn from_stdin() -> Result<Secret, Failure> {
    let mut text = String::new();
    let read = io::stdin().take(LONGEST_SECRET).read_to_string(&mut text);
    read.map_err(|error| Failure::new(Exit::Usage, format!("cannot read standard input: {error}")))?;
    bare("client secret", &text)
}

/// A secret of one line.
pub(super) fn bare(name: &'static str, text: &str) -> Result<Secret, Failure> {
    config::handed_over_secret(text, name)
        .map_err(|problem| Failure::new(Exit::Usage, format!("the {name} is invalid: {problem}")))
}
