//! Adding clients, seeing how they are used, removing unused ones.

use std::time::Duration;

use serde_json::json;

use super::{Administration, CANDIDATES, GrantFilter, PAGE};
use crate::{
    audit::Event,
    clock::UnixTime,
    flow::registration::new_secret,
    oauth::{
        client::{AuthenticationMethod, Client, ClientId, ClientMetadata, Origin, PreviousSecret},
        client_keys::ClientKeys,
        error::OAuthError,
        machine::Allowance,
        operator::Action,
        redirect::PrivateUseSchemes,
    },
    repository::{Change, Listed, Order, Page, RepositoryError},
    secret::{Random, TokenHash},
};

/// A client that the operator registers.
#[derive(Debug)]
pub struct NewClient {
    /// Shown on the consent page, and in lists.
    pub name: Option<String>,
    /// What it does.
    pub purpose: Purpose,
}

/// What a client is for, and how it authenticates.
#[derive(Debug)]
pub enum Purpose {
    /// It asks users for access.
    SignIn {
        /// At least one.
        redirect_uris: Vec<String>,
        /// Without one it is a public client.
        credential: Option<Credential>,
    },
    /// It acts for itself.
    Machine {
        /// What it may do.
        allowance: Allowance,
        /// How it authenticates.
        credential: Credential,
    },
}

/// How a confidential client authenticates.
#[derive(Debug)]
pub enum Credential {
    /// With a secret, which is made here.
    Secret,
    /// With assertions, which it signs with the private half of one of these keys.
    Keys(ClientKeys),
}

/// A client with its new secret, which is stored only as a hash.
#[derive(Debug)]
pub struct WithSecret {
    /// As stored.
    pub client: Box<Client>,
    /// `None` for a client that does not authenticate with a secret.
    pub secret: Option<String>,
}

/// Why a client gets no new secret.
#[derive(Debug, thiserror::Error)]
pub enum NotRotated {
    /// The client was removed meanwhile.
    #[error("the client has been removed")]
    Absent,
    /// It registered itself, and would not learn its new secret.
    #[error("the client registered itself; it must register again to get another secret")]
    SelfRegistered,
    /// It does not authenticate with a secret.
    #[error("the client has no secret")]
    NoSecret,
    /// The repository does not answer.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientUse {
    /// Grants that can still be used.
    pub live_grants: u64,
    /// Grants that cannot be parsed, and may be live.
    pub unreadable_grants: u64,
    /// When a grant was last used, as far as the remaining records tell.
    pub last_used_at: Option<UnixTime>,
}

impl ClientUse {
    /// Whether a grant of the client is live, or may be.
    const fn may_live(self) -> bool {
        self.live_grants > 0 || self.unreadable_grants > 0
    }
}

/// A client that was removed, or that `--dry-run` would remove.
#[derive(Debug)]
pub struct Pruned {
    /// Before the removal.
    pub client: Client,
    /// Before the removal.
    pub used: ClientUse,
}

impl Administration {
    /// Registers a client that does not expire.
    ///
    /// # Errors
    ///
    /// `invalid_redirect_uri` or `invalid_client_metadata`, as at the registration endpoint. When the
    /// repository does not answer.
    pub async fn add_client(
        &self,
        new: NewClient,
        schemes: &PrivateUseSchemes,
        random: &dyn Random,
    ) -> Result<WithSecret, OAuthError> {
        let now = self.now();
        let NewClient { name, purpose } = new;
        let (metadata, allowance, credential) = match purpose {
            Purpose::SignIn { redirect_uris, credential } => {
                let method = method_of(credential.as_ref());
                let body = json!({
                    "client_name": name,
                    "redirect_uris": redirect_uris,
                    // Replaced below: registration knows fewer methods than an operator.
                    "token_endpoint_auth_method": "none",
                    "grant_types": ["authorization_code", "refresh_token"],
                });
                let metadata = ClientMetadata::parse(body.to_string().as_bytes(), schemes)?;
                (ClientMetadata { token_endpoint_auth_method: method, ..metadata }, None, credential)
            }
            Purpose::Machine { allowance, credential } => {
                let metadata = ClientMetadata::of_machine(name.as_deref(), method_of(Some(&credential)));
                (metadata, Some(allowance), Some(credential))
            }
        };
        let (secret, jwks) = match credential {
            None => (None, None),
            Some(Credential::Secret) => (Some(new_secret(random)), None),
            Some(Credential::Keys(keys)) => (None, Some(keys)),
        };
        let client_id = ClientId::made(self.clock.millis(), random);
        let client = Client {
            secret: secret.as_deref().map(TokenHash::of),
            jwks,
            allowance,
            operated: self.operated(Action::Added, now),
            ..Client::new(client_id, Origin::Operator, metadata, now)
        };
        let stored = self.clients.insert(client, now).await?;
        let stored = stored.ok_or_else(|| OAuthError::internal("the new client ID is taken"))?;
        self.audit(Event::Registration, &stored.value);
        Ok(WithSecret { client: stored.value, secret })
    }

