//! An OAuth 2.1 authorization server that puts Pangea `AuthN` sign-in in front of MCP servers.
//!
//! Most operators run the program. The library is for programs that keep these records in a database of their own;
//! `docs/custom-repository.md` is the guide, with a complete example.
//!
//! | module | what it offers |
//! |---|---|
//! | [`repository`] | the trait [`Repository`](repository::Repository), the backends that come with it, and the tests that every backend must pass ([`conformance`](repository::conformance)) |
//! | [`config`] | reads and validates a configuration |
//! | [`daemon`] | assembles a daemon from a configuration and a repository, and runs it |
//! | [`telemetry`] | starts the log |
//! | [`clock`], [`secret`] | time, randomness and secrets, which every function takes as values |
//!
//! The other modules are public for this package's own tests and benchmarks, are hidden from the
//! documentation, and change without notice. `docs/architecture.md` describes all of them.

#[warn(missing_docs, clippy::missing_errors_doc)]
pub mod clock;
#[warn(missing_docs, clippy::missing_errors_doc)]
pub mod config;
#[warn(missing_docs, clippy::missing_errors_doc)]
pub mod daemon;
#[warn(missing_docs, clippy::missing_errors_doc)]
pub mod repository;
#[warn(missing_docs, clippy::missing_errors_doc)]
pub mod secret;
#[warn(missing_docs, clippy::missing_errors_doc)]
pub mod telemetry;

mod diagnosis;
mod rate_limit;

#[doc(hidden)]
pub mod audit;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod client_documents;
#[doc(hidden)]
pub mod dev;
#[doc(hidden)]
pub mod fetch;
#[doc(hidden)]
pub mod flow;
#[doc(hidden)]
pub mod jose;
#[doc(hidden)]
pub mod keys;
#[doc(hidden)]
pub mod migration;
#[doc(hidden)]
pub mod oauth;
#[doc(hidden)]
pub mod permissions;
#[doc(hidden)]
pub mod raster;
#[doc(hidden)]
pub mod sealing;
#[doc(hidden)]
pub mod upstream;
#[doc(hidden)]
pub mod web;
