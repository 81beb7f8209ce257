//! The OAuth 2.1 authorization server that puts Pangea `AuthN` sign-in in front of MCP servers.

pub mod clock;
pub mod dev;
pub mod fetch;
pub mod oauth;
pub mod secret;
pub mod upstream;
pub mod web;
