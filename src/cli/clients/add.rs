//! `clients add`

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use super::{machine, sheet::Added};
use crate::{
    cli::{
        connection::Connection,
        failure::{Exit, Failure},
        output::Output,
    },
    flow::administration::{Credential, NewClient, Purpose},
    oauth::{
        client_keys::ClientKeys,
        error::{ErrorCode, OAuthError},
    },
    secret::SystemRandom,
};

/// Ten keys with their certificates fit, in bytes.
const LARGEST_KEY_SET: u64 = 64 * 1024;

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
  pangea-mcp-auth clients add --name Nightly --grant client-credentials \\
    --resource https://mcp.example.org/mcp --scope user
  pangea-mcp-auth clients add --name Nightly --grant client-credentials \\
    --resource https://mcp.example.org/mcp --scope user --jwks jwks.json")]
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
    /// File with a JSON Web Key Set of the client's public keys: it authenticates with assertions that it signs
    /// (`private_key_jwt`).
    #[arg(long, value_name = "FILE", conflicts_with = "confidential", value_hint = clap::ValueHint::FilePath)]
    jwks: Option<PathBuf>,
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
        self.jwks.is_none() && (self.confidential || matches!(self.grant, Grant::ClientCredentials))
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
        if let (Some(_), Ok(config)) = (&self.jwks, &connection.config) {
            output.remark(&format!("Its assertions need aud={}", config.issuer));
        }
        Ok(())
    }

    fn purpose(&self, connection: &Connection) -> Result<Purpose, Failure> {
        match self.grant {
            Grant::AuthorizationCode if self.resources.is_empty() && self.scopes.is_empty() => {
                let credential = match &self.jwks {
                    Some(file) => Some(Credential::Keys(keys(file)?)),
                    None => self.confidential.then_some(Credential::Secret),
                };
                Ok(Purpose::SignIn { redirect_uris: self.redirect_uris.clone(), credential })
            }
            Grant::AuthorizationCode => {
                let failure = Failure::new(Exit::Usage, "--resource and --scope are for machine clients");
                Err(failure.hint("add --grant client-credentials, or let the client's users decide"))
            }
            Grant::ClientCredentials if self.redirect_uris.is_empty() => {
                let allowance = machine::allowance(connection.config()?, &self.resources, &self.scopes)?;
                let keys = self.jwks.as_deref().map(keys).transpose()?;
                let credential = keys.map_or(Credential::Secret, Credential::Keys);
                Ok(Purpose::Machine { allowance, credential })
            }
            Grant::ClientCredentials => {
                let failure = Failure::new(Exit::Usage, "a machine client has no --redirect-uri");
                Err(failure.hint("add two clients: one that asks users, and one that acts for itself"))
            }
        }
    }
}

/// The public keys in a file.
fn keys(file: &Path) -> Result<ClientKeys, Failure> {
    let complain =
        |problem: String| Failure::new(Exit::Usage, format!("--jwks {}: {problem}", file.display()));
    let mut json = Vec::new();
    File::open(file)
        .and_then(|file| file.take(LARGEST_KEY_SET).read_to_end(&mut json))
        .map_err(|error| complain(format!("cannot read the file: {error}")))?;
    ClientKeys::parse(&json).map_err(|error| complain(error.to_string()))
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
