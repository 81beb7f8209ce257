//! Tells the program which commit it is built from, for `--version` and the line `ready`.
//!
//! The environment variable may name it where there is no repository, as in a container image. Without
//! either the version stands alone.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "cargo and build scripts talk like this"
)]

use std::{env, path::Path, process::Command};

const VARIABLE: &str = "PANGEA_MCP_AUTH_COMMIT";

fn main() {
    println!("cargo::rerun-if-changed=.cargo/commit.rs");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    // Development builds would be compiled again after every commit.
    if env::var_os(VARIABLE).is_some() || env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    // Inside another project's repository the commit is not ours.
    if git(&["rev-parse", "--show-prefix"]).as_deref() != Some("") {
        return;
    }
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return };
    println!("cargo::rustc-env={VARIABLE}={commit}");
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]).filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

/// What git says here; nothing without git or a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
