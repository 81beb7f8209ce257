//! The use cases. Each reads records, lets the types of [`crate::oauth`] decide, and stores what follows.

pub mod administration;
mod authentication;
mod background;
mod connections;
mod directory;
mod grants;
mod introspection;
mod login;
mod person_index;
mod registration;
mod returns;
mod revocation;
mod token;
mod unused;
mod visitor;

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use self::authentication::SpentAssertion;
pub(crate) use self::grants::{refresh_texts, resealed};
pub use self::{
    connections::{Connection, Connections, PageSession},
    directory::{DocumentProblem, UnusableDocument},
    introspection::Introspected,
    login::{
        Answered, CallbackError, Consent, Decision, DecisionError, Ending, PersonDecides, Question, Refusal,
        Returned, ToUpstream, flow_name,
    },
    registration::Registered,
    token::{TokenRequest, TokenResponse},
    visitor::Visitor,
};
use crate::{
    audit::Event,
    client_documents::ClientDocuments,
    clock::{Clock, SKEW, UnixTime},
    keys::{KeyError, Keys, Turns},
    oauth::{
        authorization::Resources,
        client::Client,
        error::{ErrorCode, OAuthError},
        grant::Grant,
        issuer::Issuer,
        policy::{AccessPolicy, DocumentPolicy, Lifetimes, RegistrationPolicy},
        resource::Resource,
        token::PersonClaim,
    },
    repository::{Collection, Entity, Kind, Repository, RepositoryError},
    secret::{Random, Sealer, TokenHash},
    upstream::Upstream,
};

/// How long a user may take on each page of this server.
pub const PATIENCE: Duration = Duration::from_mins(10);
/// How long a user may take at the upstream, where some sign up first or enrol a second factor.
pub const UPSTREAM_PATIENCE: Duration = Duration::from_mins(30);

/// Maximum concurrent calls of the upstream. Beyond that, a browser that returns gets a page that asks to try
/// again, and the check of a session waits for its turn.
pub const MOST_UPSTREAM_CALLS: usize = 64;
/// How long a returning browser waits for its turn, in case many users sign in at the same moment.
const RETURN_PATIENCE: Duration = Duration::from_millis(500);
/// How long a request for the published keys waits for a slow repository.
const KEYS_PATIENCE: Duration = Duration::from_secs(1);

/// What the operator configured, as far as the use cases need it.
#[derive(Debug)]
pub struct Settings {
    /// The `iss` of tokens.
    pub issuer: Issuer,
    /// The base of every endpoint.
    pub public_url: Issuer,
    /// The MCP servers, with their scopes.
    pub resources: Resources,
    /// Who may introspect tokens, by the client ID of the resource server.
    pub introspectors: HashMap<String, Introspector>,
    pub access: AccessPolicy,
    /// Claims about the person in tokens, in addition to `sub`.
    pub claims: Vec<PersonClaim>,
    pub lifetimes: Lifetimes,
    pub registration: RegistrationPolicy,
    /// Whose client metadata documents are accepted.
    pub client_documents: DocumentPolicy,
}

#[derive(Debug, Clone)]
pub struct Introspector {
    /// Of its `client_secret`.
    pub secret: TokenHash,
    /// The only resource whose tokens it may see; `None` for every resource (development).
    pub resource: Option<Resource>,
}

/// The authorization server, without HTTP.
#[derive(Debug)]
pub struct AuthorizationServer {
    pub(crate) settings: Settings,
    pub(crate) clients: Collection<Client>,
    pub(crate) grants: Collection<Grant>,
    spent_assertions: Collection<SpentAssertion>,
    page_sessions: Collection<PageSession>,
    person_index: person_index::PersonIndex,
    repository: Arc<dyn Repository>,
    pub(crate) keys: Keys,
    sealer: Sealer,
    upstream: Arc<dyn Upstream>,
    documents: Arc<ClientDocuments>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    returns: returns::Returns,
    unused: unused::Unused,
    upstream_calls: Semaphore,
    background: background::Background,
}

/// What an authorization server needs besides its settings.
#[derive(Debug)]
pub struct Foundations {
    /// Stores clients and grants.
    pub repository: Arc<dyn Repository>,
    pub keys: Keys,
    /// Encrypts upstream sessions and logins, and derives codes and refresh tokens.
    pub sealer: Sealer,
    pub upstream: Arc<dyn Upstream>,
    /// Fetches and caches client metadata documents.
    pub documents: ClientDocuments,
    /// A test can pass a clock that stands still.
    pub clock: Arc<dyn Clock>,
    /// A test can pass predictable randomness.
    pub random: Arc<dyn Random>,
}

