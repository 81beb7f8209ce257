//! The use cases, where protocol, repository, upstream and clock meet.

pub mod administration;
mod authentication;
mod background;
mod grants;
mod introspection;
mod login;
mod registration;
mod returns;
mod revocation;
mod sealed_sessions;
mod token;
mod unused;

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

pub use self::{
    introspection::Introspected,
    login::{
        Answered, CallbackError, Consent, Decision, DecisionError, Ending, PersonDecides, Question, Refusal,
        Returned, Visitor, flow_name,
    },
    registration::Registered,
    sealed_sessions::{AFTERGLOW, Resealed, SealedSessions},
    token::{TokenRequest, TokenResponse},
};
use crate::{
    audit::Event,
    clock::{Clock, SKEW, UnixTime},
    keys::{KeyError, Keys, Turns},
    oauth::{
        authorization::Resources,
        client::Client,
        error::{ErrorCode, OAuthError},
        grant::Grant,
        issuer::Issuer,
        policy::{AccessPolicy, Lifetimes, RegistrationPolicy},
        resource::Resource,
        token::PersonClaim,
    },
    repository::{Collection, Entity, Kind, Repository, RepositoryError},
    secret::{Random, Sealer, TokenHash},
    upstream::Upstream,
};

/// How long a user may take at each page of ours.
pub const PATIENCE: Duration = Duration::from_mins(10);
/// How long a user may take at the upstream, where some sign up first or enrol a second factor.
pub const UPSTREAM_PATIENCE: Duration = Duration::from_mins(30);

/// Maximum concurrent calls of the upstream. Beyond that, a browser that comes back is told to try again,
/// and the check of a session waits for its turn.
pub const MOST_UPSTREAM_CALLS: usize = 64;
/// How long a browser that comes back waits for its turn: many users may sign in at the same moment.
const RETURN_PATIENCE: Duration = Duration::from_millis(500);
/// How long a slow repository holds up whoever asks for the published keys.
const KEYS_PATIENCE: Duration = Duration::from_secs(1);

/// What the operator decided.
#[derive(Debug)]
pub struct Settings {
    /// Our one name.
    pub issuer: Issuer,
    /// Where browsers reach us.
    pub public_url: Issuer,
    /// The MCP servers.
    pub resources: Resources,
    /// Who may ask about tokens: by client id, the hash of the secret and the resource asked for;
    /// no resource means every loopback one (development).
    pub introspectors: HashMap<String, Introspector>,
    /// Who may sign in.
    pub access: AccessPolicy,
    /// What tokens say of people besides their id.
    pub claims: Vec<PersonClaim>,
    /// Lifetimes.
    pub lifetimes: Lifetimes,
    /// Self-registration.
    pub registration: RegistrationPolicy,
}

/// A resource server that may ask about tokens.
#[derive(Debug, Clone)]
pub struct Introspector {
    /// The hash of its secret.
    pub secret: TokenHash,
    /// The resource whose tokens it may see; `None` for every one (development).
    pub resource: Option<Resource>,
}

/// The authorization server, without a network around it.
#[derive(Debug)]
pub struct AuthorizationServer {
    pub(crate) settings: Settings,
    pub(crate) clients: Collection<Client>,
    pub(crate) grants: Collection<Grant>,
    repository: Arc<dyn Repository>,
    pub(crate) keys: Keys,
    sealer: Sealer,
    upstream: Arc<dyn Upstream>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    returns: returns::Returns,
    unused: unused::Unused,
    upstream_calls: Semaphore,
    background: background::Background,
}

/// Everything that an authorization server stands on.
#[derive(Debug)]
pub struct Foundations {
    /// Where clients and grants live.
    pub repository: Arc<dyn Repository>,
    /// The signing keys.
    pub keys: Keys,
    /// Seals what leaves the process.
    pub sealer: Sealer,
    /// Who signs people in.
    pub upstream: Arc<dyn Upstream>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

impl AuthorizationServer {
    /// An authorization server.
    #[must_use]
    pub fn new(settings: Settings, on: Foundations) -> Self {
        Self {
            settings,
            clients: Collection::new(Arc::clone(&on.repository)),
            grants: Collection::new(Arc::clone(&on.repository)),
            repository: on.repository,
            keys: on.keys,
            sealer: on.sealer,
            upstream: on.upstream,
            clock: on.clock,
            random: on.random,
            returns: returns::Returns::default(),
            unused: unused::Unused::default(),
            upstream_calls: Semaphore::new(MOST_UPSTREAM_CALLS),
            background: background::Background::default(),
        }
    }

    /// Returns when all work is done that was left over from requests. For after the last one.
    pub async fn finish(&self) {
        self.background.finish().await;
    }

    /// The present time.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// The source of randomness.
    #[must_use]
    pub fn random(&self) -> &dyn Random {
        &*self.random
    }

    /// What the operator decided.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The signing keys.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What seals and derives; its clones share their keys.
    #[must_use]
    pub const fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// The upstream sessions that the grants hold.
    #[must_use]
    pub fn sealed_sessions(&self) -> SealedSessions {
        SealedSessions::new(Arc::clone(&self.repository), self.sealer.clone())
    }

    /// Reads the signing keys again, so that those which another process made are published here,
    /// too, and makes the next one when it is due.
    ///
    /// # Errors
    ///
    /// When the repository does not answer or its keys cannot be opened.
    pub async fn keep_keys(&self) -> Result<(), KeyError> {
        let (now, lifetimes) = (self.now(), &self.settings.lifetimes);
        let turns = Turns { lifetime: lifetimes.signing_key, access_lifetime: lifetimes.access };
        self.keys.reload(now).await?;
        // A daemon that had to wait for the right to write has made none.
        self.keys.make_first(now).await?;
        if self.keys.rotate_when_due(turns, now).await? {
            Event::KeyRotation { at_once: false }.record();
        }
        Ok(())
    }

    /// The public keys as a JSON Web Key Set. A key that an operator removed is gone from it within a second,
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

    /// Whether the repository answers, and each signing key that was in it when the keys were last read
    /// is published here.
    ///
    /// # Errors
    ///
    /// When it does not, or one is not.
    pub async fn ready(&self) -> Result<(), KeyError> {
        self.repository.ping().await?;
        self.keys.unopened_key().map_or(Ok(()), |kid| Err(KeyError::Sealed(kid)))
    }

    /// What an operator should know of how the repository is set up.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn repository_warnings(&self) -> Result<Vec<String>, RepositoryError> {
        self.repository.warnings().await
    }

    /// Removes what has expired, in the eyes of slower clocks, too; a bounded batch at a time.
    ///
    /// # Errors
    ///
    /// When the repository does not answer.
    pub async fn purge(&self) -> Result<u64, RepositoryError> {
        self.repository.purge_expired(self.now().minus(SKEW)).await
    }

    /// The right to call the upstream, which ends with the value; `None` if it cannot be had in time.
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
