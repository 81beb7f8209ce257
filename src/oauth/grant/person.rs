//! On whose behalf a grant was made.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::oauth::token::{PersonClaim, PersonClaims};

/// On whose behalf the client acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A user who signed in and agreed.
    Person(Person),
    /// The client itself: it is a machine client.
    Client,
}

impl Subject {
    #[must_use]
    pub const fn person(&self) -> Option<&Person> {
        match self {
            Self::Person(person) => Some(person),
            Self::Client => None,
        }
    }
}

/// A user, as the upstream vouched for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Which identity provider vouched for them.
    #[serde(skip_serializing_if = "UpstreamId::is_pangea", default)]
    pub upstream: UpstreamId,
    /// The stable ID at the upstream, the `sub` of tokens.
    pub subject: String,
    /// An address that counts for `[access]`: the upstream verified it, or the operator trusts it unverified.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub email: Option<String>,
    /// An address that nothing verified. Operators see it; nothing is decided by it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unverified_email: Option<String>,
    /// What they sign in with, where the upstream says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub username: Option<String>,
    /// Those of their groups that `[access]` listed when they signed in.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub groups: Vec<String>,
}

/// The name of an identity provider in records. Records of earlier releases have none: they are of Pangea.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UpstreamId(Cow<'static, str>);

impl UpstreamId {
    /// Pangea `AuthN`.
    pub const PANGEA: Self = Self(Cow::Borrowed("pangea"));

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_pangea(&self) -> bool {
        *self == Self::PANGEA
    }
}

impl Default for UpstreamId {
    fn default() -> Self {
        Self::PANGEA
    }
}

impl Person {
    /// Whether the same upstream vouched for the same subject. Everything else about a person can change.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.upstream == other.upstream && self.subject == other.subject
    }

    /// The address by which operators know the person, verified or not.
    #[must_use]
    pub fn known_email(&self) -> Option<&str> {
        self.email.as_deref().or(self.unverified_email.as_deref())
    }

    /// The claims that the operator `wanted` in tokens, as far as the upstream told them.
    #[must_use]
    pub fn claims(&self, wanted: &[PersonClaim]) -> PersonClaims<'_> {
        let is_wanted = |claim| wanted.contains(&claim);
        PersonClaims {
            email: self.email.as_deref().filter(|_| is_wanted(PersonClaim::Email)),
            username: self.username.as_deref().filter(|_| is_wanted(PersonClaim::Username)),
            groups: is_wanted(PersonClaim::Groups).then_some(&*self.groups),
        }
    }
}
