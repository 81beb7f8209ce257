//! The daemon's day: it serves, and beside that keeps its house and its right to write.

use std::{sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Assembled, DRAIN, Lease, serve_measured};
use crate::{
    flow::AuthorizationServer,
    sealing::{SealingWatch, reseal},
    telemetry::Metrics,
};

/// Serves and keeps the house until `stop`; then requests in flight finish, and what was held for
/// this process alone is given back.
pub async fn run(
    assembled: Assembled,
    listeners: Vec<TcpListener>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let Assembled { server, router, connections, sealing, clock, leases, .. } = assembled;
    connections.warn_if_few();
    // Requests in flight may still write after the signal to stop.
    let silent = CancellationToken::new();
    let mut beside = JoinSet::new();
    if !leases.is_empty() {
        beside.spawn(Lease::keep_all(leases, silent.clone()));
    }
    beside.spawn(clock.keep(stop.clone()));
    beside.spawn(keep_house(Arc::clone(&server), sealing, stop.clone()));
    serve_measured(listeners, router, connections, metrics, stop).await;
    if timeout(DRAIN, server.finish()).await.is_err() {
        tracing::warn!("what the upstream still had to say of sessions was not waited for");
    }
    silent.cancel();
    while beside.join_next().await.is_some() {}
}

/// Expired records go, keys that another process made are published here, too, the next one is made
/// when it is due, and sealing keys take their turns.
async fn keep_house(server: Arc<AuthorizationServer>, sealing: SealingWatch, stop: CancellationToken) {
    let mut purge = every(Duration::from_mins(1));
    let mut reload = every(Duration::from_secs(30));
    let mut resealing = JoinSet::new();
    if server.sealer().has_others() {
        resealing.spawn(reseal(Arc::clone(&server)));
    }
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = purge.tick() => {
                while matches!(server.purge().await, Ok(purged) if purged > 0) {
                    tokio::task::yield_now().await;
                }
                if let Err(error) = server.bound_registrations().await {
                    tracing::warn!(%error, "unused registrations cannot be counted or evicted");
                }
            },
            _ = reload.tick() => {
                if sealing.look(&server).await {
                    resealing.abort_all();
                    resealing.spawn(reseal(Arc::clone(&server)));
                }
                if let Err(error) = server.keep_keys().await {
                    tracing::warn!(%error, "the signing keys cannot be read again or rotated");
                }
            },
        }
    }
}

/// Ticks with a whole period between them, however long what they begin takes.
pub(super) fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
