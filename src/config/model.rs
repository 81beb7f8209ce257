//! The types of a valid configuration.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use url::Url;

use super::{problem::Problem, secret_source::SecretPlace, settings::FromEnvironment};
use crate::{
    oauth::{
        issuer::Issuer,
        policy::{AccessPolicy, DocumentPolicy, Lifetimes, Rates, RegistrationPolicy},
        resource::Resource,
        scope::{Scope, ScopeOffer},
        token::{PersonClaim, SigningAlgorithm},
    },
    raster::RasterImage,
    repository::{Kind, PostgresSettings, RedisSettings},
    secret::{KeyRing, Secret},
};

/// A valid configuration. [`load`](super::load) creates it.
#[derive(Debug, Clone)]
pub struct Config {
    /// This server's public URL; every endpoint is derived from it.
    pub public_url: Issuer,
    /// The issuer in metadata and tokens.
    pub issuer: Issuer,
    /// Addresses to listen on; at least one.
    pub listen: Vec<SocketAddr>,
    /// Address of the admin listener.
    pub admin_listen: Option<SocketAddr>,
    /// Reverse proxies whose `X-Forwarded-For` is trusted, for rate limits and the audit log.
    pub trusted_proxies: Vec<IpNet>,
    /// The upstream (identity provider).
    pub authn: Authn,
    /// Who may sign in.
    pub access: AccessPolicy,
    /// Whether the configuration has `access.everybody = true`. Without lists, it need not.
    pub says_everybody: bool,
    /// The MCP servers; at least one, except with `--dev`.
    pub resources: Vec<ResourceConfig>,
    /// With `--dev`: any loopback URL is also a resource.
    pub any_loopback_resource: Option<LoopbackResources>,
    /// Signing and sealing keys.
    pub keys: Keys,
    /// Where records are stored.
    pub repository: Repositories,
    /// Client metadata documents.
    pub client_documents: ClientDocuments,
    /// Client registration.
    pub registration: RegistrationPolicy,
    /// How long tokens, grants and signing keys live.
    pub lifetimes: Lifetimes,
    /// Claims about the user in access tokens, in addition to `sub`.
    pub claims: Vec<PersonClaim>,
    /// Rate limits.
    pub limits: Rates,
    /// Whose pages these are.
    pub branding: Branding,
    /// Format and level of the log.
    pub log: Log,
    /// Values from environment variables.
    pub from_environment: Vec<FromEnvironment>,
    /// What works but should be corrected.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// The redirect URI to enter in the upstream's console.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        self.public_url.upstream_callback()
    }

    /// The resource of a client that names none: the only one, or the one marked as default.
    #[must_use]
    pub fn default_resource(&self) -> Option<&ResourceConfig> {
        match self.resources.as_slice() {
            [only] => Some(only),
            several => several.iter().find(|resource| resource.default),
        }
    }
}

/// The upstream: Pangea `AuthN`, or any OAuth provider.
#[derive(Debug, Clone)]
pub struct Authn {
    /// Base URL of the hosted login, in the spelling of the configuration (a trailing slash is kept).
    pub issuer_url: String,
    /// Client ID at the upstream.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// Scopes to request.
    pub scopes: Vec<String>,
    /// The `AuthN` service, for lookups of users; `None` without a token for it.
    pub service: Option<AuthnService>,
    /// Authorization endpoint, if it is not derived from `issuer_url`.
    pub authorization_endpoint: Option<Url>,
    /// Token endpoint, if it is not derived from `issuer_url`.
    pub token_endpoint: Option<Url>,
    /// Introspection endpoint, if it is not derived from `issuer_url`.
    pub introspection_endpoint: Option<Url>,
    /// URL of the signing keys, if it is not derived from `issuer_url`.
    pub jwks_uri: Option<Url>,
    /// Whether to send a PKCE challenge (RFC 7636).
    pub pkce: bool,
    /// Whether `[access]` accepts an unverified email address.
    pub trust_unverified_email: bool,
    /// Timeout of a request: 1 to 10 seconds.
    pub timeout: Duration,
}

/// The `AuthN` service API.
#[derive(Debug, Clone)]
pub struct AuthnService {
    /// Base URL, such as `https://authn.aws.us.pangea.cloud`.
    pub api_url: Url,
    /// The service token.
    pub token: Secret,
}

/// One MCP server.
#[derive(Debug, Clone)]
pub struct ResourceConfig {
    /// Canonical URL, the audience of its tokens.
    pub url: Resource,
    /// Name on the consent page.
    pub name: Option<String>,
    /// Scopes that clients may request.
    pub scopes: Vec<ScopeConfig>,
    /// Address of the MCP server behind a gateway; ignored.
    pub upstream: Option<Url>,
    /// Its credentials for `/introspect`.
    pub introspection: Option<Introspection>,
    /// Whether a client that names no resource gets this one.
    pub default: bool,
}

