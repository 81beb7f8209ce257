//! The configuration for the answers, before anything is written.

use std::{collections::BTreeMap, path::PathBuf};

use super::answers::{Answers, Deployment, Engine, SecretStore};
use crate::{
    cli::failure::{Exit, Failure},
    config::filled_example,
    secret::Secret,
};

/// A configuration with its secrets, to be written.
pub(super) struct Draft {
    pub(super) file: PathBuf,
    /// Where secrets go, if the user chose.
    pub(super) store: Option<SecretStore>,
    /// All secrets but the sealing key.
    pub(super) secrets: Vec<NewSecret>,
    values: BTreeMap<&'static str, String>,
}

/// A secret with its key in the configuration.
pub(super) struct NewSecret {
    key: &'static str,
    /// The keyring entry, or the file next to the configuration.
    pub(super) name: &'static str,
    pub(super) value: Secret,
}

/// Keyring entry or file of the sealing key.
pub(super) const SEALING_KEY: &str = "sealing-key";

impl Draft {
    pub(super) fn new(answers: &Answers, file: PathBuf) -> Result<Self, Failure> {
        let incomplete = || Failure::new(Exit::Failed, "an answer is missing");
        let given = |text: Option<String>| text.ok_or_else(incomplete);
        let scope = answers.scope.clone().unwrap_or_else(|| "user".to_owned());
        let mut values = BTreeMap::from([
            ("public_url", quoted(&given(answers.public_url.as_ref().map(ToString::to_string))?)),
            ("listen", quoted(&answers.listen())),
            ("authn.issuer_url", quoted(&given(answers.issuer_url.clone())?)),
            ("authn.client_id", quoted(&given(answers.client_id.clone())?)),
            ("authn.scopes", format!("[{}]", quoted(&scope))),
            ("resources.url", quoted(&given(answers.mcp_url.as_ref().map(ToString::to_string))?)),
            (
                "resources.scopes",
                format!("[{{ name = {}, description = \"Use this server in your name\" }}]", quoted(&scope)),
            ),
        ]);
        if answers.deployment() == Deployment::ReverseProxy {
            values.insert("trusted_proxies", "[\"127.0.0.1\", \"::1\"]".to_owned());
        }
        if let Some(name) = &answers.mcp_name {
            values.insert("resources.name", quoted(name));
        }
        let lists =
            [("access.domains", &answers.allowed_domains), ("access.emails", &answers.allowed_emails)];
        for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            let items: Vec<String> = list.iter().map(|item| quoted(item)).collect();
            values.insert(key, format!("[{}]", items.join(", ")));
        }
        if let Some(url) = &answers.gateway {
            values.insert("resources.upstream", quoted(url.as_str()));
        }
        let (kind, secret_key, secret_name) = match answers.engine() {
            Engine::Sqlite => ("sqlite", None, ""),
            Engine::Postgres => ("postgres", Some("repository.password"), "repository-password"),
            Engine::Redis => ("redis", Some("repository.password"), "repository-password"),
            Engine::Vault => ("vault", Some("repository.token"), "repository-token"),
        };
        values.insert("repository.kind", quoted(kind));
        if let Some(url) = answers.repository_url.as_ref().filter(|_| answers.needs_repository_url()) {
            let key = if kind == "vault" { "repository.api_url" } else { "repository.url" };
            values.insert(key, quoted(url));
        }
        let client_secret = answers.client_secret.clone().ok_or_else(incomplete)?;
        let mut secrets =
            vec![NewSecret { key: "authn.client_secret", name: "authn-client-secret", value: client_secret }];
        if let (Some(key), Some(value)) = (secret_key, answers.repository_secret.clone()) {
            secrets.push(NewSecret { key, name: secret_name, value });
        }
        Ok(Self { file, store: answers.secrets, secrets, values })
    }

    /// The text of the configuration; its secrets are in `store`.
    pub(super) fn text(&self, store: SecretStore) -> String {
        let form = match store {
            SecretStore::Keyring => "keyring",
            SecretStore::Files => "file",
        };
        let place = |name: &str| format!("{{ {form} = {} }}", quoted(name));
        let mut values = self.values.clone();
        values.extend(self.secrets.iter().map(|secret| (secret.key, place(secret.name))));
        values.insert("keys.sealing", place(SEALING_KEY));
        filled_example(&values)
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
