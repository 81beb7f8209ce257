//! Clients that `pangea-authn-fastmcp` keeps in the same Vault: nobody has to register again on the day
//! of the move.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{StartError, storage::connect_vault};
use crate::{
    clock::UnixTime,
    config::VaultConfig,
    oauth::{client::Client, imported},
    repository::{
        Atomicity, Collection, ForeignSecret, Kind, Page, Record, Repository, Result, VaultRepository,
        Version, Versioned, Write,
    },
};

/// For how long a client is kept that was taken over, unless somebody signs in with it.
const ADOPTED_FOR: Duration = Duration::from_hours(30 * 24);
/// How the names of our own clients begin; the original's are UUIDs.
const OURS: &str = "mcp_";

/// A Vault repository that takes over a client of the original library when it is first asked for.
#[derive(Debug)]
pub(super) struct OriginalClients {
    vault: Arc<VaultRepository>,
    clients: Collection<Client>,
}

impl OriginalClients {
    pub(super) fn new(vault: Arc<VaultRepository>) -> Self {
        let repository: Arc<dyn Repository> = Arc::<VaultRepository>::clone(&vault);
        Self { vault, clients: Collection::new(repository) }
    }

    /// Takes the client over, if the original knows it.
    async fn adopt(&self, id: &str, now: UnixTime) -> Result<()> {
        let until = now.plus(ADOPTED_FOR);
        let found = self.vault.foreign(id).await?;
        let Some(client) = found.iter().find_map(|secret| client(secret, until)) else { return Ok(()) };
        if client.expires_at.is_none_or(|ends| now < ends)
            && let Some(adopted) = self.clients.insert(client, now).await?
        {
            tracing::info!(
                target: "audit", event = "client_taken_over", client_id = %adopted.value.client_id,
                "client of pangea-authn-fastmcp taken over"
            );
        }
        Ok(())
    }
}

#[async_trait]
impl Repository for OriginalClients {
    async fn get(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Versioned>> {
        let found = self.vault.get(kind, key, now).await?;
        if found.is_some() || kind != Kind::Client || key.starts_with(OURS) {
            return Ok(found);
        }
        self.adopt(key, now).await?;
        self.vault.get(kind, key, now).await
    }

    async fn insert(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write> {
        self.vault.insert(kind, record, now).await
    }

    async fn replace(&self, kind: Kind, record: &Record, read: Version, now: UnixTime) -> Result<Write> {
        self.vault.replace(kind, record, read, now).await
    }

    /// A client that is removed must not come back from where it came.
    async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>> {
        if kind == Kind::Client && !key.starts_with(OURS) {
            for secret in self.vault.foreign(key).await?.iter().filter(|found| client(found, now).is_some()) {
                self.vault.delete_foreign(secret).await?;
            }
        }
        self.vault.take(kind, key, now).await
    }

    async fn list(&self, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>> {
        self.vault.list(kind, page, now).await
    }

    async fn purge_expired(&self, now: UnixTime) -> Result<u64> {
        self.vault.purge_expired(now).await
    }

    async fn ping(&self) -> Result<()> {
        self.vault.ping().await
    }

    fn atomicity(&self) -> Atomicity {
        self.vault.atomicity()
    }

    async fn warnings(&self) -> Result<Vec<String>> {
        self.vault.warnings().await
    }
}

/// Every client that `pangea-authn-fastmcp` 0.3.2 keeps in this Vault, as a client of ours that is kept
/// until `expires_at`. It looks into `folder` (the one that was given to the library's
/// `PangeaVaultRepository`), or everywhere. Nothing is written.
///
/// # Errors
///
/// When Vault cannot be used.
pub async fn original_clients(
    vault: &VaultConfig,
    folder: Option<&str>,
    expires_at: UnixTime,
) -> std::result::Result<Vec<Client>, StartError> {
    let vault = connect_vault(vault).await?;
    let (mut clients, mut from) = (Vec::new(), None);
    loop {
        let (secrets, next) = vault.foreign_part(folder, from).await?;
        clients.extend(secrets.iter().filter_map(|secret| client(secret, expires_at)));
        from = next;
        if from.is_none() {
            return Ok(clients);
        }
    }
}

fn client(secret: &ForeignSecret, expires_at: UnixTime) -> Option<Client> {
    imported::client(&secret.name, secret.value.expose(), expires_at)
}
