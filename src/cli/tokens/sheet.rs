//! How grants are printed: as a row, and in full. Secrets and their hashes are never printed.

use serde::Serialize;

use crate::{
    cli::{
        operator::OperatedRow,
        output::{Row, Sheet, Style},
        table::Column,
        times::Moment,
    },
    clock::UnixTime,
    oauth::{
        grant::{Basis, Grant, LiveToken, Person},
        redirect::ReturnAddress,
        scope::Scope,
        token::TokenId,
    },
};

/// Takes the place of a user.
const MACHINE: &str = "(machine)";

pub(super) const COLUMNS: [Column; 10] = [
    Column::new("ID", 0),
    Column::new("CLIENT", 0),
    Column::new("REDIRECTS TO", 3),
    Column::new("USER", 0),
    Column::new("RESOURCE", 2),
    Column::new("SCOPES", 6),
    Column::new("STATE", 0),
    Column::new("CREATED", 5),
    Column::new("LAST USED", 1),
    Column::new("EXPIRES", 4),
];

#[derive(Debug, Serialize)]
pub(super) struct GrantRow {
    id: String,
    client_id: String,
    client_name: Option<String>,
    /// `None` where no browser was sent back.
    redirect_host: Option<String>,
    /// Whether a machine client acts for itself. Its subject is its client ID.
    machine: bool,
    subject: String,
    email: Option<String>,
    /// `None` without an email address.
    email_verified: Option<bool>,
    resource: String,
    scopes: Vec<String>,
    state: &'static str,
    created_at: Moment,
    last_used_at: Moment,
    /// When it expires if the client does not use it.
    expires_at: Option<Moment>,
}

impl GrantRow {
    pub(super) fn of(grant: &Grant, client_name: Option<String>, now: UnixTime) -> Self {
        let terms = grant.terms();
        let person = terms.subject.person();
        let email = person.and_then(Person::known_email);
        Self {
            id: grant.id().to_string(),
            client_id: terms.client_id.to_string(),
            client_name,
            redirect_host: terms.basis.return_address().map(ReturnAddress::host),
            machine: person.is_none(),
            subject: terms.sub().to_owned(),
            email: email.map(str::to_owned),
            email_verified: email.and(person).map(|person| person.email.is_some()),
            resource: terms.resource.to_string(),
            scopes: words(&terms.scope),
            state: grant.standing(now).as_str(),
            created_at: terms.granted_at.into(),
            last_used_at: grant.last_used_at().into(),
            expires_at: grant.usable_until().map(Moment::from),
        }
    }

    fn client(&self, style: Style) -> String {
        match &self.client_name {
            Some(name) if style.is_for_people() => name.clone(),
            _ => self.client_id.clone(),
        }
    }

    /// Empty for a machine client.
    fn user(&self, style: Style) -> String {
        if self.machine {
            return if style.is_for_people() { MACHINE.to_owned() } else { String::new() };
        }
        self.email.clone().unwrap_or_else(|| self.subject.clone())
    }
}

impl Row for GrantRow {
    fn id(&self) -> String {
        self.id.clone()
    }

    fn cells(&self, style: Style) -> Vec<String> {
        vec![
            style.id(&self.id),
            self.client(style),
            self.redirect_host.clone().unwrap_or_default(),
            self.user(style),
            self.resource.clone(),
            self.scopes.join(" "),
            self.state.to_owned(),
            style.time(self.created_at.time()),
            style.time(self.last_used_at.time()),
            self.expires_at.map(|end| style.time(end.time())).unwrap_or_default(),
        ]
    }
}

#[derive(Debug, Serialize)]
pub(super) struct GrantSheet {
    #[serde(flatten)]
    row: GrantRow,
    consented_from: Option<String>,
    /// Access tokens issued so far.
    tokens_issued: u64,
    refreshes: u64,
    last_refreshed_at: Option<Moment>,
    /// Refreshes after the grace period with a token that had been used before.
    late_retries: u64,
    /// When the upstream last confirmed its session.
    upstream_checked_at: Option<Moment>,
    live_tokens: Vec<TokenRow>,
    revoked_at: Option<Moment>,
    revoked_by: Option<&'static str>,
    /// An operator's last action on it.
    operated: Option<OperatedRow>,
    /// Until when an MCP server that verifies tokens itself may still accept one of its revoked tokens.
    accepted_until: Option<Moment>,
}

/// A live access token.
#[derive(Debug, Serialize)]
struct TokenRow {
    id: String,
    issued_at: Moment,
    expires_at: Moment,
    scopes: Vec<String>,
}

