//! From a token that was found where it should not be to its grant.

use super::Administration;
use crate::{
    flow::tokens::refresh_texts,
    oauth::{
        grant::{Grant, State},
        token::{GrantId, RefreshToken, TokenId, grant_of_code},
    },
    repository::RepositoryError,
    secret::constant_time_eq,
};

/// What a text turned out to be.
#[derive(Debug)]
pub enum Leak {
    /// A code or token of this grant.
    Of(Box<Grant>),
    /// It names this grant, which was revoked: of a revoked grant no hashes are kept.
    OfRevoked(Box<Grant>),
    /// It names this grant, but is none of its living codes and tokens: over, or made up.
    Unproven(GrantId),
    /// Nothing that was issued here, or nothing that is kept any more.
    Unknown,
}

impl Administration {
    /// Finds the grant of a code, a refresh token or an access token. Naming a grant is not enough,
    /// for anybody who knows its name could then have it revoked: the text itself must fit.
    ///
    /// # Errors
    ///
    /// When the repository does not answer.
    pub async fn trace(&self, text: &str) -> Result<Leak, RepositoryError> {
        let refresh = RefreshToken::parse(text);
        let access = TokenId::of_access_token(text);
        let named = refresh.as_ref().map(|token| token.grant.clone());
        let named = named.or_else(|| grant_of_code(text)).or_else(|| Some(access.as_ref()?.grant.clone()));
        let Some(id) = named else { return Ok(Leak::Unknown) };
        let now = self.now();
        let Some(read) = self.grants.get(id.as_str(), now).await? else { return Ok(Leak::Unknown) };
        let grant = read.value;
        let fits = match (&grant.state, &refresh, &access) {
            (State::Revoked { .. }, ..) => return Ok(Leak::OfRevoked(Box::new(grant))),
            (_, Some(token), _) => self.is_refresh_token_of(&grant, token, text),
            (_, None, Some(token)) => grant.live_token(token.number, text, now).is_some(),
            (State::CodeIssued(code), None, None) => code.hash.matches(text),
            (State::Active(active), None, None) => active.code.hash.matches(text),
        };
        Ok(if fits { Leak::Of(Box::new(grant)) } else { Leak::Unproven(grant.id) })
    }

    /// The current one is known by its hash, any other by making it again.
    fn is_refresh_token_of(&self, grant: &Grant, token: &RefreshToken, text: &str) -> bool {
        let Some(chain) = grant.active().and_then(|active| active.refresh.as_ref()) else { return false };
        if token.generation == chain.generation {
            return chain.current.matches(text);
        }
        token.generation < chain.generation
            && self.sealer.as_ref().is_some_and(|sealer| {
                let mut made = refresh_texts(sealer, &grant.id, chain, token.generation);
                made.any(|made| constant_time_eq(made.as_bytes(), text.as_bytes()))
            })
    }
}
