//! Runs a daemon: it serves, maintains its records and keys, and keeps its write lease.

use std::{sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Assembled, DRAIN, Lease, accept_all};
use crate::{
    flow::AuthorizationServer,
    sealing::{SealingWatch, reseal},
    telemetry::Metrics,
};

/// Serves until `stop`. Then requests in flight finish, and the write leases are released.
pub async fn run(
    assembled: Assembled,
    listeners: Vec<TcpListener>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    run_then(assembled, listeners, metrics, stop, async {}).await;
}

/// The same; `ready` runs once connections are accepted.
pub(crate) async fn run_then(
    assembled: Assembled,
    listeners: Vec<TcpListener>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    ready: impl Future<Output = ()>,
) {
    let Assembled { server, router, connections, sealing, clock, leases, .. } = assembled;
    connections.warn_if_few();
    // Requests in flight may still write after the signal to stop.
    let silent = CancellationToken::new();
    let mut background = JoinSet::new();
    if !leases.is_empty() {
        background.spawn(Lease::keep_all(leases, silent.clone()));
    }
    background.spawn(clock.keep(stop.clone()));
    background.spawn(maintain(Arc::clone(&server), sealing, stop.clone()));
    let mut accepting = accept_all(listeners, &router, &connections, &metrics, &stop);
    tokio::select! {
        () = ready => {}
        () = stop.cancelled() => {}
    }
    while accepting.join_next().await.is_some() {}
    if timeout(DRAIN, server.finish()).await.is_err() {
        tracing::warn!("stopped before the upstream answered every pending session check");
    }
    silent.cancel();
    while background.join_next().await.is_some() {}
}

/// Deletes expired records, publishes the signing keys that other processes created, rotates signing keys
/// when they are due, and switches to new sealing keys.
async fn maintain(server: Arc<AuthorizationServer>, sealing: SealingWatch, stop: CancellationToken) {
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
                    tracing::warn!(%error, "cannot count or evict unused registrations");
                }
            },
            _ = reload.tick() => {
                if sealing.look(&server).await {
                    resealing.abort_all();
                    resealing.spawn(reseal(Arc::clone(&server)));
                }
                if let Err(error) = server.keep_keys().await {
                    tracing::warn!(%error, "cannot reload or rotate the signing keys");
                }
            },
        }
    }
}

/// Ticks with at least one period between them, however long the work of a tick takes.
pub(super) fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
