//! JSON Object Signing and Encryption (RFC 7515, RFC 7517): signs and verifies JWS, and keeps the key sets
//! that other servers publish.
//!
//! What the claims of a token must say is left to the callers: `keys` issues our own tokens, `upstream`
//! judges those of the identity provider, `flow` those of clients.

mod client_signature;
mod key_set;
mod signing;
mod verification;

pub use self::{
    client_signature::is_signed,
    key_set::{NoKey, RemoteKeySet},
    signing::{ProtectedHeader, SigningKey, SigningRefused},
    verification::{Jws, JwsError},
};
