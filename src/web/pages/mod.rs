//! The HTML pages: consent, "return to the app", connected clients, and notices. Their words are in [`texts`].
//!
//! They have no scripts, no external resources, and inline styles, whose hashes are in the
//! `Content-Security-Policy`. Every page has a field `brand`, which `base.html` shows. The templates escape every value. Text that strangers chose goes through
//! [`display_text`](crate::oauth::display_text::display_text) first.

use std::{sync::LazyLock, time::Duration};

use askama::Template;
use base64::{Engine, engine::general_purpose::STANDARD};

pub use self::connections_pages::{
    ConnectionsPage, ConnectionsSignInPage, ShownConnection, ShownTime, Whereabouts,
};
use self::{
    brand::Brand,
    texts::{ConsentTexts, Notice, Texts},
};
use crate::{oauth::scheme::is_private_use, secret::sha256};

pub mod brand;
mod connections_pages;
pub mod texts;

#[cfg(test)]
mod tests;

const STYLE: &str = include_str!("style.css");
/// For pages with a brand.
const BRAND_STYLE: &str = include_str!("brand.css");

/// Shown if a page cannot be rendered, which no template allows to happen.
const UNRENDERABLE: &str = "<!doctype html><html lang=\"en\"><title>Something went wrong</title>\
    <main><h1>Something went wrong</h1><p>Go back to the app and start again.</p></main></html>";

/// The `Content-Security-Policy` of every page with this brand.
///
/// It has no `form-action`: Chromium also applies that to the redirects after a form, and would block those to
/// the sign-in and to the client.
#[must_use]
pub fn style_csp(brand: &Brand) -> &'static str {
    static PLAIN: LazyLock<String> = LazyLock::new(|| policy_for(&[STYLE]));
    static BRANDED: LazyLock<String> = LazyLock::new(|| policy_for(&[STYLE, BRAND_STYLE]));
    if brand.is_shown() { &BRANDED } else { &PLAIN }
}

fn policy_for(styles: &[&str]) -> String {
    let hash = |style: &&str| format!("'sha256-{}'", STANDARD.encode(sha256(style.as_bytes())));
    let hashes: Vec<String> = styles.iter().map(hash).collect();
    format!(
        "default-src 'none'; style-src {}; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'",
        hashes.join(" ")
    )
}

/// What a consent page asks for. Its form posts `transaction` and `decision` (`approve`, `approve_other_account`
/// or `deny`) to `action`.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The client's name, if it gave one.
    pub client_name: Option<&'a str>,
    /// The host of the document in which the client describes itself. It is the client's identity.
    pub client_host: Option<&'a str>,
    /// Host of the redirect URI, in Punycode; for a private-use scheme, the scheme.
    pub redirect_host: &'a str,
    pub redirect_trust: RedirectTrust,
    pub resource: &'a str,
    /// The operator's name for the MCP server.
    pub resource_name: Option<&'a str>,
    pub scopes: &'a [ScopeLine<'a>],
    pub action: &'a str,
    /// The sealed request, posted back unchanged.
    pub transaction: &'a str,
}

impl Asked<'_> {
    /// What the client is called in headings: the host that vouches for it, the name that it gave itself, or the address
    /// of its answer.
    fn shown_name(&self) -> &str {
        self.client_host.or(self.client_name).unwrap_or(self.redirect_host)
    }

    fn shown_resource(&self) -> &str {
        self.resource_name.unwrap_or(self.resource)
    }
}

/// Asks the user before the sign-in whether a client may have access.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "consent.html", config = "src/web/pages/askama.toml")]
pub struct ConsentPage<'a> {
    pub texts: &'static Texts,
    pub brand: &'a Brand,
    /// What the user is asked to allow.
    pub asked: Asked<'a>,
    pub client_kind: ClientKind,
    /// The client's logo as a `data:` URI: the browser asks no one for it.
    pub logo: Option<&'a str>,
    /// The client's `client_id`.
    pub client_id: &'a str,
    /// The client's home page. Shown only if `http` or `https`, like the next two.
    pub client_uri: Option<&'a str>,
    pub policy_uri: Option<&'a str>,
    pub tos_uri: Option<&'a str>,
    pub redirect_uri: &'a str,
    pub upstream_name: &'a str,
    /// The scopes that the identity provider is asked for.
    pub upstream_scopes: &'a [&'a str],
    pub lasts: Lasting,
    /// The address at which the user can end the access.
    pub connections: &'a str,
}

