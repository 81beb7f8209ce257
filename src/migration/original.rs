//! Imports the clients of `pangea-authn-fastmcp` from its Vault into any repository. Its tokens and codes are not
//! imported: they are random strings that only its own store can check.

use std::{collections::HashSet, sync::Arc};

use super::{MigrationError, Result};
use crate::{
    clock::{Clock, UnixTime},
    oauth::{
        client::Client,
        imported::{self, NoClient},
    },
    repository::{Collection, ForeignSecret, Repository, RepositoryError, VaultRepository},
};

#[derive(Debug)]
pub struct OriginalImport {
    /// The library's Vault, which is never written.
    pub from: VaultRepository,
    /// The `folder` of the library's `PangeaVaultRepository`; `None` searches everywhere.
    pub folder: Option<String>,
    pub to: Arc<dyn Repository>,
    /// Decides which records have expired.
    pub clock: Arc<dyn Clock>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Clients that were added to the target.
    pub imported: u64,
    /// Clients that the target already had.
    pub present: u64,
    /// Clients that were not imported: name and reason.
    pub left: Vec<(String, String)>,
    /// The library's tokens, and Pangea tokens that it stored.
    pub tokens: u64,
    /// The library's authorization codes.
    pub codes: u64,
    /// Secrets of other programs.
    pub foreign: u64,
}

impl Found {
    #[must_use]
    pub fn clients(&self) -> u64 {
        self.imported + self.present + self.left.len() as u64
    }

    fn note(&mut self, name: String, no_client: NoClient) {
        match no_client {
            NoClient::Unusable(sentence) => self.left.push((name, sentence)),
            NoClient::Token => self.tokens += 1,
            NoClient::Code => self.codes += 1,
            NoClient::Foreign => self.foreign += 1,
        }
    }
}

impl OriginalImport {
    /// Imports every client that the target does not have yet. Without `write`, nothing changes and the result is a
    /// forecast. `progress` is called for each secret.
    ///
    /// # Errors
    ///
    /// When a side does not answer. Written records stay, and another run continues.
    pub async fn run(&self, write: bool, mut progress: impl FnMut()) -> Result<Found> {
        let (mut found, mut seen, mut from) = (Found::default(), HashSet::new(), None);
        loop {
            let part = self.from.foreign_part(self.folder.as_deref(), from).await;
            let (secrets, next) = part.map_err(MigrationError::Source)?;
            for secret in secrets {
                progress();
                // Newest first: later secrets of the same name are outdated.
                if seen.insert(secret.name.clone()) {
                    self.settle(secret, write, &mut found).await?;
                }
            }
            from = next;
            if from.is_none() {
                return Ok(found);
            }
        }
    }

    async fn settle(&self, secret: ForeignSecret, write: bool, found: &mut Found) -> Result<()> {
        let now = self.clock.now();
        let client = match imported::client(&secret.name, secret.value.expose(), now.plus(imported::KEPT)) {
            Ok(client) => client,
            Err(no_client) => {
                found.note(secret.name, no_client);
                return Ok(());
            }
        };
        if client.expires_at.is_some_and(|ends| ends <= now) {
            found.left.push((secret.name, "its secret has expired".to_owned()));
            return Ok(());
        }
        match self.bring(client, write, now).await {
            Ok(true) => found.imported += 1,
            Ok(false) => found.present += 1,
            Err(RepositoryError::TooLarge { size, largest }) => {
                let sentence = format!("it has {size} bytes where the target takes {largest}");
                found.left.push((secret.name, sentence));
            }
            Err(error) => return Err(MigrationError::Target(error)),
        }
        Ok(())
    }

    /// Whether the client is new to the target.
    async fn bring(
        &self,
        client: Client,
        write: bool,
        now: UnixTime,
    ) -> std::result::Result<bool, RepositoryError> {
        let clients = Collection::<Client>::new(Arc::clone(&self.to));
        if clients.get(client.client_id.as_str(), now).await?.is_some() {
            return Ok(false);
        }
        Ok(!write || clients.insert(client, now).await?.is_some())
    }
}