    /// Gives a client another secret. The current one is accepted for `overlap`, an earlier one no more.
    ///
    /// # Errors
    ///
    /// When the client cannot have another secret, or the repository does not answer.
    pub async fn rotate_secret(
        &self,
        id: &ClientId,
        overlap: Duration,
        random: &dyn Random,
    ) -> Result<WithSecret, NotRotated> {
        let now = self.now();
        let read = self.clients.get(id.key(), now).await?.ok_or(NotRotated::Absent)?;
        let secret = new_secret(random);
        let updated = self.clients.update_from(read, now, |client| {
            if client.origin == Origin::SelfRegistered {
                return Err(NotRotated::SelfRegistered);
            }
            let hash = client.secret.clone().ok_or(NotRotated::NoSecret)?;
            let rotated = Client {
                secret: Some(TokenHash::of(&secret)),
                previous_secret: (!overlap.is_zero())
                    .then(|| PreviousSecret { hash, until: now.plus(overlap) }),
                operated: self.operated(Action::SecretRotated, now),
                ..client.clone()
            };
            Ok(Change::Write(rotated, ()))
        });
        let client = updated.await?.ok_or(NotRotated::Absent)?.stored.value;
        self.audit(Event::SecretRotation, &client);
        Ok(WithSecret { client, secret: Some(secret) })
    }

    /// A page of clients, ordered by ID, that starts after `after`.
    pub async fn clients_after(&self, after: Option<String>) -> Result<Listed<Client>, RepositoryError> {
        let page = Page { after, order: Order::Ascending, limit: PAGE, parent: None };
        self.clients.page(&page, self.now()).await
    }

    /// Whether the repository has grants of this client, even if the client was removed.
    pub async fn has_grants(&self, id: &ClientId) -> Result<bool, RepositoryError> {
        let page = Page { parent: Some(id.key().to_owned()), limit: 1, ..Page::default() };
        Ok(self.grants.page(&page, self.now()).await?.count() > 0)
    }

    /// Some of the clients with this name, in any case.
    pub async fn clients_called(&self, name: &str) -> Result<Vec<ClientId>, RepositoryError> {
        let wanted = name.to_lowercase();
        let is_meant = |client: &Client| {
            client.metadata.client_name.as_ref().is_some_and(|name| name.to_lowercase() == wanted)
        };
        let mut called: Vec<ClientId> = Vec::new();
        let mut after = None;
        while called.len() < CANDIDATES {
            let page = self.clients_after(after).await?;
            if page.last.is_none() {
                break;
            }
            after = page.last;
            called.extend(page.values.into_iter().filter(is_meant).map(|client| client.client_id));
        }
        called.truncate(CANDIDATES);
        Ok(called)
    }

    /// How a client is used. Reads all of its grants, a page at a time.
    pub async fn client_use(&self, id: &ClientId) -> Result<ClientUse, RepositoryError> {
        let filter = GrantFilter { client: Some(id.clone()), ..GrantFilter::default() };
        let (mut used, mut walk) = (ClientUse::default(), self.walk(&filter, None));
        while let Some(page) = walk.next_page().await? {
            used.unreadable_grants += page.unreadable.len() as u64;
            for grant in page.values {
                used.live_grants += u64::from(grant.standing(self.now()).is_live());
                used.last_used_at = used.last_used_at.max(Some(grant.last_used_at()));
            }
        }
        Ok(used)
    }

    /// The client if it can be pruned: it registered itself, was not used for `unused`, and has no live
    /// grant.
    pub async fn if_dead(&self, client: Client, unused: Duration) -> Result<Option<Pruned>, RepositoryError> {
        let now = self.now();
        if client.origin == Origin::Operator || now.since(client.issued_at) < unused {
            return Ok(None);
        }
        let used = self.client_use(&client.client_id).await?;
        let recently = used.last_used_at.is_some_and(|last| now.since(last) < unused);
        Ok((!used.may_live() && !recently).then_some(Pruned { client, used }))
    }

    /// Removes a client, and returns whether it is gone. If a user signs in with it at the same moment, it is
    /// put back.
    pub async fn prune(&self, dead: &Pruned) -> Result<bool, RepositoryError> {
        let id = &dead.client.client_id;
        let Some(taken) = self.clients.take(id.key(), self.now()).await? else { return Ok(false) };
        if !self.client_use(id).await?.may_live() {
            self.audit(Event::ClientRemoval, &dead.client);
            return Ok(true);
        }
        self.clients.insert(taken, self.now()).await?;
        Ok(false)
    }
}

const fn method_of(credential: Option<&Credential>) -> AuthenticationMethod {
    match credential {
        None => AuthenticationMethod::None,
        Some(Credential::Secret) => AuthenticationMethod::ClientSecretBasic,
        Some(Credential::Keys(_)) => AuthenticationMethod::PrivateKeyJwt,
    }
}
