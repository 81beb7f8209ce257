//! The identity provider: signs people in, and later says whether their session is still valid.

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

/// Parameters of the redirect to the upstream.
#[derive(Debug, Clone, Copy)]
pub struct SignIn<'a> {
    /// Returned with the answer.
    pub state: &'a str,
    /// Returned in the ID token.
    pub nonce: &'a str,
    /// PKCE verifier.
    pub code_verifier: &'a str,
    /// Whether the person must authenticate again.
    pub fresh: bool,
    /// The account that the client expects.
    pub login_hint: Option<&'a str>,
}

/// What the browser brings back from the upstream.
#[derive(Debug, Clone, Copy)]
pub struct SignedIn<'a> {
    pub code: &'a str,
    /// The `iss` parameter (RFC 9207), if any.
    pub iss: Option<&'a str>,
    /// The nonce of the redirect.
    pub nonce: &'a str,
    /// The PKCE verifier of the redirect.
    pub code_verifier: &'a str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Stable ID.
    pub subject: String,
    /// An address that counts for `[access]`: verified by the upstream, or trusted by configuration.
    pub email: Option<String>,
    /// An unverified address. It is shown to operators and decides nothing.
    pub unverified_email: Option<String>,
    /// The name that the person signs in with.
    pub username: Option<String>,
    pub groups: Vec<String>,
}

/// The upstream's tokens. They are stored encrypted and never shown.
#[derive(Clone, Serialize, Deserialize)]
pub struct UpstreamTokens {
    /// Opaque or JWT.
    pub access_token: String,
    /// May be usable only once.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refresh_token: Option<String>,
    /// Expiry of the access token, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<UnixTime>,
}

impl Debug for UpstreamTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<upstream tokens>")
    }
}

/// The state of an upstream session.
#[derive(Debug)]
pub enum SessionCheck {
    /// The session is valid. New tokens replace the old ones, if any.
    Good(Option<UpstreamTokens>),
    /// The session has ended, or the person was disabled.
    Ended,
    /// Unknown: the upstream is down, or has no endpoint for this.
    Unknown(String),
}

/// Why a sign-in failed. The texts are for the log.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The upstream is down or overloaded.
    #[error("the upstream is unavailable: {0}")]
    Unavailable(String),
    /// The upstream refused.
    #[error("the upstream refused: {0}")]
    Refused(String),
    /// The upstream's answer is invalid.
    #[error("the upstream's answer cannot be used: {0}")]
    Unusable(String),
}

impl UpstreamError {
    /// The error code for the client.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Unavailable(_) => ErrorCode::TemporarilyUnavailable,
            Self::Refused(_) | Self::Unusable(_) => ErrorCode::ServerError,
        }
    }
}

#[async_trait]
pub trait Upstream: Debug + Send + Sync + 'static {
    async fn authorization_url(&self, sign_in: SignIn<'_>, now: UnixTime) -> String;

    /// Redeems the code. Never retries, because the code is valid once.
    async fn redeem(
        &self,
        signed_in: SignedIn<'_>,
        now: UnixTime,
    ) -> Result<(Identity, UpstreamTokens), UpstreamError>;

    /// Asks whether the session of these tokens is still valid.
    async fn check(&self, tokens: &UpstreamTokens, now: UnixTime) -> SessionCheck;
}
