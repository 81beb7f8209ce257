//! The promises of the repository in `PostgreSQL`, over servers that the tests start and kill.

mod doubt;
mod restart;
mod rules;
mod start;
mod table;
mod tls;

use std::{sync::Arc, time::Duration};

use pangea_mcp_auth::{
    clock::UnixTime,
    repository::{
        Kind, PostgresRepository, PostgresSettings, Record, Repository, RepositoryError, Version, Write,
    },
    secret::Secret,
};

const NOW: UnixTime = UnixTime::from_secs(4_102_444_800);

fn settings(url: &str) -> PostgresSettings {
    PostgresSettings {
        url: Secret::new("repository.url", url.to_owned()),
        password: None,
        ca_file: None,
        connections: 8,
        timeout: Duration::from_secs(20),
    }
}

async fn connect(url: &str) -> Result<Arc<PostgresRepository>, RepositoryError> {
    PostgresRepository::connect(&settings(url)).await.map(Arc::new)
}

/// The same with little patience.
async fn connect_in_haste(url: &str) -> Result<Arc<PostgresRepository>, RepositoryError> {
    let settings = PostgresSettings { timeout: Duration::from_secs(1), ..settings(url) };
    PostgresRepository::connect(&settings).await.map(Arc::new)
}

fn grant(key: &str, value: &str) -> Record {
    Record {
        key: key.to_owned(),
        value: value.to_owned(),
        parent: Some("client".to_owned()),
        expires_at: None,
    }
}

async fn insert(repository: &PostgresRepository, record: &Record) -> Version {
    done(repository.insert(Kind::Grant, record, NOW).await.unwrap())
}

async fn value(repository: &PostgresRepository, key: &str) -> Option<String> {
    repository.get(Kind::Grant, key, NOW).await.unwrap().map(|found| found.record.value)
}

fn done(write: Write) -> Version {
    match write {
        Write::Done(version) => version,
        Write::Conflict => panic!("the write conflicts"),
    }
}
