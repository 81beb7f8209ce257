//! The one thread that writes, and commits together what waits together.

use std::{
    fmt::{self, Debug},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use rusqlite::{Connection, Error, ErrorCode, Result};
use tokio::sync::{
    mpsc::{self, Receiver, Sender},
    oneshot,
};

use super::{
    failure,
    open::{self, Opened},
    stopped,
};
use crate::repository::{self, RepositoryError};

/// How many writes one transaction holds at most.
const MAX_BATCH: usize = 256;

/// How many writes may wait; further callers wait for a place.
const MAX_WAITING: usize = 1024;

/// The way to the writing thread. Dropping it ends the thread, which first commits what waits.
pub(super) struct Writer {
    queue: Option<Sender<Box<dyn Job>>>,
    thread: Option<thread::JoinHandle<()>>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    /// Starts the thread; it owns the connection from here on.
    pub(super) fn start(opened: Opened) -> repository::Result<Self> {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        let commits = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&commits);
        let thread = thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || run(opened, waiting, &counter))
            .map_err(|error| RepositoryError::Unavailable(error.to_string()))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), commits })
    }

    /// Makes a change and answers when it is on the disk. Once queued it is made, whether or not
    /// the caller still waits.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> repository::Result<T> {
        let (reply, answer) = oneshot::channel();
        let call = Call { change: Some(change), outcome: None, reply };
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(Box::new(call)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // It panicked or it ended: gone either way.
            let _ = thread.join();
        }
    }
}

impl Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("commits", &self.commits).finish_non_exhaustive()
    }
}

/// One waiting write: made in the transaction, answered after it.
trait Job: Send {
    /// What it met, if it is the file and not the change.
    fn run(&mut self, connection: &Connection) -> Result<()>;
    fn answer(self: Box<Self>, committed: &Result<()>);
}

struct Call<F, T> {
    change: Option<F>,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<repository::Result<T>>,
}

impl<F, T> Job for Call<F, T>
where
    F: FnOnce(&Connection) -> Result<T> + Send,
    T: Send,
{
    fn run(&mut self, connection: &Connection) -> Result<()> {
        let outcome = self.change.take().map(|change| change(connection));
        match outcome {
            Some(Err(error)) if is_damage(&error) => Err(error),
            outcome => {
                self.outcome = outcome;
                Ok(())
            }
        }
    }

    fn answer(self: Box<Self>, committed: &Result<()>) {
        let outcome = match (committed, self.outcome) {
            (Err(error), _) => Err(failure(error)),
            (Ok(()), Some(outcome)) => outcome.map_err(|error| failure(&error)),
            (Ok(()), None) => Err(stopped()),
        };
        // A caller that has left wants no answer.
        let _ = self.reply.send(outcome);
    }
}

fn run(opened: Opened, mut waiting: Receiver<Box<dyn Job>>, commits: &AtomicU64) {
    let Opened { path, mut connection } = opened;
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while waiting.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
        let committed = commit(&connection, &mut batch);
        match &committed {
            Ok(()) => {
                commits.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) if !connection.is_autocommit() => {
                // If even this fails, the next BEGIN says so.
                let _ = execute(&connection, "ROLLBACK");
            }
            Err(_) => {}
        }
        if committed.as_ref().is_err_and(is_damage)
            && let Ok(fresh) = open::again(&path)
        {
            // The old one remembers what it has read.
            connection = fresh;
        }
        for job in batch.drain(..) {
            job.answer(&committed);
        }
    }
}

/// All jobs in one transaction. One that fails undoes its own statement and leaves the others
/// alone; an error that ends the transaction (a full disk, say), and a damaged file, ends it for all.
fn commit(connection: &Connection, batch: &mut [Box<dyn Job>]) -> Result<()> {
    execute(connection, "BEGIN IMMEDIATE")?;
    for job in batch {
        if connection.is_autocommit() {
            break;
        }
        job.run(connection)?;
    }
    execute(connection, "COMMIT")
}

/// Whether an error is of the file.
fn is_damage(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn execute(connection: &Connection, statement: &str) -> Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(|_| ())
}
