//! Opens connections, through Sentinels or a Cluster where configured.

use std::time::Duration;

use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisError, TlsCertificates, Value,
    aio::MultiplexedConnection,
    cmd,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use tokio::time::{Instant, timeout};

use super::{
    address::{Address, Place, Server, Tls},
    link::Link,
    names::{Names, code},
    problem::Problem,
};

/// How long a connection is silent before TCP checks it.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Most requests that wait in one connection's queue.
const QUEUE: usize = 1024;

/// Opens connections to an address.
#[derive(Debug)]
pub(super) struct Dial {
    address: Address,
    names: Names,
    timeout: Duration,
}

impl Dial {
    pub(super) fn new(address: Address, timeout: Duration) -> Self {
        Self { names: Names::of(&address), address, timeout }
    }

    pub(super) const fn names(&self) -> &Names {
        &self.names
    }

    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self.address.place, Place::Cluster(_))
    }

    /// Connects to the server with the records, or to a Cluster node that knows it. `owner` is the last known server.
    pub(super) async fn connect(&self, owner: Option<&Server>, deadline: Instant) -> Result<Link, Problem> {
        match &self.address.place {
            Place::Single(server) => self.reach(server).await,
            Place::Sentinel { sentinels, service } => {
                let server = self.named_by(sentinels, service, deadline).await?;
                let link = self.reach(&server).await?;
                self.is_primary(link).await
            }
            Place::Cluster(servers) => {
                let servers: Vec<&Server> = owner.into_iter().chain(servers).collect();
                let patience = share(deadline, servers.len());
                let mut last = self.names.away("the URL names no server");
                for server in servers {
                    match timeout(patience, self.reach(server)).await {
                        Ok(Err(problem)) if problem.may_pass() => last = problem,
                        Ok(outcome) => return outcome,
                        Err(_) => last = self.names.away(format!("{server} is silent")),
                    }
                }
                Err(last)
            }
        }
    }

    /// The timeout has passed. A server without TLS may wait forever for the rest of a line.
    pub(super) fn too_slow(&self, patience: Duration) -> Problem {
        let hint =
            if matches!(self.address.tls, Tls::Off) { "" } else { "; make sure that it is its TLS port" };
        self.names.away(format!("no connection within {} ms{hint}", patience.as_millis()))
    }

    pub(super) async fn reach(&self, server: &Server) -> Result<Link, Problem> {
        let refused = |error: RedisError| self.names.refused(server, &error);
        let login = self.login().set_db(self.address.database).set_protocol(ProtocolVersion::RESP3);
        let client = self.client(server, login).map_err(refused)?;
        let (is_closed, note) = Link::ending();
        // The callers have timeouts.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE)
            .set_push_sender(note);
        let connection =
            client.get_multiplexed_async_connection_with_config(&config).await.map_err(refused)?;
        Ok(Link::new(server.clone(), connection, is_closed))
    }

    /// Asks the Sentinels in turn for the primary.
    async fn named_by(
        &self,
        sentinels: &[Server],
        service: &str,
        deadline: Instant,
    ) -> Result<Server, Problem> {
        let patience = share(deadline, sentinels.len() + 1);
        let mut last = self.names.away("the URL names no Sentinel");
        for sentinel in sentinels {
            match timeout(patience, self.ask_sentinel(sentinel, service)).await {
                Ok(Ok(server)) => return Ok(server),
                Ok(Err(problem)) => last = problem,
                Err(_) => last = self.names.away(format!("the Sentinel at {sentinel} is silent")),
            }
        }
        Err(last)
    }

    async fn ask_sentinel(&self, sentinel: &Server, service: &str) -> Result<Server, Problem> {
        let refused = |error: RedisError| self.names.refused(sentinel, &error);
        let mut question = cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
        // Most Sentinels have no password. The others usually have that of their servers.
        let mut answer = Err(RedisError::from((::redis::ErrorKind::Client, "not asked")));
        for login in [RedisConnectionInfo::default().set_skip_set_lib_name(), self.login()] {
            let mut connection = self.connect_briefly(sentinel, login).await.map_err(refused)?;
            answer = question.query_async::<Option<(String, u16)>>(&mut connection).await;
            if !matches!(&answer, Err(error) if code(error) == Some("NOAUTH")) {
                break;
            }
        }
        match answer {
            Ok(Some((host, port))) => Ok(Server::Tcp { host, port }),
            Ok(None) => {
                let server = format!("the Sentinel at {sentinel}");
                Err(Problem::NoService { server, service: service.to_owned() })
            }
            Err(error) => match refused(error) {
                Problem::Busy { server, reason } if reason.contains("unknown command") => {
                    Err(Problem::NoSentinel { server, reason: "it knows no SENTINEL".to_owned() })
                }
                problem => Err(problem),
            },
        }
    }

    async fn connect_briefly(
        &self,
        server: &Server,
        login: RedisConnectionInfo,
    ) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        self.client(server, login)?.get_multiplexed_async_connection_with_config(&config).await
    }

    /// A Sentinel may name a server that is no longer the primary.
    async fn is_primary(&self, link: Link) -> Result<Link, Problem> {
        let mut question = cmd("INFO");
        question.arg("replication");
        let answer: Result<Value, RedisError> = question.query_async(&mut link.connection.clone()).await;
        let text = answer.ok().and_then(|value| ::redis::from_redis_value::<String>(value).ok());
        if text.is_some_and(|text| text.contains("role:slave")) {
            return Err(Problem::ReadOnly { server: format!("Redis at {}", link.server) });
        }
        Ok(link)
    }

    fn login(&self) -> RedisConnectionInfo {
        let Address { user, password, .. } = &self.address;
        let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(user) = user {
            // A user without a password may send any.
            login = login.set_username(user).set_password("");
        }
        if let Some(password) = password {
            login = login.set_password(password.expose());
        }
        login
    }

    fn client(&self, server: &Server, login: RedisConnectionInfo) -> Result<Client, RedisError> {
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3).with_retries(3);
        let tcp =
            TcpSettings::default().set_nodelay(true).set_user_timeout(self.timeout).set_keepalive(keepalive);
        let info = |address: ConnectionAddr| -> Result<ConnectionInfo, RedisError> {
            let info = ("", 0).into_connection_info()?;
            Ok(info.set_addr(address).set_tcp_settings(tcp).set_redis_settings(login))
        };
        let (host, port) = match server {
            Server::Unix(path) => return Client::open(info(ConnectionAddr::Unix(path.clone()))?),
            Server::Tcp { host, port } => (host.clone(), *port),
        };
        let root_cert = match &self.address.tls {
            Tls::Off => return Client::open(info(ConnectionAddr::Tcp(host, port))?),
            Tls::Machine => None,
            Tls::Only(authorities) => Some(authorities.clone()),
        };
        let address = ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None };
        Client::build_with_tls(info(address)?, TlsCertificates { client_tls: None, root_cert })
    }
}

/// The time for each of `count` servers, so that even the last is tried.
fn share(deadline: Instant, count: usize) -> Duration {
    let left = deadline.saturating_duration_since(Instant::now());
    left / u32::try_from(count.max(1)).unwrap_or(u32::MAX)
}
