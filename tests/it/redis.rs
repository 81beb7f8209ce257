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
    clock::UnixTime,
    repository::{Kind, Record, RedisRepository, RedisSettings, Repository, RepositoryError, Version, Write},
    secret::Secret,
};

const NOW: UnixTime = UnixTime::from_secs(4_102_444_800);

fn settings(url: &str) -> RedisSettings {
    RedisSettings {
        url: Secret::new("repository.url", url.to_owned()),
        password: None,
        ca_file: None,
        timeout: Duration::from_secs(20),
    }
}

async fn connect(url: &str) -> Result<Arc<RedisRepository>, RepositoryError> {
    RedisRepository::connect(&settings(url)).await.map(Arc::new)
}

/// The same with little patience.
async fn connect_in_haste(url: &str) -> Result<Arc<RedisRepository>, RepositoryError> {
    let settings = RedisSettings { timeout: Duration::from_secs(1), ..settings(url) };
    RedisRepository::connect(&settings).await.map(Arc::new)
}

fn grant(key: &str, value: &str) -> Record {
    Record {
        key: key.to_owned(),
        value: value.to_owned(),
        parent: Some("client".to_owned()),
        expires_at: None,
    }
}

async fn insert(repository: &RedisRepository, record: &Record) -> Version {
    done(repository.insert(Kind::Grant, record, NOW).await.unwrap())
}

async fn value(repository: &RedisRepository, key: &str) -> Option<String> {
    repository.get(Kind::Grant, key, NOW).await.unwrap().map(|found| found.record.value)
}

fn done(write: Write) -> Version {
    match write {
        Write::Done(version) => version,
        Write::Conflict => panic!("the write conflicts"),
    }
}
