//! Health checks: anyone may ask, so asking must cost next to nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{Router, http::StatusCode, routing::get};
use pangea_mcp_auth::{
    clock::UnixTime,
    daemon::{self, Connections},
    repository::{Kind, MemoryRepository, Page, Record, Repository, Result, Version, Versioned, Write},
    telemetry::Metrics,
    web::TrustedProxies,
};
use tokio_util::sync::CancellationToken;

use crate::support::{Options, Server, at_once, http};

/// A repository that counts how often it is asked whether it is there, and takes its time.
#[derive(Debug, Default)]
struct Counting {
    inner: MemoryRepository,
    pings: AtomicUsize,
    at_once: AtomicUsize,
}

#[async_trait]
impl Repository for Counting {
    async fn get(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Versioned>> {
        self.inner.get(kind, key, now).await
    }

    async fn insert(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write> {
        self.inner.insert(kind, record, now).await
    }

    async fn replace(&self, kind: Kind, record: &Record, read: Version, now: UnixTime) -> Result<Write> {
        self.inner.replace(kind, record, read, now).await
    }

    async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>> {
        self.inner.take(kind, key, now).await
    }

    async fn list(&self, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>> {
        self.inner.list(kind, page, now).await
    }

    async fn purge_expired(&self, now: UnixTime) -> Result<u64> {
        self.inner.purge_expired(now).await
    }

    async fn ping(&self) -> Result<()> {
        assert_eq!(self.at_once.fetch_add(1, Ordering::SeqCst), 0, "one probe at once");
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        self.pings.fetch_add(1, Ordering::SeqCst);
        self.inner.ping().await
    }
}

#[tokio::test]
async fn a_storm_of_probes_asks_the_repository_once_a_second() {
    let counting = Arc::new(Counting::default());
    let repository: Arc<dyn Repository> = Arc::<Counting>::clone(&counting);
    let server = Server::with(Options { repository: Some(repository), ..Options::default() }).await;
    let before = counting.pings.load(Ordering::SeqCst);
    for second in 1..=3 {
        for answer in at_once((0..50).map(|_| server.get("/readyz"))).await {
            assert_eq!(answer.status(), 200);
        }
        assert_eq!(counting.pings.load(Ordering::SeqCst) - before, second);
        server.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn a_storm_of_probes_writes_nothing_to_the_database() {
    let server = Server::start().await;
    assert_eq!(server.get("/readyz").await.status(), 200);
    let log = server.folder.path().join("test.sqlite-wal");
    let state = || {
        let metadata = std::fs::metadata(&log).unwrap();
        (metadata.len(), metadata.modified().unwrap())
    };
    let before = state();
    for _ in 0..100 {
        assert_eq!(server.get("/readyz").await.status(), 200);
    }
    assert_eq!(state(), before);
}

#[tokio::test]
async fn the_admin_listener_answers_health_checks_too() {
    let server = Server::start().await;
    let listener = daemon::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = daemon::admin_router(Arc::default(), server.health.clone());
    let stop = CancellationToken::new();
    tokio::spawn(daemon::serve(vec![listener], router, stop.clone()));
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/jwks.json", 404)] {
        assert_eq!(http().get(format!("{url}{path}")).send().await.unwrap().status(), status, "{path}");
    }
    stop.cancel();
}

/// What a limit refuses is hardly logged, so it is counted.
#[tokio::test]
async fn what_a_limit_refuses_is_counted() {
    let (metrics, stop) = (Arc::<Metrics>::default(), CancellationToken::new());
    let listener = daemon::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let router = Router::new().route("/token", get(async || StatusCode::TOO_MANY_REQUESTS));
    let connections = Connections::within(1024, TrustedProxies::default());
    tokio::spawn(daemon::serve_measured(
        vec![listener],
        router,
        connections,
        Arc::clone(&metrics),
        stop.clone(),
    ));
    for _ in 0..3 {
        assert_eq!(http().get(&url).send().await.unwrap().status(), 429);
    }
    let text = metrics.text();
    assert!(text.contains("http_requests_total{endpoint=\"token\",status=\"429\"} 3"), "{text}");
    stop.cancel();
}
