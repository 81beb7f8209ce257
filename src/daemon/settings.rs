//! Converts the configuration into the settings of each module.

use super::StartError;
use crate::{
    config::{self, Config, ResourceConfig},
    flow::{Introspector, Settings},
    oauth::{
        authorization::{Offer, Resources},
        resource::Resource,
        token::{PersonClaim, SigningAlgorithm},
    },
    secret::TokenHash,
    upstream::pangea::{Overrides, PangeaSettings},
    web::{Branding, Limits, Presentation, TrustedProxies, WebSettings},
};

pub(super) fn pangea_settings(config: &Config) -> Result<PangeaSettings, StartError> {
    let authn = &config.authn;
    let issuer_url =
        url::Url::parse(&authn.issuer_url).map_err(|error| StartError::Tls(error.to_string()))?;
    Ok(PangeaSettings {
        issuer_url,
        client_id: authn.client_id.clone(),
        client_secret: authn.client_secret.clone(),
        redirect_uri: config.redirect_uri(),
        scope: authn.scopes.join(" "),
        pkce: authn.pkce,
        service: authn.service.as_ref().map(|service| (service.api_url.clone(), service.token.clone())),
        groups_matter: !config.access.groups.is_empty(),
        email_matters: !config.access.emails.is_empty()
            || !config.access.domains.is_empty()
            || config.claims.contains(&PersonClaim::Email),
        trust_unverified_email: authn.trust_unverified_email,
        endpoints: Overrides {
            authorization: authn.authorization_endpoint.clone(),
            token: authn.token_endpoint.clone(),
            introspection: authn.introspection_endpoint.clone(),
            jwks: authn.jwks_uri.clone(),
        },
    })
}

pub(super) fn settings(config: &Config) -> Settings {
    let offer =
        |resource: &ResourceConfig| Offer { resource: resource.url.clone(), scopes: resource.offer() };
    let resources = Resources {
        configured: config.resources.iter().map(offer).collect(),
        default: default_resource(config),
        any_loopback: config.any_loopback_resource.as_ref().map(config::LoopbackResources::offer),
    };
    let own = config.resources.iter().filter_map(|resource| {
        resource.introspection.as_ref().map(|credential| (credential, Some(resource.url.clone())))
    });
    let any = config.any_loopback_resource.iter().map(|any| (&any.introspection, None));
    let introspectors = own.chain(any).map(|(credential, resource)| {
        let secret = TokenHash::of(credential.client_secret.expose());
        (credential.client_id.clone(), Introspector { secret, resource })
    });
    Settings {
        issuer: config.issuer.clone(),
        public_url: config.public_url.clone(),
        resources,
        introspectors: introspectors.collect(),
        access: config.access.clone(),
        claims: config.claims.clone(),
        lifetimes: config.lifetimes,
        registration: config.registration.clone(),
        client_documents: config.client_documents.policy.clone(),
    }
}

/// The resource of a client that names none. In development without a configured resource, it is `/mcp` on this
/// server's own origin.
fn default_resource(config: &Config) -> Option<Resource> {
    let configured = config.default_resource().map(|resource| resource.url.clone());
    let any = config.any_loopback_resource.as_ref().filter(|_| config.resources.is_empty());
    configured.or_else(|| any.and_then(|_| Resource::parse(&format!("{}/mcp", config.public_url)).ok()))
}

pub(super) fn web_settings(config: &Config, algorithm: SigningAlgorithm) -> WebSettings {
    let any = config.any_loopback_resource.iter().flat_map(|any| &any.scopes);
    let scopes = config.resources.iter().flat_map(|resource| &resource.scopes).chain(any);
    let described = scopes.filter_map(|scope| Some((scope.name.clone(), scope.description.clone()?)));
    let named = config.resources.iter().filter_map(|r| Some((r.url.to_string(), r.name.clone()?)));
    WebSettings {
        public_url: config.public_url.clone(),
        presentation: Presentation {
            resource_names: named.collect(),
            scope_descriptions: described.collect(),
            upstream_name: "Pangea".to_owned(),
            upstream_scopes: config.authn.scopes.clone(),
            branding: branding(&config.branding),
        },
        limits: Limits::new(config.limits),
        proxies: TrustedProxies(config.trusted_proxies.clone()),
        introspection: config.any_loopback_resource.is_some()
            || config.resources.iter().any(|resource| resource.introspection.is_some()),
        algorithm: algorithm.as_str(),
        loopback_only: config.any_loopback_resource.is_some(),
    }
}

fn branding(config: &config::Branding) -> Branding {
    let config::Branding { name, logo, support_url, privacy_url } = config.clone();
    Branding {
        name,
        logo,
        support_url: support_url.map(String::from),
        privacy_url: privacy_url.map(String::from),
    }
}
