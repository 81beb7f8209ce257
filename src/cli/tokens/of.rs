//! The options that select grants.

use clap_complete::engine::ArgValueCompleter;

use crate::{
    cli::{
        completions,
        failure::{Exit, Failure},
        lookup::client_id,
    },
    config::{Config, did_you_mean},
    flow::administration::{Administration, GrantFilter},
    oauth::resource::Resource,
};

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Of {
    /// Only grants of this client: its ID, or the beginning of it.
    #[arg(long, value_name = "ID", add = ArgValueCompleter::new(completions::clients))]
    pub(super) client: Option<String>,
    /// Only grants of this user: email address or subject.
    #[arg(long, value_name = "USER")]
    pub(super) user: Option<String>,
    /// Only grants for this MCP server.
    #[arg(long, value_name = "URL")]
    pub(super) resource: Option<String>,
}

impl Of {
    /// The filter for these options.
    ///
    /// An unknown client, user or resource is an error: otherwise a misspelt name would look like "nothing to
    /// revoke".
    pub(super) async fn filter(
        &self,
        administration: &Administration,
        config: Option<&Config>,
    ) -> Result<GrantFilter, Failure> {
        let client = match &self.client {
            Some(text) => Some(client_id(administration, text).await?),
            None => None,
        };
        if let Some(user) = &self.user {
            require_user(administration, user).await?;
        }
        if let Some(resource) = &self.resource {
            require_resource(administration, config, resource).await?;
        }
        let (user, resource) = (self.user.clone(), self.resource.clone());
        Ok(GrantFilter { client, user, resource, ..GrantFilter::default() })
    }
}

async fn require_user(administration: &Administration, user: &str) -> Result<(), Failure> {
    let theirs = GrantFilter { user: Some(user.to_owned()), ..GrantFilter::default() };
    if administration.has_any(&theirs).await? {
        return Ok(());
    }
    let failure = Failure::new(Exit::NotFound, format!("no grant belongs to the user {user:?}"));
    Err(failure.hint("use the full email address or subject; `pangea-mcp-auth tokens list` shows both"))
}

async fn require_resource(
    administration: &Administration,
    config: Option<&Config>,
    resource: &str,
) -> Result<(), Failure> {
    let configured = || config.into_iter().flat_map(|config| &config.resources).map(|known| &known.url);
    let at_it = GrantFilter { resource: Some(resource.to_owned()), ..GrantFilter::default() };
    if configured().any(|known| known.is_named_by(resource)) || administration.has_any(&at_it).await? {
        return Ok(());
    }
    let message = format!("{resource:?} is not a configured resource, and no grant is for it");
    let failure = Failure::new(Exit::NotFound, message);
    Err(match did_you_mean(resource, configured().map(Resource::as_str)) {
        Some(meant) => failure.hint(format!("did you mean {meant}?")),
        None => failure,
    })
}