impl GrantSheet {
    pub(super) fn of(grant: &Grant, client_name: Option<String>, now: UnixTime) -> Self {
        let revocation = grant.revocation();
        let from = match &grant.terms().basis {
            Basis::Consent { from, .. } => *from,
            Basis::Allowance => None,
        };
        Self {
            consented_from: from.map(|address| address.to_string()),
            tokens_issued: grant.issued(),
            refreshes: grant.refreshes(),
            // If there was a refresh, the last token was issued by one.
            last_refreshed_at: (grant.refreshes() > 0).then(|| grant.last_used_at().into()),
            late_retries: grant.late_retries(),
            upstream_checked_at: grant.session().map(|session| session.checked_at().into()),
            live_tokens: grant.live_tokens(now).map(|token| TokenRow::of(grant, token)).collect(),
            revoked_at: revocation.map(|revocation| revocation.at.into()),
            revoked_by: revocation.map(|revocation| revocation.by.as_str()),
            operated: grant.operated().map(OperatedRow::of),
            accepted_until: revocation.and_then(|_| grant.accepted_until(now)).map(Moment::from),
            row: GrantRow::of(grant, client_name, now),
        }
    }
}

impl TokenRow {
    fn of(grant: &Grant, token: &LiveToken) -> Self {
        Self {
            id: TokenId { grant: grant.id().clone(), number: token.number }.to_string(),
            issued_at: token.issued_at.into(),
            expires_at: token.expires_at.into(),
            scopes: words(token.scope.as_ref().unwrap_or(&grant.terms().scope)),
        }
    }
}

impl Sheet for GrantSheet {
    fn id(&self) -> String {
        self.row.id.clone()
    }

    fn lines(&self, style: Style) -> Vec<(&'static str, String)> {
        let row = &self.row;
        let named = row.client_name.as_ref().map(|name| format!("{} ({name})", row.client_id));
        let unverified = if row.email_verified == Some(false) { ", unverified address" } else { "" };
        let person = row.email.as_ref().map(|email| format!("{email} ({}{unverified})", row.subject));
        let checked = self.upstream_checked_at.map(|checked| style.full_time(checked.time()));
        let from = self.consented_from.as_ref().map(|address| format!(" from {address}")).unwrap_or_default();
        let created = style.full_time(row.created_at.time());
        let mut lines = vec![
            ("id", row.id.clone()),
            ("state", row.state.to_owned()),
            ("client", named.unwrap_or_else(|| row.client_id.clone())),
        ];
        if row.machine {
            lines.push(("user", MACHINE.to_owned()));
        } else {
            lines.push(("redirects to", row.redirect_host.clone().unwrap_or_default()));
            lines.push(("user", person.unwrap_or_else(|| row.subject.clone())));
        }
        lines.push(("resource", row.resource.clone()));
        lines.push(("scopes", row.scopes.join(" ")));
        if row.machine {
            lines.push(("issued", created));
        } else {
            lines.push(("consented", created + &from));
            lines.push(("last used", style.full_time(row.last_used_at.time())));
            lines.push(("refreshed", times(self.refreshes, self.last_refreshed_at, style)));
            lines.push(("upstream checked", checked.unwrap_or_default()));
        }
        if self.late_retries > 0 {
            lines.push(("late retries", self.late_retries.to_string()));
        }
        if let Some(end) = row.expires_at {
            let name = if row.machine { "ends" } else { "ends unless used" };
            lines.push((name, style.full_time(end.time())));
        }
        if let (Some(at), Some(by)) = (self.revoked_at, self.revoked_by) {
            lines.push(("revoked", format!("{} by {}", style.full_time(at.time()), told(by))));
        }
        if let Some(operated) = &self.operated {
            lines.push(("operator", operated.words(style)));
        }
        if let Some(until) = self.accepted_until {
            lines.push((
                "accepted until",
                format!("{} by servers that do not introspect", style.full_time(until.time())),
            ));
        }
        for (at, token) in self.live_tokens.iter().enumerate() {
            let name = if at == 0 { "live tokens" } else { "" };
            lines.push((name, format!("{} until {}", token.id, style.full_time(token.expires_at.time()))));
        }
        lines
    }
}

fn times(count: u64, last: Option<Moment>, style: Style) -> String {
    let count = match count {
        0 => return "never".to_owned(),
        1 => "once".to_owned(),
        count => format!("{count} times"),
    };
    last.map_or_else(|| count.clone(), |last| format!("{count}, last {}", style.full_time(last.time())))
}

/// What revoked a grant.
fn told(by: &str) -> &str {
    match by {
        "client" => "the client",
        "code_replay" => "the reuse of a code",
        "refresh_reuse" => "the reuse of an old refresh token",
        "upstream" => "the upstream, which ended the session",
        "operator" => "the operator",
        "user" => "the user, at /connections",
        other => other,
    }
}

fn words(scope: &Scope) -> Vec<String> {
    scope.words().map(str::to_owned).collect()
}
