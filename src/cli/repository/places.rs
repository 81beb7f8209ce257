//! A repository that is named on the command line: a configuration file, or `sqlite:PATH`.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use crate::{
    cli::failure::{Exit, Failure},
    config::{
        self, Directories, Environment, KeyringError, Overrides, Repositories, RepositoryConfig, Source,
        SystemEnvironment,
    },
    daemon,
    repository::{Access, Repository},
};

/// Variables that say where records live, for the configured repository alone.
const REPOSITORY_VARIABLES: &str = "PANGEA_MCP_AUTH_REPOSITORY__";

/// The repositories of a place on the command line. Nothing of it is repeated in errors while it
/// may hold a password.
pub(super) fn repositories_at(place: &str, flag: &str) -> Result<Repositories, Failure> {
    if place.contains("://") {
        let message = format!(
            "{flag} is an address: it may hold a password, which everybody on this machine could read in the list of \
             processes"
        );
        let hint = format!(
            "write `kind` and `url` under `[repository]` into a file of mode 600, and give {flag} the file's name"
        );
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    if let Some(path) = place.strip_prefix("sqlite:") {
        let main = RepositoryConfig::Sqlite { path: PathBuf::from(path) };
        return Ok(Repositories { main, clients: None, grants: None, keys: None, replays: None });
    }
    let overrides = Overrides { allow_volatile: true, ..Overrides::default() };
    let source = Source { file: Some(place.into()), environment: &WithoutRepository, overrides, dev: None };
    config::load_repositories(&source)
        .map_err(|problems| Failure::new(Exit::Configuration, problems.to_string()))
}

/// What a repository on the command line is opened for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// To read from it.
    Read,
    /// To fill it; it is made where there is none.
    Fill,
    /// To see what filling it would come to.
    Rehearse,
}

impl Purpose {
    /// That of the target of a copy.
    pub(super) const fn target(dry_run: bool) -> Self {
        if dry_run { Self::Rehearse } else { Self::Fill }
    }
}

pub(super) async fn open(
    place: &Repositories,
    flag: &str,
    purpose: Purpose,
) -> Result<Arc<dyn Repository>, Failure> {
    if place.all().any(|place| matches!(place, RepositoryConfig::Memory)) {
        let message = format!("{flag} names a repository in memory, which only its daemon can see");
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(match purpose {
        Purpose::Read => daemon::open_repository_for(place, Access::ReadOnly).await?,
        Purpose::Fill => daemon::open_repository(place).await?,
        Purpose::Rehearse => daemon::rehearse_repository(place).await?,
    })
}

/// The surroundings of a file that is named: the variables that move the configured repository
/// elsewhere do not move this one.
struct WithoutRepository;

impl Environment for WithoutRepository {
    fn variables(&self) -> BTreeMap<String, String> {
        let mut variables = SystemEnvironment.variables();
        variables.retain(|name, _| !name.starts_with(REPOSITORY_VARIABLES));
        variables
    }

    fn keyring(&self, name: &str) -> Result<String, KeyringError> {
        SystemEnvironment.keyring(name)
    }

    fn directories(&self) -> Option<Directories> {
        SystemEnvironment.directories()
    }
}
