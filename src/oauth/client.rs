//! Clients: what they register, where they may be answered, how they authenticate.

use serde::{Deserialize, Serialize};

pub use super::client_id::ClientId;
use super::{
    client_keys::ClientKeys,
    credentials::PresentedSecret,
    error::{ErrorCode, OAuthError, refuse},
    machine::Allowance,
    operator::Operated,
    redirect::{RedirectUri, ReturnAddress},
};
use crate::{clock::UnixTime, secret::TokenHash};

/// How a client authenticates at the token endpoint (RFC 7591 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticationMethod {
    /// No secret: a public client.
    None,
    /// RFC 6749 section 2.3.1, in the header.
    ClientSecretBasic,
    /// RFC 6749 section 2.3.1, in the body.
    ClientSecretPost,
    /// With an assertion that it signs (OpenID Connect Core section 9).
    PrivateKeyJwt,
}

impl AuthenticationMethod {
    /// As in metadata.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// RFC 6749 section 4.1.
    AuthorizationCode,
    /// RFC 6749 section 6.
    RefreshToken,
    /// RFC 6749 section 4.4. Only an operator can register it.
    ClientCredentials,
}

impl GrantType {
    /// As in requests and metadata.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The client. Its metadata is its own claim.
    SelfRegistered,
    Operator,
    /// The client, in a document at the URL that is its ID. Its metadata is the claim of the document's host.
    Document,
}

/// What is known about a client's metadata document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentState {
    /// When it was fetched.
    pub fetched_at: UnixTime,
    /// When an authorization request fetches it again.
    pub fresh_until: UnixTime,
    /// Whether it has been removed or become invalid since. Existing grants continue.
    #[serde(skip_serializing_if = "is_false", default)]
    pub withdrawn: bool,
}

/// A client: one that registered, or one that describes itself in a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Client {
    /// As in requests and tokens.
    pub client_id: ClientId,
    pub origin: Origin,
    pub issued_at: UnixTime,
    /// When the registration expires, unless a user signs in with it before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<UnixTime>,
    /// Whether it registered itself and no user has signed in with it yet. Such a registration can be
    /// evicted. For a client with a document: whether the next sign-in stores what was fetched.
    #[serde(skip_serializing_if = "is_false", default)]
    pub unused: bool,
    /// `None` for a public client.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub secret: Option<TokenHash>,
    /// When its secret expires, even if the registration lives longer; `None` for never.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub secret_expires_at: Option<UnixTime>,
    /// The secret before the last rotation.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous_secret: Option<PreviousSecret>,
    /// The keys of a client that signs assertions. If its document has a `jwks_uri`, the last ones that were found there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub jwks: Option<ClientKeys>,
    /// What a machine client may do; `None` for a client that asks users.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub allowance: Option<Allowance>,
    /// RFC 7591 section 2.
    pub metadata: ClientMetadata,
    /// `None` for a registered client.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub document: Option<DocumentState>,
    /// The last operator command that changed it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub operated: Option<Operated>,
}

/// A secret that was replaced, and is accepted until the operator has distributed the new one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PreviousSecret {
    /// Of the secret.
    pub hash: TokenHash,
    /// From this second on it is refused.
    pub until: UnixTime,
}

