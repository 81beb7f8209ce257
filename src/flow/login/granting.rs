//! The last step of a login: the grant and its code.

use super::{Pending, Transaction, key_is_gone};
use crate::{
    audit::Event,
    clock::UnixTime,
    flow::{AuthorizationServer, PATIENCE, UPSTREAM_PATIENCE, grants::seal_session, person_index::Entry},
    oauth::{
        client::Client,
        error::OAuthError,
        grant::{Consent, Grant, NewCode, Person, UpstreamSession},
        token::{GrantId, code_text},
    },
    repository::Change,
    secret::TokenHash,
    upstream::UpstreamTokens,
};

/// A person for whom the upstream vouched and whom `[access]` admits.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) person: Person,
    pub(super) tokens: UpstreamTokens,
    pub(super) vouched_at: UnixTime,
}

impl AuthorizationServer {
    pub(super) async fn made(&self, id: &GrantId, now: UnixTime) -> Result<Option<Box<Grant>>, OAuthError> {
        Ok(self.grants.get(id.as_str(), now).await?.map(|made| made.value))
    }

    /// The code of the grant that this login has led to, if this approval may have it again; `None` if the
    /// login is completed.
    pub(super) fn code_again(
        &self,
        made: &Grant,
        pending: &Pending,
        now: UnixTime,
    ) -> Result<Option<String>, OAuthError> {
        let code = self.code(&pending.transaction, made.id())?;
        Ok(made.may_send_again(&code, &pending.approval, now).then_some(code))
    }

    /// Stores the grant and returns its code; `None` if the login has led to a grant before, whose code must
    /// not be sent again.
    pub(super) async fn issue(
        &self,
        client: &Client,
        pending: &Pending,
        admitted: Admitted,
        id: GrantId,
        now: UnixTime,
    ) -> Result<Option<String>, OAuthError> {
        let transaction = &pending.transaction;
        let code = self.code(transaction, &id)?;
        let sealed = seal_session(&self.sealer, &id, &admitted.tokens)?;
        let session = UpstreamSession::new(sealed, admitted.vouched_at);
        let lifetimes = &self.settings.lifetimes;
        // The record outlives every approval of this login that could still return.
        let ends = now.plus(UPSTREAM_PATIENCE + PATIENCE).plus(lifetimes.code);
        let entry = Entry::new(&admitted.person, id.clone(), ends.plus(lifetimes.grant));
        let consent = Consent {
            request: transaction.request.clone(),
            person: admitted.person,
            from: pending.approved_from,
            at: now,
        };
        let new_code = NewCode {
            hash: TokenHash::of(&code),
            expires_at: now.plus(lifetimes.code),
            approval: Some(pending.approval.clone()),
        };
        let grant = Grant::with_code(id.clone(), consent, session, new_code, ends);
        // Before the grant exists, so that a client with a grant never counts as unused.
        self.keep_client(client, now).await?;
        let (noted, stored) =
            tokio::join!(self.person_index.note(entry, now), self.grants.insert(grant, now));
        if stored?.is_none() {
            let made = self.made(&id, now).await?;
            return made.map_or(Ok(None), |made| self.code_again(&made, pending, now));
        }
        if let Err(error) = noted {
            // The person could not find the grant, so it must not be.
            self.grants.take(id.as_str(), now).await?;
            return Err(error.into());
        }
        Event::Code.record();
        Ok(Some(code))
    }

    /// Lets a client that registered itself, or describes itself, outlive the grant that it is about to get. The
    /// grant begins when the code is redeemed. The client does not outlive its own secret, and no longer counts as
    /// unused.
    async fn keep_client(&self, client: &Client, now: UnixTime) -> Result<(), OAuthError> {
        let policy = &self.settings.registration;
        let lifetimes = &self.settings.lifetimes;
        let until = now.plus(lifetimes.code).plus(lifetimes.grant).plus(policy.idle);
        let until = client.secret_expires_at.map_or(until, |ends| ends.min(until));
        let worth_a_write = |expires_at: UnixTime| until.since(expires_at) >= policy.idle / 10;
        if !client.unused && !client.expires_at.is_some_and(worth_a_write) {
            return Ok(());
        }
        if client.client_id.document().is_some() {
            return self.keep_document(client, until, policy.idle, now).await;
        }
        let updated = self.clients.update(client.client_id.key(), now, |client| {
            if !client.unused && !client.expires_at.is_some_and(worth_a_write) {
                // Another process was faster.
                return Change::Leave(false);
            }
            let expires_at = client.expires_at.map(|ends| ends.max(until));
            Change::Write(Client { expires_at, unused: false, ..client.clone() }, true)
        });
        if updated.await?.is_some_and(|updated| updated.outcome) {
            self.unused.forget(&client.client_id);
        }
        Ok(())
    }

    /// The code of a login. It is derived, so that an answer that the browser dropped can be sent again.
    fn code(&self, transaction: &Transaction, id: &GrantId) -> Result<String, OAuthError> {
        let unguessable = self.sealer.derive_under(transaction.derived_under, &["code", &transaction.id]);
        let unguessable = unguessable.ok_or_else(key_is_gone)?;
        Ok(code_text(id, &unguessable))
    }
}
