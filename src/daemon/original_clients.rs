//! Takes over clients of `pangea-authn-fastmcp` from the same Vault, so that they need not register again.

use std::{num::NonZeroU64, sync::Arc};

use async_trait::async_trait;

use crate::{
    audit::{self, Event},
    clock::UnixTime,
    oauth::{client::Client, imported},
    repository::{
        Access, Collection, ForeignSecret, Kind, Record, Repository, Result, VaultRepository, Version,
        Versioned, forward_to_repository,
    },
};

/// Prefixes of the keys of our own clients; the library's are UUIDs.
const OURS: [&str; 2] = ["mcp_", "document."];

fn is_ours(key: &str) -> bool {
    OURS.iter().any(|prefix| key.starts_with(prefix))
}

/// A Vault repository that takes over a client of the library when it is first read.
#[derive(Debug)]
pub(super) struct OriginalClients {
    /// Where the library's clients are.
    vault: Arc<VaultRepository>,
    /// Where our clients are: the same Vault, guarded by the lease.
    repository: Arc<dyn Repository>,
    clients: Collection<Client>,
    access: Access,
}

impl OriginalClients {
    pub(super) fn new(vault: Arc<VaultRepository>, repository: Arc<dyn Repository>, access: Access) -> Self {
        let clients = Collection::new(Arc::clone(&repository));
        Self { vault, repository, clients, access }
    }

    /// The client of the library, if it exists and has not expired.
    async fn original(&self, id: &str, now: UnixTime) -> Result<Option<Client>> {
        let until = now.plus(imported::KEPT);
        let found = self.vault.foreign(id).await?;
        let client = found.iter().find_map(|secret| client(secret, until));
        Ok(client.filter(|client| client.expires_at.is_none_or(|ends| now < ends)))
    }

    async fn adopt(&self, client: Client, now: UnixTime) -> Result<()> {
        if let Some(adopted) = self.clients.insert(client, now).await? {
            audit::about(&adopted.value);
            Event::ClientTakenOver.record();
        }
        Ok(())
    }
}

#[async_trait]
impl Repository for OriginalClients {
    forward_to_repository!(repository: insert, replace, list, purge_expired, ping, atomicity, warnings);

    async fn get(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Versioned>> {
        let found = self.repository.get(kind, key, now).await?;
        if found.is_some() || kind != Kind::Client || is_ours(key) {
            return Ok(found);
        }
        let Some(client) = self.original(key, now).await? else { return Ok(None) };
        if self.access == Access::ReadOnly {
            // As if it were taken over now.
            let record = Collection::record(&client)?;
            return Ok(Some(Versioned { record, version: Version(NonZeroU64::MIN) }));
        }
        self.adopt(client, now).await?;
        self.repository.get(kind, key, now).await
    }

    /// Deletes the original, too: a removed client must not be taken over again.
    async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>> {
        if kind == Kind::Client && !is_ours(key) {
            for secret in self.vault.foreign(key).await?.iter().filter(|found| client(found, now).is_some()) {
                self.vault.delete_foreign(secret).await?;
            }
        }
        self.repository.take(kind, key, now).await
    }
}

fn client(secret: &ForeignSecret, expires_at: UnixTime) -> Option<Client> {
    imported::client(&secret.name, secret.value.expose(), expires_at).ok()
}
