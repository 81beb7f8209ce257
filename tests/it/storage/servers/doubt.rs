//! What becomes of a call whose connection breaks.

use std::sync::Arc;

use pangea_mcp_auth::repository::{Kind, Page, Repository, RepositoryError, Write};

use super::{NOW, done, grant, insert, value};
use crate::support::{Fate, PATIENCE, Proxy, Records};

const BROKEN: [Fate; 2] = [Fate::Lost, Fate::AnswerLost];

/// A proxy before the server of a database, and the database's URL through it.
pub(crate) async fn way_to(server: &impl Records) -> (Proxy, String) {
    let proxy = Proxy::before(server.port()).await;
    let url = proxy.url(&server.url(), server.port());
    (proxy, url)
}

/// What calls cost, one after the other.
pub(crate) struct Costs<'a> {
    proxy: &'a Proxy,
    before: usize,
}

impl<'a> Costs<'a> {
    pub(crate) fn from_now(proxy: &'a Proxy) -> Self {
        Self { proxy, before: proxy.requests() }
    }

    /// The call since the one before was one round trip.
    pub(crate) fn one(&mut self, call: &str) {
        assert_eq!(self.proxy.requests() - self.before, 1, "{call}");
        self.before = self.proxy.requests();
    }
}

/// Leaves `key` in the repository.
pub(crate) async fn reads_and_writes_cost_one(
    repository: &Arc<impl Repository + ?Sized>,
    costs: &mut Costs<'_>,
) {
    let version = insert(repository, &grant("key", "0")).await;
    costs.one("insert");
    let read = repository.get(Kind::Grant, "key", NOW).await.unwrap().unwrap();
    costs.one("get");
    assert_eq!(read.version, version);
    done(repository.replace(Kind::Grant, &grant("key", "1"), version, NOW).await.unwrap());
    costs.one("replace");
    let conflict = repository.replace(Kind::Grant, &grant("key", "2"), version, NOW).await.unwrap();
    assert_eq!(conflict, Write::Conflict);
    costs.one("a replace that conflicts");
    let conflict = repository.insert(Kind::Grant, &grant("key", "2"), NOW).await.unwrap();
    assert_eq!(conflict, Write::Conflict);
    costs.one("an insert that conflicts");
}

pub(crate) async fn a_read<S: Records>(server: S) {
    let (proxy, url) = way_to(&server).await;
    let repository = S::connect(&url, PATIENCE).await.unwrap();
    insert(&repository, &grant("key", "0")).await;
    for fate in BROKEN {
        proxy.next(fate);
        assert_eq!(value(&repository, "key").await.as_deref(), Some("0"), "{fate:?}");
        proxy.next(fate);
        let listed = repository.list(Kind::Grant, &Page { limit: 5, ..Page::default() }, NOW).await.unwrap();
        assert_eq!(listed, [grant("key", "0")], "{fate:?}");
    }
}

pub(crate) async fn a_replace<S: Records>(server: S) {
    let (proxy, url) = way_to(&server).await;
    let repository = S::connect(&url, PATIENCE).await.unwrap();
    let mut version = insert(&repository, &grant("key", "0")).await;
    for fate in BROKEN {
        proxy.next(fate);
        let next = repository.replace(Kind::Grant, &grant("key", &format!("{fate:?}")), version, NOW).await;
        let next = done(next.unwrap());
        let found = repository.get(Kind::Grant, "key", NOW).await.unwrap().unwrap();
        assert_eq!((found.record.value, found.version), (format!("{fate:?}"), next));
        assert_ne!(next, version);
        proxy.next(fate);
        let stale = repository.replace(Kind::Grant, &grant("key", "stale"), version, NOW).await;
        assert!(matches!(stale, Err(RepositoryError::Unavailable(_))), "the outcome is unknown: {stale:?}");
        assert_eq!(value(&repository, "key").await, Some(format!("{fate:?}")));
        version = next;
    }
}

pub(crate) async fn an_insert<S: Records>(server: S) {
    let (proxy, url) = way_to(&server).await;
    let repository = S::connect(&url, PATIENCE).await.unwrap();
    // Redis learns the script.
    insert(&repository, &grant("first", "0")).await;
    proxy.next(Fate::AnswerLost);
    let version = insert(&repository, &grant("made", "0")).await;
    let found = repository.get(Kind::Grant, "made", NOW).await.unwrap().unwrap();
    assert_eq!(found.version, version);

    proxy.next(Fate::Lost);
    let lost = repository.insert(Kind::Grant, &grant("lost", "0"), NOW).await;
    assert!(matches!(lost, Err(RepositoryError::Unavailable(_))), "{lost:?}");
    assert_eq!(value(&repository, "lost").await, None);

    proxy.next(Fate::AnswerLost);
    let taken = repository.insert(Kind::Grant, &grant("made", "1"), NOW).await;
    assert!(matches!(taken, Err(RepositoryError::Unavailable(_))), "{taken:?}");
    assert_eq!(value(&repository, "made").await.as_deref(), Some("0"));
}

pub(crate) async fn a_take<S: Records>(server: S) {
    let (proxy, url) = way_to(&server).await;
    let repository = S::connect(&url, PATIENCE).await.unwrap();
    for (fate, left) in [(Fate::Lost, true), (Fate::AnswerLost, false)] {
        insert(&repository, &grant("key", "0")).await;
        proxy.next(fate);
        let taken = repository.take(Kind::Grant, "key", NOW).await;
        assert!(matches!(taken, Err(RepositoryError::Unavailable(_))), "{fate:?}: {taken:?}");
        assert_eq!(value(&repository, "key").await.is_some(), left, "{fate:?}");
        repository.take(Kind::Grant, "key", NOW).await.unwrap();
    }
}
