//! The valid configuration, as the rest of the program reads it.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use url::Url;

use super::{
    problem::{Place, Problem},
    secret_source::SecretPlace,
};
use crate::{
    oauth::{
        issuer::Issuer,
        redirect::PrivateUseSchemes,
        resource::Resource,
        scope::{Scope, ScopeOffer},
        token::{PersonClaim, SigningAlgorithm},
    },
    secret::{KeyRing, Secret},
};

/// A valid configuration. Only [`load`](super::load) makes one, apart from tests.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the world reaches this server; every endpoint is built from it.
    pub public_url: Issuer,
    /// The issuer identifier in metadata and tokens.
    pub issuer: Issuer,
    /// Where to listen; at least one address.
    pub listen: Vec<SocketAddr>,
    /// Where to serve metrics.
    pub admin_listen: Option<SocketAddr>,
    /// Whose `X-Forwarded-For` is believed, for rate limits and the audit log only.
    pub trusted_proxies: Vec<IpNet>,
    /// The upstream.
    pub authn: Authn,
    /// Who may sign in.
    pub access: Access,
    /// The MCP servers; at least one unless any loopback URL is one.
    pub resources: Vec<ResourceConfig>,
    /// With `--dev`: any loopback URL is a resource, too.
    pub any_loopback_resource: Option<LoopbackResources>,
    /// Key material.
    pub keys: Keys,
    /// Where records live.
    pub repository: Repositories,
    /// Client registration.
    pub registration: Registration,
    /// Lifetimes.
    pub tokens: Tokens,
    /// Rate limits.
    pub limits: Limits,
    /// The log.
    pub log: Log,
    /// What comes from environment variables.
    pub from_environment: Vec<FromEnvironment>,
    /// What works, but should be corrected.
    pub warnings: Vec<Problem>,
}

/// A value that an environment variable sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromEnvironment {
    /// The variable.
    pub variable: String,
    /// The key that it sets, such as `authn.client_id`.
    pub key: String,
    /// Where the configuration file sets the same key, which is not used.
    pub instead_of: Option<Place>,
}

impl Config {
    /// The redirect URI that is entered in the upstream's console.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        self.public_url.upstream_callback()
    }

    /// What a client means that names no resource: the one marked as default, else the only one.
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
    /// Base of the hosted login, in the spelling of the configuration (a slash at its end is kept).
    pub issuer_url: String,
    /// The client id that the upstream gave us.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// What to ask the upstream for.
    pub scopes: Vec<String>,
    /// The `AuthN` service, for questions about a person; `None` when no token for it is configured.
    pub service: Option<AuthnService>,
    /// Replaces the authorization endpoint that follows from `issuer_url`.
    pub authorization_endpoint: Option<Url>,
    /// Replaces the token endpoint.
    pub token_endpoint: Option<Url>,
    /// Replaces the introspection endpoint.
    pub introspection_endpoint: Option<Url>,
    /// Replaces the address of the signing keys.
    pub jwks_uri: Option<Url>,
    /// Whether to send a PKCE challenge (RFC 7636).
    pub pkce: bool,
    /// Whether `[access]` believes an address that nothing verified.
    pub trust_unverified_email: bool,
    /// How long to wait for an answer: 1 to 10 seconds.
    pub timeout: Duration,
}

/// The `AuthN` service API.
#[derive(Debug, Clone)]
pub struct AuthnService {
    /// Its base, such as `https://authn.aws.us.pangea.cloud`.
    pub api_url: Url,
    /// The service token.
    pub token: Secret,
}

/// Who may sign in: without lists, every user for whom the upstream vouches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Whether the configuration has `everybody = true`.
    pub says_everybody: bool,
    /// Mail addresses, in lower case.
    pub emails: Vec<String>,
    /// Mail domains, in lower case.
    pub domains: Vec<String>,
    /// Groups at the upstream.
    pub groups: Vec<String>,
}

impl Access {
    /// Whether every user of the upstream may sign in.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.emails.is_empty() && self.domains.is_empty() && self.groups.is_empty()
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_open() {
            return f.write_str("everybody for whom the upstream vouches");
        }
        let emails = match self.emails.len() {
            0 => None,
            1 => Some("one address".to_owned()),
            several => Some(format!("{several} addresses")),
        };
        let named =
            |what, names: &[String]| (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")));
        let all = [emails, named("people at", &self.domains), named("members of", &self.groups)];
        f.write_str(&all.into_iter().flatten().collect::<Vec<_>>().join("; "))
    }
}

/// One MCP server.
#[derive(Debug, Clone)]
pub struct ResourceConfig {
    /// Its canonical URL, the audience of its tokens.
    pub url: Resource,
    /// What the consent page calls it.
    pub name: Option<String>,
    /// The scopes it offers.
    pub scopes: Vec<ScopeConfig>,
    /// Where the gateway forwards to.
    pub upstream: Option<Url>,
    /// The credential with which it may call `/introspect`.
    pub introspection: Option<Introspection>,
    /// Whether a client that names no resource means this one.
    pub default: bool,
}

impl ResourceConfig {
    /// Its scopes, and which of them a client gets without asking: all, unless some are marked.
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
    /// The word in tokens and requests; valid by RFC 6749 section 3.3.
    pub name: String,
    /// What the consent page says of it.
    pub description: Option<String>,
    /// Whether a client gets it without asking.
    pub default: bool,
}

/// The credential of one resource server for `/introspect`.
#[derive(Debug, Clone)]
pub struct Introspection {
    /// Its client id, of `[A-Za-z0-9._~-]`.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
}

