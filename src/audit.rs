//! The audit log: one span per request carries who asks, from where and about what, and each event of it
//! is one line in the log's target `audit`.

use std::{fmt, net::IpAddr};

use tracing::{Span, field::Empty};

use crate::{
    oauth::{client::Client, grant::Grant},
    secret::{Random, encode},
};

/// The name of one request: answers and pages show it, and each line of the log about the request has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference([u8; 12]);

impl Reference {
    /// A new reference.
    #[must_use]
    pub fn new(random: &dyn Random) -> Self {
        let (mut bytes, mut text) = ([0; 9], [b'-'; 12]);
        random.fill(&mut bytes);
        let encoded = encode(&bytes);
        if encoded.len() == text.len() {
            text.copy_from_slice(encoded.as_bytes());
        }
        Self(text)
    }

    /// The text: 12 characters of `[A-Za-z0-9_-]`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The span of one request. What is not known at its beginning is added by [`about_client`] and
/// [`about_grant`].
#[must_use]
pub fn request_span(reference: Reference, endpoint: &str, address: Option<IpAddr>) -> Span {
    // At the level of errors, so that errors have it whatever level the log is set to.
    let span = tracing::error_span!(
        target: "audit", "request", reference = reference.as_str(), endpoint, address = Empty, client_id = Empty,
        client_name = Empty, redirect_host = Empty, grant = Empty, sub = Empty, email = Empty, resource = Empty,
    );
    if let Some(address) = address {
        span.record("address", tracing::field::display(address));
    }
    span
}

/// From here on the present request is known to be this client's.
pub fn about_client(client: &Client) {
    let name = client.metadata.client_name.as_deref();
    tracing::record_all!(Span::current(), client_id = client.client_id.as_str(), client_name = name);
}

/// From here on the present request is known to be about this grant.
pub fn about_grant(grant: &Grant) {
    let person = &grant.person;
    tracing::record_all!(
        Span::current(),
        client_id = grant.client_id.as_str(),
        grant = grant.id.as_str(),
        sub = &*person.subject,
        email = person.email.as_deref(),
        resource = grant.resource.as_str(),
    );
}
