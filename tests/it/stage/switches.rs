//! How Pangea behaves: every doubt about it, and every failure, is a switch.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    conduct::leave_out,
    dial::{Dial, DialError},
    faults::Fault,
    vault::VaultSwitches,
};

/// All switches, grouped by the endpoint that looks at them. The same names, in JSON, go to
/// `POST /__stand-in/switches`: `{"token": {"fault": {"status": 503}, "times": 1}}`.
#[derive(Debug)]
pub struct Switches {
    /// Looked at when the browser is sent back.
    pub authorize: Dial<Authorize>,
    /// Looked at by each token request.
    pub token: Dial<TokenEndpoint>,
    /// Looked at by each introspection.
    pub introspection: Dial<Introspection>,
    /// Looked at by both metadata documents.
    pub metadata: Dial<Metadata>,
    /// Looked at by each revocation.
    pub revocation: Dial<Plain>,
    /// Looked at by the key set.
    pub jwks: Dial<Plain>,
    /// Looked at by the service API: `token/check`, `user/profile/get`, `user/group/list`.
    pub service: Dial<Plain>,
    /// What is said of people's addresses, in tokens, by introspection and in the record of the user.
    pub addresses: Dial<Addresses>,
    /// Looked at by Vault.
    pub vault: VaultSwitches,
}

/// The authorization endpoint.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Authorize {
    /// Milliseconds before the page, or the redirect where none is needed.
    pub delay_ms: u64,
    /// Who is signed in without a page; at first `StandInConfig::sign_in_as`.
    pub sign_in_as: Option<String>,
    /// Who is signed in without a page unless `prompt=login` asks for one: a session in the browser.
    pub session: Option<String>,
    /// What the browser brings back.
    pub answer: Answer,
    /// The `iss` that the browser brings back (RFC 9207).
    pub iss: IssParameter,
}

/// What the browser brings back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A code.
    #[default]
    Code,
    /// `access_denied`.
    Deny,
    /// Another error.
    Error {
        /// The error code.
        error: String,
        /// The description, if any.
        error_description: Option<String>,
    },
    /// Neither a code nor an error.
    Nothing,
}

/// The `iss` parameter of the authorization response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssParameter {
    /// Not there, as far as is known of Pangea.
    #[default]
    Absent,
    /// The issuer.
    Right,
    /// Another issuer.
    Wrong,
}

/// The token endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenEndpoint {
    /// Milliseconds before the answer.
    pub delay_ms: u64,
    /// A failure in place of the answer.
    pub fault: Fault,
    /// The form of access tokens.
    pub access_token: AccessTokenForm,
    /// Whether refresh tokens are issued.
    pub refresh_token: bool,
    /// Whether and how ID tokens are issued.
    pub id_token: IdToken,
    /// The form of `expires_in`.
    pub expires_in: ExpiresIn,
    /// How far PKCE is enforced.
    pub pkce: Pkce,
}

impl Default for TokenEndpoint {
    fn default() -> Self {
        Self {
            delay_ms: 0,
            fault: Fault::None,
            access_token: AccessTokenForm::Opaque,
            refresh_token: true,
            id_token: IdToken::WhenAsked,
            expires_in: ExpiresIn::Number,
            pkce: Pkce::Strict,
        }
    }
}

/// The form of access tokens: a setting of the whole project in Pangea's console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessTokenForm {
    /// `ptu_…`
    Opaque,
    /// A signed JWT.
    Jwt,
    /// A signed JWT that names another issuer.
    JwtOfAnotherIssuer,
}

/// Whether and how ID tokens are issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdToken {
    /// A right one when the scope has `openid`.
    WhenAsked,
    /// None.
    Absent,
    /// A correct one always. The variants below are also always issued.
    Present,
    /// With a nonce that was never sent.
    WrongNonce,
    /// Without a nonce.
    WithoutNonce,
    /// Without the person's address.
    WithoutEmail,
    /// For another client.
    WrongAudience,
    /// For this client among others, and issued to another of them (`azp`).
    WrongParty,
    /// For this client, which `azp` names too.
    RightParty,
    /// From another issuer.
    WrongIssuer,
    /// Signed with a key that is not in the key set.
    BadSignature,
    /// Naming a key that is not in the key set.
    UnknownKey,
    /// Expired an hour ago.
    Expired,
    /// With a critical extension in its header (RFC 7515 section 4.1.11).
    Critical,
    /// With the type of an access token (RFC 9068).
    AccessTokenType,
}

