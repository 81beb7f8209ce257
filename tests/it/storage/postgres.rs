//! The promises of the repository in `PostgreSQL`, over servers that the tests start and kill.

mod doubt;
mod restart;
mod rules;
mod start;
mod table;
mod tls;

use std::{sync::Arc, time::Duration};

use pangea_mcp_auth::{
    repository::{PostgresRepository, PostgresSettings, Repository, RepositoryError},
    secret::Secret,
};

use crate::{
    storage::servers::{HASTE, PATIENCE, RecordServer},
    support::PostgresServer,
};

fn settings(url: &str) -> PostgresSettings {
    PostgresSettings {
        url: Secret::new("repository.url", url.to_owned()),
        password: None,
        ca_file: None,
        connections: 8,
        timeout: PATIENCE,
    }
}

async fn connect(url: &str) -> Result<Arc<PostgresRepository>, RepositoryError> {
    PostgresRepository::connect(&settings(url)).await.map(Arc::new)
}

/// The same with little patience.
async fn connect_in_haste(url: &str) -> Result<Arc<PostgresRepository>, RepositoryError> {
    let settings = PostgresSettings { timeout: HASTE, ..settings(url) };
    PostgresRepository::connect(&settings).await.map(Arc::new)
}

impl RecordServer for PostgresServer {
    async fn connect(url: &str, timeout: Duration) -> Result<Arc<dyn Repository>, RepositoryError> {
        let settings = PostgresSettings { timeout, ..settings(url) };
        Ok(Arc::new(PostgresRepository::connect(&settings).await?))
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