/// What holds for every loopback URL that a client names as a resource.
#[derive(Debug, Clone)]
pub struct LoopbackResources {
    /// What a client gets that asks for no scope; it gets any that it asks for.
    pub scopes: Vec<ScopeConfig>,
    /// The one credential of all of them.
    pub introspection: Introspection,
}

impl LoopbackResources {
    /// Whatever scope is asked for.
    #[must_use]
    pub fn offer(&self) -> ScopeOffer {
        ScopeOffer::Any { default: scope_of(&self.scopes) }
    }
}

fn scope_of<'a>(scopes: impl IntoIterator<Item = &'a ScopeConfig>) -> Scope {
    let words: Vec<&str> = scopes.into_iter().map(|scope| scope.name.as_str()).collect();
    Scope::parse(&words.join(" ")).unwrap_or_default()
}

/// Key material.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Under which everything at rest is sealed.
    pub sealing: KeyRing,
    /// Where they are kept, to be read again.
    pub sealing_place: SecretPlace,
    /// Which algorithm new signing keys are for.
    pub algorithm: SigningAlgorithm,
    /// How old a signing key becomes before the next one is made.
    pub rotation: Duration,
}

/// Where records live: all in one place, or some kinds elsewhere.
#[derive(Debug, Clone)]
pub struct Repositories {
    /// Whatever has no place of its own.
    pub main: RepositoryConfig,
    /// Clients, if elsewhere.
    pub clients: Option<RepositoryConfig>,
    /// Grants, if elsewhere.
    pub grants: Option<RepositoryConfig>,
    /// Signing keys, if elsewhere.
    pub keys: Option<RepositoryConfig>,
    /// What may be used once, if elsewhere.
    pub replays: Option<RepositoryConfig>,
}

impl Repositories {
    /// Every place, the main one first.
    pub fn all(&self) -> impl Iterator<Item = &RepositoryConfig> {
        let elsewhere = [&self.clients, &self.grants, &self.keys, &self.replays];
        std::iter::once(&self.main).chain(elsewhere.into_iter().flatten())
    }
}

/// A storage engine.
#[derive(Debug, Clone)]
pub enum RepositoryConfig {
    /// In memory: gone with the process.
    Memory,
    /// In one `SQLite` file.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// In `PostgreSQL`.
    Postgres(ServerConfig),
    /// In Redis or Valkey.
    Redis(ServerConfig),
    /// In Pangea Vault.
    Vault(VaultConfig),
}

impl RepositoryConfig {
    /// The value of `kind`.
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

/// A database server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where it is; may hold a password.
    pub url: Secret,
    /// The password, if it stands apart.
    pub password: Option<Secret>,
    /// A PEM file with the authorities to trust in place of the usual ones.
    pub ca_file: Option<PathBuf>,
    /// Connections at most.
    pub connections: u32,
    /// How long one request may take.
    pub timeout: Duration,
}

/// Pangea Vault.
#[derive(Debug, Clone)]
pub struct VaultConfig {
    /// The service, such as `https://vault.aws.us.pangea.cloud`.
    pub api_url: Url,
    /// The token as it was at start.
    pub token: Secret,
    /// The file to read it from again once Vault refuses it, if it came from a file.
    pub token_file: Option<PathBuf>,
    /// The folder for our items, `/a/b` without a slash at its end; empty for the root.
    pub folder: String,
    /// How long one request may take.
    pub timeout: Duration,
    /// For how long a value once read is believed.
    pub cache: Duration,
}

/// Client registration (RFC 7591).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Whether anybody may register.
    pub enabled: bool,
    /// How long a client is kept with which nobody has signed in.
    pub unused_lifetime: Duration,
    /// How many such clients are kept.
    pub max_unused: u32,
    /// How many bytes their records may have in total.
    pub max_unused_bytes: u32,
    /// How long a client is kept after its last grant has ended.
    pub idle_lifetime: Duration,
    /// Which private-use URI schemes a redirect URI may have (RFC 8252 section 7.1).
    pub private_use_schemes: PrivateUseSchemes,
    /// Hosts of redirect URIs that the consent page shows as known.
    pub trusted_redirect_hosts: Vec<String>,
}

/// Lifetimes, in whole seconds; access ≤ refresh ≤ grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Of an access token.
    pub access_lifetime: Duration,
    /// Of a refresh token that is not used.
    pub refresh_lifetime: Duration,
    /// How long a refresh token that was used gets the same answer again; zero means that using a
    /// token twice ends the grant.
    pub refresh_grace: Duration,
    /// Of a grant, from sign-in, whatever is refreshed.
    pub grant_lifetime: Duration,
    /// Of an authorization code.
    pub code_lifetime: Duration,
    /// What access tokens say of the person besides their id.
    pub claims: Vec<PersonClaim>,
}

/// How many requests one client address may make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// At `/authorize` and `/consent`.
    pub authorize: Rate,
    /// At `/token`.
    pub token: Rate,
    /// At `/register`.
    pub register: Rate,
    /// At `/introspect`.
    pub introspect: Rate,
    /// At `/revoke`.
    pub revoke: Rate,
    /// At `/pangea/callback`.
    pub callback: Rate,
    /// Failed client authentications, for each pair of client and address.
    pub failed_authentications: Rate,
}

/// A rate limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rate {
    /// How many requests a minute in the long run; at least 1.
    pub per_minute: u32,
    /// How many at once; at least 1.
    pub burst: u32,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How it is written.
    pub format: LogFormat,
    /// A filter in the notation of `tracing-subscriber`, such as `info,pangea_mcp_auth=debug`.
    pub level: String,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
