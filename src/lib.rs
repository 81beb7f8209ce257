//! The OAuth 2.1 authorization server that puts Pangea `AuthN` sign-in in front of MCP servers.
//!
//! Who may use whom is in `docs/architecture.md`, and a test says so.
//!
//! `oauth` is the protocol and could run on a calculator. `flow` is what happens. `repository` is
//! where it is kept, and may be anybody's own. Each foreign world enters by one door.

pub mod audit;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod dev;
pub mod diagnosis;
pub mod fetch;
pub mod flow;
pub mod jose;
pub mod keys;
pub mod migration;
pub mod oauth;
pub mod permissions;
pub mod repository;
pub mod sealing;
pub mod secret;
pub mod telemetry;
pub mod upstream;
pub mod web;
