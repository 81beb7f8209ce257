//! The consent pages before and after the sign-in.

use axum::{http::StatusCode, response::Response};

use crate::{
    flow::{Consent, Question},
    oauth::{
        authorization::AuthorizationRequest,
        client::{Client, GrantType, Origin},
        display_text::display_text,
        error::{ErrorCode, OAuthError},
        policy::Lifetimes,
        redirect::{Destination, ReturnAddress},
        resource::Resource,
        scope::Scope,
    },
    web::{
        Web,
        endpoint::{CONNECTIONS, Endpoint},
        pages::{
            Asked, ClientKind, ConsentPage, Lasting, RedirectTrust, ScopeLine, SignedInPage,
            texts::{AccessTexts, Texts},
        },
        reply::Reply,
    },
};

/// The question before the sign-in.
pub(super) fn consent_page(web: &Web, reply: &Reply, consent: &Consent) -> String {
    let Consent { client, request, sealed, logo } = consent;
    let metadata = &client.metadata;
    let shown = Shown::of(web, reply.texts, client, request);
    let upstream_scopes: Vec<&str> = web.presentation.upstream_scopes.iter().map(String::as_str).collect();
    ConsentPage {
        texts: reply.texts,
        brand: &reply.brand,
        asked: shown.asked(web, client, request, sealed),
        client_kind: match client.origin {
            Origin::SelfRegistered => ClientKind::SelfRegistered,
            Origin::Operator => ClientKind::Operator,
            Origin::Document => ClientKind::Document,
        },
        logo: logo.as_ref().map(|logo| logo.data_uri()),
        client_id: client.client_id.as_str(),
        client_uri: metadata.client_uri.as_deref(),
        policy_uri: metadata.policy_uri.as_deref(),
        tos_uri: metadata.tos_uri.as_deref(),
        redirect_uri: request.return_address.as_str(),
        upstream_name: &web.presentation.upstream_name,
        upstream_scopes: &upstream_scopes,
        lasts: lasting(client, web.server.settings().lifetimes),
        connections: &connections_url(web),
    }
    .render()
}

/// The question after the sign-in.
pub(super) fn signed_in_page(web: &Web, reply: &Reply, question: &Question) -> Response {
    let Question { client, request, person, is_admitted, sealed } = question;
    let shown = Shown::of(web, reply.texts, client, request);
    let address = person.known_email().unwrap_or(&person.subject);
    if !is_admitted {
        let error = OAuthError::new(ErrorCode::AccessDenied, "this person is not allowed to sign in here");
        reply.log(&error.of_a_client());
    }
    let page = SignedInPage {
        texts: reply.texts,
        brand: &reply.brand,
        asked: shown.asked(web, client, request, sealed),
        account: &display_text(address, 80),
        refusal: (!is_admitted).then_some(reply.reference.as_str()),
    };
    let status = if *is_admitted { StatusCode::OK } else { StatusCode::FORBIDDEN };
    reply.page(status, page.render(), true)
}

/// What both pages show and is not kept elsewhere.
struct Shown<'a> {
    redirect_host: String,
    client_name: Option<String>,
    client_host: Option<String>,
    scopes: Vec<ScopeLine<'a>>,
    action: String,
}

impl<'a> Shown<'a> {
    fn of(web: &'a Web, texts: &'static Texts, client: &Client, request: &'a AuthorizationRequest) -> Self {
        Self {
            redirect_host: request.return_address.host(),
            client_name: name_of(client),
            client_host: client.client_id.document().map(|document| document.host().to_owned()),
            scopes: scope_lines(web, &texts.access, &request.scope),
            action: consent_path(web),
        }
    }

    fn asked(
        &'a self,
        web: &'a Web,
        client: &Client,
        request: &'a AuthorizationRequest,
        sealed: &'a str,
    ) -> Asked<'a> {
        Asked {
            client_name: self.client_name.as_deref(),
            client_host: self.client_host.as_deref(),
            redirect_host: &self.redirect_host,
            redirect_trust: trust(web, client, &request.return_address),
            resource: request.resource.as_str(),
            resource_name: resource_name(web, &request.resource),
            scopes: &self.scopes,
            action: &self.action,
            transaction: sealed,
        }
    }
}

/// A client without refresh tokens has access for as long as its only access token.
fn lasting(client: &Client, lifetimes: Lifetimes) -> Lasting {
    if !client.may_use(GrantType::RefreshToken) {
        return Lasting { unused: None, at_most: lifetimes.access };
    }
    let unused = Some(lifetimes.refresh).filter(|unused| *unused < lifetimes.grant);
    Lasting { unused, at_most: lifetimes.grant }
}

/// The address of the page of connected clients.
pub(super) fn connections_url(web: &Web) -> String {
    format!("{}{CONNECTIONS}", web.public_url)
}

fn consent_path(web: &Web) -> String {
    format!("{}{}", web.public_url.path(), Endpoint::Consent.path().unwrap_or_default())
}

pub(super) fn resource_name<'a>(web: &'a Web, resource: &Resource) -> Option<&'a str> {
    web.presentation.resource_names.get(resource.as_str()).map(String::as_str)
}

/// The name that the client gave itself.
pub(super) fn name_of(client: &Client) -> Option<String> {
    let name = display_text(client.metadata.client_name.as_deref()?, 80);
    Some(name).filter(|name| !name.is_empty())
}

fn trust(web: &Web, client: &Client, address: &ReturnAddress) -> RedirectTrust {
    match address.destination() {
        Destination::Loopback => RedirectTrust::ThisComputer,
        Destination::PrivateUse => RedirectTrust::AppLink,
        Destination::Web if web.server.is_trusted(client, address) => RedirectTrust::Known,
        Destination::Web => RedirectTrust::Unknown,
    }
}

pub(super) fn scope_lines<'a>(
    web: &'a Web,
    texts: &'static AccessTexts,
    scope: &'a Scope,
) -> Vec<ScopeLine<'a>> {
    scope.words().map(|word| ScopeLine { name: word, description: describe(web, texts, word) }).collect()
}

fn describe<'a>(web: &'a Web, texts: &'static AccessTexts, scope: &str) -> Option<&'a str> {
    let configured = web.presentation.scope_descriptions.get(scope).map(String::as_str);
    configured.or(match scope {
        "user" => Some(texts.user),
        "offline_access" => Some(texts.offline_access),
        _ => None,
    })
}
