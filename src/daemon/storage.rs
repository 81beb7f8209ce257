//! Opens the configured repository.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf, absolute},
    sync::Arc,
};

use super::{StartError, one_writer::OneWriter, original_clients::OriginalClients};
use crate::{
    clock::{Clock, SystemClock},
    config::{self, Repositories, RepositoryConfig, VaultConfig},
    fetch::Fetch,
    repository::{
        Access, Atomicity, MemoryRepository, PostgresRepository, RedisRepository, Repository,
        RepositoryError, RoutedRepository, SqliteRepository, TokenSource, VaultRepository, VaultSettings,
    },
    secret::{Secret, SystemRandom},
};

/// A repository for a daemon, and its parts that need a write lease.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) repository: Arc<dyn Repository>,
    pub(super) writers: Vec<Arc<OneWriter>>,
}

/// How to open each storage engine.
struct Way<'a> {
    access: Access,
    /// Whether a missing repository counts as empty.
    is_absent_empty: bool,
    /// Wraps the engine, for example in a guard.
    front: &'a mut (dyn FnMut(Arc<dyn Repository>) -> Arc<dyn Repository> + Send),
}

/// Opens the configured repository, and creates it if it does not exist.
///
/// # Errors
///
/// If it cannot be used; the message says what to change.
pub async fn open_repository(repositories: &Repositories) -> Result<Arc<dyn Repository>, StartError> {
    open_repository_for(repositories, Access::Create).await
}

/// Opens the configured repository for `access`.
pub(crate) async fn open_repository_for(
    repositories: &Repositories,
    access: Access,
) -> Result<Arc<dyn Repository>, StartError> {
    let mut front =
        |engine: Arc<dyn Repository>| if access == Access::ReadOnly { unwritable(engine) } else { engine };
    open_all(repositories, &mut Way { access, is_absent_empty: false, front: &mut front }).await
}

/// Opens the target of a dry run: it is read-only, and counts as empty if it does not exist.
pub(crate) async fn rehearse_repository(
    repositories: &Repositories,
) -> Result<Arc<dyn Repository>, StartError> {
    let mut way = Way { access: Access::ReadOnly, is_absent_empty: true, front: &mut unwritable };
    open_all(repositories, &mut way).await
}

/// A read-only repository: its lease is never taken.
fn unwritable(engine: Arc<dyn Repository>) -> Arc<dyn Repository> {
    Arc::new(OneWriter::new(engine, Arc::new(SystemClock)))
}

/// The kind and location of each repository for people, without users and passwords.
pub(crate) fn describe(repositories: &Repositories) -> String {
    let Repositories { main, elsewhere } = repositories;
    elsewhere
        .iter()
        .fold(place(main), |text, (kind, config)| format!("{text}; {}s in {}", kind.as_str(), place(config)))
}

fn place(config: &RepositoryConfig) -> String {
    // An invalid URL also fails to open, and that error explains it.
    let named = |kind: &str, place: Result<String, RepositoryError>| {
        place.map_or_else(|_| kind.to_owned(), |place| format!("{kind} ({place})"))
    };
    match config {
        RepositoryConfig::Memory => "memory".to_owned(),
        RepositoryConfig::Sqlite { path } => {
            format!("sqlite {}", absolute(path).as_ref().unwrap_or(path).display())
        }
        RepositoryConfig::Postgres(server) => named("postgres", server.place()),
        RepositoryConfig::Redis(server) => named("redis", server.place()),
        RepositoryConfig::Vault(vault) => {
            let (origin, folder) = (vault.api_url.origin().ascii_serialization(), &vault.folder);
            format!("vault ({origin}, folder {})", if folder.is_empty() { "/" } else { folder })
        }
    }
}

/// Opens the configured repository for a daemon; single-writer engines are guarded by a lease.
pub(super) async fn open_for_daemon(
    repositories: &Repositories,
    clock: &Arc<dyn Clock>,
) -> Result<Opened, StartError> {
    let mut writers = Vec::new();
    let mut front = |engine: Arc<dyn Repository>| guarded(engine, clock, &mut writers);
    let mut way = Way { access: Access::Create, is_absent_empty: false, front: &mut front };
    let repository = open_all(repositories, &mut way).await?;
    Ok(Opened { repository, writers })
}