/// The form of `expires_in` in a token response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiresIn {
    /// `3600`
    Number,
    /// `"3600"`
    String,
    /// Not there.
    Absent,
}

/// How far PKCE is enforced once a challenge was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pkce {
    /// Challenge and verifier belong together; neither comes alone.
    Strict,
    /// A verifier may be left out; one that comes must be right.
    Lax,
    /// The verifier is not looked at.
    Ignore,
}

/// The introspection endpoint.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Introspection {
    /// Milliseconds before the answer.
    pub delay_ms: u64,
    /// A failure in place of the answer.
    pub fault: Fault,
    /// Whether every token is said to be inactive.
    pub inactive: bool,
}

/// The metadata documents.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// Milliseconds before the answer.
    pub delay_ms: u64,
    /// A failure in place of the answer; status 404 for a server that has no metadata.
    pub fault: Fault,
    /// Whether `authorization_response_iss_parameter_supported` is claimed (RFC 9207).
    pub iss_advertised: bool,
}

/// What is said of people's addresses.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Addresses {
    /// `email_verified` in ID tokens, JWT access tokens and introspection; `null` leaves it out.
    pub email_verified: Value,
    /// `verified` in the record of the user.
    pub user_verified: bool,
}

impl Default for Addresses {
    fn default() -> Self {
        Self { email_verified: json!(true), user_verified: true }
    }
}

impl Addresses {
    /// Puts `email_verified` into claims about a person.
    pub(super) fn say_whether_verified(&self, claims: &mut Value) {
        if self.email_verified.is_null() {
            leave_out(claims, "email_verified");
        } else {
            claims["email_verified"] = self.email_verified.clone();
        }
    }
}

/// An endpoint with nothing of its own to turn.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Plain {
    /// Milliseconds before the answer.
    pub delay_ms: u64,
    /// A failure in place of the answer.
    pub fault: Fault,
}

/// Why a change of switches in JSON was refused.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// There is no such group.
    #[error("there is no endpoint {0:?} to switch")]
    Unknown(String),
    /// The change does not fit the group.
    #[error("{0}: {1}")]
    Refused(String, DialError),
}

impl Switches {
    pub(super) fn new(sign_in_as: Option<String>) -> Self {
        Self {
            authorize: Dial::new(Authorize { sign_in_as, ..Authorize::default() }),
            token: Dial::new(TokenEndpoint::default()),
            introspection: Dial::new(Introspection::default()),
            metadata: Dial::new(Metadata::default()),
            revocation: Dial::new(Plain::default()),
            jwks: Dial::new(Plain::default()),
            service: Dial::new(Plain::default()),
            addresses: Dial::new(Addresses::default()),
            vault: VaultSwitches::new(),
        }
    }

    /// Applies changes given as JSON, one endpoint after the other.
    ///
    /// # Errors
    ///
    /// At the first change that makes no sense; those before it are in force.
    pub fn apply(&self, changes: &Map<String, Value>) -> Result<(), SwitchError> {
        for (endpoint, change) in changes {
            if endpoint == "vault" {
                self.vault.apply(change)?;
                continue;
            }
            match endpoint.as_str() {
                "authorize" => self.authorize.apply(change),
                "token" => self.token.apply(change),
                "introspection" => self.introspection.apply(change),
                "metadata" => self.metadata.apply(change),
                "revocation" => self.revocation.apply(change),
                "jwks" => self.jwks.apply(change),
                "service" => self.service.apply(change),
                "addresses" => self.addresses.apply(change),
                _ => return Err(SwitchError::Unknown(endpoint.clone())),
            }
            .map_err(|error| SwitchError::Refused(endpoint.clone(), error))?;
        }
        Ok(())
    }

    /// Puts everything back to how it was at the start.
    pub fn reset(&self) {
        self.authorize.reset();
        self.token.reset();
        self.introspection.reset();
        self.metadata.reset();
        self.revocation.reset();
        self.jwks.reset();
        self.service.reset();
        self.addresses.reset();
        self.vault.reset();
    }

    /// What the next request to each endpoint will meet.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "authorize": self.authorize.peek(),
            "token": self.token.peek(),
            "introspection": self.introspection.peek(),
            "metadata": self.metadata.peek(),
            "revocation": self.revocation.peek(),
            "jwks": self.jwks.peek(),
            "service": self.service.peek(),
            "addresses": self.addresses.peek(),
            "vault": self.vault.to_json(),
        })
    }
}
