//! Ctrl-C during set-up: nothing stays behind, unless everything was written already.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::termios::{self, OptionalActions, Termios};
use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

use crate::cli::{
    failure::{Exit, Failure},
    output,
};

const WORDS: &str = "interrupted; nothing was written";

/// Whether the user wants to quit. The program then exits with 130: at once, or while files are written, after
/// they were removed again. Once everything is written, an interruption has no effect.
#[derive(Debug, Clone, Default)]
pub(super) struct Interruption {
    is_wanted: Arc<AtomicBool>,
    is_written: Arc<Mutex<bool>>,
}

impl Interruption {
    /// Listens for Ctrl-C, SIGTERM and the hangup of the terminal. Restores the terminal if a question had
    /// disabled its echo.
    pub(super) fn listen(&self, runtime: &Runtime) -> Result<(), Failure> {
        let _inside = runtime.enter();
        let before = termios::tcgetattr(io::stdin()).ok();
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        for kind in kinds {
            let coming = signal(kind)
                .map_err(|error| Failure::new(Exit::Failed, format!("cannot listen for signals: {error}")))?;
            runtime.spawn(self.clone().leave_on(coming, before.clone()));
        }
        Ok(())
    }

    async fn leave_on(self, mut coming: Signal, before: Option<Termios>) {
        coming.recv().await;
        self.is_wanted.store(true, Ordering::SeqCst);
        if *self.is_written.lock().unwrap_or_else(PoisonError::into_inner) {
            return;
        }
        if let Some(before) = &before {
            let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
        output::end_line();
        output::complain(&Self::failure());
        std::process::exit(i32::from(Exit::Interrupted as u8));
    }

    /// Begins to write. An interruption waits until the guard is dropped; it is ignored if the guard was set to
    /// `true`.
    pub(super) fn writing(&self) -> MutexGuard<'_, bool> {
        self.is_written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails if the user wants to quit.
    pub(super) fn stop_if_wanted(&self) -> Result<(), Failure> {
        if self.is_wanted.load(Ordering::SeqCst) { Err(Self::failure()) } else { Ok(()) }
    }

    pub(super) fn failure() -> Failure {
        Failure::new(Exit::Interrupted, WORDS)
    }
}
