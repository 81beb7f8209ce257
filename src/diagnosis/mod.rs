//! What is wrong, told before the users notice: every part of a set-up is looked at as the world would,
//! all at once, and nothing hangs.
//!
//! A check is a pure function of what came back wherever it can be; only the round trip through the
//! repository writes, one record, which it removes.

mod configuration;
mod document;
mod finding;
mod public;
mod repository;
mod resource;
mod upstream;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use self::finding::Question;
pub use self::{
    finding::{Finding, Status},
    resource::Verifier,
    upstream::{Elsewhere, Login},
};
use crate::{
    clock::{Clock, UnixTime},
    config::Survey,
    fetch::Fetch,
    oauth::resource::Resource,
    secret::Random,
};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one check may take, several answers included.
const CHECK_PATIENCE: Duration = Duration::from_secs(10);
/// How long all of them may take.
const ALL_PATIENCE: Duration = Duration::from_secs(11);

/// What is looked at.
#[derive(Debug)]
pub struct Subject {
    /// The configuration, as far as it goes.
    pub survey: Survey,
    /// An MCP server to look at, too.
    pub resource: Option<Resource>,
    /// The clock that is compared with the upstream's.
    pub clock: Arc<dyn Clock>,
    /// For made-up codes and secrets.
    pub random: Arc<dyn Random>,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// One thing each, in the order of what depends on what.
    pub findings: Vec<Finding>,
    /// What the MCP server's verifier must be set to, if one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verifier: Option<Verifier>,
}

impl Report {
    /// How many findings have this status.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.findings.iter().filter(|finding| finding.status == status).count()
    }
}

/// What one check found out.
#[derive(Debug, Default)]
struct Part {
    findings: Vec<Finding>,
    /// The signing keys in the repository.
    stored_keys: Option<Vec<String>>,
    /// The signing keys that the world sees.
    published_keys: Option<Vec<String>>,
}

impl From<Vec<Finding>> for Part {
    fn from(findings: Vec<Finding>) -> Self {
        Self { findings, ..Self::default() }
    }
}

type Check = Pin<Box<dyn Future<Output = Part> + Send>>;

/// The way to everything that is not on this machine.
#[derive(Debug, Clone)]
pub struct Outside(Fetch);

impl Outside {
    /// Opens the way.
    ///
    /// # Errors
    ///
    /// When TLS cannot be set up on this machine.
    pub fn new() -> Result<Self, String> {
        let fetch = Fetch::new(PATIENCE);
        fetch.map(Self).map_err(|error| format!("outgoing TLS cannot be set up: {error}"))
    }

    /// Whether somebody answers at a hosted login, and which time it is there.
    pub async fn issuer(&self, issuer_url: &str, clock: &dyn Clock) -> Vec<Finding> {
        upstream::issuer(issuer_url, &self.0, clock).await
    }

    /// Whether the upstream takes us for who we say we are, and nobody else.
    pub async fn login(&self, login: &Login, now: UnixTime) -> Vec<Finding> {
        let (door, pair) = tokio::join!(
            upstream::front_door(login, &self.0, now),
            upstream::credentials(login, &self.0, now)
        );
        std::iter::once(door).chain(pair).collect()
    }
}

/// Looks at everything, all at once. `progress` hears how many checks of how many are done.
pub async fn diagnose(subject: Subject, outside: &Outside, mut progress: impl FnMut(u64, u64)) -> Report {
    let deadline = Instant::now() + ALL_PATIENCE;
    let mut findings = configuration::findings(&subject.survey);
    let verifier = subject.resource.as_ref().and_then(|named| resource::verifier(&subject.survey, named));
    let checks = checks(subject, &outside.0);
    let names: Vec<String> = checks.iter().map(|(name, _)| name.clone()).collect();
    let mut parts: Vec<Option<Part>> = names.iter().map(|_| None).collect();
    let mut running = JoinSet::new();
    for (at, (_, check)) in checks.into_iter().enumerate() {
        running.spawn(async move { (at, timeout(CHECK_PATIENCE, check).await.ok()) });
    }
    let (mut done, all) = (0, names.len() as u64);
    progress(done, all);
    while let Ok(Some(joined)) = timeout_at(deadline, running.join_next()).await {
        if let Ok((at, part)) = joined {
            parts[at] = part;
        }
        done += 1;
        progress(done, all);
    }
    let silent = |name: &str| {
        let cause = "something on the way neither answers nor refuses: a firewall, or a disk that hangs";
        let found = "it did not come to an end in time";
        let fix = "Look at it by hand; the other findings do not depend on it";
        Part::from(vec![Question::new(name, "everything that belongs to it").fail(found, cause, fix)])
    };
    let parts = parts.into_iter().zip(&names).map(|(part, name)| part.unwrap_or_else(|| silent(name)));
    let (mut stored, mut published) = (None, None);
    for part in parts {
        findings.extend(part.findings);
        stored = stored.or(part.stored_keys);
        published = published.or(part.published_keys);
    }
    if let (Some(stored), Some(published)) = (stored, published) {
        findings.push(public::judge_keys(&stored, &published));
    }
    Report { findings, verifier }
}

/// Whatever the configuration is good enough for.
fn checks(subject: Subject, fetch: &Fetch) -> Vec<(String, Check)> {
    let Subject { survey, resource: target, clock, random } = subject;
    let mut checks: Vec<(String, Check)> = Vec::new();
    let mut add = |name: &str, check: Check| checks.push((name.to_owned(), check));
    let fetch = fetch.clone();
    match (&survey.authn, &survey.public_url) {
        (Some(authn), Some(public_url)) => {
            let login = Login::new(authn, format!("{public_url}/pangea/callback"), Arc::clone(&random));
            add("upstream", Box::pin(upstream::findings(login, fetch.clone(), Arc::clone(&clock))));
        }
        _ => add("upstream", unchecked("upstream", "[authn] or public_url is not complete")),
    }
    match &survey.repository {
        Some(repositories) => {
            for place in repository::places(repositories, survey.keys.as_ref(), clock.now(), &random) {
                add(&place.name(), Box::pin(place.findings(Arc::clone(&clock))));
            }
        }
        None => add("repository", unchecked("repository", "[repository] cannot be used")),
    }
    match (&survey.public_url, &survey.issuer) {
        (Some(public_url), Some(issuer)) => {
            let face = public::Face::new(public_url.clone(), issuer.clone(), &survey.resources);
            add("public", Box::pin(face.findings(fetch.clone())));
        }
        _ => add("public", unchecked("public", "public_url cannot be used")),
    }
    if let Some(server) = target.and_then(|named| resource::Server::new(named, &survey)) {
        add("resource", Box::pin(server.findings(fetch)));
    }
    checks
}

fn unchecked(name: &'static str, why: &'static str) -> Check {
    let finding = Question::new(name, "nothing").skip(format!("not looked at, for {why}"));
    Box::pin(async move { Part::from(vec![finding]) })
}
