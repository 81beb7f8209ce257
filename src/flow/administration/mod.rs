//! What operators do with clients and grants. Only the repository is needed, so it works whether or not a
//! daemon runs. Each change replaces one record, and every daemon sees it at its next read.

mod clients;
mod grants;
mod leaked;
mod revoking;

use std::sync::Arc;

pub use self::{
    clients::{ClientUse, Credential, NewClient, NotRotated, Pruned, Purpose, WithSecret},
    grants::{GrantFilter, Walk},
    leaked::{Leak, tokens_in},
    revoking::{Revocation, Tally, TokenRevocation, UserGrants, Whose},
};
use crate::{
    audit::{Context, Event, Subject},
    clock::{Clock, UnixTime},
    oauth::{
        client::{Client, ClientId},
        grant::Grant,
        operator::{Action, Operated, Operator},
    },
    repository::{Collection, Entity, Order, Page, Repository, RepositoryError, Unreadable, is_key},
    secret::Sealer,
};

/// Records that are read at once.
const PAGE: usize = 500;
/// Shortest prefix of an ID that is accepted for the whole.
const SHORTEST_PREFIX: usize = 4;
/// IDs that are listed when a prefix or a name is ambiguous.
const CANDIDATES: usize = 5;

/// What an ID, or a prefix of one, stands for.
#[derive(Debug)]
pub enum Found<T> {
    One(Box<T>),
    /// Several records. These are some of their IDs.
    Several(Vec<String>),
    /// One record, which cannot be parsed.
    Unreadable(Unreadable),
    Nothing,
}

/// The clients and grants of a repository, as operators see and change them.
#[derive(Debug)]
pub struct Administration {
    clients: Collection<Client>,
    grants: Collection<Grant>,
    /// Recognises refresh tokens that were rotated. An operator may have to work without it.
    sealer: Option<Sealer>,
    clock: Arc<dyn Clock>,
    operator: Option<Operator>,
}

impl Administration {
    /// Without an operator: see [`Administration::used_by`].
    #[must_use]
    pub fn new(repository: &Arc<dyn Repository>, sealer: Option<Sealer>, clock: Arc<dyn Clock>) -> Self {
        let (clients, grants) =
            (Collection::new(Arc::clone(repository)), Collection::new(Arc::clone(repository)));
        Self { clients, grants, sealer, clock, operator: None }
    }

    /// Names the operator in the audit log and in changed records.
    #[must_use]
    pub fn used_by(mut self, operator: Operator) -> Self {
        self.operator = Some(operator);
        self
    }

    /// What a changed record says about an action.
    fn operated(&self, action: Action, at: UnixTime) -> Option<Operated> {
        self.operator.clone().map(|by| Operated { action, at, by })
    }

    /// Writes an event about a client or a grant to the audit log.
    fn audit(&self, event: Event<'_>, subject: &impl Subject) {
        Context::of_operator(self.operator.as_ref()).about(subject).run(|| event.record());
    }

    /// Whole seconds.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// The grant whose ID is `text` or begins with it.
    pub async fn find_grant(&self, text: &str) -> Result<Found<Grant>, RepositoryError> {
        Self::find(&self.grants, text, self.now()).await
    }

    /// The client whose ID is `text` or begins with it. The URL of a document must be complete.
    pub async fn find_client(&self, text: &str) -> Result<Found<Client>, RepositoryError> {
        let document = ClientId::of_document(text);
        let key = document.as_ref().map_or(text, ClientId::key);
        Self::find(&self.clients, key, self.now()).await
    }

    /// Whether the client exists.
    pub async fn has_client(&self, id: &ClientId) -> Result<bool, RepositoryError> {
        Ok(self.clients.look(id.key(), self.now()).await?.is_some())
    }

    /// The name that the client registered, if its record can be parsed.
    pub async fn client_name(&self, id: &ClientId) -> Result<Option<String>, RepositoryError> {
        let client = self.clients.look(id.key(), self.now()).await?.and_then(Result::ok);
        Ok(client.and_then(|read| read.value.metadata.client_name))
    }

    async fn find<T: Entity>(
        all: &Collection<T>,
        text: &str,
        now: UnixTime,
    ) -> Result<Found<T>, RepositoryError> {
        if !is_key(text) {
            return Ok(Found::Nothing);
        }
        match all.look(text, now).await? {
            Some(Ok(exact)) => return Ok(Found::One(exact.value)),
            Some(Err(unreadable)) => return Ok(Found::Unreadable(unreadable)),
            None => {}
        }
        if text.len() < SHORTEST_PREFIX {
            return Ok(Found::Nothing);
        }
        let behind =
            Page { after: Some(text.to_owned()), limit: CANDIDATES, order: Order::Ascending, parent: None };
        let mut page = all.page(&behind, now).await?;
        page.values.retain(|candidate| candidate.key().starts_with(text));
        page.unreadable.retain(|candidate| candidate.key.starts_with(text));
        if page.count() > 1 {
            let readable = page.values.iter().map(|candidate| candidate.key().to_owned());
            let candidates = readable.chain(page.unreadable.into_iter().map(|candidate| candidate.key));
            return Ok(Found::Several(candidates.collect()));
        }
        let one = page.values.pop().map(|only| Found::One(Box::new(only)));
        let unreadable = page.unreadable.pop().map(Found::Unreadable);
        Ok(one.or(unreadable).unwrap_or(Found::Nothing))
    }
}

#[cfg(test)]
mod tests;
