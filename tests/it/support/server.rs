//! An authorization server and its upstream, in this process.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use pangea_mcp_auth::{
    clock::{Clock, ManualClock, SystemClock},
    config::{self, Config, Directories, Environment, KeyringError},
    daemon::{self, Assembled, Lease},
    dev::{SERVICE_TOKEN, StandInConfig},
    flow::AuthorizationServer,
    repository::Repository,
    sealing::SealingWatch,
    secret::SystemRandom,
};
use reqwest::{RequestBuilder, Response};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::stage::{Stage, VAULT_TOKEN};

/// What is different from the usual server.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Path of the public URL, such as `/tenant1`.
    pub path: &'static str,
    /// The public origin, such as `https://auth.example.org`, as with a TLS proxy in front. The server itself
    /// listens on loopback, and a [`Browser::of`] it goes there.
    ///
    /// [`Browser::of`]: super::Browser::of
    pub public: Option<&'static str>,
    /// More lines for the top of the configuration file, before the first section.
    pub top: &'static str,
    /// More sections.
    pub sections: &'static str,
    /// Replaces the `[[resources]]`; `{origin}` stands for the server's own origin.
    pub resources: Option<&'static str>,
    /// Lines for `[authn]`; `{upstream}` stands for the upstream's URL.
    pub authn: &'static str,
    /// Lines for `[keys]`.
    pub keys: &'static str,
    /// A file with the sealing keys, next to the database; a variable otherwise.
    pub sealing_file: Option<&'static str>,
    /// A folder to keep the database in; a fresh one otherwise.
    pub folder: Option<Arc<TempDir>>,
    /// Replaces the lines of `[repository]`, which name the database; `{upstream}` stands for the
    /// upstream's URL.
    pub storage: Option<&'static str>,
    /// A repository to use in place of the database.
    pub repository: Option<Arc<dyn Repository>>,
}

/// For [`Options::resources`]: two of them, the first being the default.
pub const TWO_RESOURCES: &str = r#"
[[resources]]
url = "{origin}/mcp"
scopes = ["user"]
introspection = { client_id = "rs-1", client_secret = { env = "RS_SECRET" } }
default = true
[[resources]]
url = "{origin}/other"
scopes = ["user"]
introspection = { client_id = "rs-2", client_secret = { env = "RS2_SECRET" } }
"#;

/// A running server.
pub struct Server {
    /// Public URL and issuer, without a slash at its end.
    pub url: String,
    /// Scheme, host and port.
    pub origin: String,
    /// The URL at which the server is reached. It differs from the public URL only behind a proxy.
    pub local: String,
    /// The one resource, unless the options say otherwise.
    pub resource: String,
    /// Stands still.
    pub clock: Arc<ManualClock>,
    /// The upstream.
    pub upstream: Stage,
    /// Where the upstream is.
    pub upstream_url: String,
    #[expect(clippy::struct_field_names, reason = "it is what the others call it")]
    /// The server behind HTTP.
    pub server: Arc<AuthorizationServer>,
    /// Follows no redirect and keeps no cookie.
    pub http: reqwest::Client,
    /// Where the database is.
    pub folder: Arc<TempDir>,
    /// What `[keys]` and all else came to.
    pub config: Config,
    /// Where the sealing keys are read again.
    pub sealing: SealingWatch,
    /// Where records live, if not in the database.
    pub repository: Option<Arc<dyn Repository>>,
    /// The routes for health checks alone.
    pub health: axum::Router,
    /// The write leases of single-writer repositories. Only [`Server::renew_leases`] renews them.
    pub leases: tokio::sync::Mutex<Vec<Lease>>,
    configuration: String,
    stop: CancellationToken,
}

/// The secret of the resource server `rs-1`.
pub const RS_SECRET: &str = "rs-1-secret-of-more-than-32-characters";
/// The secret of the resource server `rs-2`.
pub const RS2_SECRET: &str = "rs-2-secret-of-more-than-32-characters";
const PANGEA: (&str, &str) = ("psa_test", "pck_test");

impl Server {
    /// The usual server.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// A server with other options.
    pub async fn with(options: Options) -> Self {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        Self::at(options, clock).await
    }

