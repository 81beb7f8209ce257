//! What grants hold that depends on a sealing key: the sealed upstream session, and the refresh
//! tokens that are derived.

use std::{sync::Arc, time::Duration};

use super::grants::{refresh_texts, resealed};
use crate::{
    clock::{SKEW, UnixTime},
    oauth::grant::{Grant, HeldSession, RefreshChain, Refreshable},
    repository::{Change, Collection, Listed, Page, Repository, RepositoryError},
    secret::{KeyId, Sealer},
};

/// Grants that are read at once.
const PAGE: usize = 100;
/// For so long after the time of the next one a sealing key may still have been used: by a daemon whose
/// clock is behind, and which looks every 30 seconds whether that time has come.
pub const AFTERGLOW: Duration = SKEW.saturating_add(Duration::from_mins(3));

/// What came of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Sessions that are now sealed under the present key.
    pub resealed: u64,
    /// Sessions that no key opens, and grants that cannot be read.
    pub unreadable: u64,
    /// Where the next page begins; `None` after the last.
    pub next: Option<String>,
}

/// The grants, seen as what the sealing keys hold together.
#[derive(Debug)]
pub struct SealedSessions {
    grants: Collection<Grant>,
    sealer: Sealer,
}

impl SealedSessions {
    /// The sessions in `repository`.
    #[must_use]
    pub fn new(repository: Arc<dyn Repository>, sealer: Sealer) -> Self {
        Self { grants: Collection::new(repository), sealer }
    }

    /// Seals the sessions of one page behind `after` under the present key. Whatever else becomes
    /// of a grant meanwhile stays.
    ///
    /// # Errors
    ///
    /// When the repository does not answer.
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

    /// How many grants of the page behind `after` need a key that this sealer does not hold:
    /// their session is sealed under it, or a client may still come back with a refresh token that
    /// was derived under it before `switched`. A grant that cannot be read may, too. And where the next
    /// page begins.
    ///
    /// # Errors
    ///
    /// When the repository does not answer.
    pub async fn in_need_of_others(
        &self,
        after: Option<String>,
        switched: UnixTime,
        now: UnixTime,
    ) -> Result<(usize, Option<String>), RepositoryError> {
        let page = self.page(after, now).await?;
        let needs = |grant: &&Grant| {
            self.is_sealed_elsewhere(grant) || self.has_refresh_token_of_others(grant, switched, now)
        };
        Ok((page.values.iter().filter(needs).count() + page.unreadable.len(), page.last))
    }

    async fn page(&self, after: Option<String>, now: UnixTime) -> Result<Listed<Grant>, RepositoryError> {
        self.grants.page(&Page { after, limit: PAGE, ..Page::default() }, now).await
    }

    /// The session of a grant, if it is sealed with another key than the current one.
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

    /// The current refresh token is known by its hash, whatever becomes of its key. But a client
    /// whose answer was lost comes back with the token before it, and one that must be given the
    /// current one again needs its key, too.
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

/// What came of one session.
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
