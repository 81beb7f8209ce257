//! The audit log: who did what, from where, with what result.
//!
//! A [`Context`] has what is known of a request or a command; each [`Event`] is one line in the log's target
//! `audit`, with the fields of its context. `docs/audit-log.md` lists events and fields.

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

/// What is known of the present request or command. Each line of the log within it has this.
///
/// A span of `tracing` would do the same, but costs an introspection, which writes no line, several times
/// as much.
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
    /// A request as it arrives.
    #[must_use]
    pub fn of_request(reference: Reference, endpoint: &'static str, address: Option<IpAddr>) -> Self {
        Self { reference: Some(reference), endpoint: Some(endpoint), address, ..Self::default() }
    }

    /// What an operator does, as far as it is known who that is.
    #[must_use]
    pub fn of_operator(operator: Option<&Operator>) -> Self {
        Self { by: Some("operator"), operator: operator.cloned(), ..Self::default() }
    }

    /// The present one, for work that goes on elsewhere.
    #[must_use]
    pub fn current() -> Self {
        CONTEXT.try_with(|context| context.borrow().clone()).unwrap_or_default()
    }

    /// The same, about this.
    #[must_use]
    pub fn about(mut self, subject: &impl Subject) -> Self {
        subject.describe(&mut self);
        self
    }

    /// Does something within it.
    pub fn run<T>(self, action: impl FnOnce() -> T) -> T {
        CONTEXT.sync_scope(RefCell::new(self), action)
    }

    /// Answers a request within it.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CONTEXT.scope(RefCell::new(self), future)
    }
}

/// Calls `tell` with each field of the present context, until it fails.
///
/// # Errors
///
/// As `tell` fails.
pub fn each_known<E>(mut tell: impl FnMut(&'static str, &str) -> Result<(), E>) -> Result<(), E> {
    let told = CONTEXT.try_with(|context| {
        let known = context.borrow();
        let operator = known.operator.as_ref();
        let address = known.address.map(|address| address.to_string());
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

/// What a request or an event can be about.
pub trait Subject {
    /// Writes down what identifies it.
    fn describe(&self, known: &mut Context);
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
        known.sub = Some(terms.subject.id().to_owned());
        known.email = terms.subject.person().and_then(|person| person.email.clone());
    }
}

/// From here on the present request is known to be about this.
pub fn about(subject: &impl Subject) {
    let _ = CONTEXT.try_with(|context| subject.describe(&mut context.borrow_mut()));
}

/// From here on the present request is known to be this person's.
pub fn about_person(sub: &str, email: Option<&str>) {
    let _ = CONTEXT.try_with(|context| {
        let mut known = context.borrow_mut();
        known.sub = Some(sub.to_owned());
        known.email = email.map(str::to_owned);
    });
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
    /// Writes the line, within the present context.
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
