//! Finds the client of an authorization request: its registration, or its metadata document. A document is stored only
//! when the upstream has vouched for a user, like everything else.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use url::Url;

use super::AuthorizationServer;
use crate::{
    audit::{self, Event},
    client_documents::{Admission, Document, DocumentError, KnownLogo, Logo, Need},
    clock::UnixTime,
    oauth::{
        client::{Client, ClientId, ClientMetadata, DocumentState, Origin},
        client_document::{Description, InvalidDocument},
        client_id::DocumentId,
        client_keys::ClientKeys,
        error::{ErrorCode, OAuthError, refuse},
    },
    repository::{Change, RepositoryError, Stored},
};

/// How long a user waits for a logo that is not known yet.
const LOGO_PATIENCE: Duration = Duration::from_secs(1);

/// A client metadata document that cannot be used.
#[derive(Debug)]
pub struct UnusableDocument {
    /// The client.
    pub id: DocumentId,
    /// What the user may know about it.
    pub problem: DocumentProblem,
    /// For the log.
    pub error: OAuthError,
}

/// Why a client metadata document cannot be used. It says nothing about the network: callers could otherwise use this
/// server to explore what only it can reach.
#[derive(Debug)]
pub enum DocumentProblem {
    /// The operator does not accept documents of this host.
    Host,
    /// It cannot be fetched.
    Unavailable,
    /// It is wrong.
    Invalid(InvalidDocument),
}

/// Why an authorization request has no client. The browser must not be redirected.
#[derive(Debug)]
pub(super) enum NoClient {
    Refused(OAuthError),
    Document(Box<UnusableDocument>),
    /// Too many documents are fetched; how long to wait.
    TooMany(Duration),
}

impl From<OAuthError> for NoClient {
    fn from(error: OAuthError) -> Self {
        Self::Refused(error)
    }
}

impl NoClient {
    fn of_document(id: &DocumentId, problem: DocumentProblem, cause: impl fmt::Display) -> Self {
        let error =
            OAuthError::new(ErrorCode::InvalidClient, "the client's metadata document cannot be used");
        let error = error.caused_by(cause.to_string());
        Self::Document(Box::new(UnusableDocument { id: id.clone(), problem, error }))
    }

    fn of_fetch(id: &DocumentId, error: DocumentError) -> Self {
        match error {
            DocumentError::Invalid(invalid) => {
                let cause = invalid.to_string();
                Self::of_document(id, DocumentProblem::Invalid(invalid), cause)
            }
            DocumentError::Keys(_) | DocumentError::Status { .. } | DocumentError::Unreachable(_) => {
                Self::of_document(id, DocumentProblem::Unavailable, error)
            }
            DocumentError::TooMany(wait) => Self::TooMany(wait),
            DocumentError::Busy => Self::Refused(busy()),
        }
    }
}

fn busy() -> OAuthError {
    OAuthError::new(ErrorCode::TemporarilyUnavailable, "too many client metadata documents are being fetched")
}

fn unknown() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, "the client is unknown; it must register again")
}

/// A document as its record has it.
fn stored_document(client: &Client) -> Option<Arc<Document>> {
    client.document.map(|state| {
        let content = Description { metadata: client.metadata.clone(), jwks: client.jwks.clone() };
        Arc::new(Document { content, state })
    })
}

/// The client that a document describes. Its record is kept, and marked where the document is newer.
fn described(
    id: &DocumentId,
    document: &Document,
    stored: Option<Stored<Client>>,
    now: UnixTime,
) -> Box<Client> {
    let Document { content: Description { metadata, jwks }, state } = document;
    let client = match stored.map(|stored| stored.value) {
        Some(client) if client.document == Some(*state) => return client,
        Some(client) => client,
        None => Client::new(ClientId::Document(id.clone()), Origin::Document, metadata.clone(), now).into(),
    };
    Box::new(Client {
        jwks: jwks.clone().or_else(|| published_keys(&client, metadata)),
        metadata: metadata.clone(),
        document: Some(*state),
        unused: true,
        ..*client
    })
}