    /// A server with other options and a clock that may be another server's.
    pub async fn at(options: Options, clock: Arc<ManualClock>) -> Self {
        let (listener, upstream_listener) = (bind().await, bind().await);
        let port = listener.local_addr().unwrap().port();
        let listening = format!("http://127.0.0.1:{port}");
        let local = format!("{listening}{}", options.path);
        let origin = options.public.map_or(listening, str::to_owned);
        let url = format!("{origin}{}", options.path);
        let upstream_url = format!("http://127.0.0.1:{}", upstream_listener.local_addr().unwrap().port());
        let folder = options.folder.clone().unwrap_or_else(|| Arc::new(tempfile::tempdir().unwrap()));
        let resource = format!("{origin}/mcp");
        let text = configuration(&options, &url, &origin, &upstream_url, folder.path());
        let config = config::parse(&text, &folder.path().join("config.toml"), &Surroundings)
            .unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        let random = Arc::new(SystemRandom);
        let repository = options.repository.clone();
        let upstream = Stage::new(
            StandInConfig {
                issuer: upstream_url.clone(),
                client_id: PANGEA.0.to_owned(),
                client_secret: PANGEA.1.to_owned(),
                redirect_uris: vec![config.redirect_uri()],
                scopes: vec!["user".to_owned(), "openid".to_owned()],
                default_scopes: vec!["user".to_owned()],
                sign_in_as: Some("ada@example.com".to_owned()),
                state_file: None,
            },
            clock.clone(),
            random,
        );
        let stop = CancellationToken::new();
        tokio::spawn(daemon::serve(vec![upstream_listener], upstream.router(), stop.clone()));
        // The repository may be the upstream's Vault.
        let assembled = assemble(&config, repository.clone(), clock.clone()).await;
        tokio::spawn(daemon::serve(vec![listener], assembled.router, stop.clone()));
        let (http, server) = (http(), assembled.server);
        let configuration = text;
        let (sealing, leases, health) = (assembled.sealing, assembled.leases.into(), assembled.health);
        Self {
            url,
            origin,
            local,
            resource,
            clock,
            upstream,
            upstream_url,
            server,
            http,
            folder,
            config,
            sealing,
            repository,
            health,
            leases,
            configuration,
            stop,
        }
    }

    /// Another process of the same installation: one configuration, database, clock and upstream.
    /// It listens at an address of its own and knows nothing but what is stored.
    pub async fn twin(&self) -> Self {
        self.twin_at(Arc::clone(&self.clock)).await
    }

    /// The same with a clock of its own.
    pub async fn twin_at(&self, clock: Arc<ManualClock>) -> Self {
        let listener = bind().await;
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let url = self.url.replace(&self.origin, &origin);
        let config =
            config::parse(&self.configuration, &self.folder.path().join("config.toml"), &Surroundings)
                .unwrap();
        let assembled = assemble(&config, self.repository.clone(), clock.clone()).await;
        let stop = CancellationToken::new();
        tokio::spawn(daemon::serve(vec![listener], assembled.router, stop.clone()));
        Self {
            local: url.clone(),
            url,
            origin,
            resource: self.resource.clone(),
            clock,
            upstream: self.upstream.clone(),
            upstream_url: self.upstream_url.clone(),
            server: assembled.server,
            http: http(),
            folder: Arc::clone(&self.folder),
            config,
            sealing: assembled.sealing,
            repository: self.repository.clone(),
            health: assembled.health,
            leases: assembled.leases.into(),
            configuration: self.configuration.clone(),
            stop,
        }
    }

    /// Renews the write leases, as a daemon does every 30 seconds. Returns whether it holds all of them.
    pub async fn renew_leases(&self) -> bool {
        let mut has_all = true;
        for lease in &mut *self.leases.lock().await {
            has_all &= lease.renew().await.unwrap().is_none();
        }
        has_all
    }

    /// The grants as they are stored.
    pub fn stored_grants(&self) -> Vec<serde_json::Value> {
        let database = rusqlite::Connection::open(self.folder.path().join("test.sqlite")).unwrap();
        // The number of grants in the file format.
        let mut query = database.prepare("SELECT value FROM record WHERE kind = 2").unwrap();
        let values = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
        values.map(|value| serde_json::from_str(&value.unwrap()).unwrap()).collect()
    }

