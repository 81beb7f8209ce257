//! What several use cases do with a grant: recognise its refresh tokens, open and seal its upstream session,
//! end it. Its transitions are in [`crate::oauth::grant`].

use super::AuthorizationServer;
use crate::{
    audit::Event,
    clock::UnixTime,
    oauth::{
        error::{ErrorCode, OAuthError},
        grant::{Grant, HeldSession, RefreshChain, Refreshable, RevokedBy, unknown_code},
        token::{GrantId, RefreshToken, grant_of_code},
    },
    repository::{Change, Stored},
    secret::{Sealer, constant_time_eq},
    upstream::UpstreamTokens,
};

impl AuthorizationServer {
    /// The grant that a code names. Whether the code is genuine is for the grant to judge.
    pub(super) async fn grant_with_code(
        &self,
        code: &str,
        now: UnixTime,
    ) -> Result<Stored<Grant>, OAuthError> {
        let id = grant_of_code(code).ok_or_else(unknown_code)?;
        self.grants.get(id.as_str(), now).await?.ok_or_else(unknown_code)
    }

    /// The grant that a refresh token names. [`is_genuine`] says whether the token is one of the grant's.
    pub(super) async fn grant_with_refresh_token(
        &self,
        token: &RefreshToken,
        now: UnixTime,
    ) -> Result<Stored<Grant>, OAuthError> {
        self.grants.get(token.grant.as_str(), now).await?.ok_or_else(unknown_refresh_token)
    }

    /// Revokes a grant and records the event, unless the grant has been revoked meanwhile.
    pub(super) async fn end(
        &self,
        read: Stored<Grant>,
        by: RevokedBy,
        now: UnixTime,
    ) -> Result<(), OAuthError> {
        let updated = self.grants.update_from(read, now, |grant| match grant.revoked(by, now) {
            Some(revoked) => Ok::<_, OAuthError>(Change::Write(revoked, true)),
            None => Ok(Change::Leave(false)),
        });
        if updated.await?.is_some_and(|updated| updated.outcome) {
            Event::Revocation { by: by.as_str() }.record();
        }
        Ok(())
    }
}

/// Whether this server made the refresh token: knowing a grant's ID must not be enough to end the grant. The
/// current token is compared with its hash. An earlier one is derived again, which needs the sealing key.
pub(super) fn is_genuine(sealer: Option<&Sealer>, grant: &Grant, token: &RefreshToken, text: &str) -> bool {
    let Some(chain) = grant.refreshable().map(Refreshable::chain) else { return false };
    if token.generation == chain.generation {
        return chain.current.matches(text);
    }
    sealer.is_some_and(|sealer| {
        let mut made = refresh_texts(sealer, grant.id(), chain, token.generation);
        made.any(|made| constant_time_eq(made.as_bytes(), text.as_bytes()))
    })
}

/// The refresh token of a generation. Guessing it takes the sealing key *and* the record.
pub(super) fn refresh_text(sealer: &Sealer, id: &GrantId, chain: &RefreshChain, generation: u64) -> String {
    let number = generation.to_string();
    let unguessable = sealer.derive(&refresh_context(id, chain, &number));
    RefreshToken { grant: id.clone(), generation }.text(&unguessable)
}

/// Every text that the refresh token of a generation can have: one for each sealing key in the ring, because
/// the token may be older than the current key.
pub(crate) fn refresh_texts(
    sealer: &Sealer,
    id: &GrantId,
    chain: &RefreshChain,
    generation: u64,
) -> impl Iterator<Item = String> {
    let number = generation.to_string();
    let token = RefreshToken { grant: id.clone(), generation };
    let derived = sealer.derivations(&refresh_context(id, chain, &number));
    derived.map(move |unguessable| token.text(&unguessable))
}

fn refresh_context<'a>(id: &'a GrantId, chain: &'a RefreshChain, number: &'a str) -> [&'a str; 4] {
    ["refresh token", id.as_str(), &chain.seed, number]
}

pub(super) fn seal_session(
    sealer: &Sealer,
    id: &GrantId,
    tokens: &UpstreamTokens,
) -> Result<String, OAuthError> {
    let plain = serde_json::to_vec(tokens).map_err(OAuthError::internal)?;
    Ok(sealer.seal(&session_context(id), &plain))
}

pub(super) fn open_session(sealer: &Sealer, grant: &Grant) -> Result<UpstreamTokens, OAuthError> {
    let sealed = grant.held_session().map(HeldSession::sealed);
    sealed
        .and_then(|sealed| sealer.open(&session_context(grant.id()), sealed))
        .and_then(|plain| serde_json::from_slice(&plain).ok())
        .ok_or_else(|| OAuthError::internal("the sealed upstream tokens cannot be opened"))
}

/// The grant, with its upstream session encrypted with the current sealing key; `None` if no key in the ring
/// decrypts it.
pub(crate) fn resealed(sealer: &Sealer, id: &GrantId, session: HeldSession<'_>) -> Option<Grant> {
    let context = session_context(id);
    let plain = sealer.open(&context, session.sealed())?;
    Some(session.resealed(sealer.seal(&context, &plain)))
}

fn session_context(id: &GrantId) -> [&str; 2] {
    ["upstream tokens", id.as_str()]
}

/// The one answer to every refresh token that is not the caller's: it does not tell whether a grant exists.
pub(super) fn unknown_refresh_token() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, "the refresh token is unknown or no longer valid")
}
