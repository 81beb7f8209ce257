//! `docs/audit-log.md` lists every event with its level and its own fields, as the program writes them.

use std::collections::BTreeSet;

use pangea_mcp_auth::{
    audit::{Event, Issued},
    oauth::{
        error::{ErrorCode, OAuthError},
        scope::Scope,
        token::TokenId,
    },
};

use super::capture;
use crate::support::tree;

/// Fields of every line, and those of the span, which the page lists once.
const COMMON: [&str; 5] = ["timestamp", "level", "target", "message", "event"];

/// One event of each kind. Add new kinds here.
fn each_event(record: impl Fn(Event<'_>)) {
    let scope = Scope::parse("user").unwrap();
    let jti = TokenId::parse("d5k9c3a0m6r0r5o8k8q7j0c2a4s6u8v0.1").unwrap();
    let refused = OAuthError::new(ErrorCode::InvalidTarget, "refused").caused_by("a reason");
    let failed = OAuthError::new(ErrorCode::ServerError, "failed").caused_by("a reason");
    let issue = |how| Event::Issue { how, jti: &jti, scope: &scope };
    for event in [
        Event::Registration,
        Event::ClientTakenOver,
        Event::ClientRemoval,
        Event::SecretRotation,
        Event::ClientDocument { change: "stored" },
        Event::Consent { decision: "approve", scope: &scope },
        Event::Code,
        Event::ConnectionsSignIn,
        issue(Issued::Tokens),
        issue(Issued::Refresh),
        issue(Issued::RefreshRetry),
        issue(Issued::ClientCredentials),
        Event::RefreshLateRetry { generation: 1 },
        Event::RefreshReuse { generation: 1 },
        Event::Revocation { by: "client" },
        Event::TokenRevocation { jti: &jti, by: "client" },
        Event::PolicyDenial,
        Event::FailedAuthentication { client_id: "mcp_x", has_line: true },
        Event::Refusal { error: &refused, has_line: true },
        Event::Refusal { error: &failed, has_line: true },
        Event::RateLimit { refused: 1 },
        Event::Unlogged { reason: "invalid_grant", left_out: 1 },
        Event::KeyRotation { at_once: true },
        Event::KeyRotation { at_once: false },
        Event::SealingKeyAdded { key: "k" },
        Event::SealingKeyForgotten { key: "k" },
        Event::RepositoryCopy { records: 1 },
        Event::RepositoryPurge { records: 1 },
        Event::RepositoryImport { clients: 1 },
    ] {
        // A kind that is missing above is also missing here.
        match event {
            Event::Registration
            | Event::ClientTakenOver
            | Event::ClientRemoval
            | Event::SecretRotation
            | Event::ClientDocument { .. }
            | Event::Consent { .. }
            | Event::Code
            | Event::ConnectionsSignIn
            | Event::Issue { .. }
            | Event::RefreshLateRetry { .. }
            | Event::RefreshReuse { .. }
            | Event::Revocation { .. }
            | Event::TokenRevocation { .. }
            | Event::PolicyDenial
            | Event::FailedAuthentication { .. }
            | Event::Refusal { .. }
            | Event::RateLimit { .. }
            | Event::Unlogged { .. }
            | Event::KeyRotation { .. }
            | Event::SealingKeyAdded { .. }
            | Event::SealingKeyForgotten { .. }
            | Event::RepositoryCopy { .. }
            | Event::RepositoryPurge { .. }
            | Event::RepositoryImport { .. } => record(event),
        }
    }
}

#[test]
fn the_page_lists_every_event_with_its_level_and_fields() {
    let (captured, _guard) = capture(true);
    each_event(|event| event.record());
    let mut written: BTreeSet<String> = BTreeSet::new();
    for event in captured.events() {
        let line = event.as_object().unwrap();
        let own = line.keys().filter(|name| !COMMON.contains(&name.as_str()));
        let own: BTreeSet<&str> = own.map(String::as_str).collect();
        let fields: Vec<String> = own.iter().map(|name| format!("`{name}`")).collect();
        let text = |name: &str| line[name].as_str().unwrap();
        written.insert(format!("| `{}` | {} | {} |", text("event"), text("level"), fields.join(", ")));
    }
    let page = std::fs::read_to_string(tree::root().join("docs/audit-log.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 5);
    let listed: BTreeSet<String> =
        rows.map(|row| format!("{} |", row.rsplitn(3, " |").nth(2).unwrap().trim_end())).collect();
    assert_eq!(listed, written);
}
