//! Gets documents at URLs that strangers choose. Such a request could make this server reach what only it can reach
//! (server-side request forgery), or tie up its memory, its time and its file descriptors.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use reqwest::{
    Client, Method,
    dns::{Addrs, Name, Resolve, Resolving},
};
use tokio::{sync::Semaphore, task::spawn_blocking};
use url::{Host, Url};

use super::{Answer, FetchError, NoAuthorities, answer_to, careful, special_use::is_allowed, tls};

/// Longest time to connect, name resolution included.
const CONNECT: Duration = Duration::from_secs(3);
/// Names that are looked up at the same time. Each takes a thread of those for blocking work, which are 512.
const MOST_LOOKUPS: usize = 64;
/// Longest time to a complete answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum PublicSetupError {
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] reqwest::Error),
    /// The file with the certificate authorities cannot be used.
    #[error("no certificate can be read from {}: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
}

/// An HTTP client for public `https` URLs. It follows no redirect, uses no proxy, keeps no connection and sends no
/// credentials. It connects only to addresses that it has checked.
#[derive(Debug, Clone)]
pub struct PublicFetch {
    client: Client,
    private_networks: PrivateNetworks,
    no_authorities: Option<NoAuthorities>,
}

/// Networks that may be reached although they are not public.
#[derive(Debug, Clone)]
struct PrivateNetworks(Arc<[IpNet]>);

/// Resolves names with the system's resolver, and refuses a name if one of its addresses is not allowed. The connection
/// uses the checked addresses.
struct Resolver {
    private_networks: PrivateNetworks,
    /// Each look-up holds a thread until the system ends it, even after the request has timed out.
    lookups: Arc<Semaphore>,
}

impl PublicFetch {
    /// `private_networks` may be reached although they are not public. `ca_file` has the certificate authorities to
    /// trust instead of those of this machine.
    ///
    /// # Errors
    ///
    /// When `ca_file` cannot be read, or the client cannot be built.
    pub fn new(private_networks: &[IpNet], ca_file: Option<&Path>) -> Result<Self, PublicSetupError> {
        let (tls, no_authorities) = match ca_file {
            None => tls::config(),
            Some(path) => {
                let unusable = |reason| PublicSetupError::CaFile { path: path.to_owned(), reason };
                (tls::config_with(path).map_err(unusable)?, None)
            }
        };
        let private_networks = PrivateNetworks(private_networks.into());
        let client = careful(TIMEOUT, &tls)
            .connect_timeout(CONNECT)
            .https_only(true)
            .no_proxy()
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(Resolver {
                private_networks: private_networks.clone(),
                lookups: Arc::new(Semaphore::new(MOST_LOOKUPS)),
            }))
            .build()?;
        Ok(Self { client, private_networks, no_authorities })
    }

    /// Checks that a file with certificate authorities can be used.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or has no certificate.
    pub fn check_ca_file(path: &Path) -> Result<(), PublicSetupError> {
        let unusable = |reason| PublicSetupError::CaFile { path: path.to_owned(), reason };
        tls::config_with(path).map(|_| ()).map_err(unusable)
    }

    /// Whether certificates can be verified. Otherwise every fetch fails.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        self.no_authorities.is_none()
    }

    /// Gets a document of the media type `accept`, of at most `largest` bytes.
    ///
    /// # Errors
    ///
    /// When there is no complete answer within five seconds, or it is too large.
    pub async fn get(&self, url: &Url, accept: &'static str, largest: usize) -> Result<Answer, FetchError> {
        let host = url.host_str().unwrap_or_default();
        // The resolver is not asked about addresses.
        let address: Option<IpAddr> = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) | None => None,
        };
        if address.is_some_and(|address| !is_allowed(address, &self.private_networks.0)) {
            return Err(FetchError::Forbidden { host: host.to_owned() });
        }
        if let Some(error) = &self.no_authorities {
            return Err(error.clone().into());
        }
        answer_to(self.client.request(Method::GET, url.clone()), accept, host, TIMEOUT, largest).await
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (networks, lookups) = (Arc::clone(&self.private_networks.0), Arc::clone(&self.lookups));
        Box::pin(async move {
            let found =
                in_turn(lookups, move || (name.as_str(), 0).to_socket_addrs().map(Vec::from_iter)).await?;
            Ok(Box::new(judged(found, &networks)?.into_iter()) as Addrs)
        })
    }
}

