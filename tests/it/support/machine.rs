//! A machine client, as far as it talks to an authorization server.

use pangea_mcp_auth::{
    flow::administration::{Administration, Credential, NewClient, Purpose},
    oauth::{machine::Allowance, redirect::PrivateUseSchemes, resource::Resource, scope::Scope},
    secret::SystemRandom,
};
use reqwest::Response;

use super::server::Server;

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
        let new = NewClient {
            name: Some("Nightly build".to_owned()),
            purpose: Purpose::Machine {
                allowance: allowance(resources, scope),
                credential: Credential::Secret,
            },
        };
        let added = operator(server).add_client(new, &PrivateUseSchemes::None, &SystemRandom).await.unwrap();
        Self { id: added.client.client_id.to_string(), secret: added.secret.expect("a secret") }
    }

    /// Asks for a token, with Basic.
    pub async fn ask(&self, server: &Server, more: &[(&str, &str)]) -> Response {
        let pairs = [&[("grant_type", "client_credentials")], more].concat();
        server.form("/token", &pairs).basic_auth(&self.id, Some(&self.secret)).send().await.unwrap()
    }
}

/// What a machine client may do.
pub fn allowance(resources: &[&str], scope: &str) -> Allowance {
    Allowance {
        resources: resources.iter().map(|url| Resource::parse(url).unwrap()).collect(),
        scope: Scope::parse(scope).unwrap(),
    }
}