    /// Removes the grants from the database.
    pub fn forget_grants(&self) {
        let database = rusqlite::Connection::open(self.folder.path().join("test.sqlite")).unwrap();
        database.execute("DELETE FROM record WHERE kind = 2", []).unwrap();
    }

    /// Every byte of the database files, as text.
    pub fn database_text(&self) -> String {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path());
        files.map(|file| String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned()).collect()
    }

    /// Moves the clock.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// `GET` below the public URL.
    pub async fn get(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.local)).send().await.unwrap()
    }

    /// A form for `POST` below the public URL, to be changed and sent.
    pub fn form(&self, path: &str, pairs: &[(&str, &str)]) -> RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let request = self.http.post(format!("{}{path}", self.local));
        request.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    /// A JSON body for `POST` below the public URL.
    pub fn json(&self, path: &str, body: &serde_json::Value) -> RequestBuilder {
        let request = self.http.post(format!("{}{path}", self.local));
        request.header("content-type", "application/json").body(body.to_string())
    }

    /// What introspection says of a token, as the resource server `rs-1` sees it.
    pub async fn introspect(&self, token: &str) -> serde_json::Value {
        let response = self.form("/introspect", &[("token", token)]).basic_auth("rs-1", Some(RS_SECRET));
        let response = response.send().await.unwrap();
        assert_eq!(response.status(), 200);
        body(response).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A JSON body.
pub async fn body(response: Response) -> serde_json::Value {
    let text = response.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A client that follows no redirect and keeps no cookie.
#[expect(clippy::disallowed_methods, reason = "the other end of the wire")]
pub fn http() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

async fn assemble(
    config: &Config,
    repository: Option<Arc<dyn Repository>>,
    clock: Arc<ManualClock>,
) -> Assembled {
    let random = Arc::new(SystemRandom);
    let assembled = match repository {
        Some(repository) => daemon::assemble_with(config, repository, clock, random).await,
        None => daemon::assemble(config, clock, random).await,
    };
    assembled.expect("a server")
}

async fn bind() -> tokio::net::TcpListener {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn configuration(options: &Options, url: &str, origin: &str, upstream: &str, folder: &Path) -> String {
    let resources = options.resources.unwrap_or(
        r#"
[[resources]]
url = "{origin}/mcp"
scopes = ["user", { name = "admin", description = "Change things" }]
introspection = { client_id = "rs-1", client_secret = { env = "RS_SECRET" } }
"#,
    );
    let database = format!("kind = \"sqlite\"\npath = \"{}\"", folder.join("test.sqlite").display());
    let storage = options.storage.map(|lines| lines.replace("{upstream}", upstream));
    format!(
        r#"public_url = "{url}"
listen = "127.0.0.1:0"
{top}
[authn]
issuer_url = "{upstream}"
client_id = "{client}"
client_secret = {{ env = "PANGEA_SECRET" }}
scopes = ["user"]
{authn}
{resources}
[keys]
sealing = {{ {sealing} }}
{keys}
[repository]
{storage}
{sections}
"#,
        top = options.top,
        client = PANGEA.0,
        authn = options.authn.replace("{upstream}", upstream),
        keys = options.keys,
        sealing = options
            .sealing_file
            .map_or("env = \"SEALING_KEY\"".to_owned(), |name| format!("file = \"{name}\"")),
        resources = resources.replace("{origin}", origin),
        storage = storage.unwrap_or(database),
        sections = options.sections,
    )
}

/// Secrets for the configuration, and nothing of this machine.
#[derive(Debug)]
pub struct Surroundings;

impl Environment for Surroundings {
    fn variables(&self) -> BTreeMap<String, String> {
        let pairs = [
            ("PANGEA_SECRET", PANGEA.1),
            ("RS_SECRET", RS_SECRET),
            ("RS2_SECRET", RS2_SECRET),
            ("SERVICE_TOKEN", SERVICE_TOKEN),
            ("VAULT_TOKEN", VAULT_TOKEN),
            ("SEALING_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    fn keyring(&self, _name: &str) -> Result<String, KeyringError> {
        Err(KeyringError::NoEntry)
    }

    fn directories(&self) -> Option<Directories> {
        None
    }
}
