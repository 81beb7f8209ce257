//! From the configuration to an open repository.

use std::{path::Path, path::PathBuf, sync::Arc};

use super::{StartError, one_writer::OneWriter, original_clients::OriginalClients};
use crate::{
    clock::Clock,
    config::{self, Repositories, RepositoryConfig, ServerConfig, VaultConfig},
    fetch::Fetch,
    repository::{
        Atomicity, Kind, MemoryRepository, PostgresRepository, PostgresSettings, RedisRepository,
        RedisSettings, Repository, RoutedRepository, SqliteRepository, TokenSource, VaultRepository,
        VaultSettings,
    },
    secret::{Secret, SystemRandom},
};

/// A repository for a daemon, and those of its parts that it may not write before it has the right to.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) repository: Arc<dyn Repository>,
    pub(super) writers: Vec<Arc<OneWriter>>,
}

/// What is put in front of each storage engine.
type Front<'a> = dyn FnMut(Arc<dyn Repository>) -> Arc<dyn Repository> + Send + 'a;

/// Opens the repository that is configured, with each kind of record where it belongs.
///
/// # Errors
///
/// When it cannot be used; the sentence says what to change.
pub async fn open_repository(repositories: &Repositories) -> Result<Arc<dyn Repository>, StartError> {
    open_all(repositories, &mut |engine| engine).await
}

/// The same for a daemon: what bears one writer waits for the right to write.
pub(super) async fn open_for_daemon(
    repositories: &Repositories,
    clock: &Arc<dyn Clock>,
) -> Result<Opened, StartError> {
    let mut writers = Vec::new();
    let repository = open_all(repositories, &mut |engine| guarded(engine, clock, &mut writers)).await?;
    Ok(Opened { repository, writers })
}

/// The engine itself if it bears many writers, else one that is guarded, and noted in `writers`.
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

async fn open_all(
    repositories: &Repositories,
    front: &mut Front<'_>,
) -> Result<Arc<dyn Repository>, StartError> {
    let Repositories { main, clients, grants, keys, replays } = repositories;
    let main = open("repository", main, front).await?;
    let mut elsewhere = Vec::new();
    for (kind, section, config) in [
        (Kind::Client, "repository.clients", clients),
        (Kind::Grant, "repository.grants", grants),
        (Kind::Key, "repository.keys", keys),
        (Kind::Replay, "repository.replays", replays),
    ] {
        if let Some(config) = config {
            elsewhere.push((kind, open(section, config, front).await?));
        }
    }
    Ok(if elsewhere.is_empty() { main } else { Arc::new(RoutedRepository::new(main, elsewhere)) })
}

/// Opens one engine; `section` is its table in the configuration.
async fn open(
    section: &str,
    config: &RepositoryConfig,
    front: &mut Front<'_>,
) -> Result<Arc<dyn Repository>, StartError> {
    Ok(match config {
        RepositoryConfig::Memory => front(Arc::new(MemoryRepository::default())),
        RepositoryConfig::Sqlite { path } => {
            let key = || format!("{section}.path");
            make_folder_of(path, key)?;
            let opened = SqliteRepository::open(path);
            front(Arc::new(opened.map_err(|error| StartError::Database { key: key(), error })?))
        }
        RepositoryConfig::Postgres(server) => {
            front(Arc::new(PostgresRepository::connect(&postgres(server)).await?))
        }
        RepositoryConfig::Redis(server) => front(Arc::new(RedisRepository::connect(&redis(server)).await?)),
        RepositoryConfig::Vault(vault) => {
            let vault = Arc::new(connect_vault(vault).await?);
            let repository = front(Arc::<VaultRepository>::clone(&vault));
            Arc::new(OriginalClients::new(vault, repository))
        }
    })
}

/// Connects to Vault, for what no other repository has.
///
/// # Errors
///
/// When it cannot be used; the sentence says what to change.
pub async fn connect_vault(vault: &VaultConfig) -> Result<VaultRepository, StartError> {
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

fn postgres(server: &ServerConfig) -> PostgresSettings {
    let ServerConfig { url, password, ca_file, connections, timeout } = server.clone();
    PostgresSettings { url, password, ca_file, connections, timeout }
}

fn redis(server: &ServerConfig) -> RedisSettings {
    let ServerConfig { url, password, ca_file, timeout, .. } = server.clone();
    RedisSettings { url, password, ca_file, timeout }
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

/// A token that stays as it was at start.
#[derive(Debug)]
struct Fixed(Secret);

impl TokenSource for Fixed {
    fn token(&self) -> Result<Secret, String> {
        Ok(self.0.clone())
    }
}

/// A token in a file, which may be rotated.
#[derive(Debug)]
struct FromFile(PathBuf);

impl TokenSource for FromFile {
    fn token(&self) -> Result<Secret, String> {
        config::read_secret_file(&self.0, "repository.token")
    }
}
