//! Discovery documents: RFC 8414 and RFC 9728.

use serde::Serialize;

use super::{
    client::{AuthenticationMethod, GrantType},
    client_keys::AssertionAlgorithm,
    issuer::Issuer,
    resource::Resource,
    scope::Scope,
};

/// Authorization server metadata (RFC 8414 section 2).
#[derive(Debug, Serialize)]
pub struct ServerMetadata<'a> {
    issuer: &'a Issuer,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_endpoint: Option<String>,
    revocation_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<String>,
    response_types_supported: [&'static str; 1],
    response_modes_supported: [&'static str; 1],
    grant_types_supported: [&'static str; 3],
    token_endpoint_auth_methods_supported: [&'static str; 4],
    token_endpoint_auth_signing_alg_values_supported: [&'static str; 4],
    revocation_endpoint_auth_methods_supported: [&'static str; 4],
    revocation_endpoint_auth_signing_alg_values_supported: [&'static str; 4],
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection_endpoint_auth_methods_supported: Option<[&'static str; 2]>,
    code_challenge_methods_supported: [&'static str; 1],
    authorization_response_iss_parameter_supported: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    client_id_metadata_document_supported: bool,
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: [&'a str; 1],
}

/// Optional parts of the server.
#[derive(Debug, Clone)]
pub struct Features {
    /// RFC 7591.
    pub registration: bool,
    /// Clients that describe themselves in a document.
    pub client_documents: bool,
    /// RFC 7662: a resource server has credentials for it.
    pub introspection: bool,
    /// All scopes of all resources.
    pub scopes: Vec<String>,
    /// The algorithm of access tokens.
    pub algorithm: &'static str,
}

impl<'a> ServerMetadata<'a> {
    /// `public_url` is the base of every endpoint.
    #[must_use]
    pub fn new(issuer: &'a Issuer, public_url: &Issuer, features: Features) -> Self {
        use AuthenticationMethod::{ClientSecretBasic, ClientSecretPost, None as Public, PrivateKeyJwt};
        use GrantType::{AuthorizationCode, ClientCredentials, RefreshToken};
        let at = |path: &str| format!("{public_url}{path}");
        let methods = [Public, ClientSecretBasic, ClientSecretPost, PrivateKeyJwt];
        let methods = methods.map(AuthenticationMethod::as_str);
        let algorithms = AssertionAlgorithm::ALL.map(AssertionAlgorithm::as_str);
        Self {
            issuer,
            authorization_endpoint: at("/authorize"),
            token_endpoint: at("/token"),
            jwks_uri: at("/jwks.json"),
            registration_endpoint: features.registration.then(|| at("/register")),
            revocation_endpoint: at("/revoke"),
            introspection_endpoint: features.introspection.then(|| at("/introspect")),
            scopes_supported: features.scopes,
            response_types_supported: ["code"],
            response_modes_supported: ["query"],
            grant_types_supported: [AuthorizationCode, RefreshToken, ClientCredentials]
                .map(GrantType::as_str),
            token_endpoint_auth_methods_supported: methods,
            token_endpoint_auth_signing_alg_values_supported: algorithms,
            revocation_endpoint_auth_methods_supported: methods,
            revocation_endpoint_auth_signing_alg_values_supported: algorithms,
            introspection_endpoint_auth_methods_supported: features
                .introspection
                .then(|| [ClientSecretBasic, ClientSecretPost].map(AuthenticationMethod::as_str)),
            code_challenge_methods_supported: ["S256"],
            authorization_response_iss_parameter_supported: true,
            client_id_metadata_document_supported: features.client_documents,
            subject_types_supported: ["public"],
            id_token_signing_alg_values_supported: [features.algorithm],
        }
    }
}

/// Protected resource metadata (RFC 9728 section 2).
#[derive(Debug, Serialize)]
pub struct ResourceMetadata<'a> {
    resource: &'a Resource,
    authorization_servers: [&'a Issuer; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'a str>,
    bearer_methods_supported: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_name: Option<&'a str>,
}

impl<'a> ResourceMetadata<'a> {
    /// `name` is for people, `scope` what clients should ask for.
    #[must_use]
    pub fn new(resource: &'a Resource, name: Option<&'a str>, scope: &'a Scope, issuer: &'a Issuer) -> Self {
        Self {
            resource,
            authorization_servers: [issuer],
            scopes_supported: scope.words().collect(),
            bearer_methods_supported: ["header"],
            resource_name: name,
        }
    }
}
