//! Clients authenticate at the token and revocation endpoints (OAuth 2.1 section 2.4).

mod assertions;

pub(super) use self::assertions::SpentAssertion;
use super::AuthorizationServer;
use crate::{
    audit,
    clock::UnixTime,
    oauth::{
        client::{Client, ClientId},
        credentials::{Credentials, Proof},
        error::{ErrorCode, OAuthError, refuse},
    },
};

/// A client whose proof matches its registration. If that was an assertion, another request may have used it
/// before: see [`AuthorizationServer::spend`].
#[derive(Debug)]
pub(super) struct ProvenClient {
    registration: Box<Client>,
    assertion: Option<SpentAssertion>,
}

/// A client that has proved who it is, with an assertion that was not used before or in another way.
#[derive(Debug)]
pub(super) struct AuthenticatedClient(Box<Client>);

impl ProvenClient {
    pub(super) const fn registration(&self) -> &Client {
        &self.registration
    }
}

impl AuthenticatedClient {
    pub(super) const fn registration(&self) -> &Client {
        &self.0
    }

    pub(super) const fn id(&self) -> &ClientId {
        &self.0.client_id
    }
}

impl AuthorizationServer {
    /// # Errors
    ///
    /// `invalid_client`: clients that get it register again.
    pub(super) async fn authenticate(
        &self,
        presented: &Credentials,
        now: UnixTime,
    ) -> Result<AuthenticatedClient, OAuthError> {
        let client = self.prove(presented, now).await?;
        self.spend(&client, now).await?;
        Ok(AuthenticatedClient(client.registration))
    }

    /// For callers that mark the assertion as used themselves, before anything comes of the request.
    ///
    /// # Errors
    ///
    /// As for [`AuthorizationServer::authenticate`].
    pub(super) async fn prove(
        &self,
        presented: &Credentials,
        now: UnixTime,
    ) -> Result<ProvenClient, OAuthError> {
        let unknown = || OAuthError::new(ErrorCode::InvalidClient, "the client is unknown; register again");
        let client_id = ClientId::of_request(&presented.client_id).ok_or_else(unknown)?;
        if !self.settings.client_documents.accepts(&client_id) {
            return refuse(ErrorCode::InvalidClient, "clients of this host are not accepted here");
        }
        // A document is not fetched here: a client with grants has a record.
        let stored = self.clients.get(client_id.key(), now).await?.ok_or_else(unknown)?;
        let client = &stored.value;
        audit::about(client);
        let assertion = match &presented.proof {
            Proof::None => client.authenticate(None, now).map(|()| None),
            Proof::Secret(secret) => client.authenticate(Some(secret), now).map(|()| None),
            Proof::Assertion(assertion) => Box::pin(self.accept(assertion, &stored, now)).await.map(Some),
        }?;
        Ok(ProvenClient { registration: stored.value, assertion })
    }

    /// Marks the client's assertion as used, if it proved itself with one.
    ///
    /// # Errors
    ///
    /// `invalid_client` when the assertion was used before. When the repository does not answer.
    pub(super) async fn spend(&self, client: &ProvenClient, now: UnixTime) -> Result<(), OAuthError> {
        let Some(assertion) = &client.assertion else { return Ok(()) };
        match self.spent_assertions.insert(assertion.clone(), now).await? {
            Some(_) => Ok(()),
            None => refuse(ErrorCode::InvalidClient, "the client assertion was used before"),
        }
    }
}
