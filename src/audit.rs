//! The audit log: who did what, from where, with what result.
//!
//! A span carries what is known of a request or a command; each [`Event`] is one line in the log's target
//! `audit`, and has the fields of the span. `docs/audit-log.md` lists events and fields.

use std::{fmt, net::IpAddr};

use tracing::{Level, Span, field::Empty};

use crate::{
    oauth::{
        authorization::AuthorizationRequest,
        client::{Client, ClientId},
        error::OAuthError,
        grant::Grant,
        operator::Operator,
        redirect::ReturnAddress,
        scope::Scope,
        token::{GrantId, TokenId},
    },
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

/// A span in which nothing is known yet. Its level is that of errors, so that a line has it whatever level
/// the log is set to.
fn blank() -> Span {
    tracing::error_span!(
        target: "audit", "audit", reference = Empty, endpoint = Empty, address = Empty, by = Empty, user = Empty, sudo_user = Empty, host = Empty, client_id = Empty, client_name = Empty, redirect_host = Empty,
        resource = Empty, sub = Empty, email = Empty, grant = Empty,
    )
}

/// The span of one request.
#[must_use]
pub fn request_span(reference: Reference, endpoint: &str, address: Option<IpAddr>) -> Span {
    let span = blank();
    let address = address.map(tracing::field::display);
    tracing::record_all!(span, reference = reference.as_str(), endpoint = endpoint, address = address);
    span
}

/// The span of what an operator does.
#[must_use]
pub fn operator_span(operator: Option<&Operator>) -> Span {
    let span = blank();
    span.record("by", "operator");
    if let Some(operator) = operator {
        let sudo_user = operator.sudo_user.as_deref();
        tracing::record_all!(span, user = &*operator.user, sudo_user = sudo_user, host = &*operator.host);
    }
    span
}

/// What a request or an event can be about.
pub trait Subject {
    /// Writes down what identifies it.
    fn record_on(&self, span: &Span);
}

impl Subject for Client {
    fn record_on(&self, span: &Span) {
        let name = self.metadata.client_name.as_deref();
        tracing::record_all!(span, client_id = self.client_id.as_str(), client_name = name);
    }
}

impl Subject for ClientId {
    fn record_on(&self, span: &Span) {
        span.record("client_id", self.as_str());
    }
}

impl Subject for AuthorizationRequest {
    fn record_on(&self, span: &Span) {
        let host = self.return_address.host();
        tracing::record_all!(
            span,
            client_id = self.client_id.as_str(),
            redirect_host = &*host,
            resource = self.resource.as_str()
        );
    }
}

impl Subject for ReturnAddress {
    fn record_on(&self, span: &Span) {
        span.record("redirect_host", &*self.host());
    }
}

impl Subject for GrantId {
    fn record_on(&self, span: &Span) {
        span.record("grant", self.as_str());
    }
}

impl Subject for Grant {
    fn record_on(&self, span: &Span) {
        let host = self.return_address.host();
        tracing::record_all!(
            span,
            client_id = self.client_id.as_str(),
            redirect_host = &*host,
            resource = self.resource.as_str(),
            sub = &*self.person.subject,
            email = self.person.email.as_deref(),
            grant = self.id.as_str()
        );
    }
}

/// From here on the present request is known to be about this.
pub fn about(subject: &impl Subject) {
    subject.record_on(&Span::current());
}

/// From here on the present request is known to be this person's.
pub fn about_person(sub: &str, email: Option<&str>) {
    let span = Span::current();
    tracing::record_all!(span, sub = sub, email = email);
}

/// How tokens came to be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issued {
    /// For a code.
    Tokens,
    /// For the current refresh token.
    Refresh,
    /// For one that was used before: its answer may have been lost.
    RefreshRetry,
}

/// What happened.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A client was registered.
    Registration,
    /// A client of pangea-authn-fastmcp came, and its registration was taken over.
    ClientTakenOver,
    /// A client was removed.
    ClientRemoval,
    /// A person answered the consent page.
    Consent {
        /// The answer, as the form has it.
        decision: &'a str,
        /// What the client would get.
        scope: &'a Scope,
    },
    /// The upstream vouched for the person, and the client gets a code.
    Code,
    /// Tokens were issued.
    Issue {
        /// For what.
        how: Issued,
        /// The access token.
        jti: &'a TokenId,
        /// What it allows.
        scope: &'a Scope,
    },
    /// A refresh token was retried after the grace period: its answer was lost, or it was copied.
    RefreshLateRetry {
        /// Rotations up to the token that was used.
        generation: u64,
    },
    /// An ended refresh token was used: the client or a thief has an old copy.
    RefreshReuse {
        /// Rotations up to the token that was used.
        generation: u64,
    },
    /// A grant was revoked.
    Revocation {
        /// By whom or why.
        by: &'a str,
    },
    /// One access token was revoked.
    TokenRevocation {
        /// The token.
        jti: &'a TokenId,
        /// By whom.
        by: &'a str,
    },
    /// The upstream vouched for a person whom `[access]` does not admit.
    PolicyDenial,
    /// A client secret was wrong.
    FailedAuthentication {
        /// Whom the caller claims to be.
        client_id: &'a str,
        /// False for a stranger's, and for one of too many: these are logged at the level `debug`.
        has_line: bool,
    },
    /// A request was refused, or failed here.
    Refusal {
        /// Why.
        error: &'a OAuthError,
        /// False for a stranger's, and for one of too many: these are logged at the level `debug`.
        has_line: bool,
    },
    /// A rate limit refused requests.
    RateLimit {
        /// How many since the last such line of this endpoint.
        refused: u64,
    },
    /// Refusals that had no line of their own, for there were too many.
    Unlogged {
        /// Why they were refused: an error code, or the name of an event.
        reason: &'a str,
        /// How many.
        left_out: u64,
    },
    /// A signing key was made.
    KeyRotation {
        /// Whether it signs at once and the old keys are gone.
        at_once: bool,
    },
    /// A sealing key was added.
    SealingKeyAdded {
        /// Its name.
        key: &'a str,
    },
    /// An old sealing key was removed.
    SealingKeyForgotten {
        /// Its name.
        key: &'a str,
    },
    /// The records of a repository were copied into another.
    RepositoryCopy {
        /// How many.
        records: u64,
    },
    /// Expired records were removed.
    RepositoryPurge {
        /// How many.
        records: u64,
    },
    /// Clients of the original library were imported.
    RepositoryImport {
        /// How many.
        clients: u64,
    },
}

