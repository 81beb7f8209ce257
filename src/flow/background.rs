//! Work that continues after its request was answered.

use std::{fmt::Display, time::Duration};

use tokio::{sync::oneshot, time::timeout};
use tokio_util::task::TaskTracker;

use crate::audit::Context;

/// Tasks that outlive their requests. The daemon waits for them before it stops.
#[derive(Debug, Clone, Default)]
pub(super) struct Background(TaskTracker);

impl Background {
    /// Starts a task and returns its outcome if it comes within `patience`. Otherwise the task continues, and
    /// a failure is logged.
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
        // Boxed: otherwise the task has room for it twice, before and while it runs.
        let work = Box::pin(work);
        let work = async move {
            if let Err(Err(error)) = sender.send(work.await) {
                tracing::warn!(%error, "work that was to be finished later has failed");
            }
        };
        self.0.spawn(Context::current().scope(work));
        timeout(patience, receiver).await.ok()?.ok()
    }

    /// Returns when all tasks have ended.
    pub(super) async fn finish(&self) {
        self.0.close();
        self.0.wait().await;
    }
}