/// Guards a single-writer engine, and adds it to `writers`. Other engines are returned as they are.
pub(super) fn guarded(
    engine: Arc<dyn Repository>,
    clock: &Arc<dyn Clock>,
    writers: &mut Vec<Arc<OneWriter>>,
) -> Arc<dyn Repository> {
    if engine.atomicity() == Atomicity::Shared {
        return engine;
    }
    let writer = Arc::new(OneWriter::new(engine, Arc::clone(clock)));
    writers.push(Arc::clone(&writer));
    writer
}

async fn open_all(repositories: &Repositories, way: &mut Way<'_>) -> Result<Arc<dyn Repository>, StartError> {
    let main = open_or_empty("repository", &repositories.main, way).await?;
    let mut elsewhere = BTreeMap::new();
    for (kind, config) in &repositories.elsewhere {
        elsewhere.insert(*kind, open_or_empty(config::section_of(*kind), config, way).await?);
    }
    Ok(if elsewhere.is_empty() { main } else { Arc::new(RoutedRepository::new(main, elsewhere)) })
}

/// Opens one engine; `section` is its table in the configuration.
async fn open_or_empty(
    section: &str,
    config: &RepositoryConfig,
    way: &mut Way<'_>,
) -> Result<Arc<dyn Repository>, StartError> {
    match open(section, config, way).await {
        Err(StartError::Repository(RepositoryError::Absent(_))) if way.is_absent_empty => {
            Ok((way.front)(Arc::new(MemoryRepository::default())))
        }
        outcome => outcome,
    }
}

async fn open(
    section: &str,
    config: &RepositoryConfig,
    way: &mut Way<'_>,
) -> Result<Arc<dyn Repository>, StartError> {
    let (access, front) = (way.access, &mut *way.front);
    Ok(match config {
        RepositoryConfig::Memory => front(Arc::new(MemoryRepository::default())),
        RepositoryConfig::Sqlite { path } => {
            let key = || format!("{section}.path");
            if access == Access::Create {
                make_folder_of(path, key)?;
            }
            let opened = SqliteRepository::open_for(path, access).map_err(|error| match error {
                RepositoryError::Absent(_) => StartError::Repository(error),
                error => StartError::Database { key: key(), error },
            });
            front(Arc::new(opened?))
        }
        RepositoryConfig::Postgres(server) => {
            front(Arc::new(PostgresRepository::connect_for(server, access).await?))
        }
        RepositoryConfig::Redis(server) => {
            front(Arc::new(RedisRepository::connect_for(server, access).await?))
        }
        RepositoryConfig::Vault(vault) => {
            let vault = Arc::new(connect_vault(vault).await?);
            let repository = front(Arc::<VaultRepository>::clone(&vault));
            Arc::new(OriginalClients::new(vault, repository, access))
        }
    })
}

/// Connects to Vault, for operations that only this backend has.
pub(crate) async fn connect_vault(vault: &VaultConfig) -> Result<VaultRepository, StartError> {
    let fetch = Fetch::new(vault.timeout).map_err(|error| StartError::Tls(error.to_string()))?;
    fetch.can_verify(&vault.api_url)?;
    Ok(VaultRepository::connect(vault_settings(vault), fetch).await?)
}

fn make_folder_of(path: &Path, key: impl Fn() -> String) -> Result<(), StartError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), |folder| {
        config::create_private_folder(folder).map_err(|error| StartError::Folder {
            key: key(),
            folder: folder.display().to_string(),
            error,
        })
    })
}

fn vault_settings(vault: &VaultConfig) -> VaultSettings {
    let token: Box<dyn TokenSource> = match &vault.token_file {
        Some(file) => Box::new(FromFile(file.clone())),
        None => Box::new(Fixed(vault.token.clone())),
    };
    VaultSettings {
        api_url: vault.api_url.clone(),
        token,
        folder: vault.folder.clone(),
        cache: vault.cache,
        random: Arc::new(SystemRandom),
    }
}

/// A token that does not change.
#[derive(Debug)]
struct Fixed(Secret);

impl TokenSource for Fixed {
    fn token(&self) -> Result<Secret, String> {
        Ok(self.0.clone())
    }
}

/// A token in a file, which is read for each request, so that the token can be rotated.
#[derive(Debug)]
struct FromFile(PathBuf);

impl TokenSource for FromFile {
    fn token(&self) -> Result<Secret, String> {
        config::read_secret_file(&self.0, "repository.token")
    }
}
