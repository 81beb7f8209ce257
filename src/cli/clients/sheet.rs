//! How clients are printed: as a row, in full, and when they are created.

use serde::Serialize;

use crate::{
    cli::{
        operator::OperatedRow,
        output::{Row, Sheet, Style},
        table::Column,
        times::Moment,
    },
    clock::UnixTime,
    flow::administration::{ClientUse, WithSecret},
    oauth::{
        client::{Client, DocumentState, Origin},
        client_keys::ClientKeys,
        redirect::RedirectUri,
        resource::Resource,
    },
};

pub(super) const COLUMNS: [Column; 6] = [
    Column::new("ID", 0),
    Column::new("NAME", 0),
    Column::new("ORIGIN", 2),
    Column::new("LIVE GRANTS", 0),
    Column::new("LAST USED", 1),
    Column::new("CREATED", 3),
];

#[derive(Debug, Serialize)]
pub(super) struct ClientRow {
    id: String,
    name: Option<String>,
    origin: &'static str,
    /// The host of the client's metadata document, which is its identity.
    host: Option<String>,
    confidential: bool,
    redirect_uris: Vec<String>,
    created_at: Moment,
    /// When the registration expires if no user signs in with it.
    expires_at: Option<Moment>,
    live_grants: u64,
    last_used_at: Option<Moment>,
}

impl ClientRow {
    pub(super) fn of(client: &Client, used: ClientUse) -> Self {
        let uris = client.metadata.redirect_uris.iter().map(RedirectUri::as_str);
        Self {
            id: client.client_id.to_string(),
            name: client.metadata.client_name.clone(),
            origin: match client.origin {
                Origin::SelfRegistered => "registered",
                Origin::Operator => "operator",
                Origin::Document => "document",
            },
            host: client.client_id.document().map(|document| document.host().to_owned()),
            confidential: client.secret.is_some() || client.jwks.is_some(),
            redirect_uris: uris.map(str::to_owned).collect(),
            created_at: client.issued_at.into(),
            expires_at: client.expires_at.map(Moment::from),
            live_grants: used.live_grants,
            last_used_at: used.last_used_at.map(Moment::from),
        }
    }
}

impl Row for ClientRow {
    fn id(&self) -> String {
        self.id.clone()
    }

    fn cells(&self, style: Style) -> Vec<String> {
        let last_used = self.last_used_at.map(|at| style.time(at.time()));
        let origin = match &self.host {
            Some(host) => format!("{} of {host}", self.origin),
            None => self.origin.to_owned(),
        };
        let mut cells = vec![
            style.id(&self.id),
            self.name.clone().unwrap_or_default(),
            origin,
            self.live_grants.to_string(),
            last_used
                .unwrap_or_else(|| if style.is_for_people() { "never".to_owned() } else { String::new() }),
            style.time(self.created_at.time()),
        ];
        if !style.is_for_people() {
            cells.push(self.expires_at.map(|at| style.time(at.time())).unwrap_or_default());
            cells.push(self.redirect_uris.join(" "));
        }
        cells
    }
}

/// The metadata document of a client, as the daemon last saw it.
#[derive(Debug, Serialize)]
struct DocumentRow {
    fetched_at: Moment,
    fresh_until: Moment,
    withdrawn: bool,
}

impl DocumentRow {
    fn of(state: DocumentState) -> Self {
        let DocumentState { fetched_at, fresh_until, withdrawn } = state;
        Self { fetched_at: fetched_at.into(), fresh_until: fresh_until.into(), withdrawn }
    }

