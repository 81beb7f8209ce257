//! The names of clients in a list of grants.

use std::collections::BTreeMap;

use crate::{flow::administration::Administration, oauth::client::ClientId, repository::RepositoryError};

/// Maximum number of names to cache.
const MOST_NAMES: usize = 1000;

/// A cache, so that each name is read once.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<ClientId, Option<String>>);

impl Names {
    pub(super) async fn of(
        &mut self,
        administration: &Administration,
        id: &ClientId,
    ) -> Result<Option<String>, RepositoryError> {
        if let Some(name) = self.0.get(id) {
            return Ok(name.clone());
        }
        if self.0.len() >= MOST_NAMES {
            self.0.clear();
        }
        let name = administration.client_name(id).await?;
        self.0.insert(id.clone(), name.clone());
        Ok(name)
    }
}