impl PreviousSecret {
    fn is(&self, presented: &PresentedSecret, now: UnixTime) -> bool {
        now < self.until && presented.is(&self.hash)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Client metadata (RFC 7591 section 2), validated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientMetadata {
    /// Shown on pages, as the claim of a stranger.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_name: Option<String>,
    /// Empty only for a machine client.
    pub redirect_uris: Vec<RedirectUri>,
    /// A client with a secret can send it either way. A client of `private_key_jwt` must sign.
    pub token_endpoint_auth_method: AuthenticationMethod,
    /// See [`Client::may_use`].
    pub grant_types: Vec<GrantType>,
    /// Always `code`; empty for a machine client.
    pub response_types: Vec<String>,
    /// Recorded. It does not limit what the client can ask for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scope: Option<String>,
    /// `native` or `web`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub application_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_uri: Option<String>,
    /// Of a registered client never fetched and never shown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub logo_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tos_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy_uri: Option<String>,
    /// Addresses of the people responsible.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub contacts: Vec<String>,
    /// Identifies the software, the same for all of its installations.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub software_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub software_version: Option<String>,
    /// Where the client publishes the keys that it signs with. Only a document names it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub jwks_uri: Option<String>,
}

impl Client {
    /// A client that has neither a secret nor keys, and does not expire.
    #[must_use]
    pub const fn new(client_id: ClientId, origin: Origin, metadata: ClientMetadata, now: UnixTime) -> Self {
        Self {
            client_id,
            origin,
            issued_at: now,
            expires_at: None,
            unused: false,
            secret: None,
            secret_expires_at: None,
            previous_secret: None,
            jwks: None,
            allowance: None,
            metadata,
            document: None,
            operated: None,
        }
    }

    /// The return address: the requested one if it is registered, or the only registered one if none was
    /// requested (OAuth 2.1 section 2.3.2). Addresses that an earlier release registered must pass today's
    /// rules.
    ///
    /// # Errors
    ///
    /// `invalid_request` or `invalid_redirect_uri`. The browser must not be redirected.
    pub fn return_address(&self, requested: Option<&str>) -> Result<ReturnAddress, OAuthError> {
        let registered = self.metadata.redirect_uris.as_slice();
        let (uri, address) = match (requested, registered) {
            (None, [only]) => (only, only.itself()),
            (_, []) => {
                return refuse(ErrorCode::InvalidRequest, "this client cannot ask users for access");
            }
            (None, _) => {
                return refuse(
                    ErrorCode::InvalidRequest,
                    "redirect_uri is missing, and several are registered",
                );
            }
            (Some(requested), _) => registered
                .iter()
                .find_map(|uri| Some((uri, uri.matched(requested)?)))
                .ok_or_else(not_registered)?,
        };
        if !uri.is_acceptable() {
            let description = "redirect_uri was registered under older rules and is no longer accepted; \
                               the client must register another one";
            return refuse(ErrorCode::InvalidRedirectUri, description);
        }
        Ok(address)
    }

    /// Checks that an address which [`Client::return_address`] gave to the same login is still registered.
    ///
    /// # Errors
    ///
    /// `invalid_request`. The browser must not be redirected.
    pub fn still_has(&self, address: &ReturnAddress) -> Result<(), OAuthError> {
        let registered = &self.metadata.redirect_uris;
        let has = registered.iter().any(|uri| uri.matched(address.as_str()).is_some());
        if has { Ok(()) } else { Err(not_registered()) }
    }

    /// Whether the client may use this grant type. A self-registered client can always refresh, because
    /// records of earlier releases name only the grant types that the client asked for.
    #[must_use]
    pub fn may_use(&self, grant_type: GrantType) -> bool {
        let self_registered = self.origin == Origin::SelfRegistered;
        match grant_type {
            GrantType::ClientCredentials => self.allowance.is_some(),
            GrantType::RefreshToken if self_registered => true,
            _ => self.metadata.grant_types.contains(&grant_type),
        }
    }

    /// Whether the client proves who it is without an assertion. A client with a secret can send it either way, but
    /// must send it.
    ///
    /// # Errors
    ///
    /// `invalid_client`.
    pub fn authenticate(&self, presented: Option<&PresentedSecret>, now: UnixTime) -> Result<(), OAuthError> {
        if self.metadata.token_endpoint_auth_method == AuthenticationMethod::PrivateKeyJwt {
            return refuse(ErrorCode::InvalidClient, "this client must present a client assertion");
        }
        match (&self.secret, presented) {
            (None, None) => Ok(()),
            (Some(_), _) if self.secret_expires_at.is_some_and(|ends| ends <= now) => {
                refuse(ErrorCode::InvalidClient, "the client secret has expired; register again")
            }
            (Some(hash), Some(secret)) if secret.is(hash) || self.is_previous(secret, now) => Ok(()),
            (Some(_), Some(_)) => refuse(ErrorCode::InvalidClient, "the client secret is wrong"),
            (Some(_), None) => refuse(ErrorCode::InvalidClient, "this client must present its secret"),
            (None, Some(_)) => {
                refuse(ErrorCode::InvalidClient, "this client has no secret; send client_id alone")
            }
        }
    }

    fn is_previous(&self, presented: &PresentedSecret, now: UnixTime) -> bool {
        self.previous_secret.as_ref().is_some_and(|previous| previous.is(presented, now))
    }
}

fn not_registered() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, "redirect_uri is not registered for this client")
}
