//! Clients: who they say they are, where they may be answered, how they prove themselves.

use serde::{Deserialize, Serialize};

pub use super::client_id::ClientId;
use super::{
    credentials::Proof,
    error::{ErrorCode, OAuthError, refuse},
    operator::Operated,
    redirect::{RedirectUri, ReturnAddress},
};
use crate::{clock::UnixTime, secret::TokenHash};

/// How a client authenticates at the token endpoint (RFC 7591 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticationMethod {
    /// A public client.
    None,
    /// HTTP Basic.
    ClientSecretBasic,
    /// In the body.
    ClientSecretPost,
}

impl AuthenticationMethod {
    /// The word in metadata.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
        }
    }
}

/// Grants that a client may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// RFC 6749 section 4.1.
    AuthorizationCode,
    /// RFC 6749 section 6.
    RefreshToken,
}

impl GrantType {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
        }
    }
}

/// How a client came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It registered itself: everything it says of itself is its own claim.
    SelfRegistered,
    /// The operator registered it.
    Operator,
}

/// A registered client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Client {
    /// Its name.
    pub client_id: ClientId,
    /// How it came to be known.
    pub origin: Origin,
    /// When it was registered.
    pub issued_at: UnixTime,
    /// When the registration ends, if nobody signs in with it until then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<UnixTime>,
    /// Whether it registered itself and no user has signed in with it yet. Such a registration may be
    /// evicted.
    #[serde(skip_serializing_if = "is_false", default)]
    pub unused: bool,
    /// The hash of its secret; a public client has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub secret: Option<TokenHash>,
    /// When its secret ends, however long the registration is kept; `None` for one that does not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub secret_expires_at: Option<UnixTime>,
    /// What it registered.
    pub metadata: ClientMetadata,
    /// What an operator last did with it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub operated: Option<Operated>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// What a client registered of itself (RFC 7591 section 2), checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientMetadata {
    /// A name for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_name: Option<String>,
    /// Where it may be answered; never empty.
    pub redirect_uris: Vec<RedirectUri>,
    /// How it authenticates.
    pub token_endpoint_auth_method: AuthenticationMethod,
    /// The grants it may use.
    pub grant_types: Vec<GrantType>,
    /// Always `code`.
    pub response_types: Vec<String>,
    /// What it would like by default; no limit of what it may ask for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scope: Option<String>,
    /// `native` or `web`, where it said so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub application_type: Option<String>,
    /// Its home page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_uri: Option<String>,
    /// Its logo; never fetched, never shown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub logo_uri: Option<String>,
    /// Its terms.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tos_uri: Option<String>,
    /// Its privacy policy.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy_uri: Option<String>,
    /// The people behind it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub contacts: Vec<String>,
    /// The software behind it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub software_id: Option<String>,
    /// The version of that software.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub software_version: Option<String>,
}

impl Client {
    /// The address to answer at: the requested one if it was registered, or the only registered
    /// one if none was requested (OAuth 2.1 section 2.3.2). What an earlier release registered must be
    /// acceptable today.
    ///
    /// # Errors
    ///
    /// `invalid_request` or `invalid_redirect_uri`, which must not be redirected anywhere.
    pub fn return_address(&self, requested: Option<&str>) -> Result<ReturnAddress, OAuthError> {
        let registered = self.metadata.redirect_uris.as_slice();
        let (uri, address) = match (requested, registered) {
            (None, [only]) => (only, only.itself()),
            (None, _) => {
                return refuse(
                    ErrorCode::InvalidRequest,
                    "redirect_uri is missing, and several are registered",
                );
            }
            (Some(requested), _) => {
                registered.iter().find_map(|uri| Some((uri, uri.matched(requested)?))).ok_or_else(|| {
                    let description = "redirect_uri is not registered for this client";
                    OAuthError::new(ErrorCode::InvalidRequest, description)
                })?
            }
        };
        if !uri.is_acceptable() {
            let description = "redirect_uri was registered under older rules and is no longer accepted; \
                               the client must register another one";
            return refuse(ErrorCode::InvalidRedirectUri, description);
        }
        Ok(address)
    }

    /// Whether the client may use this grant. A self-registered client may always refresh: records of
    /// earlier releases name only the grants that it asked for.
    #[must_use]
    pub fn may_use(&self, grant_type: GrantType) -> bool {
        let self_registered = self.origin == Origin::SelfRegistered;
        self_registered && grant_type == GrantType::RefreshToken
            || self.metadata.grant_types.contains(&grant_type)
    }

    /// Checks what the client presented at the token or revocation endpoint. A client with a
    /// secret may send it either way; it may never go without.
    ///
    /// # Errors
    ///
    /// `invalid_client`.
    pub fn authenticate(&self, presented: &Proof, now: UnixTime) -> Result<(), OAuthError> {
        match (&self.secret, presented) {
            (None, Proof::None) => Ok(()),
            (Some(_), _) if self.secret_expires_at.is_some_and(|ends| ends <= now) => {
                refuse(ErrorCode::InvalidClient, "the client secret has expired; register again")
            }
            (Some(hash), Proof::Secret(secret)) if secret.is(hash) => Ok(()),
            (Some(_), Proof::Secret(_)) => refuse(ErrorCode::InvalidClient, "the client secret is wrong"),
            (Some(_), Proof::None) => refuse(ErrorCode::InvalidClient, "this client must present its secret"),
            (None, Proof::Secret(_)) => {
                refuse(ErrorCode::InvalidClient, "this client has no secret; send client_id alone")
            }
        }
    }
}
