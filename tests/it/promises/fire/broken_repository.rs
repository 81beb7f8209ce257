//! The proof that the checker sees: a repository whose `replace` ignores the version is found out, and
//! the sound one, under the same load, is not.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use pangea_mcp_auth::{
    clock::{Clock, UnixTime},
    flow::administration::Administration,
    repository::{
        Kind, MemoryRepository, Page, Record, Repository, Result, Version, Versioned, Write, conformance,
    },
};
use tokio::{task::yield_now, time::sleep};

use super::{
    SEED, actors, aftermath,
    checker::{Promise, promises, violations},
    history::History,
    site::Site,
};
use crate::support::{Options, Server};

/// How long there is load. No process is killed.
const LONG: Duration = Duration::from_secs(3);

/// Stores whatever comes in place of whatever is there.
#[derive(Debug, Default)]
struct Careless(MemoryRepository);

#[async_trait]
impl Repository for Careless {
    async fn get(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Versioned>> {
        let found = self.0.get(kind, key, now).await;
        // As if the storage were elsewhere: others have their turn between a read and a write.
        yield_now().await;
        found
    }

    async fn insert(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write> {
        self.0.insert(kind, record, now).await
    }

    async fn replace(&self, kind: Kind, record: &Record, _read: Version, now: UnixTime) -> Result<Write> {
        loop {
            let Some(found) = self.0.get(kind, &record.key, now).await? else { return Ok(Write::Conflict) };
            if let Write::Done(version) = self.0.replace(kind, record, found.version, now).await? {
                return Ok(Write::Done(version));
            }
        }
    }

    async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>> {
        self.0.take(kind, key, now).await
    }

    async fn list(&self, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>> {
        self.0.list(kind, page, now).await
    }

    async fn purge_expired(&self, now: UnixTime) -> Result<u64> {
        self.0.purge_expired(now).await
    }

    async fn ping(&self) -> Result<()> {
        self.0.ping().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_repository_that_ignores_versions_is_found_out() {
    let history = Box::pin(under_load(Arc::new(Careless::default()))).await;
    let found = violations(&history);
    history.write("broken-repository", &found);
    let broken = promises(&found);
    for promise in
        [Promise::CodeIsSpentOnce, Promise::RefreshTokenIsSpentOnce, Promise::WhatWasAnsweredSurvives]
    {
        assert!(broken.contains(&promise), "{promise:?} is not among {broken:?}");
    }
    let revoked = [Promise::RevokedStaysRevoked, Promise::RevokedIsVisibleWithinASecond];
    assert!(revoked.iter().any(|promise| broken.contains(promise)), "nothing came back: {broken:?}");
    assert!(!broken.contains(&Promise::ErrorsAreDocumented), "{broken:?}");
    assert!(!broken.contains(&Promise::EverythingIsLookedAt), "{broken:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sound_repository_is_not() {
    Box::pin(under_load(Arc::new(MemoryRepository::default()))).await.must_be_clean("sound-repository");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_suite_finds_it_out_too() {
    let verdict = conformance::verify(async || {
        let repository: Arc<dyn Repository> = Arc::new(Careless::default());
        [Arc::clone(&repository), repository]
    });
    assert!(verdict.await.is_err());
}

/// Three daemons of this process on one repository.
async fn under_load(repository: Arc<dyn Repository>) -> History {
    let options = Options { repository: Some(Arc::clone(&repository)), ..Options::default() };
    let first = Server::with(options).await;
    let (second, third) = (first.twin().await, first.twin().await);
    let clock: Arc<dyn Clock> = first.clock.clone();
    let operator = Administration::new(&repository, None, clock);
    let urls = [&first, &second, &third].map(|server| server.url.clone());
    let site = Site::new(first.url.clone(), urls.to_vec(), operator).await;
    let working = actors::work(&site, SEED);
    sleep(LONG).await;
    aftermath(&site, working).await
}
