//! The HTML pages: consent, "return to the application", and notices.
//!
//! No script, nothing from elsewhere, one inline style that the policy names by its hash. Every value
//! is escaped by the templates; what a stranger chose goes through
//! [`display_text`](crate::oauth::display_text::display_text) first.

use std::sync::LazyLock;

use askama::Template;
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{oauth::scheme::is_private_use, secret::sha256};

#[cfg(test)]
mod tests;

const STYLE: &str = include_str!("style.css");

/// Answered in place of a page that could not be rendered, which the templates leave no way to happen.
const UNRENDERABLE: &str = "<!doctype html><html lang=\"en\"><title>Something went wrong</title>\
    <main><h1>Something went wrong</h1><p>Go back to the app and start again.</p></main></html>";

/// The `Content-Security-Policy` of every page.
///
/// Without `form-action`: Chromium applies it to the redirects that follow a form, and the way to the
/// sign-in and to the client would end there.
#[must_use]
pub fn style_csp() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        format!(
            "default-src 'none'; style-src 'sha256-{}'; img-src 'self' data:; base-uri 'none'; \
             frame-ancestors 'none'",
            STANDARD.encode(sha256(STYLE.as_bytes()))
        )
    });
    &POLICY
}

/// Asks the person whether a client may have access.
///
/// One form posts `transaction` and `decision` (`approve`, `approve_other_account` or `deny`) to `action`.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "consent.html", config = "src/web/pages/askama.toml")]
pub struct ConsentPage<'a> {
    /// The name that the client goes by, if it gave one.
    pub client_name: Option<&'a str>,
    /// Who vouches for that name.
    pub client_kind: ClientKind,
    /// The client's `client_id`.
    pub client_id: &'a str,
    /// The client's home page; linked when `http` or `https`, else left out, as are the next two.
    pub client_uri: Option<&'a str>,
    /// The client's privacy policy.
    pub policy_uri: Option<&'a str>,
    /// The client's terms of service.
    pub tos_uri: Option<&'a str>,
    /// Host of the redirect URI, in Punycode; for a private-use scheme, the scheme.
    pub redirect_host: &'a str,
    /// The whole redirect URI.
    pub redirect_uri: &'a str,
    /// How far the user can trust that address.
    pub redirect_trust: RedirectTrust,
    /// URL of the MCP server.
    pub resource: &'a str,
    /// Name of the MCP server, from the operator.
    pub resource_name: Option<&'a str>,
    /// What is granted there.
    pub scopes: &'a [ScopeLine<'a>],
    /// Where the user signs in next.
    pub upstream_name: &'a str,
    /// What is asked of the upstream.
    pub upstream_scopes: &'a [&'a str],
    /// Where the form is posted.
    pub action: &'a str,
    /// The sealed transaction, posted back as it is.
    pub transaction: &'a str,
}

/// Who vouches for a client's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    /// Nobody: the client registered itself (RFC 7591).
    SelfRegistered,
    /// The operator, who registered it.
    Operator,
}

/// How far the user can trust the receiver of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectTrust {
    /// A website that the operator trusts, or of a client that the operator registered.
    Known,
    /// A program on the user's computer, the one that listens on the port (RFC 8252 section 7.3).
    ThisComputer,
    /// A program on the user's computer, the one that claimed the scheme (RFC 8252 section 7.1).
    AppLink,
    /// Any other website.
    Unknown,
}

/// One scope that is granted.
#[derive(Debug, Clone, Copy)]
pub struct ScopeLine<'a> {
    /// The scope token.
    pub name: &'a str,
    /// What it allows, in plain words.
    pub description: Option<&'a str>,
}

impl ConsentPage<'_> {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }

    /// The client's name; without one, where it is.
    fn shown_name(&self) -> &str {
        self.client_name.unwrap_or(self.redirect_host)
    }

    fn links(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [("Website", self.client_uri), ("Privacy policy", self.policy_uri), ("Terms", self.tos_uri)]
            .into_iter()
            .filter_map(|(label, uri)| uri.filter(|uri| is_web_link(uri)).map(|uri| (label, uri)))
    }
}

/// Asks the user again after the sign-in, or says that this account may not come in.
///
/// One form posts `transaction` and `decision` (`approve`, `approve_other_account` or `deny`) to `action`.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "signed_in.html", config = "src/web/pages/askama.toml")]
pub struct SignedInPage<'a> {
    /// Who has signed in.
    pub account: &'a str,
    /// The reference that the log has, where this account may not come in.
    pub refusal: Option<&'a str>,
    /// The name that the client goes by.
    pub client_name: &'a str,
    /// Host of the redirect URI, in Punycode; for a private-use scheme, the scheme.
    pub redirect_host: &'a str,
    /// How far the user can trust that address.
    pub redirect_trust: RedirectTrust,
    /// URL of the MCP server.
    pub resource: &'a str,
    /// Name of the MCP server, from the operator.
    pub resource_name: Option<&'a str>,
    /// What is granted there.
    pub scopes: &'a [ScopeLine<'a>],
    /// Where the form is posted.
    pub action: &'a str,
    /// The sealed login, posted back as it is.
    pub transaction: &'a str,
}

impl SignedInPage<'_> {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }
}

/// Says what happened, and leaves it to the person to follow the answer to the application.
///
/// For an answer that must not be redirected by itself, lest this server send people wherever a
/// self-registered client wants them.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "continue.html", config = "src/web/pages/askama.toml")]
pub struct ContinuePage<'a> {
    /// Heading.
    pub title: &'a str,
    /// What happened, in a sentence or two.
    pub what_happened: &'a str,
    /// The answer's redirect; linked where its scheme belongs to the web or to an application.
    pub href: &'a str,
    /// Host of `href`, in Punycode; for a private-use scheme, the scheme.
    pub host: &'a str,
    /// The reference that the log has.
    pub reference: &'a str,
}

impl ContinuePage<'_> {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }

    fn link(&self) -> Option<&str> {
        Some(self.href).filter(|href| is_safe_link(href))
    }
}

/// Says what happened and what to do next.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "notice.html", config = "src/web/pages/askama.toml")]
pub struct NoticePage<'a> {
    /// Heading.
    pub title: &'a str,
    /// What happened, in a sentence or two.
    pub what_happened: &'a str,
    /// What to do next.
    pub what_to_do: &'a str,
    /// The reference that the log has.
    pub reference: Option<&'a str>,
    /// Accepted values, or a URL to copy; line breaks are kept.
    pub details: Option<&'a str>,
}

impl NoticePage<'_> {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }
}

fn html<P: Template>(page: &P) -> String {
    let mut html = String::with_capacity(STYLE.len() + 4096);
    match page.render_into(&mut html) {
        Ok(()) => html,
        Err(_) => UNRENDERABLE.to_owned(),
    }
}

/// Whether `uri` is an `http` or `https` URL.
fn is_web_link(uri: &str) -> bool {
    scheme(uri).is_some_and(|scheme| ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web)))
}

/// Whether following `uri` leads to a web server or an application, and does nothing else.
fn is_safe_link(uri: &str) -> bool {
    is_web_link(uri) || scheme(uri).is_some_and(is_private_use)
}

/// What stands before the first colon.
fn scheme(uri: &str) -> Option<&str> {
    uri.split_once(':').map(|(scheme, _)| scheme)
}
