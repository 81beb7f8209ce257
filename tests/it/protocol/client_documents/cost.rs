//! What a login costs with a document that is known: no more than with a registration.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use pangea_mcp_auth::{
    clock::UnixTime,
    repository::{Kind, MemoryRepository, Page, Record, Repository, Result, Version, Versioned, Write},
};
use serde_json::json;

use super::CLIENT;
use crate::support::{Client, DocumentServer, Options, Server};

/// Counts the calls of a repository.
#[derive(Debug, Default)]
struct Counting {
    inner: MemoryRepository,
    reads: AtomicUsize,
    writes: AtomicUsize,
}

impl Counting {
    /// Reads and writes since the last call.
    fn take(&self) -> [usize; 2] {
        [&self.reads, &self.writes].map(|count| count.swap(0, Ordering::SeqCst))
    }
}

#[async_trait]
impl Repository for Counting {
    async fn get(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Versioned>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.inner.get(kind, key, now).await
    }

    async fn insert(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.inner.insert(kind, record, now).await
    }

    async fn replace(&self, kind: Kind, record: &Record, read: Version, now: UnixTime) -> Result<Write> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.inner.replace(kind, record, read, now).await
    }

    async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.inner.take(kind, key, now).await
    }

    async fn list(&self, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.inner.list(kind, page, now).await
    }

    async fn purge_expired(&self, now: UnixTime) -> Result<u64> {
        self.inner.purge_expired(now).await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }
}

#[tokio::test]
async fn a_known_document_costs_no_more_reads_and_writes_than_a_registration() {
    let (documents, counting) = (DocumentServer::start(), Arc::new(Counting::default()));
    let repository: Arc<dyn Repository> = Arc::<Counting>::clone(&counting);
    let sections = documents.section("");
    let server = Server::with(Options { sections, repository: Some(repository), ..Options::default() }).await;
    let registered = Client::public(&server).await;
    let described = documents.client(CLIENT, &json!({}));
    let mut costs = Vec::new();
    for client in [registered, described] {
        // The first login stores what the next ones read.
        client.login(&server).await;
        counting.take();
        let tokens = client.login(&server).await;
        let login = counting.take();
        client.refresh(&server, &tokens.refresh).await;
        let refresh = counting.take();
        server.introspect(&tokens.access).await;
        costs.push([login, refresh, counting.take()]);
    }
    assert_eq!(costs[0], costs[1], "reads and writes of login, refresh and introspection");
    assert_eq!(documents.requests(), 1);
}
