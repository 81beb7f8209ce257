//! Ctrl-C, and the line after which it comes too late.

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

/// What somebody who leaves is told.
const WORDS: &str = "interrupted; nothing was written";

/// Whether somebody wants to leave. It ends the program with 130 at once or, while files are written,
/// when what was written is taken back; once all is written, it is too late.
#[derive(Debug, Clone, Default)]
pub(super) struct Interruption {
    is_wanted: Arc<AtomicBool>,
    is_written: Arc<Mutex<bool>>,
}

impl Interruption {
    /// Listens for Ctrl-C, the end of the terminal and SIGTERM. The terminal gets back what a hidden
    /// question took from it.
    pub(super) fn listen(&self, runtime: &Runtime) -> Result<(), Failure> {
        let _inside = runtime.enter();
        let before = termios::tcgetattr(io::stdin()).ok();
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        for kind in kinds {
            let coming = signal(kind).map_err(|error| {
                Failure::new(Exit::Failed, format!("signals cannot be listened for: {error}"))
            })?;
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

    /// Begins to write: whoever wants to leave waits until the guard is gone, and leaves nothing
    /// behind unless `true` was put into it.
    pub(super) fn writing(&self) -> MutexGuard<'_, bool> {
        self.is_written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what is being written shall be taken back.
    pub(super) fn stop_if_wanted(&self) -> Result<(), Failure> {
        if self.is_wanted.load(Ordering::SeqCst) { Err(Self::failure()) } else { Ok(()) }
    }

    /// How an interrupted set-up ends.
    pub(super) fn failure() -> Failure {
        Failure::new(Exit::Interrupted, WORDS)
    }
}
