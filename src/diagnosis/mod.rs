//! Finds problems before users notice them. All checks run at the same time, as seen from outside, with timeouts.
//!
//! Where possible, a check is a pure function of the response. Only the round trip through the repository
//! writes: one record, which it deletes.

mod configuration;
mod document;
mod finding;
mod public;
mod repository;
mod resource;
mod topic;
mod upstream;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use self::finding::Question;
pub(crate) use self::{
    finding::{Finding, Status},
    resource::Verifier,
    topic::Topic,
    upstream::{Elsewhere, Login},
};
use crate::{
    clock::{Clock, UnixTime},
    config::Survey,
    fetch::Fetch,
    oauth::resource::Resource,
    secret::Random,
};

/// Timeout of one request. No check makes more than two requests that depend on each other.
const PATIENCE: Duration = Duration::from_secs(4);
/// Timeout of one check, which may make several requests.
const CHECK_PATIENCE: Duration = Duration::from_secs(10);
/// Timeout of all checks together.
const ALL_PATIENCE: Duration = Duration::from_secs(11);

/// What to check.
#[derive(Debug)]
pub(crate) struct Subject {
    /// The configuration, as far as it is valid.
    pub(crate) survey: Survey,
    /// Also check this MCP server.
    pub(crate) resource: Option<Resource>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// A problem is listed before the problems that it causes.
    pub(crate) findings: Vec<Finding>,
    /// Settings for the token verifier of the given MCP server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verifier: Option<Verifier>,
}

impl Report {
    #[must_use]
    pub(crate) fn count(&self, status: Status) -> usize {
        self.findings.iter().filter(|finding| finding.status == status).count()
    }
}

/// The result of one check.
#[derive(Debug, Default)]
struct Part {
    findings: Vec<Finding>,
    /// IDs of the signing keys in the repository.
    stored_keys: Option<Vec<String>>,
    /// IDs of the signing keys at `/jwks.json`.
    published_keys: Option<Vec<String>>,
}

impl From<Vec<Finding>> for Part {
    fn from(findings: Vec<Finding>) -> Self {
        Self { findings, ..Self::default() }
    }
}

impl Part {
    fn add(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.stored_keys = self.stored_keys.take().or(other.stored_keys);
        self.published_keys = self.published_keys.take().or(other.published_keys);
    }
}

type Check = Pin<Box<dyn Future<Output = Part> + Send>>;

/// Checks that need the network.
#[derive(Debug, Clone)]
pub(crate) struct Outside(Fetch);

impl Outside {
    pub(crate) fn new() -> Result<Self, String> {
        let fetch = Fetch::new(PATIENCE);
        fetch.map(Self).map_err(|error| format!("cannot set up TLS for outgoing connections: {error}"))
    }

    /// Whether the hosted login answers, and whether its clock agrees with ours.
    pub(crate) async fn issuer(&self, issuer_url: &str, clock: &dyn Clock) -> Vec<Finding> {
        upstream::issuer(issuer_url, &self.0, clock).await
    }

    /// Whether the upstream accepts our credentials, and refuses wrong ones.
    pub(crate) async fn login(&self, login: &Login, now: UnixTime) -> Vec<Finding> {
        let (door, pair) = tokio::join!(
            upstream::front_door(login, &self.0, now),
            upstream::credentials(login, &self.0, now)
        );
        std::iter::once(door).chain(pair).collect()
    }
}

/// Runs all checks. `progress` gets the number of finished checks and of all checks.
pub(crate) async fn diagnose(
    subject: Subject,
    outside: &Outside,
    mut progress: impl FnMut(u64, u64),
) -> Report {
    let deadline = Instant::now() + ALL_PATIENCE;
    let mut whole = Part::from(configuration::findings(&subject.survey));
    let verifier = subject.resource.as_ref().and_then(|named| resource::verifier(&subject.survey, named));
    let (questions, checks): (Vec<Question>, Vec<Check>) = checks(subject, &outside.0).into_iter().unzip();
    let mut parts: Vec<Option<Part>> = questions.iter().map(|_| None).collect();
    let mut running = JoinSet::new();
    for (at, check) in checks.into_iter().enumerate() {
        running.spawn(async move { (at, timeout(CHECK_PATIENCE, check).await.ok()) });
    }
    let (mut done, all) = (0, questions.len() as u64);
    progress(done, all);
    while let Ok(Some(joined)) = timeout_at(deadline, running.join_next()).await {
        if let Ok((at, part)) = joined {
            parts[at] = part;
        }
        done += 1;
        progress(done, all);
    }
    for (question, part) in questions.into_iter().zip(parts) {
        whole.add(part.unwrap_or_else(|| vec![unanswered(question)].into()));
    }
    if let (Some(stored), Some(published)) = (&whole.stored_keys, &whole.published_keys) {
        let judged = public::judge_keys(stored, published);
        whole.findings.push(judged);
    }
    Report { findings: whole.findings, verifier }
}

