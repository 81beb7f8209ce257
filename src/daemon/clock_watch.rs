//! Compares this machine's clock with the upstream's. With a wrong clock, tokens expire too early or too late.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use url::Url;

use super::run::every;
use crate::{
    clock::Clock,
    fetch::{Fetch, Sender},
    upstream::skew::{Severity, Skew},
};

/// How often to compare; each time costs one small request.
const PERIOD: Duration = Duration::from_mins(10);

/// Logs a warning when the clocks differ.
#[derive(Debug)]
pub struct ClockWatch {
    pub(super) upstream: Url,
    pub(super) fetch: Fetch,
    pub(super) clock: Arc<dyn Clock>,
}

impl ClockWatch {
    /// Compares the clocks regularly until `stop`.
    pub async fn keep(self, stop: CancellationToken) {
        let mut ticks = every(PERIOD);
        loop {
            let look = async {
                ticks.tick().await;
                self.look().await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = look => {}
            }
        }
    }

    async fn look(&self) {
        let answer = match self.fetch.get(&self.upstream, Sender::Anonymous).await {
            Ok(answer) => answer,
            Err(error) => return tracing::debug!(%error, "cannot read the upstream's clock"),
        };
        let Some(skew) = Skew::of(&answer, self.clock.now()) else { return };
        let Skew { seconds, .. } = skew;
        let direction = skew.direction();
        match skew.severity() {
            Severity::Harmless => {}
            Severity::Notable => tracing::warn!(
                seconds,
                direction,
                "this machine's clock differs from the upstream's: some MCP servers refuse new tokens"
            ),
            Severity::Fatal => tracing::error!(
                seconds,
                direction,
                "this machine's clock differs from the upstream's: tokens expire too early or too late. Set the clock"
            ),
        }
    }
}
