//! The identity provider behind us: signs people in, and says later whether they may stay.

mod answers;
mod endpoints;
mod id_token;
pub mod pangea;
pub mod probe;
pub mod skew;

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{clock::UnixTime, oauth::error::ErrorCode};

/// What the browser takes to the upstream.
#[derive(Debug, Clone, Copy)]
pub struct SignIn<'a> {
    /// Comes back with the answer.
    pub state: &'a str,
    /// Comes back in the ID token.
    pub nonce: &'a str,
    /// The verifier of the PKCE challenge.
    pub code_verifier: &'a str,
    /// Whether the person must sign in again.
    pub fresh: bool,
    /// Which account the client expects.
    pub login_hint: Option<&'a str>,
}

/// What came back from the upstream.
#[derive(Debug, Clone, Copy)]
pub struct SignedIn<'a> {
    /// The one-time code.
    pub code: &'a str,
    /// The `iss` parameter (RFC 9207), if any.
    pub iss: Option<&'a str>,
    /// The nonce that was sent.
    pub nonce: &'a str,
    /// The verifier of the PKCE challenge that was sent.
    pub code_verifier: &'a str,
}

/// The person, as far as the upstream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Stable id.
    pub subject: String,
    /// An address that counts for `[access]`: the upstream verified it, or the operator trusts it unseen.
    pub email: Option<String>,
    /// An address without such proof. Operators see it; nothing is decided by it.
    pub unverified_email: Option<String>,
    /// What they sign in with.
    pub username: Option<String>,
    /// Names of groups.
    pub groups: Vec<String>,
}

/// The upstream's tokens. They are stored sealed and shown to nobody.
#[derive(Clone, Serialize, Deserialize)]
pub struct UpstreamTokens {
    /// Opaque or JWT.
    pub access_token: String,
    /// One-time, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refresh_token: Option<String>,
    /// When the access token ends, where it was said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<UnixTime>,
}

impl Debug for UpstreamTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<upstream tokens>")
    }
}

/// What the upstream says of a session.
#[derive(Debug)]
pub enum SessionCheck {
    /// The person may stay; with new tokens where the old ones were used up.
    Good(Option<UpstreamTokens>),
    /// The session is over, or the person was disabled.
    Ended,
    /// It cannot be told now: the upstream is down, or offers no way to ask.
    Unknown(String),
}

/// Why somebody could not be signed in. The texts are for the log.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The upstream is down or overloaded.
    #[error("the upstream is unavailable: {0}")]
    Unavailable(String),
    /// The upstream said no.
    #[error("the upstream refused: {0}")]
    Refused(String),
    /// The upstream's answer is not what it should be.
    #[error("the upstream's answer cannot be used: {0}")]
    Unusable(String),
}

impl UpstreamError {
    /// What the MCP client hears of it.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Unavailable(_) => ErrorCode::TemporarilyUnavailable,
            Self::Refused(_) | Self::Unusable(_) => ErrorCode::ServerError,
        }
    }
}

/// An identity provider.
#[async_trait]
pub trait Upstream: Debug + Send + Sync + 'static {
    /// Where the browser goes to sign in.
    async fn authorization_url(&self, sign_in: SignIn<'_>, now: UnixTime) -> String;

    /// Redeems what the browser brought back. Never tried twice, for the code is good for once.
    async fn redeem(
        &self,
        signed_in: SignedIn<'_>,
        now: UnixTime,
    ) -> Result<(Identity, UpstreamTokens), UpstreamError>;

    /// Asks whether the session behind these tokens is still good.
    async fn check(&self, tokens: &UpstreamTokens, now: UnixTime) -> SessionCheck;
}
