//! The pages of `/connections`.

use askama::Template;

use super::{BRAND_STYLE, STYLE, ScopeLine, brand::Brand, html, texts::Texts};

/// Shows a person the clients that are connected in their name. Its forms post `token` and `action` to `action`.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "connections.html", config = "src/web/pages/askama.toml")]
pub struct ConnectionsPage<'a> {
    pub texts: &'static Texts,
    pub brand: &'a Brand,
    pub action: &'a str,
    /// For the forms of the session.
    pub token: &'a str,
    /// For the form that begins another sign-in.
    pub sign_in_token: &'a str,
    pub account: &'a str,
    pub connections: &'a [ShownConnection<'a>],
    /// The grant before which the page begins; `None` at the newest.
    pub before: Option<&'a str>,
    /// The grant before which the next page begins; `None` if this is the last page.
    pub older: Option<&'a str>,
    /// Whether the user has just disconnected something.
    pub is_done: bool,
    /// How long an MCP server that verifies tokens itself may accept one that has ended.
    pub noticed_after: &'a str,
}

/// A client that is connected.
#[derive(Debug, Clone)]
pub struct ShownConnection<'a> {
    /// Of the grant.
    pub id: &'a str,
    /// The host that vouches for the client, the name that it gave itself, or the host of its redirect URI.
    pub name: String,
    /// The name that a client with a document gave itself.
    pub own_name: Option<String>,
    /// Whether the client chose `name` itself.
    pub is_self_named: bool,
    /// Of the redirect URI, in Punycode; for a private-use scheme, the scheme.
    pub host: String,
    pub whereabouts: Whereabouts,
    pub resource: &'a str,
    /// The operator's name for the MCP server.
    pub resource_name: Option<&'a str>,
    pub scopes: Vec<ScopeLine<'a>>,
    pub granted: ShownTime,
    /// `None` if the client has not fetched its first token.
    pub used: Option<ShownTime>,
    /// The IP address from which the user allowed it.
    pub from: Option<String>,
}

/// Where a client runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    /// On a computer, behind a loopback port.
    Computer,
    /// On a device that opens links of its scheme.
    Device,
    /// On a website.
    Web,
}

/// A time, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownTime {
    /// Such as "3 days ago".
    pub ago: String,
    /// RFC 3339.
    pub datetime: String,
    /// In UTC, to the minute.
    pub written: String,
}

impl ConnectionsPage<'_> {
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }

    /// What the page says in place of a list.
    const fn nothing(&self) -> &'static str {
        match (self.older, self.before) {
            (Some(_), _) => self.texts.connections.not_searched,
            (None, Some(_)) => self.texts.connections.none_older,
            (None, None) => self.texts.connections.none,
        }
    }

    /// Whether there is more to disconnect than what has a button of its own.
    const fn has_several(&self) -> bool {
        self.connections.len() > 1 || self.older.is_some()
    }
}

/// Asks the user to sign in to the page.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "connections_sign_in.html", config = "src/web/pages/askama.toml")]
pub struct ConnectionsSignInPage<'a> {
    pub texts: &'static Texts,
    pub brand: &'a Brand,
    pub action: &'a str,
    pub token: &'a str,
    /// The name of the identity provider.
    pub upstream_name: &'a str,
    /// What went wrong before.
    pub problem: Option<&'a str>,
    /// The reference in the log, if something went wrong.
    pub reference: Option<&'a str>,
}

impl ConnectionsSignInPage<'_> {
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }
}
