//! The promises of the repository in `PostgreSQL`, over servers that the tests start and kill.

mod doubt;
mod restart;
mod rules;
mod start;
mod table;
mod tls;

use std::sync::Arc;

use pangea_mcp_auth::repository::{PostgresRepository, Repository, RepositoryError};

use crate::{
    storage::servers::HASTE,
    support::{PostgresDatabase, Records, postgres::settings},
};

async fn connect(url: &str) -> Result<Arc<PostgresRepository>, RepositoryError> {
    PostgresRepository::connect(&settings(url)).await.map(Arc::new)
}

/// The same for a test that waits for a call to fail.
async fn connect_in_haste(url: &str) -> Result<Arc<dyn Repository>, RepositoryError> {
    PostgresDatabase::connect(url, HASTE).await
}