/// The keys that are known of a client whose document still names the same `jwks_uri`.
fn published_keys(client: &Client, metadata: &ClientMetadata) -> Option<ClientKeys> {
    let is_same = metadata.jwks_uri.is_some() && metadata.jwks_uri == client.metadata.jwks_uri;
    client.jwks.clone().filter(|_| is_same)
}

/// What a newer document says differently, for the audit log.
fn change(older: &Client, newer: &Client) -> Option<&'static str> {
    (newer.metadata != older.metadata || newer.jwks != older.jwks).then_some("changed")
}

/// The stored client with what was fetched of it, if that is newer.
fn renewed(stored: &Client, fetched: &Client) -> Option<Client> {
    let fetched_at = |client: &Client| client.document.map(|state| state.fetched_at);
    (fetched_at(fetched) > fetched_at(stored)).then(|| Client {
        jwks: fetched.jwks.clone(),
        metadata: fetched.metadata.clone(),
        document: fetched.document,
        ..stored.clone()
    })
}

impl AuthorizationServer {
    /// The client that an authorization request names. Its document is fetched unless it is fresh.
    pub(super) async fn asking_client(
        &self,
        client_id: &str,
        admission: Admission<'_>,
        now: UnixTime,
    ) -> Result<Box<Client>, NoClient> {
        let client_id = ClientId::of_request(client_id).ok_or_else(unknown)?;
        let Some(id) = client_id.document() else {
            return Ok(self.stored_client(&client_id, now).await?.ok_or_else(unknown)?.value);
        };
        if !self.settings.client_documents.enabled {
            return Err(unknown().into());
        }
        audit::about(&client_id);
        if !self.settings.client_documents.accepts(&client_id) {
            let cause = "client_documents does not accept this host";
            return Err(NoClient::of_document(id, DocumentProblem::Host, cause));
        }
        let stored = self.stored_client(&client_id, now).await?;
        Box::pin(self.described_client(id, stored, admission, now)).await
    }

    async fn described_client(
        &self,
        id: &DocumentId,
        stored: Option<Stored<Client>>,
        admission: Admission<'_>,
        now: UnixTime,
    ) -> Result<Box<Client>, NoClient> {
        let known = stored.as_ref().and_then(|stored| stored_document(&stored.value));
        match self.documents.document(id, known.as_ref(), Need::Fresh, admission, now).await {
            Ok(document) => Ok(described(id, &document, stored, now)),
            Err(error) => {
                if let Some(stored) = stored.filter(|_| error.withdraws()) {
                    self.note_withdrawal(stored, now).await?;
                }
                Err(NoClient::of_fetch(id, error))
            }
        }
    }

    /// The client of a request that was judged before. Its document was good minutes ago, so it is fetched only by a
    /// process that does not know it.
    pub(super) async fn known_client(
        &self,
        client_id: &ClientId,
        now: UnixTime,
    ) -> Result<Box<Client>, OAuthError> {
        let stored = self.stored_client(client_id, now).await?;
        let Some(id) = client_id.document() else { return Ok(stored.ok_or_else(unknown)?.value) };
        if !self.settings.client_documents.accepts(client_id) {
            return refuse(ErrorCode::InvalidClient, "clients of this host are not accepted here");
        }
        let known = stored.as_ref().and_then(|stored| stored_document(&stored.value));
        let document = if let Some(document) = self.documents.known(id, known.as_ref()) {
            document
        } else {
            let fetched = self.documents.document(id, known.as_ref(), Need::Fresh, &|| Ok(()), now);
            Box::pin(fetched).await.map_err(not_known)?
        };
        Ok(described(id, &document, stored, now))
    }

    /// The logo of a client, if its document names one on its own host. A user waits a second for it; then the fetch
    /// continues without the user.
    pub(super) async fn logo(
        &self,
        client: &Client,
        admission: Admission<'_>,
        now: UnixTime,
    ) -> Option<Arc<Logo>> {
        let url = logo_url(client)?;
        if let KnownLogo::Shown(logo) = self.documents.known_logo(&url, now) {
            return logo;
        }
        admission().ok()?;
        let documents = Arc::clone(&self.documents);
        let fetch = async move { Ok::<_, Infallible>(documents.fetch_logo(&url, now).await) };
        self.background.within(LOGO_PATIENCE, fetch).await?.ok()?
    }

