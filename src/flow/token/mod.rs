//! The token endpoint (RFC 6749 section 3.2). Each grant type has a file of its own; what they issue is made
//! here. Every request writes one record, once.

mod authorization_code;
mod client_credentials;
mod refresh_token;
mod upstream_check;

use std::sync::Arc;

use serde::Serialize;

use super::{
    AuthorizationServer,
    authentication::{AuthenticatedClient, ProvenClient},
};
use crate::{
    audit::{Event, Issued},
    clock::UnixTime,
    oauth::{
        client::GrantType,
        credentials::Credentials,
        error::{ErrorCode, OAuthError, refuse},
        grant::{Grant, LiveToken, Terms},
        params::Params,
        scope::Scope,
        token::{Claims, TokenId, issued_at},
    },
    secret::TokenHash,
};

/// A token request whose grant type is offered here. The caller is not authenticated yet: which credentials a
/// request needs depends on its grant type.
#[derive(Debug, Clone, Copy)]
pub struct TokenRequest<'a> {
    grant_type: GrantType,
    params: &'a Params<'a>,
}

impl<'a> TokenRequest<'a> {
    /// # Errors
    ///
    /// `invalid_request` when a parameter is repeated or `grant_type` is missing, `unsupported_grant_type`.
    pub fn of(params: &'a Params<'a>) -> Result<Self, OAuthError> {
        const KNOWN: [&str; 6] =
            ["grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope"];
        params.refuse_repeated(&KNOWN)?;
        let grant_type = match params.required("grant_type")? {
            "authorization_code" => GrantType::AuthorizationCode,
            "refresh_token" => GrantType::RefreshToken,
            "client_credentials" => GrantType::ClientCredentials,
            _ => return refuse(ErrorCode::UnsupportedGrantType, "this grant_type is not offered"),
        };
        Ok(Self { grant_type, params })
    }
}

/// A successful answer of the token endpoint (RFC 6749 section 5.1).
#[derive(Debug, Serialize)]
pub struct TokenResponse {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Scope::is_empty")]
    scope: Scope,
}

/// An access token that has been signed, and what its grant remembers of it.
struct Signed {
    text: String,
    live: LiveToken,
}

/// What a client gets once the grant is stored.
struct Issue {
    access_token: String,
    refresh_token: Option<String>,
    scope: Scope,
}

impl AuthorizationServer {
    /// # Errors
    ///
    /// RFC 6749 section 5.2.
    pub async fn token(
        self: &Arc<Self>,
        request: TokenRequest<'_>,
        credentials: &Credentials,
    ) -> Result<TokenResponse, OAuthError> {
        let now = self.now();
        let TokenRequest { grant_type, params } = request;
        let issue = match grant_type {
            GrantType::AuthorizationCode => {
                let client = self.entitled(credentials, grant_type, now).await?;
                self.redeem(params, &client, now).await
            }
            GrantType::RefreshToken => {
                let client = self.entitled(credentials, grant_type, now).await?;
                self.refresh(params, &client, now).await
            }
            GrantType::ClientCredentials => {
                let client = self.prove(credentials, now).await?;
                self.issue_to_machine(params, &client, now).await
            }
        };
        issue.map(|issue| self.response(issue)).map_err(OAuthError::of_a_client)
    }

    /// The client of a request, if it may use the grant type.
    async fn entitled(
        &self,
        credentials: &Credentials,
        grant_type: GrantType,
        now: UnixTime,
    ) -> Result<AuthenticatedClient, OAuthError> {
        let client = self.authenticate(credentials, now).await?;
        if client.registration().may_use(grant_type) { Ok(client) } else { Err(unauthorized()) }
    }

    /// An access token on these terms. Its scope is theirs unless it is `narrowed`.
    fn access_token(
        &self,
        id: &TokenId,
        terms: &Terms,
        narrowed: Option<&Scope>,
        now: UnixTime,
    ) -> Result<Signed, OAuthError> {
        let person = terms.subject.person().map(|person| person.claims(&self.settings.claims));
        let expires_at = now.plus(self.settings.lifetimes.access);
        let claims = Claims {
            iss: &self.settings.issuer,
            sub: terms.sub(),
            aud: &terms.resource,
            client_id: terms.client_id.as_str(),
            scope: narrowed.unwrap_or(&terms.scope),
            iat: issued_at(now),
            exp: expires_at,
            jti: id.to_string(),
            person: person.unwrap_or_default(),
        };
        let text = self.keys.sign(&claims, now)?;
        let live = LiveToken {
            number: id.number,
            hash: TokenHash::of(&text),
            issued_at: now,
            expires_at,
            scope: narrowed.cloned(),
        };
        Ok(Signed { text, live })
    }

    /// A token request may name the grant's resource, and no other (RFC 8707 section 2.2).
    fn require_resource<'a>(
        &self,
        grant: &Grant,
        mut named: impl Iterator<Item = &'a str>,
    ) -> Result<(), OAuthError> {
        let resource = &grant.terms().resource;
        if !self.settings.resources.serve(resource) {
            return refuse(ErrorCode::InvalidTarget, "the resource of this grant is no longer served here");
        }
        if named.all(|name| self.settings.resources.mean(resource, name)) {
            return Ok(());
        }
        let description = "the resource is not the one of the authorization request";
        let cause = format!("the grant is for {resource}");
        Err(OAuthError::new(ErrorCode::InvalidTarget, description).caused_by(cause))
    }

    fn response(&self, issue: Issue) -> TokenResponse {
        let Issue { access_token, refresh_token, scope } = issue;
        let expires_in = self.settings.lifetimes.access.as_secs();
        TokenResponse { access_token, token_type: "Bearer", expires_in, refresh_token, scope }
    }
}

fn unauthorized() -> OAuthError {
    OAuthError::new(ErrorCode::UnauthorizedClient, "the client is not registered for this grant_type")
}

/// Records that the latest access token of a grant was issued.
fn record_issue(how: Issued, grant: &Grant, scope: &Scope) {
    let jti = TokenId { grant: grant.id().clone(), number: grant.issued() };
    Event::Issue { how, jti: &jti, scope }.record();
}