/// A line whose level is known only here; `tracing` asks for a constant.
macro_rules! at_level {
    ($level:expr, $($line:tt)+) => {
        match $level {
            Level::ERROR => tracing::error!(target: "audit", $($line)+),
            Level::WARN => tracing::warn!(target: "audit", $($line)+),
            Level::INFO => tracing::info!(target: "audit", $($line)+),
            _ => tracing::debug!(target: "audit", $($line)+),
        }
    };
}

impl Event<'_> {
    /// Writes the line, within the present span.
    #[expect(clippy::too_many_lines, reason = "one arm for each event")]
    pub fn record(&self) {
        use tracing::{info, warn};
        match *self {
            Self::Registration => {
                info!(target: "audit", event = "registration", result = "ok", "client registered");
            }
            Self::ClientTakenOver => {
                info!(
                    target: "audit", event = "client_taken_over", result = "ok",
                    "client of pangea-authn-fastmcp taken over"
                );
            }
            Self::ClientRemoval => {
                info!(target: "audit", event = "client_removal", result = "ok", "client removed");
            }
            Self::Consent { decision, scope } => {
                let result = if decision == "deny" { "denied" } else { "ok" };
                info!(target: "audit", event = "consent", result, decision, %scope, "the user decided");
            }
            Self::Code => info!(target: "audit", event = "code", result = "ok", "code issued"),
            Self::Issue { how, jti, scope } => {
                let event = how.as_str();
                info!(target: "audit", event, result = "ok", %jti, %scope, "tokens issued");
            }
            Self::RefreshLateRetry { generation } => {
                warn!(
                    target: "audit", event = "refresh_late_retry", result = "ok", generation,
                    "a refresh token that was used before came back"
                );
            }
            Self::RefreshReuse { generation } => {
                warn!(
                    target: "audit", event = "refresh_reuse", result = "denied", generation,
                    "an ended refresh token was used"
                );
            }
            Self::Revocation { by } => {
                info!(target: "audit", event = "revocation", result = "ok", by, "grant revoked");
            }
            Self::TokenRevocation { jti, by } => {
                info!(target: "audit", event = "revocation", result = "ok", %jti, by, "access token revoked");
            }
            Self::PolicyDenial => {
                info!(target: "audit", event = "policy_denial", result = "denied", "the user is not admitted");
            }
            Self::FailedAuthentication { client_id, has_line } => {
                at_level!(
                    if has_line { Level::WARN } else { Level::DEBUG },
                    event = "failed_authentication",
                    result = "denied",
                    client_id,
                    "wrong credentials"
                );
            }
            Self::Refusal { error, has_line } => {
                let (code, description) = (error.code().as_str(), error.description());
                let cause = error.cause().map(tracing::field::display);
                let event = if error.is_ours() { "failure" } else { "refusal" };
                let result = if error.is_ours() { "failed" } else { "denied" };
                let level = match (has_line, error.is_ours()) {
                    (false, _) => Level::DEBUG,
                    (true, true) => Level::ERROR,
                    (true, false) if cause.is_some() => Level::WARN,
                    (true, false) => Level::INFO,
                };
                at_level!(level, event, result, code, cause, "{description}");
            }
            Self::RateLimit { refused } => {
                warn!(
                    target: "audit", event = "rate_limit", result = "denied", refused,
                    "requests refused by the rate limit"
                );
            }
            Self::Unlogged { reason, left_out } => {
                warn!(
                    target: "audit", event = "unlogged", reason, left_out,
                    "more requests were refused than are logged one by one"
                );
            }
            Self::KeyRotation { at_once: false } => {
                info!(target: "audit", event = "key_rotation", result = "ok", "the next signing key was made");
            }
            Self::KeyRotation { at_once: true } => {
                info!(target: "audit", event = "key_rotation", result = "ok", "every signing key was replaced");
            }
            Self::SealingKeyAdded { key } => {
                info!(target: "audit", event = "sealing_key_added", result = "ok", key, "sealing key added");
            }
            Self::SealingKeyForgotten { key } => {
                info!(target: "audit", event = "sealing_key_forgotten", result = "ok", key, "sealing key removed");
            }
            Self::RepositoryCopy { records } => {
                info!(target: "audit", event = "repository_copy", result = "ok", records, "records copied");
            }
            Self::RepositoryPurge { records } => {
                info!(
                    target: "audit", event = "repository_purge", result = "ok", records,
                    "expired records removed"
                );
            }
            Self::RepositoryImport { clients } => {
                info!(target: "audit", event = "repository_import", result = "ok", clients, "clients imported");
            }
        }
    }

    /// Writes the line about something that the present span does not name: one of many.
    pub fn record_about(&self, subject: &impl Subject) {
        let span = blank();
        subject.record_on(&span);
        span.in_scope(|| self.record());
    }
}

impl Issued {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Refresh => "refresh",
            Self::RefreshRetry => "refresh_retry",
        }
    }
}