    fn words(&self, style: Style) -> String {
        let fetched = format!("fetched {}", style.full_time(self.fetched_at.time()));
        if self.withdrawn { format!("{fetched}, since then removed or invalid") } else { fetched }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct ClientSheet {
    #[serde(flatten)]
    row: ClientRow,
    token_endpoint_auth_method: &'static str,
    grant_types: Vec<&'static str>,
    document: Option<DocumentRow>,
    client_uri: Option<String>,
    contacts: Vec<String>,
    software_id: Option<String>,
    software_version: Option<String>,
    /// How many public keys it has, to sign assertions.
    keys: usize,
    /// Where it publishes them. The daemon stores what it fetched last.
    jwks_uri: Option<String>,
    /// The MCP servers that a machine client can get tokens for.
    resources: Vec<String>,
    /// The most that its tokens allow.
    scopes: Vec<String>,
    /// Until when the secret before the last rotation is accepted.
    previous_secret_until: Option<Moment>,
    /// An operator's last action on it.
    operated: Option<OperatedRow>,
}

impl ClientSheet {
    pub(super) fn of(client: &Client, used: ClientUse, now: UnixTime) -> Self {
        let (metadata, allowance) = (&client.metadata, client.allowance.as_ref());
        let resources = allowance.map_or(&[][..], |allowance| &allowance.resources);
        let previous = client.previous_secret.as_ref().filter(|previous| now < previous.until);
        Self {
            row: ClientRow::of(client, used),
            token_endpoint_auth_method: metadata.token_endpoint_auth_method.as_str(),
            grant_types: metadata.grant_types.iter().map(|grant| grant.as_str()).collect(),
            document: client.document.map(DocumentRow::of),
            client_uri: metadata.client_uri.clone(),
            contacts: metadata.contacts.clone(),
            software_id: metadata.software_id.clone(),
            software_version: metadata.software_version.clone(),
            keys: client.jwks.as_ref().map_or(0, ClientKeys::count),
            jwks_uri: metadata.jwks_uri.clone(),
            resources: resources.iter().map(Resource::to_string).collect(),
            scopes: allowance
                .iter()
                .flat_map(|allowance| allowance.scope.words())
                .map(str::to_owned)
                .collect(),
            previous_secret_until: previous.map(|previous| previous.until.into()),
            operated: client.operated.as_ref().map(OperatedRow::of),
        }
    }
}

impl Sheet for ClientSheet {
    fn id(&self) -> String {
        self.row.id.clone()
    }

    fn lines(&self, style: Style) -> Vec<(&'static str, String)> {
        let row = &self.row;
        let or_never = |at: Option<Moment>| at.map_or("never".to_owned(), |at| style.full_time(at.time()));
        let mut lines = vec![
            ("id", row.id.clone()),
            ("name", row.name.clone().unwrap_or_default()),
            ("origin", row.origin.to_owned()),
            ("authenticates", self.token_endpoint_auth_method.to_owned()),
            ("grant types", self.grant_types.join(" ")),
            ("created", style.full_time(row.created_at.time())),
            ("expires", or_never(row.expires_at)),
            ("live grants", row.live_grants.to_string()),
            ("last used", or_never(row.last_used_at)),
        ];
        if let Some((host, document)) = row.host.as_ref().zip(self.document.as_ref()) {
            lines.insert(3, ("host", host.clone()));
            lines.insert(4, ("document", document.words(style)));
        }
        for (at, uri) in row.redirect_uris.iter().enumerate() {
            lines.push((if at == 0 { "redirect URIs" } else { "" }, uri.clone()));
        }
        if self.keys > 0 {
            lines.push(("public keys", self.keys.to_string()));
        }
        lines.extend(self.jwks_uri.clone().map(|uri| ("jwks_uri", uri)));
        for (at, url) in self.resources.iter().enumerate() {
            lines.push((if at == 0 { "resources" } else { "" }, url.clone()));
        }
        if !self.resources.is_empty() {
            lines.push(("scopes", self.scopes.join(" ")));
        }
        if let Some(until) = self.previous_secret_until {
            lines.push(("old secret until", style.full_time(until.time())));
        }
        let told = [
            ("home page", &self.client_uri),
            ("software", &self.software_id),
            ("version", &self.software_version),
        ];
        if let Some(operated) = &self.operated {
            lines.push(("operator", operated.words(style)));
        }
        lines.extend(told.into_iter().filter_map(|(name, text)| Some((name, text.clone()?))));
        if !self.contacts.is_empty() {
            lines.push(("contacts", self.contacts.join(", ")));
        }
        lines
    }
}

/// A client that was just added, with its secret, which is never shown again.
#[derive(Debug, Serialize)]
pub(super) struct Added {
    client_id: String,
    client_secret: Option<String>,
    client_name: Option<String>,
    token_endpoint_auth_method: &'static str,
    redirect_uris: Vec<String>,
    grant_types: Vec<&'static str>,
    /// Of a machine client.
    resources: Vec<String>,
    scopes: Vec<String>,
}

impl Added {
    pub(super) fn of(added: WithSecret) -> Self {
        let issued_at = added.client.issued_at;
        let sheet = ClientSheet::of(&added.client, ClientUse::default(), issued_at);
        Self {
            client_id: sheet.row.id,
            client_secret: added.secret,
            client_name: sheet.row.name,
            token_endpoint_auth_method: sheet.token_endpoint_auth_method,
            redirect_uris: sheet.row.redirect_uris,
            grant_types: sheet.grant_types,
            resources: sheet.resources,
            scopes: sheet.scopes,
        }
    }
}

/// A client that has just got another secret.
#[derive(Debug, Serialize)]
pub(super) struct Rotated {
    client_id: String,
    client_secret: Option<String>,
    previous_secret_until: Option<Moment>,
}

impl Rotated {
    pub(super) fn of(rotated: WithSecret) -> Self {
        let previous = rotated.client.previous_secret.as_ref();
        Self {
            client_id: rotated.client.client_id.to_string(),
            client_secret: rotated.secret,
            previous_secret_until: previous.map(|previous| previous.until.into()),
        }
    }
}

impl Sheet for Rotated {
    fn id(&self) -> String {
        self.client_id.clone()
    }

    fn lines(&self, style: Style) -> Vec<(&'static str, String)> {
        let secret = self.client_secret.clone().map(|secret| ("client_secret", secret));
        let until =
            self.previous_secret_until.map(|until| ("old secret until", style.full_time(until.time())));
        [("client_id", self.client_id.clone())].into_iter().chain(secret).chain(until).collect()
    }
}

impl Sheet for Added {
    fn id(&self) -> String {
        self.client_id.clone()
    }

    fn lines(&self, _style: Style) -> Vec<(&'static str, String)> {
        let secret = self.client_secret.clone().map(|secret| ("client_secret", secret));
        [("client_id", self.client_id.clone())].into_iter().chain(secret).collect()
    }
}
