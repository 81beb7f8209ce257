//! The connections, and what becomes of a statement when one of them breaks.

use std::{
    fmt::{self, Debug},
    time::Duration,
};

use deadpool_postgres::{
    Client, ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod,
    Runtime,
};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::{
    Error, Row,
    error::{Severity, SqlState},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    PostgresSettings,
    address::Address,
    problem::{Names, Problem},
    sessions::Sessions,
    statements::{Plan, Statement},
    tls,
};
use crate::repository::{self, RepositoryError};

/// How long to wait before the second try; before each further one it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(320);

/// How long the server may take to hear that nobody waits any more.
const CANCEL_PATIENCE: Duration = Duration::from_millis(500);

/// A pool of connections to one database.
pub(super) struct Connections {
    pool: Pool,
    sessions: Sessions,
    tls: MakeRustlsConnect,
    names: Names,
    timeout: Duration,
}

/// What may be sent again when it did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Whatever became of it: a second time changes nothing that the first has not.
    Always,
    /// Only what has certainly changed nothing.
    WhatHasNotRun,
}

/// What a statement returned.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    /// Whether it may also have run before, unanswered.
    pub(super) was_in_doubt: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// It has changed nothing, and soon it may succeed.
    NotNow(String),
    /// Nobody knows whether it has run or will.
    InDoubt(String),
    /// It has changed nothing, and will not.
    Refused(String),
}

impl Failure {
    pub(super) const fn is_in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt(_))
    }

    /// What a failed statement tells. The server says an error only after it has undone everything;
    /// what else ends a session may come after the commit.
    fn of(error: &Error) -> Self {
        let told = error.as_db_error().filter(|told| told.parsed_severity() == Some(Severity::Error));
        let Some(told) = told else {
            let cause = std::error::Error::source(error);
            let reason = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
            return Self::InDoubt(reason);
        };
        let reason = format!("{} (SQLSTATE {})", told.message(), told.code().code());
        match *told.code() {
            SqlState::T_R_SERIALIZATION_FAILURE
            | SqlState::T_R_DEADLOCK_DETECTED
            | SqlState::READ_ONLY_SQL_TRANSACTION
            | SqlState::CANNOT_CONNECT_NOW
            // What the session keeps has been overtaken by a change of the table, or is gone.
            | SqlState::FEATURE_NOT_SUPPORTED
            | SqlState::INVALID_SQL_STATEMENT_NAME => Self::NotNow(reason),
            SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => Self::Refused(format!(
                "the server says that its data is damaged, restore it from a backup: {reason}"
            )),
            _ => Self::Refused(reason),
        }
    }

    /// What a failed connection tells in the midst of things. Whoever is not let in today may be
    /// tomorrow, without a restart.
    fn of_connecting(problem: &Problem) -> Self {
        match problem {
            Problem::Away { .. } | Problem::Busy { .. } | Problem::ReadOnly { .. } => {
                Self::NotNow(problem.to_string())
            }
            _ => Self::Refused(problem.to_string()),
        }
    }
}

impl From<Failure> for RepositoryError {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(match failure {
            Failure::NotNow(reason) | Failure::Refused(reason) => reason,
            Failure::InDoubt(reason) => format!("the outcome is unknown: {reason}"),
        })
    }
}

impl Connections {
    /// Makes the pool; the first connection is made when it is needed.
    pub(super) fn open(address: Address, settings: &PostgresSettings) -> repository::Result<Self> {
        let names = Names::of(&address.config);
        let tls = tls::connector(address.config.get_ssl_mode(), settings.ca_file.as_deref())?;
        let sessions = Sessions::new(tls.clone());
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_connect(address.config, sessions.clone(), manager))
            .max_size(usize::try_from(settings.connections).unwrap_or(usize::MAX))
            .runtime(Runtime::Tokio1)
            .post_create(begin(sessions.clone()))
            .build()
            .map_err(|error| RepositoryError::Unusable(error.to_string()))?;
        Ok(Self { pool, sessions, tls, names, timeout: settings.timeout })
    }

    /// Of whom to speak.
    pub(super) const fn names(&self) -> &Names {
        &self.names
    }

    /// When a request that begins now must have its answer.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Runs a statement, again as long as there is time and `repeat` allows.
    pub(super) async fn run(
        &self,
        statement: &Statement<'_>,
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let (mut was_in_doubt, mut pause) = (false, FIRST_PAUSE);
        loop {
            let failure = match self.attempt(statement, deadline).await {
                Ok(rows) => return Ok(Answer { rows, was_in_doubt }),
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

    /// Runs a statement once.
    pub(super) async fn attempt(
        &self,
        statement: &Statement<'_>,
        deadline: Instant,
    ) -> Result<Vec<Row>, Failure> {
        let client = self.connection(deadline).await.map_err(|problem| Failure::of_connecting(&problem))?;
        match timeout_at(deadline, self.ask(&client, statement)).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => {
                let failure = Failure::of(&error);
                if !matches!(failure, Failure::Refused(_)) {
                    // Broken, or with a server that has changed its role.
                    drop(Object::take(client));
                }
                Err(failure)
            }
            Err(_) => {
                self.abandon(client).await;
                Err(Failure::InDoubt(self.too_slow().to_string()))
            }
        }
    }

    /// One round trip, for what a session keeps it was given when it began.
    async fn ask(&self, client: &Client, statement: &Statement<'_>) -> Result<Vec<Row>, Error> {
        let parameters = statement.parameters();
        if statement.plan == Plan::Once && self.sessions.are_own() {
            let (values, types): (Vec<_>, Vec<_>) = parameters.into_iter().unzip();
            let kept = client.prepare_typed_cached(&statement.text, &types).await?;
            return client.query(&kept, &values).await;
        }
        client.query_typed(&statement.text, &parameters).await
    }

    /// A connection, within the time, to a server that may be starting.
    pub(super) async fn connect_patiently(&self, deadline: Instant) -> Result<Client, Problem> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.connection(deadline).await {
                Err(Problem::Away { .. } | Problem::Busy { .. }) if Instant::now() + pause < deadline => {}
                outcome => return outcome,
            }
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// That time has run out.
    pub(super) fn too_slow(&self) -> Problem {
        self.names.away(&format!("no answer within {} ms", self.timeout.as_millis()))
    }

    async fn connection(&self, deadline: Instant) -> Result<Client, Problem> {
        match timeout_at(deadline, self.pool.get()).await {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)))) => {
                Err(self.names.refused(&error))
            }
            Ok(Err(error)) => Err(self.names.away(&error.to_string())),
            Err(_) => Err(self.too_slow()),
        }
    }

    /// Leaves a connection whose answer nobody waits for, and tells the server. A timeout of the
    /// server's own would have to be set in the session, which a pooler gives to others.
    async fn abandon(&self, client: Client) {
        let client = Object::take(client);
        let told = client.cancel_token();
        // If it cannot be told, the statement ends by itself.
        let _ = timeout(CANCEL_PATIENCE, told.cancel_query(self.tls.clone())).await;
    }
}

/// What happens once with each new connection.
fn begin(sessions: Sessions) -> Hook {
    Hook::async_fn(move |client: &mut ClientWrapper, _| {
        let sessions = sessions.clone();
        Box::pin(async move { sessions.begin(client).await.map_err(HookError::Backend) })
    })
}

impl Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("names", &self.names)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
