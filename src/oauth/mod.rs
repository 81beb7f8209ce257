//! The protocol, pure: no I/O, no clock reading, no web framework.

pub mod error;
pub mod issuer;
pub mod params;
pub mod resource;
pub mod scope;
