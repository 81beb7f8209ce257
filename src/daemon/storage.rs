//! From the configuration to an open repository.

use std::{path::Path, path::PathBuf, sync::Arc};

use super::{StartError, original_clients::OriginalClients};
use crate::{
    config::{self, Repositories, RepositoryConfig, ServerConfig, VaultConfig},
    fetch::Fetch,
    repository::{
        Kind, MemoryRepository, PostgresRepository, PostgresSettings, RedisRepository, RedisSettings,
        Repository, RoutedRepository, SqliteRepository, TokenSource, VaultRepository, VaultSettings,
    },
    secret::{Secret, SystemRandom},
};

/// The repository that is configured, and its parts: each part stores somewhere else.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) repository: Arc<dyn Repository>,
    pub(super) parts: Vec<Arc<dyn Repository>>,
}

/// Opens the repository that is configured, with each kind of record where it belongs.
///
/// # Errors
///
/// When it cannot be used; the sentence says what to change.
pub async fn open_repository(repositories: &Repositories) -> Result<Arc<dyn Repository>, StartError> {
    Ok(open_parts(repositories).await?.repository)
}

/// The same, with its parts.
pub(super) async fn open_parts(repositories: &Repositories) -> Result<Opened, StartError> {
    let Repositories { main, clients, grants, keys, replays } = repositories;
    let main = open(main).await?;
    let mut elsewhere = Vec::new();
    for (kind, config) in
        [(Kind::Client, clients), (Kind::Grant, grants), (Kind::Key, keys), (Kind::Replay, replays)]
    {
        if let Some(config) = config {
            elsewhere.push((kind, open(config).await?));
        }
    }
    let others = elsewhere.iter().map(|(_, repository)| Arc::clone(repository));
    let parts = std::iter::once(Arc::clone(&main)).chain(others).collect();
    let repository: Arc<dyn Repository> =
        if elsewhere.is_empty() { main } else { Arc::new(RoutedRepository::new(main, elsewhere)) };
    Ok(Opened { repository, parts })
}

async fn open(config: &RepositoryConfig) -> Result<Arc<dyn Repository>, StartError> {
    Ok(match config {
        RepositoryConfig::Memory => Arc::new(MemoryRepository::default()),
        RepositoryConfig::Sqlite { path } => {
            make_folder_of(path)?;
            Arc::new(SqliteRepository::open(path)?)
        }
        RepositoryConfig::Postgres(server) => Arc::new(PostgresRepository::connect(&postgres(server)).await?),
        RepositoryConfig::Redis(server) => Arc::new(RedisRepository::connect(&redis(server)).await?),
        RepositoryConfig::Vault(vault) => {
            Arc::new(OriginalClients::new(Arc::new(connect_vault(vault).await?)))
        }
    })
}

/// Connects to Vault.
pub(super) async fn connect_vault(vault: &VaultConfig) -> Result<VaultRepository, StartError> {
    let fetch = Fetch::new(vault.timeout).map_err(|error| StartError::Tls(error.to_string()))?;
    Ok(VaultRepository::connect(vault_settings(vault), fetch).await?)
}

fn make_folder_of(path: &Path) -> Result<(), StartError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), |folder| {
        config::create_private_folder(folder)
            .map_err(|error| StartError::Folder(folder.display().to_string(), error))
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
