//! `clients add`

use super::sheet::Added;
use crate::{
    cli::{
        connection::Connection,
        failure::{Exit, Failure},
        output::Output,
    },
    flow::administration::NewClient,
    oauth::error::{ErrorCode, OAuthError},
    secret::SystemRandom,
};

/// Add a client that cannot register itself.
///
/// It does not expire and is never pruned. The secret of a confidential client is printed once; only its
/// hash is stored.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth clients add --name Inspector \\
    --redirect-uri http://127.0.0.1:6274/oauth/callback
  pangea-mcp-auth clients add --confidential -o json \\
    --redirect-uri https://app.example.com/callback")]
pub(crate) struct Add {
    /// Name to show to users.
    #[arg(long)]
    name: Option<String>,
    /// Redirect URI; repeat the option for several.
    #[arg(long = "redirect-uri", value_name = "URI", required = true)]
    redirect_uris: Vec<String>,
    /// Create a confidential client with a secret (`client_secret_basic` or `client_secret_post`) [default: a public client].
    #[arg(long)]
    pub(super) confidential: bool,
}

impl Add {
    pub(super) async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        let new = NewClient {
            name: self.name.clone(),
            redirect_uris: self.redirect_uris.clone(),
            confidential: self.confidential,
        };
        let schemes = connection.config.as_ref().map(|config| config.registration.schemes.clone());
        let added = connection
            .administration()
            .add_client(new, &schemes.unwrap_or_default(), &SystemRandom)
            .await
            .map_err(|error| refused(&error))?;
        let (client, secret) = added;
        let is_secret = secret.is_some();
        output.sheet(&Added::of(&client, secret));
        if is_secret {
            output.remark("Store the secret now: it is not shown again.");
        }
        Ok(())
    }
}

fn refused(error: &OAuthError) -> Failure {
    let exit = match error.code() {
        ErrorCode::InvalidRedirectUri | ErrorCode::InvalidClientMetadata => Exit::Usage,
        _ => Exit::Unreachable,
    };
    let failure = Failure::new(exit, error.description());
    if error.code() == ErrorCode::InvalidRedirectUri {
        failure.hint("change --redirect-uri")
    } else {
        failure
    }
}
