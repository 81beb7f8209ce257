//! The report of a revocation: how many grants, whose, and which MCP servers may accept their tokens until when.

use std::{cmp::Reverse, num::NonZero};

use serde::Serialize;

use super::{
    failure::{Exit, Failure},
    output::{Output, readable},
    times::{Moment, rfc3339},
};
use crate::{
    config::Config,
    flow::administration::{Tally, UserGrants, Whose},
    oauth::{client::ClientId, grant::MOST_LIVE_TOKENS},
    repository::{RepositoryError, Unreadable},
};

/// Maximum number of users and clients to name in a sentence; JSON names all.
const MOST_NAMED: usize = 5;

/// The result for `--output json`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) revoked: u64,
    pub(super) already_revoked: u64,
    /// Access tokens that are no longer tracked, so that they cannot be revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    untracked: Option<NonZero<u64>>,
    /// IDs that were skipped.
    failed: Vec<Failed>,
    dry_run: bool,
    /// Until when an MCP server that verifies tokens itself may still accept a revoked token.
    accepted_until: Option<Moment>,
    resources: Vec<ResourceReport>,
    /// Whose grants were revoked, or would be.
    users: Vec<User>,
    clients: Vec<Client>,
}

#[derive(Debug, Serialize)]
struct User {
    subject: String,
    email: Option<String>,
    grants: u64,
}

#[derive(Debug, Serialize)]
struct Client {
    client_id: ClientId,
    grants: u64,
}

#[derive(Debug, Serialize)]
struct ResourceReport {
    resource: String,
    /// Whether it has credentials for `/introspect`.
    introspection: bool,
    accepted_until: Option<Moment>,
}

/// An ID that was skipped.
#[derive(Debug, Serialize)]
pub(super) struct Failed {
    id: String,
    reason: &'static str,
}

impl Failed {
    pub(super) fn of(id: &str, failure: &Failure) -> Self {
        let reason = match failure.exit {
            Exit::NotFound => "not_found",
            Exit::Usage => "ambiguous",
            Exit::Failed => "unreadable",
            _ => "unreachable",
        };
        Self { id: id.to_owned(), reason }
    }

    fn unreadable(record: &Unreadable) -> Self {
        Self { id: record.key.clone(), reason: "unreadable" }
    }
}

impl Report {
    pub(super) fn of(tally: &Tally, dry_run: bool, config: Option<&Config>) -> Self {
        let asks = |resource: &str| {
            config.is_some_and(|config| {
                let known = config.resources.iter().find(|known| known.url.as_str() == resource);
                known.is_some_and(|known| known.introspection.is_some())
            })
        };
        let resources = tally.accepted_until.iter().map(|(resource, until)| ResourceReport {
            introspection: asks(resource),
            resource: resource.clone(),
            accepted_until: until.map(Moment::from),
        });
        Self {
            revoked: tally.revoked,
            already_revoked: tally.already_revoked,
            untracked: NonZero::new(tally.untracked),
            failed: tally.unreadable.iter().map(Failed::unreadable).collect(),
            dry_run,
            accepted_until: tally.accepted_until.values().copied().max().flatten().map(Moment::from),
            resources: resources.collect(),
            users: users(&tally.whose),
            clients: clients(&tally.whose),
        }
    }

    pub(super) fn with_failed(mut self, failed: Vec<Failed>) -> Self {
        self.failed.extend(failed);
        self
    }

    pub(super) fn words(&self) -> String {
        let done = if self.dry_run { "would be revoked" } else { "revoked" };
        let untracked = self.untracked.map(|count| {
            format!(
                "{count} no longer tracked (only the latest {MOST_LIVE_TOKENS} access tokens of a grant are)"
            )
        });
        let words = match (self.revoked, self.already_revoked) {
            (0, 0) => untracked.clone().unwrap_or_else(|| "nothing to revoke".to_owned()),
            (0, 1) => "already revoked".to_owned(),
            (0, already) => format!("all {already} already revoked"),
            (revoked, 0) => format!("{revoked} {done}"),
            (revoked, already) => format!("{revoked} {done}, {already} already revoked"),
        };
        let words = match untracked.filter(|untracked| *untracked != words) {
            Some(untracked) => format!("{words}, {untracked}"),
            None => words,
        };
        let whose = if self.dry_run { whose(&self.users, &self.clients) } else { String::new() };
        words + &whose + &self.resources.iter().map(ResourceReport::words).collect::<String>()
    }
}

impl ResourceReport {
    fn words(&self) -> String {
        let Some(until) = self.accepted_until else { return String::new() };
        let (resource, until) = (&self.resource, rfc3339(until.time()));
        if self.introspection {
            format!("\n  {resource} refuses them now if it introspects each token, otherwise after {until}")
        } else {
            format!("\n  {resource} verifies tokens itself and may accept them until {until}")
        }
    }
}

fn users(whose: &Whose) -> Vec<User> {
    let user = |(subject, user): (&String, &UserGrants)| User {
        subject: subject.clone(),
        email: user.email.clone(),
        grants: user.grants,
    };
    whose.users.iter().map(user).collect()
}

fn clients(whose: &Whose) -> Vec<Client> {
    let client = |(id, grants): (&ClientId, &u64)| Client { client_id: id.clone(), grants: *grants };
    whose.clients.iter().map(client).collect()
}

/// A line for the users and one for the clients, those with the most grants first; empty without any.
fn whose(users: &[User], clients: &[Client]) -> String {
    let users = users.iter().map(|user| (user.email.as_ref().unwrap_or(&user.subject).as_str(), user.grants));
    let clients = clients.iter().map(|client| (client.client_id.as_str(), client.grants));
    line("users", users.collect()) + &line("clients", clients.collect())
}

fn line(what: &str, mut counted: Vec<(&str, u64)>) -> String {
    if counted.is_empty() {
        return String::new();
    }
    counted.sort_by_key(|(_, grants)| Reverse(*grants));
    let named =
        counted.iter().take(MOST_NAMED).map(|(name, grants)| format!("{} ({grants})", readable(name)));
    let named = named.collect::<Vec<_>>().join(", ");
    let more = match counted.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("\n  {what}: {named}{more}")
}

/// Asks for confirmation before grants are revoked, and lists their users and clients.
pub(super) fn confirm(question: &str, theirs: &Whose, yes: bool, output: &Output) -> Result<(), Failure> {
    let whose = whose(&users(theirs), &clients(theirs));
    if !yes && !whose.is_empty() {
        output.say(whose.trim_start_matches('\n'));
    }
    output.confirm(question, yes)
}

/// The failure of a revocation that stopped halfway.
pub(super) fn interrupted_by(error: RepositoryError, done: u64) -> Failure {
    let failure = Failure::from(error);
    if done == 0 {
        return failure;
    }
    let message = format!("{} revoked, then: {}", grants(done), failure.message);
    Failure::new(Exit::Partly, message).hint("run the same command again to revoke the rest")
}

pub(super) fn grants(count: u64) -> String {
    if count == 1 { "1 grant".to_owned() } else { format!("{count} grants") }
}
