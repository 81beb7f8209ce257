//! Limits of simultaneous connections: in total and per network.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::web::{Network, TrustedProxies};

/// Maximum number of connections. Further ones wait in the listener's queue.
const MOST: usize = 8192;
/// Open files reserved for everything else: database, upstream, listeners and logs.
const RESERVE: usize = 256;
/// One network may use one eighth of the connections.
const SHARE: usize = 8;

/// The connections of all listeners that share these limits.
#[derive(Debug, Clone)]
pub struct Connections {
    free: Arc<Semaphore>,
    most: usize,
    networks: Arc<Networks>,
}

#[derive(Debug)]
struct Networks {
    /// Reverse proxies, which are exempt because they forward requests of many networks.
    proxies: TrustedProxies,
    most: usize,
    open: Mutex<HashMap<Network, usize>>,
}

/// An open connection. It counts until its last request has finished.
#[derive(Debug)]
pub(super) struct Place {
    _free: OwnedSemaphorePermit,
    network: Option<Network>,
    networks: Arc<Networks>,
}

impl Connections {
    /// Limits for a process that may open this many `files`. Trusted proxies and programs on this machine may use
    /// all connections.
    #[must_use]
    pub fn within(files: u64, proxies: TrustedProxies) -> Self {
        let files = usize::try_from(files).unwrap_or(usize::MAX);
        let most = files.saturating_sub(RESERVE.min(files / 2)).clamp(1, MOST);
        let networks = Networks { proxies, most: most.div_ceil(SHARE), open: Mutex::default() };
        Self { free: Arc::new(Semaphore::new(most)), most, networks: Arc::new(networks) }
    }

    /// Warns if the operating system allows fewer connections than the daemon can serve.
    pub(super) fn warn_if_few(&self) {
        if self.most < MOST {
            tracing::warn!(
                connections = self.most,
                "the limit of open files is low: raise it to {} (LimitNOFILE= in systemd, ulimit -n in a shell) \
                 for {MOST} connections",
                MOST + RESERVE
            );
        }
    }

    /// Waits until another connection is allowed.
    pub(super) async fn free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Registers a connection from `peer`; `None` if its network has used up its share.
    pub(super) fn place(&self, free: OwnedSemaphorePermit, peer: IpAddr) -> Option<Place> {
        let networks = Arc::clone(&self.networks);
        let shared = peer.to_canonical().is_loopback() || networks.proxies.trusts(peer.to_canonical());
        let network = (!shared).then(|| Network::of(peer));
        if let Some(network) = network {
            let mut open = networks.open();
            let count = open.entry(network).or_default();
            if *count >= networks.most {
                return None;
            }
            *count += 1;
        }
        Some(Place { _free: free, network, networks })
    }
}

impl Networks {
    fn open(&self) -> MutexGuard<'_, HashMap<Network, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(network) = self.network else { return };
        let mut open = self.networks.open();
        if let Some(count) = open.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn place(connections: &Connections, peer: &str) -> Option<Place> {
        let free = connections.free().await.unwrap();
        connections.place(free, peer.parse().unwrap())
    }

    async fn taken(connections: &Connections, peer: &str) -> Vec<Place> {
        let mut taken = Vec::new();
        while connections.free.available_permits() > 0
            && let Some(place) = place(connections, peer).await
        {
            taken.push(place);
        }
        taken
    }

    #[tokio::test]
    async fn one_network_cannot_take_every_connection() {
        let proxies = TrustedProxies(vec!["10.0.0.0/8".parse().unwrap()]);
        let connections = Connections::within(1024, proxies);
        let first = taken(&connections, "203.0.113.9").await;
        assert_eq!(first.len(), 96);
        assert!(place(&connections, "::ffff:203.0.113.9").await.is_none(), "another spelling");
        let neighbours = taken(&connections, "2001:db8::1").await;
        assert!(place(&connections, "2001:db8::2").await.is_none(), "the same network");
        assert!(place(&connections, "203.0.113.10").await.is_some());
        drop(first);
        assert!(place(&connections, "203.0.113.9").await.is_some(), "a closed connection no longer counts");
        drop(neighbours);
        assert!(connections.networks.open().is_empty());
        for many in ["10.1.2.3", "::ffff:10.1.2.3", "127.0.0.1", "::1"] {
            assert_eq!(taken(&connections, many).await.len(), 768, "{many}");
        }
    }

    #[test]
    fn connections_leave_files_for_everything_else() {
        for (files, most) in
            [(0, 1), (1, 1), (100, 50), (512, 256), (1024, 768), (8448, 8192), (u64::MAX, 8192)]
        {
            assert_eq!(Connections::within(files, TrustedProxies::default()).most, most, "{files}");
        }
    }
}
