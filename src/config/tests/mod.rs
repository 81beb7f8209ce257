//! The configuration as a whole: what is read, what wins, what is refused and in which words.

mod dev;
mod example;
mod layers;
mod mistakes;
mod safety;
mod whole;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{environment::fake::FakeEnvironment, *};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A certificate authority.
const AUTHORITY: &str = include_str!("authority.pem");

/// A configuration that is short and right.
const MINIMAL: &str = r#"public_url = "https://mcp.example.org"
[authn]
issuer_url = "https://pdn-x.login.aws.us.pangea.cloud"
client_id = "psa_x"
client_secret = { env = "CLIENT_SECRET" }
[[resources]]
url = "https://mcp.example.org/mcp"
[keys]
sealing = { env = "SEALING" }
[repository]
path = "/tmp/never-opened.sqlite"
"#;

fn environment() -> FakeEnvironment {
    FakeEnvironment::of([("CLIENT_SECRET", "canary-client-secret-of-some-length"), ("SEALING", KEY)])
}

fn parsed(text: &str) -> Result<Config, Problems> {
    parse(text, Path::new("config.toml"), &environment())
}

fn problems(text: &str) -> Vec<String> {
    match parsed(text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

/// The minimal configuration with one line more, or another one in the place of a line.
fn with(line: &str, in_place_of: &str) -> String {
    assert!(MINIMAL.contains(in_place_of));
    MINIMAL.replacen(in_place_of, line, 1)
}

/// The file of a configuration that keeps everything in `SQLite`.
fn sqlite_path(config: &Config) -> &Path {
    match &config.repository.main {
        RepositoryConfig::Sqlite { path } => path,
        other => panic!("{other:?}"),
    }
}

fn source(environment: &FakeEnvironment) -> Source<'_> {
    Source { file: None, environment, overrides: Overrides::default(), dev: None }
}

fn secret_file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}
