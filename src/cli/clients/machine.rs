//! What a machine client is allowed, as options say it and the configuration knows it.

use crate::{
    cli::failure::{Exit, Failure},
    config::{Config, LoopbackResources, ResourceConfig, did_you_mean},
    oauth::{
        machine::Allowance,
        resource::Resource,
        scope::{Scope, ScopeOffer},
    },
};

/// The resources in their configured spelling, and scopes that they have. A misspelt name would only be noticed
/// when the client asks for a token.
pub(super) fn allowance(config: &Config, urls: &[String], scopes: &[String]) -> Result<Allowance, Failure> {
    let scope = Scope::parse(&scopes.join(" "))
        .map_err(|error| Failure::new(Exit::Usage, format!("--scope: {}", error.description())))?;
    let mut resources = Vec::with_capacity(urls.len());
    let mut offers = Vec::with_capacity(urls.len());
    for url in urls {
        let (resource, offer) = served(config, url)?;
        if !resources.contains(&resource) {
            resources.push(resource);
            offers.push(offer);
        }
    }
    let is_unknown = |word: &&str| !offers.iter().any(|offer| offers_word(offer, word));
    if let Some(unknown) = scope.words().find(is_unknown) {
        return Err(unknown_scope(unknown, &offers));
    }
    Ok(Allowance { resources, scope })
}

fn served(config: &Config, url: &str) -> Result<(Resource, ScopeOffer), Failure> {
    if let Some(known) = config.resources.iter().find(|known| known.url.is_named_by(url)) {
        return Ok((known.url.clone(), ResourceConfig::offer(known)));
    }
    let loopback = config.any_loopback_resource.as_ref().map(LoopbackResources::offer);
    if let (Some(offer), Some(resource)) = (loopback, Resource::of_loopback(url)) {
        return Ok((resource, offer));
    }
    let failure = Failure::new(Exit::Usage, format!("--resource: {url:?} is not a configured resource"));
    let known = config.resources.iter().map(|known| known.url.as_str());
    Err(match did_you_mean(url, known) {
        Some(meant) => failure.hint(format!("did you mean {meant}?")),
        None => failure.hint("add it to [[resources]] in the configuration first"),
    })
}

fn offers_word(offer: &ScopeOffer, word: &str) -> bool {
    match offer {
        ScopeOffer::Listed { scopes, .. } => scopes.contains(word),
        ScopeOffer::Any { .. } => true,
    }
}

fn unknown_scope(unknown: &str, offers: &[ScopeOffer]) -> Failure {
    let known: Vec<&str> = offers.iter().flat_map(|offer| offer.known().words()).collect();
    let failure = Failure::new(Exit::Usage, format!("--scope: {unknown:?} is not a scope of the resource"));
    if known.is_empty() {
        return failure.hint("leave --scope out: the resource has no scopes");
    }
    failure.hint(format!("its scopes are {}", known.join(", ")))
}
