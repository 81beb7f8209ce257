//! From the command line to an open repository, whatever else is wrong with the configuration.

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

/// The client that the stand-in knows; it listens on loopback only, so its secret guards nothing.
pub(super) const DEV_CLIENT: (&str, &str) =
    ("psa_standinstandinstandinstandinstand", "pck_standinstandinstandinstandinstand");
/// The name of the one introspection credential in development.
pub(super) const DEV_RESOURCE_SERVER: &str = "dev";
/// Where the stand-in is, for commands that do not talk to it.
const DEV_STAND_IN: &str = "http://localhost:8001";

/// A repository as the configuration names it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) repository: Arc<dyn Repository>,
    /// All of the configuration, if it is valid.
    pub(super) config: Result<Config, Problems>,
}

impl Connection {
    /// Opens the configured repository, and says which one it is: an operator must not take the emptiness
    /// of another one for an all-clear. It is never made here. Problems in other sections are warnings, so
    /// that they do not keep an operator from revoking a token.
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
                "repository.kind is \"memory\": its records are in the daemon and cannot be seen from here",
            );
            return Err(failure.hint("choose another kind, such as \"sqlite\""));
        }
        let repository = daemon::open_repository_for(&repositories, access).await?;
        if let Err(problems) = &config {
            output.warn(&format!("the daemon would not start with this configuration:\n{problems}"));
        }
        tell_repository(output, &repositories);
        Ok(Self { repository, config })
    }

    /// Clients and grants, in our hands.
    pub(super) fn administration(&self) -> Administration {
        let random = Arc::new(SystemRandom);
        let sealer = self
            .config
            .as_ref()
            .ok()
            .map(|config| Sealer::with(&config.keys.sealing, SystemClock.now(), random));
        Administration::new(&self.repository, sealer, Arc::new(SystemClock)).used_by(operator())
    }

    /// The whole configuration, for what cannot be done without it.
    pub(super) fn config(&self) -> Result<&Config, Failure> {
        self.config.as_ref().map_err(|problems| Failure::new(Exit::Configuration, problems.to_string()))
    }
}

/// Says which repository the configuration names, unless only ids are wanted.
pub(super) fn tell_repository(output: &Output, repositories: &Repositories) {
    output.note(&format!("repository: {}", daemon::describe(repositories)));
}

/// Starts the log of a command. What an operator does is always logged, in the target `audit`; all else with -v.
pub(super) fn start_log(global: &Global, config: Option<&Config>) {
    let level = global.log_level().unwrap_or_else(|| "off,audit=info".to_owned());
    let format = config.map(|config| config.log.format).unwrap_or_default();
    telemetry::start(&Log { format, level });
}

/// Writes what this operator did with more than single records to the audit log.
pub(super) fn audit(event: Event<'_>) {
    Context::of_operator(Some(&operator())).run(|| event.record());
}

/// The configuration of this command line.
pub(super) fn load(global: &Global) -> Result<Config, Problems> {
    config::load(&source(global))
}

/// Where its records live, and nothing else.
pub(super) fn load_repositories(global: &Global) -> Result<Repositories, Failure> {
    config::load_repositories(&source(global))
        .map_err(|problems| Failure::new(Exit::Configuration, problems.to_string()))
}

/// Where the configuration of this command line comes from.
pub(super) fn source(global: &Global) -> Source<'static> {
    let state_dir = global.dev.then(dev_state_dir).and_then(Result::ok);
    Source {
        file: global.config.clone(),
        environment: &SystemEnvironment,
        // A repository in memory is told about by name.
        overrides: Overrides { allow_volatile: true, ..Overrides::default() },
        // Only `serve` makes what development lacks.
        dev: state_dir.map(|state_dir| DevDefaults { random: None, ..dev_defaults(state_dir, DEV_STAND_IN) }),
    }
}

/// What `--dev` puts in the place of missing keys.
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

/// Where development keeps its files.
pub(super) fn dev_state_dir() -> Result<PathBuf, Failure> {
    let state_dir = SystemEnvironment.directories().map(|directories| directories.state.join("dev"));
    state_dir.ok_or_else(|| {
        Failure::new(Exit::Configuration, "there is no state directory: set HOME or XDG_STATE_HOME")
    })
}