    async fn stored_client(
        &self,
        client_id: &ClientId,
        now: UnixTime,
    ) -> Result<Option<Stored<Client>>, OAuthError> {
        Ok(self.clients.get(client_id.key(), now).await?)
    }

    /// Marks a client whose document is gone or no longer valid, so that no process uses the stored one.
    async fn note_withdrawal(&self, stored: Stored<Client>, now: UnixTime) -> Result<(), OAuthError> {
        let updated = self.clients.update_from(stored, now, |client| {
            let Some(state) = client.document.filter(|state| !state.withdrawn) else {
                return Ok::<_, RepositoryError>(Change::Leave(false));
            };
            let document = Some(DocumentState { withdrawn: true, fetched_at: now, ..state });
            Ok(Change::Write(Client { document, ..client.clone() }, true))
        });
        if updated.await?.is_some_and(|updated| updated.outcome) {
            Event::ClientDocument { change: "withdrawn" }.record();
        }
        Ok(())
    }

    /// The client as its document describes it now, because what is known of it did not serve. It is fetched at most once
    /// a minute. `None` if it says nothing newer.
    pub(super) async fn described_again(
        &self,
        client: &Stored<Client>,
        now: UnixTime,
    ) -> Result<Option<Box<Client>>, OAuthError> {
        let Some(id) = client.value.client_id.document() else { return Ok(None) };
        let known = stored_document(&client.value);
        let fetched = self.documents.document(id, known.as_ref(), Need::Newer, &|| Ok(()), now);
        // Whatever keeps the document from being fetched says nothing about the client, which is known.
        let Ok(document) = fetched.await else { return Ok(None) };
        let described = described(id, &document, Some(client.clone()), now);
        let updated = self.clients.update_from(client.clone(), now, |stored| {
            let Some(newer) = renewed(stored, &described) else {
                return Ok::<_, RepositoryError>(Change::Leave(None));
            };
            let change = change(stored, &newer);
            Ok(Change::Write(newer, Some(change)))
        });
        let Some(updated) = updated.await? else { return Ok(None) };
        if let Some(Some(change)) = updated.outcome {
            Event::ClientDocument { change }.record();
        }
        Ok(updated.outcome.map(|_| updated.stored.value))
    }

    /// Stores what was fetched of a client that is about to get a grant, until the client has been idle for long.
    /// A newer document that another process has stored meanwhile is kept.
    pub(super) async fn keep_document(
        &self,
        fetched: &Client,
        until: UnixTime,
        idle: Duration,
        now: UnixTime,
    ) -> Result<(), OAuthError> {
        let updated = self.clients.update(fetched.client_id.key(), now, |stored| {
            let renewed = renewed(stored, fetched);
            let lives_on = stored.expires_at.is_none_or(|ends| until.since(ends) < idle / 10);
            if renewed.is_none() && lives_on {
                return Change::Leave(None);
            }
            let newest = renewed.unwrap_or_else(|| stored.clone());
            let change = change(stored, &newest);
            let client = Client { expires_at: stored.expires_at.map(|ends| ends.max(until)), ..newest };
            Change::Write(client, change)
        });
        let event = if let Some(updated) = updated.await? {
            updated.outcome
        } else {
            let client = Client { expires_at: Some(until), unused: false, ..fetched.clone() };
            // Another process may have been faster.
            self.clients.insert(client, now).await?.map(|_| "stored")
        };
        if let Some(change) = event {
            Event::ClientDocument { change }.record();
        }
        Ok(())
    }
}

fn logo_url(client: &Client) -> Option<Url> {
    let host = client.client_id.document()?.host();
    let url = Url::parse(client.metadata.logo_uri.as_deref()?).ok()?;
    (url.scheme() == "https" && url.host_str() == Some(host)).then_some(url)
}

fn not_known(error: DocumentError) -> OAuthError {
    match error {
        DocumentError::TooMany(_) | DocumentError::Busy => busy(),
        error => unknown().caused_by(error),
    }
}
