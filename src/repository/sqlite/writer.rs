//! The writing thread, which commits all waiting writes together.

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

/// Most writes in one transaction.
const MAX_BATCH: usize = 256;

/// Most writes in the queue. Further callers wait.
const MAX_WAITING: usize = 1024;

/// The queue to the writing thread. Dropping it ends the thread after a last commit.
pub(super) struct Writer {
    queue: Option<Sender<Box<dyn Job>>>,
    thread: Option<thread::JoinHandle<()>>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    /// Starts the thread, which owns the connection.
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

    /// Makes a change, and returns when it is on the disk. Once queued, the change is made even if the caller no longer
    /// waits.
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
            // The thread panicked or ended.
            let _ = thread.join();
        }
    }
}

impl Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("commits", &self.commits).finish_non_exhaustive()
    }
}

/// A waiting write. It is answered after the commit.
trait Job: Send {
    /// Runs in the transaction. The error is about the file, not about the change.
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
        // The caller may no longer wait.
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
                // If this fails, the next BEGIN fails too.
                let _ = execute(&connection, "ROLLBACK");
            }
            Err(_) => {}
        }
        if committed.as_ref().is_err_and(is_damage)
            && let Ok(fresh) = open::again(&path)
        {
            // The old connection has cached pages.
            connection = fresh;
        }
        for job in batch.drain(..) {
            job.answer(&committed);
        }
    }
}

/// Runs all jobs in one transaction. A failed job undoes only its own statement. An error that ends the transaction,
/// such as a full disk, and a damaged file fail all jobs.
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

/// Whether an error is about the file.
fn is_damage(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn execute(connection: &Connection, statement: &str) -> Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(|_| ())
}
