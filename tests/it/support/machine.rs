//! A machine client, as far as it talks to an authorization server.

use pangea_mcp_auth::{
    clock::Clock,
    flow::administration::{Administration, Credential, NewClient, Purpose, WithSecret},
    oauth::{machine::Allowance, redirect::PrivateUseSchemes, resource::Resource, scope::Scope},
    secret::{SystemRandom, random_token},
};
use reqwest::Response;
use serde_json::{Value, json};

use super::{server::Server, signer::Signer};

/// A client that an operator added, and that acts for itself.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

/// What an operator does with the records of a server.
pub fn operator(server: &Server) -> Administration {
    Administration::new(&server.server.repository(), None, server.clock.clone())
}

impl Machine {
    /// A machine client with a secret, for the usual resource.
    pub async fn usual(server: &Server, scope: &str) -> Self {
        Self::added(server, &[&server.resource], scope).await
    }

    /// A machine client with a secret.
    pub async fn added(server: &Server, resources: &[&str], scope: &str) -> Self {
        let added = add(server, resources, scope, Credential::Secret).await;
        Self { id: added.client.client_id.to_string(), secret: added.secret.expect("a secret") }
    }

    /// Asks for a token, with Basic.
    pub async fn ask(&self, server: &Server, more: &[(&str, &str)]) -> Response {
        let pairs = [&[("grant_type", "client_credentials")], more].concat();
        server.form("/token", &pairs).basic_auth(&self.id, Some(&self.secret)).send().await.unwrap()
    }
}

/// A machine client that signs assertions.
pub struct SigningMachine {
    /// Its id.
    pub id: String,
    /// Its key.
    pub signer: Signer,
}

/// The `client_assertion_type`.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl SigningMachine {
    /// A machine client with one key, for the usual resource.
    pub async fn usual(server: &Server, algorithm: &'static str) -> Self {
        let signer = Signer::new(algorithm, "k");
        let credential = Credential::Keys(signer.keys());
        let added = add(server, &[&server.resource], "user", credential).await;
        assert_eq!(added.secret, None);
        Self { id: added.client.client_id.to_string(), signer }
    }

    /// Claims of a lawful assertion, whose `jti` is fresh.
    pub fn claims(&self, server: &Server) -> Value {
        let now = server.clock.now().as_secs();
        json!({ "iss": self.id, "sub": self.id, "aud": server.url, "iat": now, "exp": now + 300,
            "jti": random_token(&SystemRandom) })
    }

    /// A lawful assertion.
    pub fn assertion(&self, server: &Server) -> String {
        self.signer.sign(&self.claims(server))
    }

    /// Asks for a token with an assertion, and without `client_id`.
    pub async fn ask(&self, server: &Server, assertion: &str) -> Response {
        ask_with(server, assertion, &[]).await
    }
}

/// Asks for a token with an assertion.
pub async fn ask_with(server: &Server, assertion: &str, more: &[(&str, &str)]) -> Response {
    let pairs = with_assertion(assertion, &[("grant_type", "client_credentials")]);
    server.form("/token", &[&pairs, more].concat()).send().await.unwrap()
}

/// The parameters of a request that an assertion authenticates.
pub fn with_assertion<'a>(assertion: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let own = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion)];
    [&own, more].concat()
}

async fn add(server: &Server, resources: &[&str], scope: &str, credential: Credential) -> WithSecret {
    let purpose = Purpose::Machine { allowance: allowance(resources, scope), credential };
    let new = NewClient { name: Some("Nightly build".to_owned()), purpose };
    operator(server).add_client(new, &PrivateUseSchemes::None, &SystemRandom).await.unwrap()
}

/// What a machine client may do.
fn allowance(resources: &[&str], scope: &str) -> Allowance {
    Allowance {
        resources: resources.iter().map(|url| Resource::parse(url).unwrap()).collect(),
        scope: Scope::parse(scope).unwrap(),
    }
}
