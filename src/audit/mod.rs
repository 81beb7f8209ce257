//! The audit log: who did what, from where, with what result.
//!
//! A [`Context`] holds what is known about a request or command. Each [`Event`] is one log line of the target `audit`,
//! with the fields of its context. `docs/audit-log.md` lists events and fields.

mod reference;

use std::{cell::RefCell, net::IpAddr};

use tracing::Level;

pub use self::reference::{Reference, References};
use crate::oauth::{
    authorization::AuthorizationRequest,
    client::{Client, ClientId},
    error::OAuthError,
    grant::Grant,
    operator::Operator,
    redirect::ReturnAddress,
    scope::Scope,
    token::{GrantId, TokenId},
};

tokio::task_local! {
    static CONTEXT: RefCell<Context>;
}

/// What is known about the current request or command. Every log line within it has these fields.
///
/// A `tracing` span would do the same, but would make an introspection, which logs nothing, several times as expensive.
#[derive(Debug, Clone, Default)]
pub struct Context {
    reference: Option<Reference>,
    endpoint: Option<&'static str>,
    address: Option<IpAddr>,
    by: Option<&'static str>,
    operator: Option<Operator>,
    client_id: Option<String>,
    client_name: Option<String>,
    redirect_host: Option<String>,
    resource: Option<String>,
    sub: Option<String>,
    email: Option<String>,
    grant: Option<String>,
}

impl Context {
    /// The context of a request that has just arrived.
    #[must_use]
    pub fn of_request(reference: Reference, endpoint: &'static str, address: Option<IpAddr>) -> Self {
        Self { reference: Some(reference), endpoint: Some(endpoint), address, ..Self::default() }
    }

    /// The context of an operator's command.
    #[must_use]
    pub fn of_operator(operator: Option<&Operator>) -> Self {
        Self { by: Some("operator"), operator: operator.cloned(), ..Self::default() }
    }

    /// The current context, for work in another task.
    #[must_use]
    pub fn current() -> Self {
        CONTEXT.try_with(|context| context.borrow().clone()).unwrap_or_default()
    }

    #[must_use]
    pub fn about(mut self, subject: &impl Subject) -> Self {
        subject.describe(&mut self);
        self
    }

    pub fn run<T>(self, action: impl FnOnce() -> T) -> T {
        CONTEXT.sync_scope(RefCell::new(self), action)
    }

    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CONTEXT.scope(RefCell::new(self), future)
    }
}

/// Calls `tell` with each field of the current context, until it fails.
///
/// # Errors
///
/// The error of `tell`.
pub fn each_known<E>(mut tell: impl FnMut(&'static str, &str) -> Result<(), E>) -> Result<(), E> {
    let told = CONTEXT.try_with(|context| {
        let known = context.borrow();
        let operator = known.operator.as_ref();
        let address = known.address.map(address_text);
        for (name, value) in [
            ("reference", known.reference.as_ref().map(Reference::as_str)),
            ("endpoint", known.endpoint),
            ("address", address.as_deref()),
            ("by", known.by),
            ("user", operator.map(|operator| &*operator.user)),
            ("sudo_user", operator.and_then(|operator| operator.sudo_user.as_deref())),
            ("host", operator.map(|operator| &*operator.host)),
            ("client_id", known.client_id.as_deref()),
            ("client_name", known.client_name.as_deref()),
            ("redirect_host", known.redirect_host.as_deref()),
            ("resource", known.resource.as_deref()),
            ("sub", known.sub.as_deref()),
            ("email", known.email.as_deref()),
            ("grant", known.grant.as_deref()),
        ] {
            if let Some(value) = value {
                tell(name, value)?;
            }
        }
        Ok(())
    });
    told.unwrap_or(Ok(()))
}

/// The address as `Display` writes it, which takes six times as long for IPv4: a third of the time of a whole line.
fn address_text(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.octets().map(|octet| octet.to_string()).join("."),
        IpAddr::V6(address) => address.to_string(),
    }
}

/// A subject of requests and events.
pub trait Subject {
    fn describe(&self, known: &mut Context);
}

impl<T: Subject> Subject for Box<T> {
    fn describe(&self, known: &mut Context) {
        T::describe(self, known);
    }
}

impl Subject for Client {
    fn describe(&self, known: &mut Context) {
        self.client_id.describe(known);
        known.client_name.clone_from(&self.metadata.client_name);
    }
}

impl Subject for ClientId {
    fn describe(&self, known: &mut Context) {
        known.client_id = Some(self.as_str().to_owned());
    }
}

impl Subject for AuthorizationRequest {
    fn describe(&self, known: &mut Context) {
        self.client_id.describe(known);
        self.return_address.describe(known);
        known.resource = Some(self.resource.as_str().to_owned());
    }
}

impl Subject for ReturnAddress {
    fn describe(&self, known: &mut Context) {
        known.redirect_host = Some(self.host());
    }
}

impl Subject for GrantId {
    fn describe(&self, known: &mut Context) {
        known.grant = Some(self.as_str().to_owned());
    }
}

