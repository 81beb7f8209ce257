//! The promises of the repository in Redis, over servers that the tests start and kill.

mod cluster;
mod doubt;
mod login;
mod makes;
mod restart;
mod rules;
mod sentinels;
mod start;
mod tls;

use std::{sync::Arc, time::Duration};

use pangea_mcp_auth::{
    repository::{RedisRepository, RedisSettings, Repository, RepositoryError},
    secret::Secret,
};

use crate::{
    storage::servers::{HASTE, PATIENCE, RecordServer},
    support::RedisServer,
};

fn settings(url: &str) -> RedisSettings {
    RedisSettings {
        url: Secret::new("repository.url", url.to_owned()),
        password: None,
        ca_file: None,
        timeout: PATIENCE,
    }
}

async fn connect(url: &str) -> Result<Arc<RedisRepository>, RepositoryError> {
    RedisRepository::connect(&settings(url)).await.map(Arc::new)
}

/// The same with little patience.
async fn connect_in_haste(url: &str) -> Result<Arc<RedisRepository>, RepositoryError> {
    let settings = RedisSettings { timeout: HASTE, ..settings(url) };
    RedisRepository::connect(&settings).await.map(Arc::new)
}

impl RecordServer for RedisServer {
    async fn connect(url: &str, timeout: Duration) -> Result<Arc<dyn Repository>, RepositoryError> {
        let settings = RedisSettings { timeout, ..settings(url) };
        Ok(Arc::new(RedisRepository::connect(&settings).await?))
    }

    fn url(&self) -> String {
        Self::url(self)
    }

    fn port(&self) -> u16 {
        Self::port(self)
    }

    fn start(&mut self) {
        Self::start(self);
    }

    fn stop(&mut self) {
        Self::stop(self);
    }

    fn kill(&mut self) {
        Self::kill(self);
    }

    fn freeze(&self) {
        Self::freeze(self);
    }

    fn thaw(&self) {
        Self::thaw(self);
    }
}
