//! Work that goes on when the request that began it has been answered.

use std::{fmt::Display, time::Duration};

use tokio::{sync::oneshot, time::timeout};
use tokio_util::task::TaskTracker;

use crate::audit::Context;

/// Work that must be finished after its request. The daemon waits for it before it stops.
#[derive(Debug, Clone, Default)]
pub(super) struct Background(TaskTracker);

impl Background {
    /// Begins some work. Its outcome, if it comes within `patience`; otherwise the work goes on, and a
    /// failure is logged.
    pub(super) async fn within<T, E>(
        &self,
        patience: Duration,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Option<Result<T, E>>
    where
        T: Send + 'static,
        E: Display + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let work = async move {
            if let Err(Err(error)) = sender.send(work.await) {
                tracing::warn!(%error, "work that was to be finished later has failed");
            }
        };
        self.0.spawn(Context::current().scope(work));
        timeout(patience, receiver).await.ok()?.ok()
    }

    /// Returns when all work is done.
    pub(super) async fn finish(&self) {
        self.0.close();
        self.0.wait().await;
    }
}
