//! Registrations that no user has signed in with yet. Anyone can create them, so their number and size are
//! bounded over all networks. Beyond that, the oldest is evicted.
//!
//! The record of such a client is marked ([`Client::unused`]) until the first sign-in. Other clients (used,
//! added by the operator, imported) are never evicted.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::AuthorizationServer;
use crate::{
    clock::{SKEW, UnixTime},
    oauth::{
        client::{Client, ClientId},
        policy::MostUnused,
    },
    repository::{Atomicity, Page, RepositoryError, Stored},
};

/// The parent of unused registrations, so that they can be listed without other clients.
pub(super) const PARENT: &str = "unused";
/// Most clients that one registration evicts, so that its answer comes soon.
const MOST_PER_REGISTRATION: usize = 4;
/// Most clients that one count evicts.
const MOST_PER_COUNT: usize = 500;
/// Records that are read at once.
const PAGE: usize = 200;

/// The unused registrations that this process knows: its own, and all that existed at its last count.
#[derive(Debug, Default)]
pub(super) struct Unused(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by_age: BTreeMap<Age, (ClientId, usize)>,
    ages: HashMap<ClientId, Age>,
    bytes: usize,
    noted: u64,
    /// Whether the repository was read since the process started.
    counted: bool,
    /// Whether a client was noted since the last count.
    grown: bool,
}

/// When a client was registered. Within one second, the order in which this process noted clients counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Age(UnixTime, u64);

impl Known {
    fn note(&mut self, client: &Client, bytes: usize) {
        self.forget(&client.client_id);
        self.noted += 1;
        let age = Age(client.issued_at, self.noted);
        self.by_age.insert(age, (client.client_id.clone(), bytes));
        self.ages.insert(client.client_id.clone(), age);
        self.bytes += bytes;
    }

    fn forget(&mut self, id: &ClientId) {
        if let Some((_, bytes)) = self.ages.remove(id).and_then(|age| self.by_age.remove(&age)) {
            self.bytes -= bytes;
        }
    }

    /// Forgets the oldest client if there are too many, and returns it.
    fn pop_surplus(&mut self, most: MostUnused) -> Option<ClientId> {
        if self.by_age.len() <= most.clients && self.bytes <= most.bytes {
            return None;
        }
        let (_, (oldest, bytes)) = self.by_age.pop_first()?;
        self.ages.remove(&oldest);
        self.bytes -= bytes;
        Some(oldest)
    }
}

impl Unused {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a client that has just been registered here.
    pub(super) fn note(&self, client: &Stored<Client>) {
        let mut known = self.known();
        known.note(&client.value, client.bytes);
        known.grown = true;
    }

    /// Removes a client that a user has signed in with.
    pub(super) fn forget(&self, id: &ClientId) {
        self.known().forget(id);
    }
}

impl AuthorizationServer {
    /// Counts the unused registrations of all processes, and evicts the oldest ones above the limit. Reads
    /// nothing if this process has registered no client since the last count.
    pub async fn bound_registrations(&self) -> Result<(), RepositoryError> {
        self.count_unused().await?;
        self.evict_surplus(MOST_PER_COUNT).await
    }

    /// Notes a new registration, and evicts the oldest ones above the limit.
    pub(super) async fn bound_with(&self, client: &Stored<Client>) -> Result<(), RepositoryError> {
        self.unused.note(client);
        if !self.unused.known().counted {
            self.count_unused().await?;
        }
        self.evict_surplus(MOST_PER_REGISTRATION).await
    }

    async fn count_unused(&self) -> Result<(), RepositoryError> {
        let before: Vec<ClientId> = {
            let mut known = self.unused.known();
            let alone = self.repository.atomicity() == Atomicity::SingleProcess;
            if known.counted && (alone || !known.grown) {
                return Ok(());
            }
            known.grown = false;
            known.ages.keys().cloned().collect()
        };
        let (mut stored, mut after) = (HashSet::new(), None);
        loop {
            let page = Page { parent: Some(PARENT.to_owned()), after, limit: PAGE, ..Page::default() };
            let listed = self.clients.page(&page, self.now()).await?;
            let Some(last) = listed.last else { break };
            after = Some(last);
            let mut known = self.unused.known();
            for client in listed.values {
                if !known.ages.contains_key(&client.client_id) {
                    known.note(&client, stored_size(&client));
                }
                stored.insert(client.client_id);
            }
        }
        let mut known = self.unused.known();
        known.counted = true;
        // Used, expired or removed since.
        before.iter().filter(|id| !stored.contains(*id)).for_each(|id| known.forget(id));
        Ok(())
    }

    async fn evict_surplus(&self, most: usize) -> Result<(), RepositoryError> {
        let now = self.now();
        let mut evicted = 0;
        for _ in 0..most {
            let Some(oldest) = self.unused.known().pop_surplus(self.settings.registration.most_unused) else {
                break;
            };
            evicted += usize::from(self.evict(&oldest, now).await?);
        }
        if evicted > 0 {
            tracing::debug!(evicted, "unused registrations were evicted");
            self.purge().await?;
        }
        Ok(())
    }

    /// Ends an unused registration, unless a user signs in with it at the same moment, and returns whether it
    /// did. The record gets an expiry in the past, so that the next purge deletes it.
    async fn evict(&self, id: &ClientId, now: UnixTime) -> Result<bool, RepositoryError> {
        let Some(read) = self.clients.get(id.key(), now).await? else { return Ok(false) };
        if !read.value.unused {
            return Ok(false);
        }
        let ended = Client { expires_at: Some(now.minus(SKEW)), ..*read.value.clone() };
        Ok(self.clients.replace(read, ended, now).await?.is_some())
    }
}

/// Length of a client's record.
fn stored_size(client: &Client) -> usize {
    serde_json::to_vec(client).map_or(0, |text| text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client that registered `seconds` after the epoch.
    fn client(id: &str, seconds: u64) -> Client {
        let client = serde_json::json!({
            "client_id": id, "origin": "self_registered", "issued_at": seconds,
            "metadata": {
                "redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none",
                "grant_types": ["authorization_code"], "response_types": ["code"],
            },
        });
        serde_json::from_value(client).unwrap()
    }

    fn popped(known: &mut Known, clients: usize, bytes: usize) -> Option<String> {
        known.pop_surplus(MostUnused { clients, bytes }).map(|id| id.to_string())
    }

    #[test]
    fn the_oldest_is_evicted_above_either_limit_and_what_is_forgotten_does_not_count() {
        let mut known = Known::default();
        for (id, issued_at, bytes) in [("old", 1, 100), ("oldest", 0, 200), ("new", 1, 300), ("used", 0, 400)]
        {
            known.note(&client(id, issued_at), bytes);
        }
        known.forget(&client("used", 0).client_id);
        known.note(&client("new", 1), 50);
        assert_eq!(popped(&mut known, 3, 350), None);
        assert_eq!(popped(&mut known, 3, 349).as_deref(), Some("oldest"));
        assert_eq!(popped(&mut known, 3, 150), None);
        assert_eq!(popped(&mut known, 1, 150).as_deref(), Some("old"));
        assert_eq!(popped(&mut known, 1, 49).as_deref(), Some("new"));
        assert_eq!(popped(&mut known, 0, 0), None);
    }
}
