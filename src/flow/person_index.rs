//! Finds the grants of one person without reading the grants of everyone.
//!
//! A sign-in stores an entry next to its grant. The entry's parent is the person, hashed, and its key names the
//! grant. Entries decide nothing: each grant is read and compared with the person. Grants of releases without
//! entries are searched page by page, as far as one request may cost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    clock::UnixTime,
    oauth::{
        grant::{Grant, Person},
        token::GrantId,
    },
    repository::{Collection, Entity, Kind, Order, Page, Repository, RepositoryError},
    secret::{encode, sha256},
};

/// Most grants in a [`Stretch`].
pub(super) const MOST: usize = 50;
/// Records that are read at once.
const PAGE: usize = 500;
/// Most pages of grants without entries that are searched for one [`Stretch`].
const MOST_SEARCHED: usize = 20;
/// How long daemons of a release without entries may run next to those with entries.
const ROLLOUT: Duration = Duration::from_hours(24);
/// The key of the record that says since when sign-ins store entries.
const BEGINNING: &str = "person-index";

/// Says that a grant is of a person.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    key: String,
    /// The person, hashed.
    person: String,
    grant: GrantId,
    expires_at: UnixTime,
}

/// The first sign-in that stored an entry.
#[derive(Debug, Serialize, Deserialize)]
struct Beginning {
    key: String,
    at: UnixTime,
}

/// Grants of one person that can still be used, newest first.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    pub(super) grants: Vec<Grant>,
    /// The grant, of any person, at which the search ended. `None` if there are no older ones.
    pub(super) until: Option<GrantId>,
}

#[derive(Debug)]
pub(super) struct PersonIndex {
    grants: Collection<Grant>,
    entries: Collection<Entry>,
    beginnings: Collection<Beginning>,
    /// Whether this process has seen to the record of the beginning.
    has_begun: AtomicBool,
}

impl Entity for Entry {
    const KIND: Kind = Kind::Replay;

    fn key(&self) -> &str {
        &self.key
    }

    fn parent(&self) -> Option<&str> {
        Some(&self.person)
    }

    fn expires_at(&self) -> Option<UnixTime> {
        Some(self.expires_at)
    }
}

impl Entity for Beginning {
    const KIND: Kind = Kind::Replay;

    fn key(&self) -> &str {
        &self.key
    }

    fn expires_at(&self) -> Option<UnixTime> {
        None
    }
}

impl Entry {
    /// `expires_at` is not before the end of the grant.
    pub(super) fn new(person: &Person, grant: GrantId, expires_at: UnixTime) -> Self {
        Self { key: entry_key(&grant), person: hashed(person), grant, expires_at }
    }
}

fn entry_key(grant: &GrantId) -> String {
    format!("person.{grant}")
}

fn hashed(person: &Person) -> String {
    let identity = format!("{}\n{}", person.upstream.as_str(), person.subject);
    format!("person.{}", encode(&sha256(identity.as_bytes())[..18]))
}

impl PersonIndex {
    pub(super) fn new(repository: &Arc<dyn Repository>) -> Self {
        Self {
            grants: Collection::new(Arc::clone(repository)),
            entries: Collection::new(Arc::clone(repository)),
            beginnings: Collection::new(Arc::clone(repository)),
            has_begun: AtomicBool::new(false),
        }
    }

    /// Stores an entry. An entry that exists already is for the same grant and person.
    pub(super) async fn note(&self, entry: Entry, now: UnixTime) -> Result<(), RepositoryError> {
        if !self.has_begun.load(Ordering::Relaxed) {
            self.beginnings.insert(Beginning { key: BEGINNING.to_owned(), at: now }, now).await?;
            self.has_begun.store(true, Ordering::Relaxed);
        }
        self.entries.insert(entry, now).await.map(drop)
    }

    /// The person's grants that are older than `before` and can still be used.
    pub(super) async fn live_grants(
        &self,
        person: &Person,
        before: Option<&GrantId>,
        now: UnixTime,
    ) -> Result<Stretch, RepositoryError> {
        let with_entries = self.with_entries(person, before, now).await?;
        let without = self.without_entries(person, before, now).await?;
        Ok(with_entries.and(without))
    }

    async fn with_entries(
        &self,
        person: &Person,
        before: Option<&GrantId>,
        now: UnixTime,
    ) -> Result<Stretch, RepositoryError> {
        let (parent, after) = (Some(hashed(person)), before.map(entry_key));
        let page = Page { parent, after, order: Order::Descending, limit: PAGE };
        let page = self.entries.page(&page, now).await?;
        let is_last = page.count() < PAGE;
        let mut found = Stretch::default();
        for Entry { grant: id, .. } in page.values {
            let grant = self.grants.look(id.as_str(), now).await?.and_then(Result::ok);
            found.grants.extend(grant.map(|read| *read.value).filter(|grant| is_live(grant, person, now)));
            if found.grants.len() == MOST {
                return Ok(Stretch { until: Some(id), ..found });
            }
            found.until = Some(id);
        }
        if is_last {
            found.until = None;
        }
        Ok(found)
    }

    async fn without_entries(
        &self,
        person: &Person,
        before: Option<&GrantId>,
        now: UnixTime,
    ) -> Result<Stretch, RepositoryError> {
        let beginning = self.beginnings.get(BEGINNING, now).await?;
        let newest = beginning.map(|read| GrantId::first_at(read.value.at.plus(ROLLOUT)));
        let start = match (before, newest.as_ref()) {
            (Some(before), Some(newest)) => Some(before.min(newest)),
            (before, newest) => before.or(newest),
        };
        let mut after = start.map(GrantId::to_string);
        let mut found = Stretch::default();
        for _ in 0..MOST_SEARCHED {
            let page = Page { parent: None, after, order: Order::Descending, limit: PAGE };
            let page = self.grants.page(&page, now).await?;
            let is_last = page.count() < PAGE;
            found.grants.extend(page.values.into_iter().filter(|grant| is_live(grant, person, now)));
            if is_last {
                return Ok(Stretch { until: None, ..found });
            }
            found.until = page.last.as_deref().and_then(GrantId::parse);
            after = page.last;
            if found.grants.len() >= MOST {
                break;
            }
        }
        Ok(found)
    }
}

fn is_live(grant: &Grant, person: &Person, now: UnixTime) -> bool {
    grant.is_of(person) && grant.standing(now).is_live()
}

impl Stretch {
    /// Both together, as far as both searches came.
    fn and(mut self, other: Self) -> Self {
        self.grants.extend(other.grants);
        self.until = self.until.max(other.until);
        self.grants.retain(|grant| self.until.as_ref().is_none_or(|until| grant.id() >= until));
        self.grants.sort_unstable_by(|one, other| other.id().cmp(one.id()));
        self.grants.dedup_by(|one, other| one.id() == other.id());
        if self.grants.len() > MOST {
            self.grants.truncate(MOST);
            self.until = self.grants.last().map(|last| last.id().clone());
        }
        self
    }
}
