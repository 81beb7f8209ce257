//! Assembles a daemon from a configuration, and runs it until a stop signal.
//!
//! [`assemble_with`] takes a repository of your own, [`assemble`] opens the configured one; [`listen`] and
//! [`run`] serve it. `docs/custom-repository.md` has a complete example.

mod clock_watch;
mod connections;
mod lease;
mod one_writer;
mod original_clients;
mod process;
mod run;
mod settings;
mod storage;
mod tenure;

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    client_documents::ClientDocuments,
    clock::Clock,
    config::Config,
    fetch::{Fetch, NoAuthorities, PublicFetch, PublicSetupError},
    flow::{AuthorizationServer, Foundations},
    keys::{KeyError, Keys},
    repository::{Repository, RepositoryError},
    sealing::SealingWatch,
    secret::{Random, Sealer},
    telemetry::Metrics,
    upstream::pangea::Pangea,
    web::{self, Endpoint, Peer, Router, TrustedProxies, Web},
};

#[doc(hidden)]
pub use self::{
    clock_watch::ClockWatch, connections::Connections, lease::Lease, one_writer::OneWriter, tenure::Tenure,
};
use self::{
    connections::Place,
    settings::{pangea_settings, settings, web_settings},
    storage::{Opened, guarded, open_for_daemon},
};
pub(crate) use self::{
    process::prepare_process,
    run::run_then,
    storage::{connect_vault, describe, open_repository_for, rehearse_repository},
};
pub use self::{run::run, storage::open_repository};

