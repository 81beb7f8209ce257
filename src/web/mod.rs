//! The HTTP face of the authorization server.
pub mod pages;