impl ResourceConfig {
    /// Its scopes, and the default ones: those marked as default, or all.
    #[must_use]
    pub fn offer(&self) -> ScopeOffer {
        let scopes = scope_of(&self.scopes);
        let marked = scope_of(self.scopes.iter().filter(|scope| scope.default));
        let default = if marked.is_empty() { scopes.clone() } else { marked };
        ScopeOffer::Listed { scopes, default }
    }
}

/// One scope of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeConfig {
    /// Name in tokens and requests (RFC 6749 section 3.3).
    pub name: String,
    /// Description on the consent page.
    pub description: Option<String>,
    /// Whether a client that requests no scope gets it.
    pub default: bool,
}

/// Credentials of a resource server for `/introspect`.
#[derive(Debug, Clone)]
pub struct Introspection {
    /// Client ID, of `[A-Za-z0-9._~-]`.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
}

/// Settings of every loopback URL that a client names as a resource.
#[derive(Debug, Clone)]
pub struct LoopbackResources {
    /// Scopes of a client that requests none. It gets any scope that it requests.
    pub scopes: Vec<ScopeConfig>,
    /// The common credentials of all of them.
    pub introspection: Introspection,
}

impl LoopbackResources {
    /// Any scope that a client requests.
    #[must_use]
    pub fn offer(&self) -> ScopeOffer {
        ScopeOffer::Any { default: scope_of(&self.scopes) }
    }
}

fn scope_of<'a>(scopes: impl IntoIterator<Item = &'a ScopeConfig>) -> Scope {
    let words: Vec<&str> = scopes.into_iter().map(|scope| scope.name.as_str()).collect();
    Scope::parse(&words.join(" ")).unwrap_or_default()
}

/// Signing and sealing keys.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Encrypt records at rest.
    pub sealing: KeyRing,
    /// The source of the sealing keys, to reload them.
    pub sealing_place: SecretPlace,
    /// Algorithm of new signing keys.
    pub algorithm: SigningAlgorithm,
}

/// Where records are stored: one repository, and optionally others for some kinds of record.
#[derive(Debug, Clone)]
pub struct Repositories {
    /// The repository of all kinds that have none of their own.
    pub main: RepositoryConfig,
    /// The repositories of single kinds.
    pub elsewhere: BTreeMap<Kind, RepositoryConfig>,
}

impl Repositories {
    /// Every repository, the main one first.
    pub fn all(&self) -> impl Iterator<Item = &RepositoryConfig> {
        std::iter::once(&self.main).chain(self.elsewhere.values())
    }
}

impl From<RepositoryConfig> for Repositories {
    /// One repository for all kinds.
    fn from(main: RepositoryConfig) -> Self {
        Self { main, elsewhere: BTreeMap::new() }
    }
}

/// A storage engine.
#[derive(Debug, Clone)]
pub enum RepositoryConfig {
    /// In memory; lost when the process ends.
    Memory,
    /// An `SQLite` database.
    Sqlite {
        /// The database file.
        path: PathBuf,
    },
    /// A `PostgreSQL` database.
    Postgres(PostgresSettings),
    /// A Redis or Valkey server.
    Redis(RedisSettings),
    /// Pangea Vault.
    Vault(VaultConfig),
}

impl RepositoryConfig {
    /// The value of the key `kind`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite { .. } => "sqlite",
            Self::Postgres(_) => "postgres",
            Self::Redis(_) => "redis",
            Self::Vault(_) => "vault",
        }
    }
}

/// Pangea Vault.
#[derive(Debug, Clone)]
pub struct VaultConfig {
    /// Base URL, such as `https://vault.aws.us.pangea.cloud`.
    pub api_url: Url,
    /// The token at start.
    pub token: Secret,
    /// The file of the token, which is read again when Vault refuses the token.
    pub token_file: Option<PathBuf>,
    /// Folder for the records, such as `/a/b`; empty for the root.
    pub folder: String,
    /// Timeout of one request.
    pub timeout: Duration,
    /// How long a value is cached.
    pub cache: Duration,
}

/// Client ID metadata documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientDocuments {
    /// Whose documents are accepted.
    pub policy: DocumentPolicy,
    /// Networks from which documents are fetched although they are not public.
    pub private_networks: Vec<IpNet>,
    /// A PEM file with certificate authorities, instead of this machine's.
    pub ca_file: Option<PathBuf>,
}

/// What every page says about the operator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Branding {
    /// The operator's name: one line of at most 80 characters, none of them hidden.
    pub name: Option<String>,
    /// The logo.
    pub logo: Option<RasterImage>,
    /// Where users find help; `https`.
    pub support_url: Option<Url>,
    /// The operator's privacy policy; `https`.
    pub privacy_url: Option<Url>,
}

/// Format and level of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Format of a line.
    pub format: LogFormat,
    /// A filter of `tracing-subscriber`, such as `info,pangea_mcp_auth=debug`.
    pub level: String,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}