/// How long a client may take to send the head of a request, and how long a connection may idle.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// Maximum size of the head of a request. Request lines of 8000 octets (RFC 9112 section 3) and long tokens fit.
const LARGEST_HEAD: usize = 64 * 1024;
/// How long requests in flight may take after the signal to stop.
const DRAIN: Duration = Duration::from_secs(30);

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The repository cannot be opened.
    #[error("{0}")]
    Repository(#[from] RepositoryError),
    /// The signing keys cannot be read or decrypted.
    #[error("{0}")]
    Keys(#[from] KeyError),
    /// The directory of a database cannot be created.
    #[error("{key}: cannot create the directory {folder}: {error}")]
    Folder {
        /// The configuration key of the database.
        key: String,
        /// The directory.
        folder: String,
        /// The cause.
        error: io::Error,
    },
    /// A database file cannot be opened.
    #[error("{key}: {error}")]
    Database {
        /// The configuration key of the database.
        key: String,
        /// The cause.
        error: RepositoryError,
    },
    /// The metadata cannot be written as JSON.
    #[error("the metadata cannot be written: {0}")]
    Metadata(#[from] serde_json::Error),
    /// TLS for outgoing connections cannot be set up.
    #[error("cannot set up TLS for outgoing connections: {0}")]
    Tls(String),
    /// Client metadata documents cannot be fetched as configured.
    #[error("client_documents: {0}")]
    ClientDocuments(#[from] PublicSetupError),
    /// An `https` URL is configured, but this machine has no certificate authorities.
    #[error("{0}")]
    NoAuthorities(#[from] NoAuthorities),
    /// An address is in use, or does not belong to this machine.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
}

/// An authorization server that is ready to run.
#[derive(Debug)]
pub struct Assembled {
    /// The use cases, for tests.
    #[doc(hidden)]
    pub server: Arc<AuthorizationServer>,
    /// The routes of the public listeners.
    pub router: Router,
    /// Only `/healthz` and `/readyz`, for the admin listener.
    pub health: Router,
    /// Limits of simultaneous connections.
    #[doc(hidden)]
    pub connections: Connections,
    /// Reloads the sealing keys.
    #[doc(hidden)]
    pub sealing: SealingWatch,
    /// Compares this machine's clock with the upstream's.
    #[doc(hidden)]
    pub clock: ClockWatch,
    /// The write leases; none where several daemons may write.
    #[doc(hidden)]
    pub leases: Vec<Lease>,
}

impl Assembled {
    /// Releases the write leases of a daemon that will not run after all, so that the next one need not wait
    /// until they expire.
    pub async fn abandon(self) {
        for lease in self.leases {
            lease.give_back().await;
        }
    }
}

/// Builds the daemon that a configuration describes. It does not listen yet.
///
/// # Errors
///
/// If the repository or the keys cannot be used.
pub async fn assemble(
    config: &Config,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> Result<Assembled, StartError> {
    let opened = open_for_daemon(&config.repository, &clock).await?;
    let tenure = Tenure::new(&*random);
    assemble_on(config, opened, tenure, clock, random).await
}

/// Like [`assemble`], with a lock file in `folder`, so that this daemon need not wait for the write lease of one
/// that was killed on this machine.
///
/// # Errors
///
/// If the repository or the keys cannot be used.
pub async fn assemble_in(
    folder: &Path,
    config: &Config,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> Result<Assembled, StartError> {
    let opened = open_for_daemon(&config.repository, &clock).await?;
    let tenure = if opened.writers.is_empty() {
        Tenure::new(&*random)
    } else {
        Tenure::in_folder(folder, &describe(&config.repository), &*random)
    };
    assemble_on(config, opened, tenure, clock, random).await
}

/// Like [`assemble`], with a repository of your own. The section `[repository]` is ignored.
///
/// # Errors
///
/// If the repository or the keys cannot be used.
pub async fn assemble_with(
    config: &Config,
    repository: Arc<dyn Repository>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> Result<Assembled, StartError> {
    let mut writers = Vec::new();
    let repository = guarded(repository, &clock, &mut writers);
    let tenure = Tenure::new(&*random);
    assemble_on(config, Opened { repository, writers }, tenure, clock, random).await
}

async fn assemble_on(
    config: &Config,
    Opened { repository, writers }: Opened,
    tenure: Tenure,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> Result<Assembled, StartError> {
    let leases = Lease::take_all(writers, tenure).await?;
    let may_write = leases.iter().all(Lease::is_held);
    if !may_write {
        tracing::warn!(
            "another daemon holds the write lease; this daemon is read-only and answers /readyz with 503 until the \
             lease is released or expires"
        );
    }
    match build(config, repository, may_write, clock, random).await {
        Ok((server, web, clock)) => Ok(Assembled {
            server,
            router: web::router(Arc::clone(&web)),
            health: web::health_router(web),
            connections: connections(config),
            sealing: SealingWatch::new(&config.keys),
            clock,
            leases,
        }),
        Err(error) => {
            for lease in leases {
                lease.give_back().await;
            }
            Err(error)
        }
    }
}

async fn build(
    config: &Config,
    repository: Arc<dyn Repository>,
    may_write: bool,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> Result<(Arc<AuthorizationServer>, Arc<Web>, ClockWatch), StartError> {
    let sealer = Sealer::with(&config.keys.sealing, clock.now(), Arc::clone(&random));
    let algorithm = config.keys.algorithm;
    let keys = Keys::unopened(Arc::clone(&repository), sealer.clone(), algorithm);
    keys.reload(clock.now()).await?;
    if may_write {
        keys.make_first(clock.now()).await?;
    }
    let fetch = Fetch::new(config.authn.timeout).map_err(|error| StartError::Tls(error.to_string()))?;
    let settings_of_upstream = pangea_settings(config)?;
    fetch.can_verify(&settings_of_upstream.issuer_url)?;
    let watch = ClockWatch {
        upstream: settings_of_upstream.issuer_url.clone(),
        fetch: fetch.clone(),
        clock: Arc::clone(&clock),
    };
    let upstream = Arc::new(Pangea::new(settings_of_upstream, fetch));
    let documents = &config.client_documents;
    let public_fetch = PublicFetch::new(&documents.private_networks, documents.ca_file.as_deref())?;
    let mut settings = settings(config);
    // Without certificate authorities no document could be fetched.
    settings.client_documents.enabled &= public_fetch.is_usable();
    let documents = ClientDocuments::new(public_fetch, settings.registration.schemes.clone());
    let foundations = Foundations { repository, keys, sealer, upstream, documents, clock, random };
    let server = Arc::new(AuthorizationServer::new(settings, foundations));
    let web = Web::new(Arc::clone(&server), web_settings(config, algorithm))?;
    Ok((server, Arc::new(web), watch))
}

fn connections(config: &Config) -> Connections {
    Connections::within(process::open_files(), TrustedProxies(config.trusted_proxies.clone()))
}

/// Binds an address.
///
/// # Errors
///
/// If the address is in use or does not belong to this machine.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| StartError::Listen(address, error))
}

/// Serves until `stop`, then lets requests in flight finish.
pub async fn serve(listeners: Vec<TcpListener>, router: Router, stop: CancellationToken) {
    let connections = Connections::within(process::open_files(), TrustedProxies::default());
    serve_measured(listeners, router, connections, Arc::default(), stop).await;
}

/// Like [`serve`], with a limit of connections and metrics.
pub async fn serve_measured(
    listeners: Vec<TcpListener>,
    router: Router,
    connections: Connections,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut accepting = accept_all(listeners, &router, &connections, &metrics, &stop);
    while accepting.join_next().await.is_some() {}
}

/// Begins to accept connections. The tasks end after `stop`, when requests in flight have finished.
fn accept_all(
    listeners: Vec<TcpListener>,
    router: &Router,
    connections: &Connections,
    metrics: &Arc<Metrics>,
    stop: &CancellationToken,
) -> JoinSet<()> {
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let (router, connections, metrics) = (router.clone(), connections.clone(), Arc::clone(metrics));
        accepting.spawn(accept(listener, router, connections, metrics, stop.clone()));
    }
    accepting
}

/// The routes of the admin listener: [`Assembled::health`] and `GET /metrics`.
pub fn admin_router(metrics: Arc<Metrics>, health: Router) -> Router {
    web::with_metrics(health, move || metrics.text())
}

async fn accept(
    listener: TcpListener,
    router: Router,
    connections: Connections,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    loop {
        let free = tokio::select! {
            () = stop.cancelled() => break,
            free = connections.free() => free,
        };
        let Some(free) = free else { break };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Usually there are no free file descriptors; other connections will close.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // A network that has used up its share is disconnected, so that others get through.
        let Some(place) = connections.place(free, peer.ip()) else { continue };
        let (router, metrics) = (router.clone(), Arc::clone(&metrics));
        let connection = graceful.watch(connection(stream, peer, Arc::new(place), router, metrics));
        tokio::spawn(async move {
            // Errors of a single connection are caused by its client.
            let _ = connection.await;
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("stopped before all requests in flight finished");
    }
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    place: Arc<Place>,
    router: Router,
    metrics: Arc<Metrics>,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    let _ = stream.set_nodelay(true);
    let peer = Peer(peer.ip());
    let service = service_fn(move |request: Request<Incoming>| {
        let (endpoint, started) = (Endpoint::label(request.uri().path()), Instant::now());
        let (metrics, place) = (Arc::clone(&metrics), Arc::clone(&place));
        let answer = web::answer(&router, peer, request);
        let answer = Finished(Some(Box::pin(async move {
            let answer = answer.await;
            // A request that continues after its client disconnected still counts as a connection.
            drop(place);
            answer
        })));
        async move {
            let answer = answer.await;
            metrics.answered(endpoint, answer.status().as_u16(), started.elapsed());
            Ok::<_, Infallible>(answer)
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
}

/// A future that keeps running on a task of its own when it is dropped. A request finishes even if its client
/// disconnects: a client must not decide whether an upstream's answer is stored.
struct Finished<F: Future + Send + 'static>(Option<Pin<Box<F>>>);

impl<F: Future + Send + 'static> Future for Finished<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(rest) = &mut self.0 else { return Poll::Pending };
        let polled = rest.as_mut().poll(context);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl<F: Future + Send + 'static> Drop for Finished<F> {
    fn drop(&mut self) {
        if let (Some(rest), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                let _ = rest.await;
            });
        }
    }
}
