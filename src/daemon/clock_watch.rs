//! Compares this machine's clock with the upstream's while the daemon runs. Tokens of a clock that is wrong
//! are expired when they are issued, or live on when they should have ended.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use url::Url;

use super::house::every;
use crate::{
    clock::Clock,
    fetch::{Fetch, Sender},
    upstream::skew::{Severity, Skew},
};

/// How often they are compared. One small answer each.
const PERIOD: Duration = Duration::from_mins(10);

/// Knows where the upstream is and what time it is here.
#[derive(Debug)]
pub struct ClockWatch {
    pub(super) upstream: Url,
    pub(super) fetch: Fetch,
    pub(super) clock: Arc<dyn Clock>,
}

impl ClockWatch {
    /// Compares the clocks now and again until `stop`.
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
            Err(error) => return tracing::debug!(%error, "the upstream's clock cannot be read"),
        };
        let Some(skew) = Skew::of(&answer, self.clock.now()) else { return };
        let Skew { seconds, .. } = skew;
        let direction = skew.direction();
        match skew.severity() {
            Severity::Harmless => {}
            Severity::Notable => tracing::warn!(
                seconds,
                direction,
                "this machine's clock differs from the upstream's: some MCP servers will refuse fresh tokens"
            ),
            Severity::Fatal => tracing::error!(
                seconds,
                direction,
                "this machine's clock differs from the upstream's: tokens expire too early or too late. Set the clock"
            ),
        }
    }
}
