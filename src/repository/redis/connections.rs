//! The connections, and what becomes of a request when one of them breaks.
//!
//! One connection to a server carries the requests of all callers at once, as the engine answers in
//! their order. The client of the library for Clusters is not used: it sends again whatever had no
//! answer, and a code must not be spent by a second try.

use std::{
    fmt::{self, Debug},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ::redis::{PushInfo, PushKind, RedisError, Value, aio::MultiplexedConnection, pipe};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout_at},
};

use super::{
    address::Server,
    dial::Dial,
    problem::{Names, Problem, code},
    scripts::Request,
};
use crate::repository::{Kind, RepositoryError};

/// How long to wait before the second try; before each further one it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(320);

/// How often a request is sent elsewhere before that counts as a failure.
const REDIRECTIONS: usize = 5;

/// The connections to all servers that hold records.
pub(super) struct Connections {
    dial: Dial,
    parts: Vec<Part>,
    timeout: Duration,
}

/// A part of the records that is in one server: all of them, or in a Cluster those of a kind.
#[derive(Default)]
struct Part {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    link: Option<Arc<Link>>,
    /// Where the Cluster says that the part is.
    owner: Option<Server>,
}

/// A connection that was made.
pub(super) struct Link {
    pub(super) server: Server,
    pub(super) connection: MultiplexedConnection,
    is_closed: Arc<AtomicBool>,
}

/// What may be sent again when it did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Whatever became of it: a second time changes nothing that the first has not.
    Always,
    /// Only what has certainly changed nothing.
    WhatHasNotRun,
}

/// What a request returned.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) value: Value,
    /// Whether it may also have run before, unanswered.
    pub(super) was_in_doubt: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// It has changed nothing, and soon it may succeed.
    NotNow(Problem),
    /// Nobody knows whether it has run or will.
    InDoubt(Problem),
    /// It has changed nothing, and will not.
    Refused(Problem),
}

impl Failure {
    pub(super) const fn is_in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt(_))
    }

    /// What a failed connection tells in the midst of things.
    fn of_connecting(problem: Problem) -> Self {
        if problem.may_pass() { Self::NotNow(problem) } else { Self::Refused(problem) }
    }

    /// What is wrong, for whoever starts and may change it.
    pub(super) fn into_problem(self) -> Problem {
        match self {
            Self::NotNow(problem) | Self::InDoubt(problem) | Self::Refused(problem) => problem,
        }
    }
}

/// In the midst of things: whoever is not let in today may be tomorrow, without a restart.
impl From<Failure> for RepositoryError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(problem @ Problem::Foreign { .. }) => Self::Corrupt(problem.to_string()),
            Failure::InDoubt(problem) => Self::Unavailable(format!("the outcome is unknown: {problem}")),
            Failure::NotNow(problem) | Failure::Refused(problem) => Self::Unavailable(problem.to_string()),
        }
    }
}

impl Link {
    /// What is to be told when the connection ends, and how that is known.
    pub(super) fn ending() -> (Arc<AtomicBool>, impl Fn(PushInfo) -> Result<(), ()> + Send + Sync + 'static) {
        let is_closed = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_closed);
        let note = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                told.store(true, Ordering::Release);
            }
            Ok(())
        };
        (is_closed, note)
    }

    pub(super) const fn new(
        server: Server,
        connection: MultiplexedConnection,
        is_closed: Arc<AtomicBool>,
    ) -> Self {
        Self { server, connection, is_closed }
    }

    /// Sends a request, and its script before it if the server does not have it.
    pub(super) async fn ask(&self, request: &Request, is_asking: bool) -> Result<Value, RedisError> {
        let answer = self.send(request, is_asking).await;
        let Some(script) = request.script_of() else { return answer };
        match answer {
            Err(error) if code(&error) == Some("NOSCRIPT") => {
                script.load_async(&mut self.connection.clone()).await?;
                self.send(request, is_asking).await
            }
            answer => answer,
        }
    }

    async fn send(&self, request: &Request, is_asking: bool) -> Result<Value, RedisError> {
        let (mut connection, command) = (self.connection.clone(), request.command());
        if !is_asking {
            return command.query_async(&mut connection).await;
        }
        let mut both = pipe();
        both.cmd("ASKING").ignore().add_command(command);
        let [value] = both.query_async(&mut connection).await?;
        Ok(value)
    }
}

impl Connections {
    /// Makes ready; a connection is made when it is needed.
    pub(super) fn new(dial: Dial, timeout: Duration) -> Self {
        let parts = if dial.is_cluster() { Kind::ALL.len() } else { 1 };
        Self { dial, parts: (0..parts).map(|_| Part::default()).collect(), timeout }
    }

    /// Of whom to speak.
    pub(super) const fn names(&self) -> &Names {
        self.dial.names()
    }

    /// One kind of each part.
    pub(super) fn parts(&self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().take(self.parts.len())
    }

    /// When a request that begins now must have its answer.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Sends a request, again as long as there is time and `repeat` allows.
    pub(super) async fn run(
        &self,
        request: &Request,
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let (mut was_in_doubt, mut pause) = (false, FIRST_PAUSE);
        loop {
            let failure = match self.attempt(request, deadline).await {
                Ok(value) => return Ok(Answer { value, was_in_doubt }),
                Err(failure) => failure,
            };
            match failure {
                Failure::NotNow(_) => {}
                Failure::InDoubt(_) if repeat == Repeat::Always => was_in_doubt = true,
                Failure::InDoubt(_) | Failure::Refused(_) => return Err(failure),
            }
            if Instant::now() + pause >= deadline {
                return Err(failure);
            }
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Sends a request once, to whichever server has its part.
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
        Err(Failure::NotNow(self.names().away("its servers send each to another")))
    }

    /// That time has run out.
    pub(super) fn too_slow(&self) -> Problem {
        self.names().away(format!("no answer within {} ms", self.timeout.as_millis()))
    }

    fn part(&self, kind: Kind) -> &Part {
        &self.parts[if self.parts.len() > 1 { kind as usize } else { 0 }]
    }

    /// The connection of a part, made if need be. While one caller makes it, the others wait.
    async fn link(&self, part: &Part, deadline: Instant) -> Result<Arc<Link>, Problem> {
        let connecting = async {
            let mut state = part.state.lock().await;
            if let Some(link) = state.link.as_ref().filter(|link| !link.is_closed.load(Ordering::Acquire)) {
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

    /// Sends a request to the server to which its key is on the way.
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

    /// Judges an error, and leaves the connection if it is broken or its server has changed its role.
    async fn failed(&self, part: &Part, link: &Arc<Link>, error: &RedisError) -> Failure {
        let failure = Failure::of(self.names().refused(&link.server, error), error);
        if !matches!(failure, Failure::Refused(_)) || code(error) == Some("NOAUTH") {
            part.leave(link).await;
        }
        failure
    }
}

impl Failure {
    /// What a failed request tells. A script that answers with an error has changed nothing.
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
}

impl Part {
    /// Leaves a connection; who comes next makes another.
    async fn leave(&self, link: &Arc<Link>) {
        let mut state = self.state.lock().await;
        if state.link.as_ref().is_some_and(|current| Arc::ptr_eq(current, link)) {
            state.link = None;
        }
    }

    /// Goes to the server that has the part now.
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
