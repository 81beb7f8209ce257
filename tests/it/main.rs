//! Everything that is tested through HTTP or from outside, in one binary. A test names the rows of the
//! requirements that it shows in a line `/// Shows: …`; `docs/requirements.md` is made from them.

#![expect(unreachable_pub, reason = "the binary is its own world")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

mod after_sign_in;
mod appearance;
mod at_rest;
mod authorization;
mod bad_input;
mod browser_binding;
mod check;
mod chromium;
mod client_authentication;
mod code;
mod commands;
mod completions;
mod consent;
mod cors;
mod custom_repository;
mod discovery;
mod documents;
mod earlier_release;
mod fire;
mod generated;
mod health;
mod help;
mod house;
mod incident;
mod init;
mod introspection;
mod key_rotation;
mod limits;
mod log;
mod login;
mod outbound;
mod outside;
mod pages;
mod postgres;
mod processes;
mod races;
mod readme;
mod redirects;
mod redis;
mod refresh;
mod registration;
mod repository_command;
mod requirements;
mod revocation;
mod routing;
mod sealing;
mod security;
mod servers;
mod tokens;
mod trouble;
mod upstream;
mod upstream_flood;
mod upstream_identity;
mod upstream_session;
mod upstream_tls;
mod vault;
mod vault_outside;
mod webkit;
