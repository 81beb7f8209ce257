//! Tests the answers, so that the user can correct them.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Runtime, time::timeout};
use url::Url;

use super::answers::{Answers, Engine};
use crate::{
    cli::{
        failure::{Exit, Failure},
        output::Output,
    },
    clock::{Clock, SystemClock},
    config::{Repositories, RepositoryConfig, VaultConfig},
    daemon,
    diagnosis::{Elsewhere, Finding, Login, Outside, Status},
    repository::{PostgresSettings, RedisSettings},
    secret::{Secret, SystemRandom},
};

/// Timeout for the repository.
const PATIENCE: Duration = Duration::from_secs(8);

pub(super) struct Live<'a> {
    runtime: &'a Runtime,
    outside: Outside,
}

impl<'a> Live<'a> {
    pub(super) fn new(runtime: &'a Runtime) -> Result<Self, Failure> {
        let outside = Outside::new().map_err(|error| Failure::new(Exit::Failed, error))?;
        Ok(Self { runtime, outside })
    }

    /// Whether the hosted login answers.
    pub(super) fn issuer(&self, issuer_url: &str) -> Vec<Finding> {
        self.runtime.block_on(self.outside.issuer(issuer_url, &SystemClock))
    }

    /// Whether the upstream knows this client with this secret and redirect URI.
    pub(super) fn login(&self, answers: &Answers) -> Vec<Finding> {
        let (Some(issuer_url), Some(client_id), Some(client_secret)) =
            (&answers.issuer_url, &answers.client_id, &answers.client_secret)
        else {
            return Vec::new();
        };
        let login = Login {
            issuer_url: issuer_url.clone(),
            client_id: client_id.clone(),
            client_secret: client_secret.clone(),
            redirect_uri: answers.redirect_uri(),
            scope: answers.scope.clone().unwrap_or_default(),
            random: Arc::new(SystemRandom),
            elsewhere: Elsewhere::default(),
        };
        self.runtime.block_on(self.outside.login(&login, SystemClock.now()))
    }

    /// Whether the database or Vault accepts the credentials; SQLite needs no test.
    pub(super) fn repository(&self, answers: &Answers) -> Result<(), String> {
        let url = answers.repository_url.clone().unwrap_or_default();
        let secret_url = Secret::new("repository.url", url.clone());
        let password = answers.repository_secret.clone();
        let main = match answers.engine() {
            Engine::Postgres => RepositoryConfig::Postgres(PostgresSettings {
                url: secret_url,
                password,
                ca_file: None,
                connections: 1,
                timeout: PATIENCE,
            }),
            Engine::Redis => RepositoryConfig::Redis(RedisSettings {
                url: secret_url,
                password,
                ca_file: None,
                timeout: PATIENCE,
            }),
            Engine::Vault => RepositoryConfig::Vault(VaultConfig {
                api_url: Url::parse(&url).map_err(|error| error.to_string())?,
                token: password.ok_or("Vault needs a token")?,
                token_file: None,
                folder: "/pangea-mcp-auth".to_owned(),
                cache: Duration::ZERO,
                timeout: PATIENCE,
            }),
            Engine::Sqlite => return Ok(()),
        };
        let alone = Repositories::from(main);
        self.runtime.block_on(async {
            match timeout(PATIENCE, daemon::open_repository(&alone)).await {
                Ok(opened) => opened.map(|_| ()).map_err(|error| error.to_string()),
                Err(_) => Err("no answer in time".to_owned()),
            }
        })
    }

    /// Tests everything at once, for `--non-interactive`.
    pub(super) fn judge(&self, answers: &Answers, output: &Output) -> Result<(), Failure> {
        let mut findings = self.issuer(answers.issuer_url.as_deref().unwrap_or_default());
        if !findings.iter().any(is_bad) {
            findings.extend(self.login(answers));
        }
        tell(output, &findings);
        if let Some(bad) = findings.iter().find(|finding| is_bad(finding)) {
            let exit = if bad.is_refusal { Exit::Refused } else { Exit::Unreachable };
            let failure = Failure::new(exit, format!("{}; nothing was written", bad.found));
            return Err(failure.hint(bad.fix.clone().unwrap_or_default()));
        }
        self.repository(answers).map_err(|why| {
            let failure = Failure::new(Exit::Unreachable, format!("{why}; nothing was written"));
            failure.hint("correct --repository-url and its secret, or use --no-check")
        })
    }
}

pub(super) fn is_bad(finding: &Finding) -> bool {
    finding.status == Status::Fail
}

/// Prints findings; a good one takes one line.
pub(super) fn tell(output: &Output, findings: &[Finding]) {
    for finding in findings {
        let mark = match finding.status {
            Status::Pass => "ok",
            Status::Skip => continue,
            Status::Warn => "warn",
            Status::Fail => "FAIL",
        };
        output.tell_item(&format!("  {mark}"), 8, &format!("{}: {}", finding.name, finding.found));
        let more = [("cause", &finding.cause), ("fix", &finding.fix)];
        for (name, text) in more.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
            output.tell_item(&format!("        {name}"), 15, text);
        }
        for line in finding.paste.iter().flat_map(|paste| paste.lines()) {
            output.say(&format!("{:15}{line}", ""));
        }
    }
}
