//! `serve`: runs the daemon until a signal stops it.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind},
};
use tokio_util::sync::CancellationToken;

use super::{
    Global,
    connection::{DEV_CLIENT, DEV_RESOURCE_SERVER, dev_defaults, dev_state_dir},
    failure::{Exit, Failure},
    output,
};
use crate::{
    clock::{Clock, SystemClock},
    config::{
        self, Config, Directories, Environment, FromEnvironment, Overrides, RepositoryConfig, Source,
        SystemEnvironment,
    },
    daemon,
    dev::{StandIn, StandInConfig},
    secret::{Random, Sealer, Secret, SystemRandom},
    telemetry::{self, Metrics},
};

/// Run the server.
///
/// It reads the configuration file of --config, by default config.toml in the platform's configuration
/// directory. `serve --example-config` prints an annotated example.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth serve --dev
  pangea-mcp-auth serve --example-config > config.toml
  pangea-mcp-auth serve --config config.toml")]
pub(super) struct Serve {
    /// Address to listen on.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Address on which the stand-in for Pangea listens.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8001", requires = "dev")]
    dev_listen: SocketAddr,
    /// Sign this user in at the stand-in without asking.
    #[arg(long, value_name = "EMAIL", requires = "dev")]
    dev_sign_in_as: Option<String>,
    /// Accept `repository.kind = "memory"`, which loses all records when the daemon stops.
    #[arg(long)]
    allow_volatile: bool,
    /// Print an annotated configuration file and exit.
    #[arg(long)]
    example_config: bool,
}

/// What runs next to the daemon in development.
struct Development {
    stand_in: TcpListener,
    stand_in_url: String,
    /// Bound early if the port is 0, because the public URL contains the port.
    listener: Option<TcpListener>,
    state_dir: PathBuf,
}

