//! Opens the configured repository, even if other sections of the configuration are invalid.

use std::{path::PathBuf, sync::Arc};

use super::{
    Global,
    failure::{Exit, Failure},
    operator::operator,
    output::Output,
};
use crate::{
    audit::{Context, Event},
    clock::{Clock, SystemClock},
    config::{
        self, Config, DevDefaults, Environment, Introspection, Log, LoopbackResources, Overrides, Problems,
        Repositories, RepositoryConfig, ScopeConfig, Source, StandIn, SystemEnvironment,
    },
    daemon,
    flow::administration::Administration,
    repository::{Access, Repository},
    secret::{Sealer, Secret, SystemRandom},
    telemetry,
};

/// The stand-in's client. The stand-in listens on loopback only, so its secret protects nothing.
pub(super) const DEV_CLIENT: (&str, &str) =
    ("psa_standinstandinstandinstandinstand", "pck_standinstandinstandinstandinstand");
/// Client ID for introspection in development.
pub(super) const DEV_RESOURCE_SERVER: &str = "dev";
/// URL of the stand-in, for commands that do not use it.
const DEV_STAND_IN: &str = "http://localhost:8001";

/// The configured repository.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) repository: Arc<dyn Repository>,
    /// The whole configuration, if it is valid.
    pub(super) config: Result<Config, Problems>,
}

impl Connection {
    /// Opens the configured repository and prints its location, so that an operator does not mistake an empty
    /// repository for the right one. It never creates a repository. Problems in other sections are warnings:
    /// they must not keep an operator from revoking a token.
    pub(super) async fn open(global: &Global, output: &Output, access: Access) -> Result<Self, Failure> {
        let config = load(global);
        start_log(global, config.as_ref().ok());
        let repositories = match &config {
            Ok(config) => config.repository.clone(),
            Err(_) => load_repositories(global)?,
        };
        if repositories.all().any(|place| matches!(place, RepositoryConfig::Memory)) {
            let failure = Failure::new(
                Exit::Configuration,
                "repository.kind is \"memory\": only the daemon itself can see its records",
            );
            return Err(failure.hint("use another kind, such as \"sqlite\""));
        }
        let repository = daemon::open_repository_for(&repositories, access).await?;
        if let Err(problems) = &config {
            output.warn(&format!("the daemon does not start with this configuration:\n{problems}"));
        }
        tell_repository(output, &repositories);
        Ok(Self { repository, config })
    }

    pub(super) fn administration(&self) -> Administration {
        let random = Arc::new(SystemRandom);
        let sealer = self
            .config
            .as_ref()
            .ok()
            .map(|config| Sealer::with(&config.keys.sealing, SystemClock.now(), random));
        Administration::new(&self.repository, sealer, Arc::new(SystemClock)).used_by(operator())
    }

    /// The whole configuration, or every problem in it.
    pub(super) fn config(&self) -> Result<&Config, Failure> {
        self.config.as_ref().map_err(|problems| Failure::new(Exit::Configuration, problems.to_string()))
    }
}

/// Prints the location of the repository, except with `--quiet`.
pub(super) fn tell_repository(output: &Output, repositories: &Repositories) {
    output.note(&format!("repository: {}", daemon::describe(repositories)));
}

/// Starts the log of a command. It always contains the audit events, and other events only with `-v`.
pub(super) fn start_log(global: &Global, config: Option<&Config>) {
    let level = global.log_level().unwrap_or_else(|| "off,audit=info".to_owned());
    let format = config.map(|config| config.log.format).unwrap_or_default();
    telemetry::start(&Log { format, level });
}

/// Writes an operator's action that concerns more than one record to the audit log.
pub(super) fn audit(event: Event<'_>) {
    Context::of_operator(Some(&operator())).run(|| event.record());
}

pub(super) fn load(global: &Global) -> Result<Config, Problems> {
    config::load(&source(global))
}

/// Loads only the `[repository]` section.
pub(super) fn load_repositories(global: &Global) -> Result<Repositories, Failure> {
    config::load_repositories(&source(global))
        .map_err(|problems| Failure::new(Exit::Configuration, problems.to_string()))
}

pub(super) fn source(global: &Global) -> Source<'static> {
    let state_dir = global.dev.then(dev_state_dir).and_then(Result::ok);
    Source {
        file: global.config.clone(),
        environment: &SystemEnvironment,
        // A repository in memory gets its own error message.
        overrides: Overrides { allow_volatile: true, ..Overrides::default() },
        // Only `serve` creates missing files.
        dev: state_dir.map(|state_dir| DevDefaults { random: None, ..dev_defaults(state_dir, DEV_STAND_IN) }),
    }
}

/// Defaults of `--dev`.
pub(super) fn dev_defaults(state_dir: PathBuf, stand_in_url: &str) -> DevDefaults<'static> {
    DevDefaults {
        state_dir,
        stand_in: StandIn {
            issuer_url: stand_in_url.to_owned(),
            client_id: DEV_CLIENT.0.to_owned(),
            client_secret: Secret::new("stand-in client secret", DEV_CLIENT.1.to_owned()),
            scopes: vec!["user".to_owned()],
        },
        any_loopback_resource: LoopbackResources {
            scopes: vec![ScopeConfig { name: "user".to_owned(), description: None, default: false }],
            introspection: Introspection {
                client_id: DEV_RESOURCE_SERVER.to_owned(),
                client_secret: Secret::new("introspection secret", String::new()),
            },
        },
        random: Some(&SystemRandom),
    }
}

pub(super) fn dev_state_dir() -> Result<PathBuf, Failure> {
    let state_dir = SystemEnvironment.directories().map(|directories| directories.state.join("dev"));
    state_dir.ok_or_else(|| {
        Failure::new(Exit::Configuration, "no state directory is known: set HOME or XDG_STATE_HOME")
    })
}
