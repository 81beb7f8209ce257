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

/// Prefix of the variables that configure the repository.
const REPOSITORY_VARIABLES: &str = "PANGEA_MCP_AUTH_REPOSITORY__";

/// The repositories of a place on the command line. Nothing of it is repeated in errors while it
/// may hold a password.
pub(super) fn repositories_at(place: &str, flag: &str) -> Result<Repositories, Failure> {
    if place.contains("://") {
        let message = format!(
            "{flag} is a URL: it may contain a password, which every user of this machine could read in the process list"
        );
        let hint = format!(
            "write `kind` and `url` under `[repository]` in a file of mode 600, and use {flag} with that file"
        );
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    if let Some(path) = place.strip_prefix("sqlite:") {
        return Ok(RepositoryConfig::Sqlite { path: PathBuf::from(path) }.into());
    }
    let overrides = Overrides { allow_volatile: true, ..Overrides::default() };
    let source = Source { file: Some(place.into()), environment: &WithoutRepository, overrides, dev: None };
    config::load_repositories(&source)
        .map_err(|problems| Failure::new(Exit::Configuration, problems.to_string()))
}

/// What a command does with a repository.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Read,
    /// Creates the repository if it does not exist.
    Fill,
    /// A dry run of `Fill`.
    Rehearse,
}

impl Purpose {
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
        let message = format!("{flag} names a repository in memory, which only the daemon itself can access");
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(match purpose {
        Purpose::Read => daemon::open_repository_for(place, Access::ReadOnly).await?,
        Purpose::Fill => daemon::open_repository(place).await?,
        Purpose::Rehearse => daemon::rehearse_repository(place).await?,
    })
}

/// The environment for a file that the command line names: variables that configure the repository do not
/// apply to it.
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
