//! A sign-in for the page of connected clients. No client waits for it and no grant follows: the upstream's tokens
//! are dropped, and only a session of the page begins.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{CallbackError, Ending, Returned, flow_name, upstream_leg::UpstreamSecrets};
use crate::{
    audit,
    clock::UnixTime,
    flow::{
        AuthorizationServer, RETURN_PATIENCE, UPSTREAM_PATIENCE,
        returns::{Return, Round},
        visitor::Visitor,
    },
    oauth::{
        error::{ErrorCode, OAuthError},
        params::Params,
        token::GrantId,
    },
    secret::{KeyId, random_token},
    upstream::SignIn,
};

/// A sign-in that has begun. A cookie holds it, encrypted, while the browser is at the upstream.
#[derive(Debug, Serialize, Deserialize)]
struct PageSignIn {
    id: String,
    /// The key that the secrets for the upstream are derived from.
    derived_under: KeyId,
    begun_at: UnixTime,
    begun_from: Option<IpAddr>,
    begun_with: Option<String>,
}

/// The way to the upstream.
#[derive(Debug)]
pub struct ToUpstream {
    pub location: String,
    /// Names the cookie of this sign-in.
    pub flow: String,
    /// What the browser must bring back.
    pub sealed: String,
}

impl PageSignIn {
    fn was_begun_by(&self, visitor: &Visitor) -> bool {
        visitor.resembles(&Visitor { address: self.begun_from, user_agent: self.begun_with.clone() })
    }
}

impl AuthorizationServer {
    /// Begins a sign-in, with another account than the one that is signed in upstream if the user wants that.
    ///
    /// # Errors
    ///
    /// When it cannot be encrypted.
    pub async fn begin_page_sign_in(
        &self,
        browser: &str,
        visitor: &Visitor,
        other_account: bool,
    ) -> Result<ToUpstream, OAuthError> {
        let now = self.now();
        let sign_in = PageSignIn {
            id: random_token(self.random()),
            derived_under: self.sealer.key_id(),
            begun_at: now,
            begun_from: visitor.address,
            begun_with: visitor.user_agent.clone(),
        };
        let UpstreamSecrets { state, nonce, verifier } =
            self.upstream_secrets(sign_in.derived_under, &sign_in.id)?;
        let request = SignIn {
            state: &state,
            nonce: &nonce,
            code_verifier: &verifier,
            fresh: other_account,
            login_hint: None,
        };
        let location = self.upstream.authorization_url(request, now).await;
        let sealed = self.seal(&["page sign-in", browser, &state], &sign_in)?;
        Ok(ToUpstream { location, flow: flow_name(&state), sealed })
    }

    /// Takes the browser back, if what it holds is such a sign-in.
    pub(super) async fn complete_page_sign_in(
        &self,
        params: &Params<'_>,
        browser: &str,
        visitor: &Visitor,
        state: &str,
        sealed: &str,
    ) -> Result<Returned, CallbackError> {
        let now = self.now();
        let sign_in: PageSignIn =
            self.open(&["page sign-in", browser, state], sealed).ok_or(CallbackError::Lost)?;
        if now.since(sign_in.begun_at) >= UPSTREAM_PATIENCE || !sign_in.was_begun_by(visitor) {
            return Ok(not_signed_in(Ending::Failed(too_late_or_elsewhere())));
        }
        let _turn = self.upstream_turn(RETURN_PATIENCE).await.ok_or(CallbackError::Busy)?;
        let round = Round { login: GrantId::of_login(state, sign_in.begun_at), after: None };
        let returned = Return { approval: &sign_in.id, until: sign_in.begun_at.plus(UPSTREAM_PATIENCE) };
        if !self.returns.admit(&round, returned, now) {
            return Ok(not_signed_in(Ending::Failed(too_late_or_elsewhere())));
        }
        match self.session_for_page(params, &sign_in, visitor, now).await {
            Ok(session) => Ok(Returned::ToConnections { session }),
            Err(ending) => Ok(not_signed_in(ending)),
        }
    }

    /// A session for any person whom the upstream vouches for. A person whom `[access]` no longer admits can still end
    /// what they once allowed.
    async fn session_for_page(
        &self,
        params: &Params<'_>,
        sign_in: &PageSignIn,
        visitor: &Visitor,
        now: UnixTime,
    ) -> Result<String, Ending> {
        let secrets = self.upstream_secrets(sign_in.derived_under, &sign_in.id)?;
        let (person, _dropped) = self.identified(params, &secrets, now).await?;
        audit::about_person(&person.subject, person.email.as_deref());
        Ok(self.open_page_session(person, visitor, now).await?)
    }
}

fn not_signed_in(ending: Ending) -> Returned {
    Returned::NotSignedIn { ending }
}

fn too_late_or_elsewhere() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidRequest,
        "the sign-in took too long, was completed before, or was begun by another browser",
    )
}
