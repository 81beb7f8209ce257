//! The connections, and what happens to a statement when a connection breaks.

use std::{
    fmt::{self, Debug},
    time::Duration,
};

use deadpool_postgres::{
    Client, ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod,
    Runtime,
};
use tokio::time::{Instant, timeout, timeout_at};
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
use crate::repository::{
    self, RepositoryError,
    retry::{self, Answer, Pauses, Repeat, Tries},
};

/// How long telling the server to cancel a statement may take.
const CANCEL_PATIENCE: Duration = Duration::from_millis(500);

/// A pool of connections to one database.
pub(super) struct Connections {
    pool: Pool,
    sessions: Sessions,
    tls: MakeRustlsConnect,
    names: Names,
    timeout: Duration,
}

/// Why a statement has no answer.
pub(super) type Failure = retry::Failure<String>;

impl Failure {
    /// Judges a failed statement. The server reports an error only after rolling back; a session that ends in
    /// another way may have committed.
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
            // The prepared statement is outdated by a change of the table, or is gone.
            | SqlState::FEATURE_NOT_SUPPORTED
            | SqlState::INVALID_SQL_STATEMENT_NAME => Self::NotNow(reason),
            SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => Self::Refused(format!(
                "the server reports damaged data, restore it from a backup: {reason}"
            )),
            _ => Self::Refused(reason),
        }
    }

    /// Judges a failed connection of a running daemon.
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
        failure.unavailable()
    }
}

impl Connections {
    /// Makes the pool. Connections are opened when they are needed.
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

    /// The names for error messages.
    pub(super) const fn names(&self) -> &Names {
        &self.names
    }

    /// The deadline of a request that begins now.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Runs a statement, repeatedly while `repeat` and the deadline allow.
    pub(super) async fn run(
        &self,
        statement: &Statement<'_>,
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<Answer<Vec<Row>>, Failure> {
        let mut tries = Tries::new(repeat, deadline);
        loop {
            match self.attempt(statement, deadline).await {
                Ok(rows) => return Ok(tries.answered(rows)),
                Err(failure) => tries.after(failure).await?,
            }
        }
    }

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
                    // It broke, or its server changed its role.
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

    /// One round trip: the statements that a session keeps were prepared when it began.
    async fn ask(&self, client: &Client, statement: &Statement<'_>) -> Result<Vec<Row>, Error> {
        let parameters = statement.parameters();
        if statement.plan == Plan::Once && self.sessions.are_own() {
            let (values, types): (Vec<_>, Vec<_>) = parameters.into_iter().unzip();
            let kept = client.prepare_typed_cached(&statement.text, &types).await?;
            return client.query(&kept, &values).await;
        }
        client.query_typed(&statement.text, &parameters).await
    }

    /// A connection to a server that may still be starting.
    pub(super) async fn connect_patiently(&self, deadline: Instant) -> Result<Client, Problem> {
        let mut pauses = Pauses::until(deadline);
        loop {
            match self.connection(deadline).await {
                Err(problem @ (Problem::Away { .. } | Problem::Busy { .. })) => {
                    if !pauses.wait().await {
                        return Err(problem);
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// The deadline has passed.
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

    /// Drops a connection that still waits for an answer, and cancels the statement. `statement_timeout` would
    /// change the session, which a pooler shares with others.
    async fn abandon(&self, client: Client) {
        let client = Object::take(client);
        let told = client.cancel_token();
        // If the server cannot be told, the statement runs to its end.
        let _ = timeout(CANCEL_PATIENCE, told.cancel_query(self.tls.clone())).await;
    }
}

/// Prepares each new connection.
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