impl Subject for Grant {
    fn describe(&self, known: &mut Context) {
        let terms = self.terms();
        terms.client_id.describe(known);
        if let Some(return_address) = terms.basis.return_address() {
            return_address.describe(known);
        }
        self.id().describe(known);
        known.resource = Some(terms.resource.as_str().to_owned());
        known.sub = Some(terms.sub().to_owned());
        known.email = terms.subject.person().and_then(|person| person.email.clone());
    }
}

pub fn about(subject: &impl Subject) {
    let _ = CONTEXT.try_with(|context| subject.describe(&mut context.borrow_mut()));
}

/// Adds the person to the current context.
pub fn about_person(sub: &str, email: Option<&str>) {
    let _ = CONTEXT.try_with(|context| {
        let mut known = context.borrow_mut();
        known.sub = Some(sub.to_owned());
        known.email = email.map(str::to_owned);
    });
}

/// Why tokens were issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issued {
    /// For a code.
    Tokens,
    /// For the current refresh token.
    Refresh,
    /// For a previous refresh token: its answer may have been lost.
    RefreshRetry,
    /// To a machine client, for its own credentials.
    ClientCredentials,
}

/// An event of the audit log.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    Registration,
    /// The registration of a pangea-authn-fastmcp client was adopted.
    ClientTakenOver,
    /// What is stored of a client's metadata document was changed.
    ClientDocument {
        /// `stored`, `changed` or `withdrawn`.
        change: &'a str,
    },
    ClientRemoval,
    /// A client got a new secret.
    SecretRotation,
    /// A user answered the consent page.
    Consent {
        /// `decision` of the form.
        decision: &'a str,
        scope: &'a Scope,
    },
    /// The upstream vouched for the person, and the client gets a code.
    Code,
    /// The upstream vouched for the person, who sees the connected clients.
    ConnectionsSignIn,
    Issue {
        how: Issued,
        jti: &'a TokenId,
        scope: &'a Scope,
    },
    /// A refresh token was retried after the grace period: the answer was lost, or the token was copied.
    RefreshLateRetry {
        /// Number of rotations before the token.
        generation: u64,
    },
    /// An ended refresh token was used: the client or an attacker has an old copy.
    RefreshReuse {
        /// Number of rotations before the token.
        generation: u64,
    },
    Revocation {
        /// Who revoked it, or why.
        by: &'a str,
    },
    TokenRevocation {
        jti: &'a TokenId,
        by: &'a str,
    },
    /// A person signed in whom `[access]` does not admit.
    PolicyDenial,
    /// A client secret was wrong.
    FailedAuthentication {
        /// The claimed client ID.
        client_id: &'a str,
        /// False for unknown clients, and for lines over the limit: these are logged at `debug`.
        has_line: bool,
    },
    /// A request was refused, or failed.
    Refusal {
        error: &'a OAuthError,
        /// False for unknown clients, and for lines over the limit: these are logged at `debug`.
        has_line: bool,
    },
    /// A rate limit refused requests.
    RateLimit {
        /// Number since the last such line of this endpoint.
        refused: u64,
    },
    /// Refusals without their own line, because there were too many.
    Unlogged {
        /// An error code, or the name of an event.
        reason: &'a str,
        left_out: u64,
    },
    /// A signing key was created.
    KeyRotation {
        /// Whether it signs at once and the old keys were removed.
        at_once: bool,
    },
    SealingKeyAdded {
        key: &'a str,
    },
    /// An old sealing key was removed.
    SealingKeyForgotten {
        key: &'a str,
    },
    /// The records of a repository were copied into another.
    RepositoryCopy {
        records: u64,
    },
    RepositoryPurge {
        records: u64,
    },
    /// Clients of the original library were imported.
    RepositoryImport {
        clients: u64,
    },
}

/// A log line with a variable level, which `tracing` does not support.
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
    /// Logs the event within the current context.
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
            Self::ClientDocument { change } => {
                info!(target: "audit", event = "client_document", result = "ok", change, "client metadata document {change}");
            }
            Self::ClientRemoval => {
                info!(target: "audit", event = "client_removal", result = "ok", "client removed");
            }
            Self::SecretRotation => {
                info!(target: "audit", event = "secret_rotation", result = "ok", "client secret rotated");
            }
            Self::Consent { decision, scope } => {
                let result = if decision == "deny" { "denied" } else { "ok" };
                info!(target: "audit", event = "consent", result, decision, %scope, "the user decided");
            }
            Self::Code => info!(target: "audit", event = "code", result = "ok", "code issued"),
            Self::ConnectionsSignIn => {
                info!(target: "audit", event = "connections_sign_in", result = "ok", "signed in to the connections");
            }
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
}

impl Issued {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Refresh => "refresh",
            Self::RefreshRetry => "refresh_retry",
            Self::ClientCredentials => "client_credentials",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_everywhere() {
        for text in ["203.0.113.9", "0.0.0.0", "255.255.255.255", "2001:db8::1"] {
            assert_eq!(address_text(text.parse().unwrap()), text);
        }
    }
}