/// How long access lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lasting {
    /// Access ends after this time without use. `None` for a client that cannot refresh.
    pub unused: Option<Duration>,
    pub at_most: Duration,
}

/// Who vouches for a client's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    /// No one: the client registered itself (RFC 7591).
    SelfRegistered,
    /// The operator, who registered it.
    Operator,
    /// The host of its metadata document, which is shown in place of the name.
    Document,
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

#[derive(Debug, Clone, Copy)]
pub struct ScopeLine<'a> {
    pub name: &'a str,
    /// What it allows, in plain words.
    pub description: Option<&'a str>,
}

impl ConsentPage<'_> {
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }

    fn unused(&self) -> Option<String> {
        self.lasts.unused.map(|unused| self.texts.spans.exact(unused))
    }

    fn at_most(&self) -> String {
        self.texts.spans.exact(self.lasts.at_most)
    }

    /// The logo, if no one needs to be asked for it.
    fn contained_logo(&self) -> Option<&str> {
        self.logo.filter(|uri| uri.starts_with("data:image/"))
    }

    fn links(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let ConsentTexts { website, privacy_policy, terms, .. } = &self.texts.consent;
        [(*website, self.client_uri), (*privacy_policy, self.policy_uri), (*terms, self.tos_uri)]
            .into_iter()
            .filter_map(|(label, uri)| uri.filter(|uri| is_web_link(uri)).map(|uri| (label, uri)))
    }
}

/// Asks the user again after the sign-in, or says that this account has no access.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "signed_in.html", config = "src/web/pages/askama.toml")]
pub struct SignedInPage<'a> {
    pub texts: &'static Texts,
    pub brand: &'a Brand,
    pub asked: Asked<'a>,
    /// The account that has signed in.
    pub account: &'a str,
    /// The reference in the log, if this account has no access.
    pub refusal: Option<&'a str>,
}

impl SignedInPage<'_> {
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }
}

/// Says what happened, and offers a link back to the client instead of a redirect. Otherwise a self-registered
/// client could make this server redirect users anywhere.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "continue.html", config = "src/web/pages/askama.toml")]
pub struct ContinuePage<'a> {
    pub texts: &'static Texts,
    pub brand: &'a Brand,
    pub title: &'a str,
    pub what_happened: &'a str,
    /// Continues `what_happened`.
    pub in_english: Option<InEnglish<'a>>,
    /// The answer's redirect. Linked if its scheme opens a website or an application.
    pub href: &'a str,
    /// Host of `href`, in Punycode; for a private-use scheme, the scheme.
    pub host: &'a str,
    /// The reference in the log.
    pub reference: &'a str,
}

impl ContinuePage<'_> {
    #[must_use]
    pub fn render(&self) -> String {
        html(self)
    }

    fn link(&self) -> Option<&str> {
        Some(self.href).filter(|href| is_safe_link(href))
    }
}

/// A reason for the app's developer, which is English on every page, so that a screen reader reads it as English.
#[derive(Debug, Clone, Copy)]
pub struct InEnglish<'a> {
    pub reason: &'a str,
    /// What follows in the language of the page.
    pub after: &'static str,
}

/// Says what happened and what to do next.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "notice.html", config = "src/web/pages/askama.toml")]
pub struct NoticePage<'a> {
    pub texts: &'static Texts,
    pub brand: &'a Brand,
    pub notice: Notice<'a>,
    /// Continues the notice's `what_happened`.
    pub in_english: Option<InEnglish<'a>>,
    /// The reference in the log.
    pub reference: Option<&'a str>,
}

impl NoticePage<'_> {
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

fn is_web_link(uri: &str) -> bool {
    scheme(uri).is_some_and(|scheme| ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web)))
}

/// Whether following `uri` only opens a website or an application.
fn is_safe_link(uri: &str) -> bool {
    is_web_link(uri) || scheme(uri).is_some_and(is_private_use)
}

fn scheme(uri: &str) -> Option<&str> {
    uri.split_once(':').map(|(scheme, _)| scheme)
}
