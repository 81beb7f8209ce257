//! A grant that its person could not find does not come to be.

use std::sync::Arc;

use async_trait::async_trait;
use pangea_mcp_auth::{
    clock::UnixTime,
    repository::{
        Kind, MemoryRepository, Page as List, Record, Repository, RepositoryError, Result, Version,
        Versioned, Write,
    },
};

use super::*;
use crate::support::query;

/// Stores no entries.
#[derive(Debug, Default)]
struct WithoutEntries(MemoryRepository);

#[async_trait]
impl Repository for WithoutEntries {
    async fn get(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Versioned>> {
        self.0.get(kind, key, now).await
    }

    async fn insert(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write> {
        if record.key.starts_with("person.") {
            return Err(RepositoryError::Unavailable("no entries today".to_owned()));
        }
        self.0.insert(kind, record, now).await
    }

    async fn replace(&self, kind: Kind, record: &Record, read: Version, now: UnixTime) -> Result<Write> {
        self.0.replace(kind, record, read, now).await
    }

    async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>> {
        self.0.take(kind, key, now).await
    }

    async fn list(&self, kind: Kind, page: &List, now: UnixTime) -> Result<Vec<Record>> {
        self.0.list(kind, page, now).await
    }

    async fn purge_expired(&self, now: UnixTime) -> Result<u64> {
        self.0.purge_expired(now).await
    }

    async fn ping(&self) -> Result<()> {
        self.0.ping().await
    }
}

#[tokio::test]
async fn without_an_entry_there_is_no_grant() {
    let repository: Arc<dyn Repository> = Arc::new(WithoutEntries::default());
    let server =
        Server::with(Options { repository: Some(Arc::clone(&repository)), ..Options::default() }).await;
    let client = Client::public(&server).await;
    let answer = client.authorize(&server, &mut Browser::new(), &[]).await;
    assert_eq!(query(&answer.location().unwrap())["error"], "temporarily_unavailable");
    let page = List { limit: 10, ..List::default() };
    assert_eq!(repository.list(Kind::Grant, &page, server.server.now()).await.unwrap(), []);
}