/// Runs a look-up on a thread. Its turn ends with the thread's work, not with the caller's patience.
async fn in_turn<T: Send + 'static>(
    lookups: Arc<Semaphore>,
    lookup: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let turn = lookups.acquire_owned().await.map_err(io::Error::other)?;
    let found = spawn_blocking(move || {
        let _turn = turn;
        lookup()
    });
    found.await.map_err(io::Error::other)?
}

fn judged(found: Vec<SocketAddr>, private_networks: &[IpNet]) -> io::Result<Vec<SocketAddr>> {
    if found.iter().all(|found| is_allowed(found.ip(), private_networks)) {
        return Ok(found);
    }
    Err(io::Error::other("the name leads to an address that is not public"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetch(private_networks: &[&str]) -> PublicFetch {
        let networks: Vec<IpNet> = private_networks.iter().map(|net| net.parse().unwrap()).collect();
        PublicFetch::new(&networks, None).unwrap()
    }

    #[tokio::test]
    async fn a_lookup_that_nobody_waits_for_keeps_its_turn_until_it_ends() {
        let (lookups, (end, ended)) = (Arc::new(Semaphore::new(1)), std::sync::mpsc::channel::<()>());
        let hanging = in_turn(Arc::clone(&lookups), move || ended.recv().map_err(io::Error::other));
        assert!(tokio::time::timeout(Duration::from_millis(50), hanging).await.is_err());
        assert_eq!(lookups.available_permits(), 0);
        end.send(()).unwrap();
        in_turn(lookups, || Ok(())).await.unwrap();
    }

    #[tokio::test]
    async fn cimd_4_an_address_in_the_url_is_judged_like_that_of_a_name() {
        for url in [
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://0177.0.0.1/",
            "https://0x7f000001/",
            "https://169.254.169.254/latest",
            "https://10.0.0.1:8443/",
        ] {
            let url = Url::parse(url).unwrap();
            let outcome = fetch(&[]).get(&url, "application/json", 10).await;
            assert!(matches!(outcome, Err(FetchError::Forbidden { .. })), "{url} {outcome:?}");
        }
    }

    #[tokio::test]
    async fn cimd_4_a_name_that_leads_here_is_not_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url =
            Url::parse(&format!("https://localhost:{}/", listener.local_addr().unwrap().port())).unwrap();
        for (networks, connects) in [(&[][..], false), (&["127.0.0.0/8", "::1/128"][..], true)] {
            let accepted =
                async { tokio::time::timeout(Duration::from_secs(1), listener.accept()).await.is_ok() };
            let fetch = fetch(networks);
            let (outcome, accepted) = tokio::join!(fetch.get(&url, "application/json", 10), accepted);
            assert_eq!((outcome.is_err(), accepted), (true, connects), "{networks:?}");
        }
    }

    #[tokio::test]
    async fn cimd_3_only_https_is_spoken() {
        let url = Url::parse("http://127.0.0.1:1/").unwrap();
        assert!(fetch(&["127.0.0.0/8"]).get(&url, "application/json", 10).await.is_err());
    }

    #[test]
    fn cimd_4_one_address_that_is_not_public_is_enough() {
        let found =
            |addresses: [&str; 2]| addresses.map(|ip| SocketAddr::new(ip.parse().unwrap(), 443)).to_vec();
        assert_eq!(judged(found(["1.1.1.1", "2606:4700::1111"]), &[]).unwrap().len(), 2);
        assert!(judged(found(["1.1.1.1", "10.0.0.1"]), &[]).is_err());
        assert!(judged(found(["::1", "1.1.1.1"]), &[]).is_err());
        let networks = ["10.0.0.0/8".parse().unwrap()];
        assert!(judged(found(["1.1.1.1", "10.0.0.1"]), &networks).is_ok());
    }
}
