//! Resource servers ask whether a token is valid (RFC 7662).

use serde::Serialize;

use super::{AuthorizationServer, Introspector};
use crate::{
    clock::UnixTime,
    oauth::{
        client::ClientId,
        credentials::{Credentials, Proof},
        error::{ErrorCode, OAuthError, refuse},
        grant::{Grant, LiveToken, Person, Subject, Terms},
        issuer::Issuer,
        resource::Resource,
        scope::Scope,
        token::{PersonClaim, TokenId, issued_at},
    },
    secret::TokenHash,
};

/// What a resource server learns about a token.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Introspected {
    /// The token is valid, for a resource of the caller.
    Active(Box<ActiveToken>),
    /// Anything else.
    Inactive {
        /// Always `false`.
        active: bool,
    },
}

/// A valid token (RFC 7662 section 2.2).
#[derive(Debug, Serialize)]
pub struct ActiveToken {
    active: bool,
    #[serde(skip_serializing_if = "Scope::is_empty")]
    scope: Scope,
    client_id: ClientId,
    #[serde(flatten)]
    about: About,
    aud: Resource,
    iss: Issuer,
    exp: UnixTime,
    iat: UnixTime,
    jti: String,
    token_type: &'static str,
}

/// On whose behalf a token was issued. A machine client has only a `sub`, which is its client ID.
#[derive(Debug, Default, Serialize)]
struct About {
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<String>>,
}

impl AuthorizationServer {
    /// Answers a resource server about a token. Reads one record.
    ///
    /// # Errors
    ///
    /// `invalid_client` when the caller is not one of the configured resource servers.
    pub async fn introspect(
        &self,
        credentials: &Credentials,
        token: &str,
    ) -> Result<Introspected, OAuthError> {
        let now = self.now();
        let caller = self.introspector(credentials)?;
        let Some(id) = TokenId::of_access_token(token) else { return Ok(Introspected::inactive()) };
        let Some(read) = self.grants.get(id.grant.as_str(), now).await? else {
            return Ok(Introspected::inactive());
        };
        let grant = read.value;
        let terms = grant.terms();
        let visible = caller.resource.as_ref().is_none_or(|resource| *resource == terms.resource)
            && self.settings.client_documents.accepts(&terms.client_id);
        tracing::debug!(grant = %grant.id(), resource = %terms.resource, visible, "a token is asked about");
        match grant.live_token(id.number, token, now).filter(|_| visible).cloned() {
            Some(live) => Ok(Introspected::Active(Box::new(self.active_token(*grant, live, &id)))),
            None => Ok(Introspected::inactive()),
        }
    }

    fn introspector(&self, credentials: &Credentials) -> Result<&Introspector, OAuthError> {
        match self.settings.introspectors.get(&credentials.client_id) {
            Some(caller) if proves(&credentials.proof, &caller.secret) => Ok(caller),
            _ => refuse(ErrorCode::InvalidClient, "introspection needs the credentials of a resource server"),
        }
    }

    fn active_token(&self, grant: Grant, live: LiveToken, id: &TokenId) -> ActiveToken {
        let Terms { client_id, subject, resource, scope, .. } = grant.into_terms();
        let about = match subject {
            Subject::Person(person) => self.about_person(person),
            Subject::Client => About { sub: client_id.to_string(), ..About::default() },
        };
        ActiveToken {
            active: true,
            scope: live.scope.unwrap_or(scope),
            client_id,
            about,
            aud: resource,
            iss: self.settings.issuer.clone(),
            exp: live.expires_at,
            iat: issued_at(live.issued_at),
            jti: id.to_string(),
            token_type: "Bearer",
        }
    }

    fn about_person(&self, person: Person) -> About {
        let Person { subject, email, username, groups, .. } = person;
        let is_wanted = |claim| self.settings.claims.contains(&claim);
        About {
            sub: subject,
            // RFC 7662 wants a readable name here. Without a `username` claim it is the email address.
            username: username.filter(|_| is_wanted(PersonClaim::Username)).or_else(|| email.clone()),
            email: email.filter(|_| is_wanted(PersonClaim::Email)),
            groups: is_wanted(PersonClaim::Groups).then_some(groups),
        }
    }
}

fn proves(proof: &Proof, secret: &TokenHash) -> bool {
    match proof {
        Proof::None | Proof::Assertion(_) => false,
        Proof::Secret(presented) => presented.is_in_either_reading(secret),
    }
}

impl Introspected {
    const fn inactive() -> Self {
        Self::Inactive { active: false }
    }
}
