//! Pangea Vault as the repository, against its simulator.

mod answers;
mod import;
mod lease;
mod login;
mod original;
mod reading;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::Router;
use pangea_mcp_auth::{
    clock::{Clock, ManualClock, SystemClock, UnixTime},
    daemon,
    dev::StandInConfig,
    fetch::Fetch,
    repository::{
        Kind, Record, Repository, RepositoryError, TokenSource, VaultRepository, VaultSettings, Version,
        Versioned, Write, conformance,
    },
    secret::{Secret, SystemRandom},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{
    stage::{Stage, VAULT_TOKEN, VaultSwitches},
    support::{Server, body, http},
};

/// Where the tests store.
pub(crate) const FOLDER: &str = "/tests/vault";

/// The simulator of Vault, in this process.
pub(crate) struct Vault {
    stage: Stage,
    url: String,
    clock: Arc<ManualClock>,
    /// Holds the token.
    folder: TempDir,
    stop: CancellationToken,
}

impl Vault {
    pub(crate) async fn start() -> Self {
        Self::with(|router| router).await
    }

    /// A Vault that speaks through something in between.
    async fn with(layer: impl FnOnce(Router) -> Router) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let config = StandInConfig {
            issuer: url.clone(),
            client_id: "psa_vault".to_owned(),
            client_secret: "pck_vault".to_owned(),
            redirect_uris: Vec::new(),
            scopes: Vec::new(),
            default_scopes: Vec::new(),
            sign_in_as: None,
            state_file: None,
        };
        let stage = Stage::new(config, clock.clone(), Arc::new(SystemRandom));
        let stop = CancellationToken::new();
        tokio::spawn(daemon::serve(vec![listener], layer(stage.router()), stop.clone()));
        let vault = Self { stage, url, clock, folder: tempfile::tempdir().unwrap(), stop };
        vault.write_token(VAULT_TOKEN);
        vault
    }

    /// The Vault of a server's upstream.
    pub(crate) fn of(server: &Server) -> Self {
        Self {
            stage: server.upstream.clone(),
            url: server.upstream_url.clone(),
            clock: Arc::clone(&server.clock),
            folder: tempfile::tempdir().unwrap(),
            stop: CancellationToken::new(),
        }
    }

    fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn write_token(&self, token: &str) {
        std::fs::write(self.token_file(), token).unwrap();
    }

    /// A repository that asks Vault each time.
    async fn repository(&self) -> VaultRepository {
        self.open(FOLDER, Duration::ZERO).await.unwrap()
    }

    pub(crate) async fn open(
        &self,
        folder: &str,
        cache: Duration,
    ) -> Result<VaultRepository, RepositoryError> {
        self.open_with(folder, cache, Duration::from_secs(5)).await
    }

    async fn open_with(
        &self,
        folder: &str,
        cache: Duration,
        timeout: Duration,
    ) -> Result<VaultRepository, RepositoryError> {
        let settings = VaultSettings {
            api_url: self.url.parse().unwrap(),
            token: Box::new(TokenFile(self.token_file())),
            folder: folder.to_owned(),
            cache,
            random: Arc::new(SystemRandom),
        };
        VaultRepository::connect(settings, Fetch::new(timeout).unwrap()).await
    }

    pub(crate) fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// A call as another client would make it.
    pub(crate) async fn call(&self, action: &str, body_of_it: &Value) -> Value {
        let request = http().post(format!("{}/v2/{action}", self.url)).bearer_auth(VAULT_TOKEN);
        let request = request.header("content-type", "application/json").body(body_of_it.to_string());
        let answer = body(request.send().await.unwrap()).await;
        assert_eq!(answer["status"], "Success", "{action} {body_of_it}: {answer}");
        answer["result"].clone()
    }

    /// Every secret in Vault, with its value.
    pub(crate) async fn secrets(&self) -> Vec<Value> {
        let (mut all, mut last) = (Vec::new(), Value::Null);
        loop {
            let mut body = json!({ "filter": { "type": "secret" }, "size": 100, "order_by": "id" });
            if last.is_string() {
                body["last"] = last;
            }
            let part = self.call("get_bulk", &body).await;
            let items = part["items"].as_array().unwrap();
            all.extend(items.iter().cloned());
            last = part["last"].clone();
            if items.is_empty() || last.as_str().is_none_or(str::is_empty) {
                return all;
            }
        }
    }

    /// How often an action was called.
    fn calls(&self, action: &str) -> u64 {
        self.stage.requests().of(&format!("/v2/{action}"))
    }

    pub(crate) fn switches(&self) -> &VaultSwitches {
        &self.stage.switches().vault
    }

    fn all_calls(&self) -> u64 {
        self.stage.requests().total()
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A token that is read again each time.
#[derive(Debug)]
struct TokenFile(PathBuf);

impl TokenSource for TokenFile {
    fn token(&self) -> Result<Secret, String> {
        let token = std::fs::read_to_string(&self.0).map_err(|error| error.to_string())?;
        Ok(Secret::new("vault token", token.trim().to_owned()))
    }
}

/// A record that stays.
fn record(key: &str, value: &str) -> Record {
    Record { key: key.to_owned(), value: value.to_owned(), parent: None, expires_at: None }
}

fn done(write: Result<Write, RepositoryError>) -> Version {
    match write.unwrap() {
        Write::Done(version) => version,
        Write::Conflict => panic!("a conflict"),
    }
}

fn value(found: Option<Versioned>) -> Option<String> {
    found.map(|found| found.record.value)
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_every_rule() {
    conforms(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_every_rule_with_a_cache() {
    conforms(Duration::from_mins(10)).await;
}

async fn conforms(cache: Duration) {
    let vault = Vault::start().await;
    let storages = Mutex::new(0);
    let verdict = conformance::verify(async || {
        let number = {
            let mut number = storages.lock().unwrap();
            *number += 1;
            *number
        };
        let repository = vault.open(&format!("{FOLDER}/{number}"), cache).await.unwrap();
        let repository: Arc<dyn Repository> = Arc::new(repository);
        [Arc::clone(&repository), repository]
    });
    assert_eq!(verdict.await, Ok(()));
}