impl Serve {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        if self.example_config {
            output::print(config::EXAMPLE);
            return Ok(());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot start the async runtime: {error}"))
        })?;
        runtime.block_on(self.serve(global))
    }

    async fn serve(&self, global: &Global) -> Result<(), Failure> {
        let mut development = if global.dev { Some(self.prepare_development().await?) } else { None };
        let (mut config, file) = self.configure(global, development.as_ref())?;
        telemetry::start(&config.log);
        daemon::prepare_process();
        stay_on_hangup()?;
        if let Some(any) = &mut config.any_loopback_resource {
            let sealer = Sealer::new(config.keys.sealing.oldest(), Arc::new(SystemRandom));
            let secret = format!("mcp_cs_{}", sealer.derive(&["introspection in development"]));
            any.introspection.client_secret = Secret::new("introspection secret", secret);
        }
        let early = development.as_mut().and_then(|development| development.listener.take());
        let listeners = listen(&config, early, global.dev).await?;
        let admin_listener = match config.admin_listen {
            Some(address) => Some(daemon::listen(address).await?),
            None => None,
        };
        let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) =
            (Arc::new(SystemClock), Arc::new(SystemRandom));
        let stand_in = development
            .as_ref()
            .map(|development| self.stand_in(&config, development, Arc::clone(&clock), Arc::clone(&random)))
            .transpose()?;
        let assembled = match SystemEnvironment.directories() {
            Some(Directories { state, .. }) => daemon::assemble_in(&state, &config, clock, random).await?,
            None => daemon::assemble(&config, clock, random).await?,
        };
        // From here on this process may hold write leases: it must not leave without releasing them.
        let stop = CancellationToken::new();
        if let Err(failure) = stop_on_signals(&stop) {
            assembled.abandon().await;
            return Err(failure);
        }
        tell_of_configuration(&config, global.dev);
        let metrics = Arc::new(Metrics::default());
        if let Some(listener) = admin_listener {
            let admin = daemon::admin_router(Arc::clone(&metrics), assembled.health.clone());
            tokio::spawn(daemon::serve(vec![listener], admin, stop.clone()));
        }
        let stand_in_url = development.as_ref().map(|development| development.stand_in_url.clone());
        if let (Some(development), Some(stand_in)) = (development, stand_in) {
            tokio::spawn(daemon::serve(vec![development.stand_in], stand_in.router(), stop.clone()));
        }
        let server = Arc::clone(&assembled.server);
        let ready = async {
            match stand_in_url {
                Some(stand_in_url) => output::print(&banner(&config, &stand_in_url)),
                None => say_ready(&config, file.as_deref()),
            }
            warn_of_gaps(&config, global.dev);
            match server.repository_warnings().await {
                Ok(warnings) => warnings.iter().for_each(|warning| tracing::warn!("{warning}")),
                Err(error) => tracing::warn!(%error, "cannot read the settings of the repository"),
            }
        };
        daemon::run_then(assembled, listeners, metrics, stop, ready).await;
        Ok(())
    }

    /// The configuration and its file.
    fn configure(
        &self,
        global: &Global,
        development: Option<&Development>,
    ) -> Result<(Config, Option<PathBuf>), Failure> {
        let bound = development.and_then(|development| development.listener.as_ref()?.local_addr().ok());
        let overrides = Overrides {
            listen: bound.map(|address| address.to_string()).or_else(|| self.listen.clone()),
            log_level: global.log_level(),
            allow_volatile: self.allow_volatile,
        };
        let dev = development
            .map(|development| dev_defaults(development.state_dir.clone(), &development.stand_in_url));
        let source = Source { file: global.config.clone(), environment: &SystemEnvironment, overrides, dev };
        let survey = config::survey(&source);
        let whole = survey.whole;
        let config = whole.map_err(|problems| Failure::new(Exit::Configuration, problems.to_string()))?;
        Ok((config, survey.file.filter(|file| file.exists())))
    }

    async fn prepare_development(&self) -> Result<Development, Failure> {
        if !self.dev_listen.ip().is_loopback() {
            let message = format!(
                "--dev-listen {} is not a loopback address: anyone can sign in at the stand-in",
                self.dev_listen
            );
            return Err(Failure::new(Exit::Usage, message));
        }
        let open_port = self.listen.as_ref().and_then(|listen| listen.parse::<SocketAddr>().ok());
        let listener = match open_port.filter(|address| address.port() == 0 && address.ip().is_loopback()) {
            Some(address) => Some(daemon::listen(address).await?),
            None => None,
        };
        let stand_in = daemon::listen(self.dev_listen).await?;
        let port = stand_in.local_addr().map_or(self.dev_listen.port(), |address| address.port());
        let state_dir = dev_state_dir()?;
        Ok(Development { stand_in, stand_in_url: format!("http://localhost:{port}"), listener, state_dir })
    }

    fn stand_in(
        &self,
        config: &Config,
        development: &Development,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<StandIn, Failure> {
        let port = development.stand_in_url.rsplit(':').next().unwrap_or_default();
        let stand_in = StandInConfig {
            issuer: development.stand_in_url.clone(),
            client_id: DEV_CLIENT.0.to_owned(),
            client_secret: DEV_CLIENT.1.to_owned(),
            redirect_uris: vec![config.redirect_uri()],
            scopes: vec!["user".to_owned(), "openid".to_owned()],
            default_scopes: vec!["user".to_owned()],
            sign_in_as: self.dev_sign_in_as.clone(),
            state_file: Some(development.state_dir.join(format!("stand-in-{port}.json"))),
        };
        StandIn::new(stand_in, clock, random)
            .map_err(|error| Failure::new(Exit::Failed, format!("cannot start the stand-in: {error}")))
    }
}

/// Binds every configured address; in development also the other loopback address family, because `localhost`
/// may resolve to either.
async fn listen(config: &Config, early: Option<TcpListener>, dev: bool) -> Result<Vec<TcpListener>, Failure> {
    let mut listeners = Vec::from_iter(early);
    if listeners.is_empty() {
        for address in &config.listen {
            listeners.push(daemon::listen(*address).await?);
        }
    }
    if dev && let Some(address) = listeners.first().and_then(|listener| listener.local_addr().ok()) {
        let other: std::net::IpAddr = if address.is_ipv4() {
            std::net::Ipv6Addr::LOCALHOST.into()
        } else {
            std::net::Ipv4Addr::LOCALHOST.into()
        };
        listeners.extend(daemon::listen(SocketAddr::new(other, address.port())).await);
    }
    Ok(listeners)
}

