//! What grants hold that depends on a sealing key: encrypted upstream sessions and derived refresh tokens.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::{SKEW, UnixTime},
    flow::{AuthorizationServer, refresh_texts, resealed},
    oauth::grant::{Grant, HeldSession, RefreshChain, Refreshable},
    repository::{Change, Collection, Listed, Page, Repository, RepositoryError},
    secret::{KeyId, Sealer},
};

/// Grants per page.
const PAGE: usize = 100;
/// How long a sealing key may still be used after the next one became active: by a daemon whose clock is
/// behind, and which checks every 30 seconds.
pub(super) const AFTERGLOW: Duration = SKEW.saturating_add(Duration::from_mins(3));

/// The outcome for one page of grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Sessions that were re-encrypted with the current key.
    pub resealed: u64,
    /// Sessions that no key decrypts, and grants that cannot be parsed.
    pub unreadable: u64,
    /// What the next page starts after; `None` after the last.
    pub next: Option<String>,
}

/// The grants of one page that still need an old key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InNeed {
    pub(super) grants: usize,
    /// What the next page starts after; `None` after the last.
    pub(super) next: Option<String>,
}

/// The grants of a repository, with the keys that their sessions depend on.
#[derive(Debug)]
pub struct SealedSessions {
    grants: Collection<Grant>,
    sealer: Sealer,
}

impl SealedSessions {
    /// The sessions of a running server.
    #[must_use]
    pub fn of(server: &AuthorizationServer) -> Self {
        Self::new(server.repository(), server.sealer().clone())
    }

    /// The sealer must have every key that is still in use.
    #[must_use]
    pub fn new(repository: Arc<dyn Repository>, sealer: Sealer) -> Self {
        Self { grants: Collection::new(repository), sealer }
    }

    /// Re-encrypts the sessions of one page after `after` with the current key. Concurrent changes of a grant
    /// are kept.
    pub async fn reseal(&self, after: Option<String>, now: UnixTime) -> Result<Resealed, RepositoryError> {
        let page = self.page(after, now).await?;
        let mut done = Resealed { resealed: 0, unreadable: page.unreadable.len() as u64, next: page.last };
        for grant in page.values.iter().filter(|grant| self.outdated(grant).is_some()) {
            match self.reseal_one(grant, now).await? {
                Resealing::Done => done.resealed += 1,
                Resealing::NotNeeded => {}
                Resealing::Unreadable => done.unreadable += 1,
            }
        }
        Ok(done)
    }

    /// Counts the grants of the page after `after` that need a key that this sealer does not have. A grant needs it for its session, or for a refresh token that was derived before
    /// `switched` and that a client may still retry. A grant that cannot be parsed counts.
    pub(super) async fn in_need_of_others(
        &self,
        after: Option<String>,
        switched: UnixTime,
        now: UnixTime,
    ) -> Result<InNeed, RepositoryError> {
        let page = self.page(after, now).await?;
        let needs = |grant: &&Grant| {
            self.is_sealed_elsewhere(grant) || self.has_refresh_token_of_others(grant, switched, now)
        };
        let grants = page.values.iter().filter(needs).count() + page.unreadable.len();
        Ok(InNeed { grants, next: page.last })
    }

    async fn page(&self, after: Option<String>, now: UnixTime) -> Result<Listed<Grant>, RepositoryError> {
        self.grants.page(&Page { after, limit: PAGE, ..Page::default() }, now).await
    }

    /// The session of a grant, if it is encrypted with another key than the current one.
    fn outdated<'a>(&self, grant: &'a Grant) -> Option<HeldSession<'a>> {
        grant.held_session().filter(|session| self.sealer.is_outdated(session.sealed()))
    }

    async fn reseal_one(&self, grant: &Grant, now: UnixTime) -> Result<Resealing, RepositoryError> {
        let updated = self.grants.update(grant.id().as_str(), now, |grant| {
            let Some(session) = self.outdated(grant) else { return Change::Leave(Resealing::NotNeeded) };
            match resealed(&self.sealer, grant.id(), session) {
                Some(resealed) => Change::Write(resealed, Resealing::Done),
                None => Change::Leave(Resealing::Unreadable),
            }
        });
        Ok(updated.await?.map_or(Resealing::NotNeeded, |updated| updated.outcome))
    }

    fn is_sealed_elsewhere(&self, grant: &Grant) -> bool {
        let session = grant.held_session();
        let key = session.map(|session| KeyId::of_sealed(session.sealed()));
        key.is_some_and(|key| key.is_none_or(|id| !self.sealer.holds(id)))
    }

    /// The current refresh token is recognised by its hash, without its key. But a client that lost the
    /// answer retries with the previous token. Recognising that one, and deriving the current one again,
    /// needs the keys.
    fn has_refresh_token_of_others(&self, grant: &Grant, switched: UnixTime, now: UnixTime) -> bool {
        let chain = grant.refreshable().map(Refreshable::chain);
        let Some(chain) = chain.filter(|chain| chain.generation > 0 && now < chain.expires_at) else {
            return false;
        };
        let mut made = refresh_texts(&self.sealer, grant.id(), chain, chain.generation);
        previous_issued_at(chain, grant) < switched.plus(AFTERGLOW)
            || !made.any(|made| chain.current.matches(&made))
    }
}

enum Resealing {
    Done,
    /// Another process did it, or the grant has ended.
    NotNeeded,
    /// No key in the ring decrypts it.
    Unreadable,
}

/// When the refresh token before the current one was issued.
fn previous_issued_at(chain: &RefreshChain, grant: &Grant) -> UnixTime {
    let before_last = chain.exchanges.iter().rev().nth(1);
    before_last.map_or(grant.terms().granted_at, |exchange| exchange.at)
}