impl AuthorizationServer {
    /// Does no I/O.
    #[must_use]
    pub fn new(settings: Settings, on: Foundations) -> Self {
        Self {
            settings,
            clients: Collection::new(Arc::clone(&on.repository)),
            grants: Collection::new(Arc::clone(&on.repository)),
            spent_assertions: Collection::new(Arc::clone(&on.repository)),
            page_sessions: Collection::new(Arc::clone(&on.repository)),
            person_index: person_index::PersonIndex::new(&on.repository),
            repository: on.repository,
            keys: on.keys,
            sealer: on.sealer,
            upstream: on.upstream,
            documents: Arc::new(on.documents),
            clock: on.clock,
            random: on.random,
            returns: returns::Returns::default(),
            unused: unused::Unused::default(),
            upstream_calls: Semaphore::new(MOST_UPSTREAM_CALLS),
            background: background::Background::default(),
        }
    }

    /// Waits for work that requests have left behind. Call it after the last request.
    pub async fn finish(&self) {
        self.background.finish().await;
    }

    /// Whole seconds, from the clock that the server was made with.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// Where secrets come from.
    #[must_use]
    pub fn random(&self) -> &dyn Random {
        &*self.random
    }

    /// What the server was made with.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Shared with the commands that rotate them.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Its clones share one key ring.
    #[must_use]
    pub const fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    #[must_use]
    pub fn repository(&self) -> Arc<dyn Repository> {
        Arc::clone(&self.repository)
    }

    /// Reads the signing keys again, because another process may have made one, and makes the next key when
    /// it is due.
    ///
    /// # Errors
    ///
    /// When the repository does not answer, or a key cannot be decrypted.
    pub async fn keep_keys(&self) -> Result<(), KeyError> {
        let (now, lifetimes) = (self.now(), &self.settings.lifetimes);
        let turns = Turns { lifetime: lifetimes.signing_key, access_lifetime: lifetimes.access };
        self.keys.reload(now).await?;
        // A daemon that had to wait for the write lease has made none yet.
        self.keys.make_first(now).await?;
        if self.keys.rotate_when_due(turns, now).await? {
            Event::KeyRotation { at_once: false }.record();
        }
        Ok(())
    }

    /// The public keys as a JSON Web Key Set. A key that an operator removed disappears within a second,
    /// unless the repository does not answer.
    pub async fn published_keys(&self) -> Bytes {
        let now = self.now();
        if self.keys.are_due(now) {
            match timeout(KEYS_PATIENCE, self.keys.refresh(now)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "cannot read the signing keys again"),
                Err(_) => tracing::warn!("cannot read the signing keys again: the repository is slow"),
            }
        }
        self.keys.published()
    }

    /// Checks that the repository answers and that every signing key that was last read from it is published.
    ///
    /// # Errors
    ///
    /// The first check that fails.
    pub async fn ready(&self) -> Result<(), KeyError> {
        self.repository.ping().await?;
        self.keys.unopened_key().map_or(Ok(()), |kid| Err(KeyError::Sealed(kid)))
    }

    /// Problems with how the repository is set up, one sentence each.
    pub async fn repository_warnings(&self) -> Result<Vec<String>, RepositoryError> {
        self.repository.warnings().await
    }

    /// Deletes a batch of records that have expired, allowing for slower clocks. Zero when none are left.
    pub async fn purge(&self) -> Result<u64, RepositoryError> {
        self.repository.purge_expired(self.now().minus(SKEW)).await
    }

    /// Permission to call the upstream, until the value is dropped; `None` after `patience`.
    async fn upstream_turn(&self, patience: Duration) -> Option<SemaphorePermit<'_>> {
        tokio::time::timeout(patience, self.upstream_calls.acquire()).await.ok()?.ok()
    }
}

impl Entity for Client {
    const KIND: Kind = Kind::Client;

    fn key(&self) -> &str {
        self.client_id.key()
    }

    fn parent(&self) -> Option<&str> {
        self.unused.then_some(unused::PARENT)
    }

    fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at
    }
}

impl Entity for Grant {
    const KIND: Kind = Kind::Grant;

    fn key(&self) -> &str {
        self.id().as_str()
    }

    fn parent(&self) -> Option<&str> {
        Some(self.terms().client_id.key())
    }

    fn expires_at(&self) -> Option<UnixTime> {
        Some(self.expires_at())
    }
}

impl From<RepositoryError> for OAuthError {
    fn from(error: RepositoryError) -> Self {
        match error {
            RepositoryError::Unavailable(_) => {
                Self::new(ErrorCode::TemporarilyUnavailable, "try again in a moment").caused_by(error)
            }
            RepositoryError::TooLarge { .. }
            | RepositoryError::Corrupt(_)
            | RepositoryError::Unusable(_)
            | RepositoryError::Absent(_) => Self::internal(error),
        }
    }
}

impl From<KeyError> for OAuthError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Repository(error) => error.into(),
            error => Self::internal(error),
        }
    }
}