fn unanswered(question: Question) -> Finding {
    let cause = "a firewall drops the packets, or a disk hangs";
    let fix = "Check it by hand; the other findings do not depend on it";
    question.fail("no result in time", cause, fix)
}

/// Runs checks side by side; what they found, in their order.
async fn at_once(checks: Vec<Check>) -> Vec<Part> {
    let mut parts: Vec<Part> = checks.iter().map(|_| Part::default()).collect();
    let mut running = JoinSet::new();
    for (at, check) in checks.into_iter().enumerate() {
        running.spawn(async move { (at, check.await) });
    }
    while let Some(joined) = running.join_next().await {
        if let Ok((at, part)) = joined {
            parts[at] = part;
        }
    }
    parts
}

/// The checks that the configuration allows, each with the question to report if it hangs.
fn checks(subject: Subject, fetch: &Fetch) -> Vec<(Question, Check)> {
    let Subject { survey, resource: target, clock, random } = subject;
    let mut checks = upstream_checks(&survey, fetch, &clock, &random);
    match &survey.repository {
        Some(repositories) => {
            for place in repository::places(repositories, survey.keys.as_ref(), clock.now(), &random) {
                checks.push((place.question(), Box::pin(place.findings(Arc::clone(&clock)))));
            }
        }
        None => checks.push(unchecked(Topic::Repository, "[repository] is invalid")),
    }
    match (&survey.public_url, &survey.issuer) {
        (Some(public_url), Some(issuer)) => {
            let face =
                public::Face::new(public_url.clone(), issuer.clone(), &survey.resources, fetch.clone());
            checks.push((whole(Topic::PublicMetadata), Box::pin(face.findings())));
        }
        _ => checks.push(unchecked(Topic::PublicMetadata, "public_url is invalid")),
    }
    if let Some(server) = target.and_then(|named| resource::Server::new(named, &survey, fetch.clone())) {
        checks.push((whole(Topic::ResourceMetadata), Box::pin(server.findings())));
    }
    checks
}

/// Three independent requests to the upstream.
fn upstream_checks(
    survey: &Survey,
    fetch: &Fetch,
    clock: &Arc<dyn Clock>,
    random: &Arc<dyn Random>,
) -> Vec<(Question, Check)> {
    let (Some(authn), Some(public_url)) = (&survey.authn, &survey.public_url) else {
        return vec![unchecked(Topic::UpstreamIssuer, "[authn] or public_url is incomplete")];
    };
    let login = Login::new(authn, public_url.upstream_callback(), Arc::clone(random));
    let now = clock.now();
    let [at_issuer, at_door, with_pair] = [(); 3].map(|()| (login.clone(), fetch.clone()));
    let clock = Arc::clone(clock);
    let issuer: Check = Box::pin(async move {
        let (login, fetch) = at_issuer;
        upstream::issuer(&login.issuer_url, &fetch, &*clock).await.into()
    });
    let door: Check = Box::pin(async move {
        let (login, fetch) = at_door;
        vec![upstream::front_door(&login, &fetch, now).await].into()
    });
    let pair: Check = Box::pin(async move {
        let (login, fetch) = with_pair;
        upstream::credentials(&login, &fetch, now).await.into()
    });
    vec![
        (whole(Topic::UpstreamIssuer), issuer),
        (whole(Topic::UpstreamAuthorize), door),
        (whole(Topic::UpstreamCredentials), pair),
    ]
}

fn whole(topic: Topic) -> Question {
    Question::new(topic, "run all checks of this topic")
}

fn unchecked(topic: Topic, why: &'static str) -> (Question, Check) {
    let finding = Question::new(topic, "nothing").skip(format!("not checked, because {why}"));
    (whole(topic), Box::pin(async move { Part::from(vec![finding]) }))
}
