//! The summary at the end: what was written, the next commands, and the same set-up without questions.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    answers::{Answers, Deployment, Engine, SecretStore},
    draft::Draft,
    server,
    store::Written,
};
use crate::{cli::Global, config::Config};

/// The summary for people.
pub(super) fn text(draft: &Draft, answers: &Answers, written: &Written, global: &Global) -> String {
    let file = draft.file.display();
    let place = match (written.store, &written.no_keyring) {
        (SecretStore::Keyring, _) => "in the keyring, service pangea-mcp-auth",
        (SecretStore::Files, None) => "in files of mode 600",
        (SecretStore::Files, Some(_)) => "in files of mode 600, because no keyring is available",
    };
    let secrets = written.secrets.join("\n              ");
    let sealing = if written.kept_sealing_key {
        "The existing sealing key stays."
    } else {
        "A new sealing key was created."
    };
    let commands = commands(answers, global).join("\n    ");
    let access = access(answers);
    let proxy = match answers.deployment() {
        Deployment::ThisMachine => String::new(),
        Deployment::ReverseProxy => format!(
            "\nThe daemon listens on {}. Point your reverse proxy there;\n\
             docs/reverse-proxy.md has examples for nginx, Caddy and Traefik.\n",
            answers.listen()
        ),
    };
    format!(
        "
Configuration {file}
Secrets       {secrets}
              {place}

Who may sign in: {access}.

{sealing} Keep a copy in a safe place: without it,
the stored records cannot be decrypted.

Next, run these commands, the second and third in another terminal:

    {commands}
{proxy}
A FastMCP server that it protects (server.py):

{}
To repeat this set-up without questions:

    {}
",
        server::program(answers),
        equivalent(draft, answers, written, global)
    )
}

fn access(answers: &Answers) -> String {
    let named = [&answers.allowed_domains, &answers.allowed_emails];
    let named: Vec<&str> = named.into_iter().flatten().map(String::as_str).collect();
    if named.is_empty() { "all users of the Pangea project".to_owned() } else { named.join(", ") }
}

/// The summary for `--output json`.
pub(super) fn json(draft: &Draft, answers: &Answers, written: &Written) -> Value {
    let store = match written.store {
        SecretStore::Keyring => "keyring",
        SecretStore::Files => "files",
    };
    json!({
        "file": draft.file,
        "changed": true,
        "secret_store": store,
        "secrets": written.secrets,
        "redirect_uri": answers.redirect_uri(),
    })
}

pub(super) fn unchanged_json(file: &Path) -> Value {
    json!({ "file": file, "changed": false })
}

pub(super) fn unchanged(file: &Path, config: &Config) -> String {
    format!(
        "{} exists and is valid; nothing was changed.\nPublic URL {}, redirect URI {}\n",
        file.display(),
        config.public_url,
        config.redirect_uri()
    )
}

fn commands(answers: &Answers, global: &Global) -> [String; 3] {
    let mcp_url = answers.mcp_url.as_ref().map(|url| argument(url.as_str())).unwrap_or_default();
    let config =
        global.config.as_ref().map(|file| format!(" --config {}", argument(&file.to_string_lossy())));
    let config = config.unwrap_or_default();
    [
        format!("pangea-mcp-auth serve{config}"),
        format!("pangea-mcp-auth check{config} --resource {mcp_url}"),
        format!("pangea-mcp-auth tokens list{config}"),
    ]
}

/// The command line with the same answers.
fn equivalent(draft: &Draft, answers: &Answers, written: &Written, global: &Global) -> String {
    let deployment = match answers.deployment() {
        Deployment::ThisMachine => "this-machine",
        Deployment::ReverseProxy => "reverse-proxy",
    };
    let engine = match answers.engine() {
        Engine::Sqlite => "sqlite",
        Engine::Postgres => "postgres",
        Engine::Redis => "redis",
        Engine::Vault => "vault",
    };
    let of = |text: Option<String>| text.filter(|text| !text.is_empty());
    let file_of = |name: &str| written.secrets.iter().find(|place| place.ends_with(name)).cloned();
    let in_files = written.store == SecretStore::Files;
    let mut flags = vec![
        ("--config", global.config.as_ref().map(|file| file.to_string_lossy().into_owned())),
        ("--deployment", Some(deployment.to_owned())),
        ("--public-url", of(answers.public_url.as_ref().map(ToString::to_string))),
        ("--listen", answers.listen.map(|listen| listen.to_string())),
        ("--mcp-url", of(answers.mcp_url.as_ref().map(ToString::to_string))),
        ("--mcp-name", answers.mcp_name.clone()),
        ("--gateway", answers.gateway.as_ref().map(ToString::to_string)),
        ("--allow-domain", of(Some(answers.allowed_domains.join(",")))),
        ("--allow-email", of(Some(answers.allowed_emails.join(",")))),
        ("--issuer-url", answers.issuer_url.clone()),
        ("--client-id", answers.client_id.clone()),
        ("--client-secret-file", file_of("authn-client-secret").filter(|_| in_files)),
        ("--scope", answers.scope.clone()),
        ("--repository", Some(engine.to_owned())),
        ("--repository-url", answers.repository_url.clone().filter(|_| answers.needs_repository_url())),
        ("--secrets", Some(if in_files { "files" } else { "keyring" }.to_owned())),
    ];
    if let Some(secret) = draft.secrets.get(1) {
        let place = file_of(secret.name).filter(|_| in_files);
        flags.push(match place {
            Some(file) => ("--repository-secret-file", Some(file)),
            None => ("--repository-secret-env", Some("REPOSITORY_SECRET".to_owned())),
        });
    }
    let mut lines = vec!["pangea-mcp-auth init --non-interactive".to_owned()];
    if !in_files {
        lines.push("--client-secret-stdin".to_owned());
    }
    let given = flags.into_iter().filter_map(|(flag, value)| Some((flag, value?)));
    lines.extend(given.map(|(flag, value)| format!("{flag} {}", argument(&value))));
    lines.join(" \\\n      ")
}

/// A word, quoted for a shell if necessary.
fn argument(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._/:@%+=,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_survive_a_shell() {
        for (text, shown) in
            [("a/b", "a/b"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("$x;y", "'$x;y'")]
        {
            assert_eq!(argument(text), shown);
        }
    }
}
