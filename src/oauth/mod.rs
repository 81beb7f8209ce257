//! The protocol, pure: no I/O, no clock reading, no web framework.

pub mod assertion;
pub mod authorization;
pub mod client;
pub mod client_document;
pub mod client_id;
pub mod client_keys;
pub mod credentials;
pub mod display_text;
pub mod error;
pub mod grant;
pub mod imported;
pub mod issuer;
pub mod machine;
pub mod metadata;
pub mod operator;
pub mod params;
pub mod policy;
pub mod redirect;
pub mod registration;
pub mod resource;
pub mod scheme;
pub mod scope;
pub mod token;
