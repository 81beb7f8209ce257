//! Client assertions (`private_key_jwt`). Each is accepted once, by whichever process sees it first.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    client_documents::{DocumentError, KeySet, Need},
    clock::UnixTime,
    flow::AuthorizationServer,
    jose::is_signed,
    oauth::{
        assertion::{Accepted, Assertion, Verified},
        client::{Client, DocumentState},
        client_keys::ClientKeys,
        error::{ErrorCode, OAuthError, refuse},
    },
    repository::{Change, Entity, Kind, RepositoryError, Stored},
};

/// Marks an assertion as used, until it expires.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::flow) struct SpentAssertion {
    key: String,
    expires_at: UnixTime,
}

impl Entity for SpentAssertion {
    const KIND: Kind = Kind::Replay;

    fn key(&self) -> &str {
        &self.key
    }

    fn expires_at(&self) -> Option<UnixTime> {
        Some(self.expires_at)
    }
}

impl From<Accepted> for SpentAssertion {
    fn from(Accepted { id, expires_at }: Accepted) -> Self {
        Self { key: format!("assertion.{id}"), expires_at }
    }
}

impl AuthorizationServer {
    /// Judges an assertion of the client. It is not marked as used yet.
    pub(super) async fn accept(
        &self,
        assertion: &Assertion,
        client: &Stored<Client>,
        now: UnixTime,
    ) -> Result<SpentAssertion, OAuthError> {
        let verified = match &client.value.metadata.jwks_uri {
            Some(uri) => self.verified_with_published(assertion, uri, client, now).await,
            None => self.verified_with_listed(assertion, client, now).await,
        };
        Ok(verified?.judge(&client.value.client_id, &self.settings.issuer, now)?.into())
    }

    /// Verifies with the keys of the registration or of the document. A document may have other keys by now.
    async fn verified_with_listed<'a>(
        &self,
        assertion: &'a Assertion,
        client: &Stored<Client>,
        now: UnixTime,
    ) -> Result<Verified<'a>, OAuthError> {
        let verified = verified(assertion, &client.value);
        if verified.is_ok() {
            return verified;
        }
        match self.described_again(client, now).await? {
            Some(newer) => self::verified(assertion, &newer),
            None => verified,
        }
    }

    /// Verifies with the keys at the client's `jwks_uri`. If none fits, they are fetched again, at most once a minute.
    async fn verified_with_published<'a>(
        &self,
        assertion: &'a Assertion,
        uri: &str,
        client: &Stored<Client>,
        now: UnixTime,
    ) -> Result<Verified<'a>, OAuthError> {
        let policy = &self.settings.client_documents;
        let is_accepted = |uri: Url| uri.host_str().is_some_and(|host| !policy.blocks(host));
        if !Url::parse(uri).is_ok_and(is_accepted) {
            return refuse(ErrorCode::InvalidClient, "keys of this host are not accepted here");
        }
        let stored = client.value.jwks.clone().map(stored_keys);
        let fetched = |need| self.documents.key_set(uri, stored.as_ref(), need, now);
        let mut set = fetched(Need::Fresh).await.map_err(no_keys)?;
        let mut verified = assertion.verified(&set.content, is_signed);
        if verified.is_err() {
            set = fetched(Need::Newer).await.map_err(no_keys)?;
            verified = assertion.verified(&set.content, is_signed);
        }
        let verified = verified?;
        self.keep_published(client, &set.content, now).await?;
        Ok(verified)
    }

    /// Stores the keys that are at the client's `jwks_uri`, for the time when nothing can be fetched there.
    async fn keep_published(
        &self,
        client: &Stored<Client>,
        keys: &ClientKeys,
        now: UnixTime,
    ) -> Result<(), RepositoryError> {
        if client.value.jwks.as_ref() == Some(keys) {
            return Ok(());
        }
        let uri = &client.value.metadata.jwks_uri;
        let updated = self.clients.update(client.value.client_id.key(), now, |stored| {
            if stored.metadata.jwks_uri != *uri {
                return Change::Leave(());
            }
            Change::Write(Client { jwks: Some(keys.clone()), ..stored.clone() }, ())
        });
        updated.await.map(|_| ())
    }
}

/// Verifies with the keys that the client has.
fn verified<'a>(assertion: &'a Assertion, client: &Client) -> Result<Verified<'a>, OAuthError> {
    match &client.jwks {
        Some(keys) => assertion.verified(keys, is_signed),
        None => refuse(ErrorCode::InvalidClient, "this client is not registered for private_key_jwt"),
    }
}

/// The keys of a record. They serve only until others are fetched.
fn stored_keys(content: ClientKeys) -> Arc<KeySet> {
    let never = UnixTime::from_secs(0);
    Arc::new(KeySet {
        content,
        state: DocumentState { fetched_at: never, fresh_until: never, withdrawn: false },
    })
}

fn no_keys(error: DocumentError) -> OAuthError {
    if error.withdraws() {
        return OAuthError::new(ErrorCode::InvalidClient, "the keys at jwks_uri cannot be used")
            .caused_by(error);
    }
    let sentence = "the keys at jwks_uri cannot be fetched now";
    OAuthError::new(ErrorCode::TemporarilyUnavailable, sentence).caused_by(error)
}
