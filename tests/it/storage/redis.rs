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

use std::sync::Arc;

use pangea_mcp_auth::repository::{RedisRepository, Repository, RepositoryError};

use crate::{
    storage::servers::HASTE,
    support::{Records, RedisDatabase, redis::settings},
};

async fn connect(url: &str) -> Result<Arc<RedisRepository>, RepositoryError> {
    RedisRepository::connect(&settings(url)).await.map(Arc::new)
}

/// The same for a test that waits for a call to fail.
async fn connect_in_haste(url: &str) -> Result<Arc<dyn Repository>, RepositoryError> {
    RedisDatabase::connect(url, HASTE).await
}