/// The first signal lets requests in flight finish; the second exits at once.
fn stop_on_signals(stop: &CancellationToken) -> Result<(), Failure> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signal = hear(kind)?;
        let stop = stop.clone();
        tokio::spawn(async move {
            while signal.recv().await.is_some() {
                if stop.is_cancelled() {
                    std::process::exit(130);
                }
                stop.cancel();
                tracing::info!("stopping; a second signal exits at once");
            }
        });
    }
    Ok(())
}

/// Logs which variables set a value, never the values, and who may sign in.
fn tell_of_configuration(config: &Config, dev: bool) {
    for FromEnvironment { variable, key, instead_of } in &config.from_environment {
        if let Some(place) = instead_of {
            tracing::info!(variable, key, file = %place, "the environment overrides the file");
        } else {
            tracing::info!(variable, key, "the environment sets this value");
        }
    }
    let access = &config.access;
    if dev {
        tracing::debug!(%access, "who may sign in");
    } else if access.everybody && !config.says_everybody {
        tracing::warn!(%access, "who may sign in: there is no [access] section");
    } else {
        tracing::info!(%access, "who may sign in");
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
}

/// SIGHUP must not end a daemon.
fn stay_on_hangup() -> Result<(), Failure> {
    let mut hangups = hear(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            tracing::info!("SIGHUP is ignored; restart the daemon to apply a changed configuration");
        }
    });
    Ok(())
}

fn hear(signal: SignalKind) -> Result<Signal, Failure> {
    tokio::signal::unix::signal(signal)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot listen for signals: {error}")))
}

/// Logs what runs. URLs of databases may contain passwords, so only their kind is logged.
fn say_ready(config: &Config, file: Option<&Path>) {
    let kinds: BTreeSet<&str> = config.repository.all().map(RepositoryConfig::kind).collect();
    let listen: Vec<String> = config.listen.iter().map(ToString::to_string).collect();
    tracing::info!(
        public_url = %config.public_url,
        listen = listen.join(","),
        version = super::version(),
        config = file.map(|file| tracing::field::display(file.display())),
        repository = Vec::from_iter(kinds).join(","),
        upstream = %config.authn.issuer_url,
        "ready"
    );
}

/// Warns of settings that have no effect, or a surprising one.
fn warn_of_gaps(config: &Config, dev: bool) {
    for resource in config.resources.iter().filter(|resource| resource.upstream.is_some()) {
        tracing::warn!(resource = %resource.url, "resources.upstream is ignored: this version has no gateway");
    }
    let local = config.listen.iter().all(|address| address.ip().is_loopback());
    if config.public_url.is_https() && local && config.trusted_proxies.is_empty() {
        tracing::warn!(
            "trusted_proxies is empty: behind a reverse proxy all requests have the same address, so rate limits do not apply"
        );
    }
    let volatile = config.repository.all().any(|place| matches!(place, RepositoryConfig::Memory));
    if volatile && !dev {
        tracing::warn!("the repository is in memory: all records are lost when the daemon stops");
    }
}

/// What a developer needs, ready to paste.
fn banner(config: &Config, stand_in: &str) -> String {
    let issuer = &config.issuer;
    let secret =
        config.any_loopback_resource.as_ref().map_or("", |any| any.introspection.client_secret.expose());
    format!(
        r#"pangea-mcp-auth in development mode: only on this machine, and anyone can sign in.

  authorization server   {issuer}
  stand-in for Pangea    {stand_in}

Protect a FastMCP server on port 9000 with these lines:

  auth = RemoteAuthProvider(
      JWTVerifier(jwks_uri="{url}/jwks.json", issuer="{issuer}",
                  audience="http://localhost:9000/mcp", algorithm="ES256"),
      authorization_servers=["{issuer}"], base_url="http://localhost:9000")

Credentials for token introspection (POST {url}/introspect):

  client_id={DEV_RESOURCE_SERVER} client_secret={secret}

Stop with Ctrl-C.
"#,
        url = config.public_url,
    )
}
