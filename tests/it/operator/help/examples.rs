//! The examples in the help, run as they stand, with names of this machine where the help has placeholders.

use std::{any::Any, fs};

use pangea_mcp_auth::repository::SqliteRepository;
use serde_json::json;

use super::{commands, examples, filled, in_shell, shell, words};
use crate::{
    operator::check::{
        Well,
        resource::{right, server},
    },
    stage::VAULT_TOKEN,
    storage::vault::Vault,
    support::{
        Machine, PostgresDatabase, Records, Server, Signer, pangea,
        process::{Daemon, Home, PANGEA, SEALING_KEY},
    },
};

/// The examples that are not run here, and why.
const ELSEWHERE: [(&str, &str); 1] =
    [("pangea-mcp-auth init", "it asks a person: `init::wizard` answers it in a terminal")];

/// These ask first, and there is no terminal.
const ASKS: [&str; 1] = ["pangea-mcp-auth tokens revoke --user ada@example.com"];

/// All that an example finds when it is run.
struct Stage {
    home: Home,
    /// Placeholders, and what stands for them on this machine.
    names: Vec<(&'static str, String)>,
    /// What must live as long as the example runs.
    _others: Vec<Box<dyn Any>>,
}

impl Stage {
    async fn of(example: &str) -> Self {
        let begins = |words: &str| example.starts_with(&format!("pangea-mcp-auth {words}"));
        if begins("init") {
            Self::of_init().await
        } else if begins("check") {
            Self::of_check().await
        } else if begins("keys rotate --sealing --forget-old") {
            Self::of_a_former_rotation()
        } else {
            Self::of_records(example).await
        }
    }

    /// A client with grants, whatever `postgres.toml` and the library's Vault are, and folders of shells.
    async fn of_records(example: &str) -> Self {
        let records = Server::start().await;
        let (home, mut client, grants) = filled(&records).await;
        if example.contains("rotate-secret") {
            client = Machine::usual(&records, "user").await.id;
        }
        home.write("jwks.json", &Signer::new("ES256", "k").jwks().to_string());
        let grant = grants.lines().next().unwrap().to_owned();
        let mut names = vec![
            ("d5k9c3a0m6r0r5o8k8q7j0c2a4s6u8v0", grant.clone()),
            ("d5k9c3a0m6r0", grant[..20].to_owned()),
            ("mcp_q7ZxAmV0bT5cK2hYw1uLrA", client.clone()),
            ("mcp_q7Zx", client),
            ("https://mcp.example.org/mcp", records.resource.clone()),
            (".3", ".1".to_owned()),
            ("serve --dev", "serve --dev --listen 127.0.0.1:0 --dev-listen 127.0.0.1:0".to_owned()),
            ("/usr/local/share/man/man1", "man1".to_owned()),
        ];
        let folders = [
            ".local/share/bash-completion/completions",
            ".zfunc",
            ".config/fish/completions",
            ".config/elvish",
            "man1",
        ];
        for folder in folders {
            fs::create_dir_all(home.path(folder)).unwrap();
        }
        let mut others: Vec<Box<dyn Any>> = Vec::new();
        if example.contains("postgres.toml") {
            let engine = PostgresDatabase::new();
            home.write("postgres-url", &engine.url());
            let place = "[repository]\nkind = \"postgres\"\nurl = { file = \"postgres-url\" }\n";
            home.write("postgres.toml", place);
            if example.contains("--from postgres.toml") {
                let copied = in_shell(&home, "pangea-mcp-auth repository copy --to postgres.toml");
                assert_eq!(copied.code, Some(0), "{copied:?}");
            }
            others.push(Box::new(engine));
        }
        if example.contains("--from-pangea-authn-fastmcp") {
            keep_client_of_the_library(&records).await;
            home.write("vault-token", VAULT_TOKEN);
            let flag = "--from-pangea-authn-fastmcp";
            names.push((flag, format!("{flag} --api-url {}", records.upstream_url)));
        }
        if example.contains("serve --config") {
            // Where the one of this process does not listen.
            let port = crate::support::process::free_port();
            home.reconfigure(&records.url["http://".len()..], &format!("127.0.0.1:{port}"));
        }
        others.push(Box::new(records));
        Self { home, names, _others: others }
    }

    /// Another sealing key took over long ago, and nothing needs the old one.
    fn of_a_former_rotation() -> Self {
        let home = Home::with_configuration("http://127.0.0.1:1", "http://127.0.0.1:1");
        let new = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8";
        home.write("sealing-key", &format!("{SEALING_KEY}\n{new}@2026-01-01T00:00:00Z\n"));
        SqliteRepository::open(&home.path("records.sqlite")).unwrap();
        Self { home, names: Vec::new(), _others: Vec::new() }
    }

    /// What Pangea gave, for the usual place of a daemon.
    async fn of_init() -> Self {
        let home = Home::new();
        home.write("secret.txt", PANGEA.1);
        let upstream = pangea(PANGEA, "http://localhost:8000/pangea/callback".to_owned()).await;
        let names = vec![
            ("https://pdn-xxxxxxxx.login.aws.us.pangea.cloud", upstream),
            ("psa_xxxxxxxx", PANGEA.0.to_owned()),
        ];
        Self { home, names, _others: Vec::new() }
    }

    /// A daemon that is well, and an MCP server that it protects.
    async fn of_check() -> Self {
        let well = Well::start().await;
        let (protected, url) = server(&well, |url| right(&well.public_url, url), true).await;
        let Well { home, daemon, .. } = well;
        let names = vec![("https://mcp.example.org/mcp", url)];
        Self { home, names, _others: vec![Box::new(daemon), Box::new(protected)] }
    }

    /// The example with what stands on this machine for its placeholders.
    fn line(&self, example: &str) -> String {
        self.names.iter().fold(example.to_owned(), |line, (name, here)| line.replace(name, here))
    }
}

async fn keep_client_of_the_library(records: &Server) {
    let client = json!({
        "client_id": "kept", "client_secret": null, "redirect_uris": ["http://127.0.0.1:4711/callback"],
        "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"], "client_name": null,
    });
    let secret = json!({
        "type": "secret", "secret": client.to_string(), "name": "kept", "folder": "/mcp/clients",
    });
    Vault::of(records).call("secret/store", &secret).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_work() {
    let mut elsewhere = ELSEWHERE.map(|(example, _)| example).to_vec();
    for command in &commands(&Home::new()) {
        let help = Home::new().run(&[words(command), vec!["--help"]].concat()).out;
        for example in examples(&help) {
            if let Some(at) = elsewhere.iter().position(|other| *other == example) {
                elsewhere.remove(at);
                continue;
            }
            let stage = Stage::of(&example).await;
            let line = stage.line(&example);
            let mut shell = shell(&stage.home, &line);
            shell.env("PROFILE", "profile.ps1").env("PANGEA_VAULT_TOKEN", VAULT_TOKEN);
            let mut running = Daemon::start(&mut shell);
            let is_daemon = example.contains(" serve") && !example.contains("--example-config");
            if is_daemon && example.contains("--dev") {
                running.out.wait_for("Stop with Ctrl-C.");
            } else if is_daemon {
                running.err.wait_for("ready public_url=");
            }
            let outcome = if is_daemon { running.stop() } else { running.wait() };
            let code = if ASKS.contains(&&*example) { 2 } else { 0 };
            assert_eq!(outcome.code, Some(code), "{example}\n{line}\n{outcome:?}");
        }
    }
    assert_eq!(elsewhere, [""; 0], "these are no examples");
}
