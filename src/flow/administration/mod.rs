//! What operators do with clients and grants. It needs the records alone, so it works while daemons
//! run and while none does; each change replaces one record, and every daemon sees it at its next read.

mod clients;
mod grants;
mod leaked;
mod revoking;

use std::sync::Arc;

pub use self::{
    clients::{ClientUse, NewClient, Pruned},
    grants::{GrantFilter, Walk},
    leaked::{Leak, tokens_in},
    revoking::{Revocation, Tally},
};
use crate::{
    clock::{Clock, UnixTime},
    oauth::{
        client::{Client, ClientId},
        grant::Grant,
    },
    repository::{Collection, Order, Page, Repository, RepositoryError, is_key},
    secret::Sealer,
};

/// Records that are read at once.
const PAGE: usize = 500;
/// The shortest beginning that stands for a whole id.
const SHORTEST_PREFIX: usize = 4;
/// Ids that are told of where several are meant.
const CANDIDATES: usize = 5;

/// What an id, or the beginning of one, stands for.
#[derive(Debug)]
pub enum Found<T> {
    /// This.
    One(Box<T>),
    /// Several, these among them: more must be written of it.
    Several(Vec<String>),
    /// Nothing.
    Nothing,
}

/// Clients and grants, in the hands of an operator.
#[derive(Debug)]
pub struct Administration {
    clients: Collection<Client>,
    grants: Collection<Grant>,
    /// To know rotated refresh tokens again; an operator may have to work without it.
    sealer: Option<Sealer>,
    clock: Arc<dyn Clock>,
}

impl Administration {
    /// The records of a repository.
    #[must_use]
    pub fn new(repository: &Arc<dyn Repository>, sealer: Option<Sealer>, clock: Arc<dyn Clock>) -> Self {
        let (clients, grants) =
            (Collection::new(Arc::clone(repository)), Collection::new(Arc::clone(repository)));
        Self { clients, grants, sealer, clock }
    }

    /// The present time.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// The grant whose id is or begins with `text`.
    ///
    /// # Errors
    ///
    /// When the repository does not answer.
    pub async fn find_grant(&self, text: &str) -> Result<Found<Grant>, RepositoryError> {
        self.find(&self.grants, text, |grant| grant.id.as_str()).await
    }

    /// The client whose id is or begins with `text`.
    ///
    /// # Errors
    ///
    /// When the repository does not answer.
    pub async fn find_client(&self, text: &str) -> Result<Found<Client>, RepositoryError> {
        self.find(&self.clients, text, |client| client.client_id.as_str()).await
    }

    /// A client.
    ///
    /// # Errors
    ///
    /// When the repository does not answer.
    pub async fn client(&self, id: &ClientId) -> Result<Option<Client>, RepositoryError> {
        Ok(self.clients.get(id.as_str(), self.now()).await?.map(|read| read.value))
    }

    async fn find<T: crate::repository::Entity>(
        &self,
        all: &Collection<T>,
        text: &str,
        id: impl Fn(&T) -> &str,
    ) -> Result<Found<T>, RepositoryError> {
        let now = self.now();
        if !is_key(text) {
            return Ok(Found::Nothing);
        }
        if let Some(exact) = all.get(text, now).await? {
            return Ok(Found::One(Box::new(exact.value)));
        }
        if text.len() < SHORTEST_PREFIX {
            return Ok(Found::Nothing);
        }
        let behind =
            Page { after: Some(text.to_owned()), limit: CANDIDATES, order: Order::Ascending, parent: None };
        let mut candidates = all.list(&behind, now).await?;
        candidates.retain(|candidate| id(candidate).starts_with(text));
        Ok(match candidates.len() {
            0 | 1 => candidates.pop().map_or(Found::Nothing, |only| Found::One(Box::new(only))),
            _ => Found::Several(candidates.iter().map(|candidate| id(candidate).to_owned()).collect()),
        })
    }
}
