//! How a grant is stored: one flat object, as in every release so far.

use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{Basis, Grant, Person, State, Subject, Terms, UpstreamSession};
use crate::{
    clock::UnixTime,
    oauth::{
        client::ClientId, operator::Operated, redirect::ReturnAddress, resource::Resource, scope::Scope,
        token::GrantId,
    },
};

#[derive(Deserialize)]
struct Read {
    id: GrantId,
    client_id: ClientId,
    /// Absent for a machine client, like the return address.
    #[serde(default)]
    person: Option<Person>,
    resource: Resource,
    scope: Scope,
    #[serde(default)]
    return_address: Option<ReturnAddress>,
    created_at: UnixTime,
    #[serde(default)]
    consented_from: Option<IpAddr>,
    last_used_at: UnixTime,
    expires_at: UnixTime,
    issued: u64,
    #[serde(default)]
    late_retries: u64,
    #[serde(default)]
    upstream: Option<UpstreamSession>,
    state: State,
    #[serde(default)]
    operated: Option<Operated>,
}

#[derive(Serialize)]
struct Written<'a> {
    id: &'a GrantId,
    client_id: &'a ClientId,
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<&'a Person>,
    resource: &'a Resource,
    scope: &'a Scope,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_address: Option<&'a ReturnAddress>,
    created_at: UnixTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    consented_from: Option<IpAddr>,
    last_used_at: UnixTime,
    expires_at: UnixTime,
    issued: u64,
    #[serde(skip_serializing_if = "is_zero")]
    late_retries: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a UpstreamSession>,
    state: &'a State,
    #[serde(skip_serializing_if = "Option::is_none")]
    operated: Option<&'a Operated>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Serialize for Grant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (return_address, consented_from) = match &self.terms.basis {
            Basis::Consent { return_address, from } => (Some(return_address), *from),
            Basis::Allowance => (None, None),
        };
        let written = Written {
            id: &self.id,
            client_id: &self.terms.client_id,
            person: self.terms.subject.person(),
            resource: &self.terms.resource,
            scope: &self.terms.scope,
            return_address,
            created_at: self.terms.granted_at,
            consented_from,
            last_used_at: self.last_used_at,
            expires_at: self.expires_at,
            issued: self.issued,
            late_retries: self.late_retries,
            upstream: self.session.as_ref(),
            state: &self.state,
            operated: self.operated.as_ref(),
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::deserialize(deserializer)?;
        let (subject, basis) = match (read.person, read.return_address) {
            (Some(person), Some(return_address)) => {
                (Subject::Person(person), Basis::Consent { return_address, from: read.consented_from })
            }
            (None, None) => (Subject::Client, Basis::Allowance),
            (Some(_), None) => return Err(D::Error::missing_field("return_address")),
            (None, Some(_)) => return Err(D::Error::missing_field("person")),
        };
        let terms = Terms {
            client_id: read.client_id,
            subject,
            basis,
            resource: read.resource,
            scope: read.scope,
            granted_at: read.created_at,
        };
        Ok(Self {
            id: read.id,
            terms,
            last_used_at: read.last_used_at,
            expires_at: read.expires_at,
            issued: read.issued,
            late_retries: read.late_retries,
            session: read.upstream,
            state: read.state,
            operated: read.operated,
        })
    }
}
