//! The connections, and what happens to a request when a connection breaks.
//!
//! One connection to a server carries the requests of all callers, because the server answers in order. The
//! library's Cluster client is not used: it repeats every unanswered request, and a repeated request could
//! redeem a code twice.

use std::{
    fmt::{self, Debug},
    sync::Arc,
    time::Duration,
};

use ::redis::{RedisError, Value};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout_at},
};

use super::{
    address::Server,
    dial::Dial,
    link::Link,
    names::{Names, code},
    problem::Problem,
    scripts::Request,
};
use crate::repository::{
    Kind, RepositoryError,
    retry::{self, Answer, Repeat, Tries},
};

/// How many redirections of one request are followed.
const REDIRECTIONS: usize = 5;

/// The connections to all servers that hold records.
pub(super) struct Connections {
    dial: Dial,
    parts: Parts,
    timeout: Duration,
}

/// Which records share a connection.
enum Parts {
    /// All of them.
    Single(Part),
    /// Those of one kind, because a Cluster may keep each kind on another server.
    Cluster(Box<ByKind>),
}

#[derive(Default)]
struct ByKind {
    clients: Part,
    grants: Part,
    keys: Part,
    replays: Part,
}

/// The connection to the server of some records.
#[derive(Default)]
struct Part {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    link: Option<Arc<Link>>,
    /// Which server the Cluster named for this part.
    owner: Option<Server>,
}

/// Why a request has no answer.
pub(super) type Failure = retry::Failure<Problem>;

impl Failure {
    /// Judges a failed request. A script that answers with an error has changed nothing.
    fn of(problem: Problem, error: &RedisError) -> Self {
        match code(error) {
            None => Self::InDoubt(problem),
            Some(
                "READONLY" | "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY" | "NOREPLICAS"
                | "NOSCRIPT" | "MOVED" | "ASK",
            ) => Self::NotNow(problem),
            Some(_) => Self::Refused(problem),
        }
    }

    /// Judges a failed connection of a running daemon.
    fn of_connecting(problem: Problem) -> Self {
        if problem.may_pass() { Self::NotNow(problem) } else { Self::Refused(problem) }
    }
}

/// While the daemon runs, even a refusal may pass without a restart.
impl From<Failure> for RepositoryError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(problem @ Problem::Foreign { .. }) => Self::Corrupt(problem.to_string()),
            failure => failure.unavailable(),
        }
    }
}

impl Connections {
    /// Connections are opened when they are needed.
    pub(super) fn new(dial: Dial, timeout: Duration) -> Self {
        let parts =
            if dial.is_cluster() { Parts::Cluster(Box::default()) } else { Parts::Single(Part::default()) };
        Self { dial, parts, timeout }
    }

    /// The names for error messages.
    pub(super) const fn names(&self) -> &Names {
        self.dial.names()
    }

    /// One kind of each part.
    pub(super) fn parts(&self) -> impl Iterator<Item = Kind> {
        let parts = match self.parts {
            Parts::Single(_) => 1,
            Parts::Cluster(_) => Kind::ALL.len(),
        };
        Kind::ALL.into_iter().take(parts)
    }

    /// The deadline of a request that begins now.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Sends a request, repeatedly while `repeat` and the deadline allow.
    pub(super) async fn run(
        &self,
        request: &Request,
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<Answer<Value>, Failure> {
        let mut tries = Tries::new(repeat, deadline);
        loop {
            match self.attempt(request, deadline).await {
                Ok(value) => return Ok(tries.answered(value)),
                Err(failure) => tries.after(failure).await?,
            }
        }
    }

    /// Sends a request once, to the server that has its part.
    pub(super) async fn attempt(&self, request: &Request, deadline: Instant) -> Result<Value, Failure> {
        let part = self.part(request.kind);
        for _ in 0..REDIRECTIONS {
            let link = self.link(part, deadline).await.map_err(Failure::of_connecting)?;
            let Ok(answer) = timeout_at(deadline, link.ask(request, false)).await else {
                part.leave(&link).await;
                return Err(Failure::InDoubt(self.too_slow()));
            };
            let error = match answer {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            match (code(&error), error.redirect_node()) {
                (Some("MOVED"), Some((node, _))) => part.move_to(&link, node).await,
                (Some("ASK"), Some((node, _))) => {
                    return self.ask_elsewhere(request, link.server.beside(node), deadline).await;
                }
                _ => return Err(self.failed(part, &link, &error).await),
            }
        }
        Err(Failure::NotNow(self.names().away("its servers redirect to each other")))
    }

    /// The deadline has passed.
    pub(super) fn too_slow(&self) -> Problem {
        self.names().away(format!("no answer within {} ms", self.timeout.as_millis()))
    }

    fn part(&self, kind: Kind) -> &Part {
        match (&self.parts, kind) {
            (Parts::Single(part), _) => part,
            (Parts::Cluster(parts), Kind::Client) => &parts.clients,
            (Parts::Cluster(parts), Kind::Grant) => &parts.grants,
            (Parts::Cluster(parts), Kind::Key) => &parts.keys,
            (Parts::Cluster(parts), Kind::Replay) => &parts.replays,
        }
    }

    /// The connection of a part. One caller opens it, and the others wait.
    async fn link(&self, part: &Part, deadline: Instant) -> Result<Arc<Link>, Problem> {
        let connecting = async {
            let mut state = part.state.lock().await;
            if let Some(link) = state.link.as_ref().filter(|link| !link.is_closed()) {
                return Ok(Arc::clone(link));
            }
            state.link = None;
            let link = Arc::new(self.dial.connect(state.owner.as_ref(), deadline).await?);
            if state.owner.as_ref().is_some_and(|owner| *owner != link.server) {
                state.owner = None;
            }
            state.link = Some(Arc::clone(&link));
            Ok(link)
        };
        timeout_at(deadline, connecting).await.unwrap_or_else(|_| Err(self.dial.too_slow(self.timeout)))
    }

    /// Sends a request to the server to which its key is being moved.
    async fn ask_elsewhere(
        &self,
        request: &Request,
        server: Server,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let asking = async {
            let link = self.dial.reach(&server).await.map_err(Failure::of_connecting)?;
            link.ask(request, true)
                .await
                .map_err(|error| Failure::of(self.names().refused(&server, &error), &error))
        };
        timeout_at(deadline, asking).await.unwrap_or_else(|_| Err(Failure::InDoubt(self.too_slow())))
    }

    /// Judges an error. Drops the connection if it broke or its server changed its role.
    async fn failed(&self, part: &Part, link: &Arc<Link>, error: &RedisError) -> Failure {
        let failure = Failure::of(self.names().refused(&link.server, error), error);
        if !matches!(failure, Failure::Refused(_)) || code(error) == Some("NOAUTH") {
            part.leave(link).await;
        }
        failure
    }
}

impl Part {
    /// Drops a connection. The next request opens another.
    async fn leave(&self, link: &Arc<Link>) {
        let mut state = self.state.lock().await;
        if state.link.as_ref().is_some_and(|current| Arc::ptr_eq(current, link)) {
            state.link = None;
        }
    }

    /// Switches to the server that has the part now.
    async fn move_to(&self, link: &Arc<Link>, node: &str) {
        let mut state = self.state.lock().await;
        if state.link.as_ref().is_some_and(|current| Arc::ptr_eq(current, link)) {
            *state = State { link: None, owner: Some(link.server.beside(node)) };
        }
    }
}

impl Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("dial", &self.dial)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
