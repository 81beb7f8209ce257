//! From the configuration to an open repository.

use std::{path::Path, path::PathBuf, sync::Arc};

use super::StartError;
use crate::{
    config::{self, Repositories, RepositoryConfig, ServerConfig, VaultConfig},
    fetch::Fetch,
    repository::{
        Kind, MemoryRepository, PostgresRepository, PostgresSettings, RedisRepository, RedisSettings,
        Repository, RoutedRepository, SqliteRepository, TokenSource, VaultRepository, VaultSettings,
    },
    secret::Secret,
};

/// Opens the repository that is configured, with each kind of record where it belongs.
///
/// # Errors
///
/// When it cannot be used; the sentence says what to change.
pub async fn open_repository(repositories: &Repositories) -> Result<Arc<dyn Repository>, StartError> {
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
    Ok(if elsewhere.is_empty() { main } else { Arc::new(RoutedRepository::new(main, elsewhere)) })
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
            let fetch = Fetch::new(vault.timeout).map_err(|error| StartError::Tls(error.to_string()))?;
            Arc::new(VaultRepository::connect(vault_settings(vault), fetch).await?)
        }
    })
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
    VaultSettings { api_url: vault.api_url.clone(), token, folder: vault.folder.clone(), cache: vault.cache }
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
