//! Connections for reading.

use std::{
    num::NonZeroUsize,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::available_parallelism,
    time::Duration,
};

use rusqlite::{Connection, Result};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{failure, open, stopped};
use crate::repository;

/// How long a read on a blocking thread waits for a busy file.
const PATIENCE: Duration = Duration::from_secs(5);

/// Most reads on blocking threads at once.
const ELSEWHERE: usize = 4;

/// The idle reading connections to one file. There are as many as threads read at the same time.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    keep: usize,
    elsewhere: Semaphore,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        let keep = available_parallelism().map_or(1, NonZeroUsize::get) + ELSEWHERE;
        Self { path, idle: Mutex::default(), keep, elsewhere: Semaphore::new(ELSEWHERE) }
    }

    /// Reads on this thread. A busy file is an immediate error.
    pub(super) fn read_now<T>(&self, query: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.read(Duration::ZERO, query)
    }

    /// Reads on a blocking thread.
    pub(super) async fn read_elsewhere<T: Send + 'static>(
        readers: &Arc<Self>,
        query: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> repository::Result<T> {
        let _turn = readers.elsewhere.acquire().await.map_err(|_| stopped())?;
        let readers = Arc::clone(readers);
        let outcome = spawn_blocking(move || readers.read(PATIENCE, query)).await.map_err(|_| stopped())?;
        outcome.map_err(|error| failure(&error))
    }

    /// A connection that failed is closed.
    fn read<T>(&self, patience: Duration, query: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = idle.map_or_else(|| open::for_reading(&self.path, patience), Ok)?;
        connection.busy_timeout(patience)?;
        let found = query(&connection)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.keep {
            idle.push(connection);
        }
        Ok(found)
    }
}
