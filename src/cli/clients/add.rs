//! `clients add`

use super::{machine, sheet::Added};
use crate::{
    cli::{
        connection::Connection,
        failure::{Exit, Failure},
        output::Output,
    },
    flow::administration::{Credential, NewClient, Purpose},
    oauth::error::{ErrorCode, OAuthError},
    secret::SystemRandom,
};

/// Add a client that cannot register itself.
///
/// It does not expire and is never pruned. The secret of a confidential client is printed once; only its
/// hash is stored. A machine client (`--grant client-credentials`) acts for itself, without a user.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth clients add --name Inspector \\
    --redirect-uri http://127.0.0.1:6274/oauth/callback
  pangea-mcp-auth clients add --confidential -o json \\
    --redirect-uri https://app.example.com/callback
  pangea-mcp-auth clients add --name 'Nightly build' --grant client-credentials \\
    --resource https://mcp.example.org/mcp --scope user")]
pub(crate) struct Add {
    /// Name to show to users and operators.
    #[arg(long)]
    name: Option<String>,
    /// How the client gets tokens.
    #[arg(long, value_enum, value_name = "GRANT", default_value = "authorization-code")]
    grant: Grant,
    /// Redirect URI; repeat the option for several.
    #[arg(long = "redirect-uri", value_name = "URI", required_unless_present = "grant")]
    #[arg(required_if_eq("grant", "authorization-code"))]
    redirect_uris: Vec<String>,
    /// Create a confidential client with a secret (`client_secret_basic` or `client_secret_post`) [default: a public
    /// client; machine clients always authenticate].
    #[arg(long)]
    confidential: bool,
    /// MCP server that a machine client can get tokens for; repeat the option for several.
    #[arg(long = "resource", value_name = "URL", required_if_eq("grant", "client-credentials"))]
    resources: Vec<String>,
    /// Scopes that a machine client can get [default: none].
    #[arg(long = "scope", value_name = "NAME", num_args = 1..)]
    scopes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Grant {
    /// Users sign in and agree (`authorization_code`, with refresh tokens).
    AuthorizationCode,
    /// The client acts for itself (`client_credentials`).
    ClientCredentials,
}

impl Add {
    /// Whether the command prints a secret.
    pub(super) const fn makes_secret(&self) -> bool {
        self.confidential || matches!(self.grant, Grant::ClientCredentials)
    }

    pub(super) async fn run(&self, connection: &Connection, output: &Output) -> Result<(), Failure> {
        let new = NewClient { name: self.name.clone(), purpose: self.purpose(connection)? };
        let schemes = connection.config.as_ref().map(|config| config.registration.schemes.clone());
        let added = connection
            .administration()
            .add_client(new, &schemes.unwrap_or_default(), &SystemRandom)
            .await
            .map_err(|error| refused(&error))?;
        let is_secret = added.secret.is_some();
        output.sheet(&Added::of(added));
        if is_secret {
            output.remark("Store the secret now: it is not shown again.");
        }
        Ok(())
    }

    fn purpose(&self, connection: &Connection) -> Result<Purpose, Failure> {
        match self.grant {
            Grant::AuthorizationCode if self.resources.is_empty() && self.scopes.is_empty() => {
                let credential = self.confidential.then_some(Credential::Secret);
                Ok(Purpose::SignIn { redirect_uris: self.redirect_uris.clone(), credential })
            }
            Grant::AuthorizationCode => {
                let failure = Failure::new(Exit::Usage, "--resource and --scope are for machine clients");
                Err(failure.hint("add --grant client-credentials, or let the client's users decide"))
            }
            Grant::ClientCredentials if self.redirect_uris.is_empty() => {
                let allowance = machine::allowance(connection.config()?, &self.resources, &self.scopes)?;
                Ok(Purpose::Machine { allowance, credential: Credential::Secret })
            }
            Grant::ClientCredentials => {
                let failure = Failure::new(Exit::Usage, "a machine client has no --redirect-uri");
                Err(failure.hint("add two clients: one that asks users, and one that acts for itself"))
            }
        }
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
