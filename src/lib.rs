//! The OAuth 2.1 authorization server that puts Pangea `AuthN` sign-in in front of MCP servers.

pub mod clock;
pub mod dev;
pub mod fetch;
pub mod flow;
pub mod keys;
pub mod oauth;
pub mod repository;
pub mod secret;
pub mod upstream;
pub mod web;
