//! Redis servers that belong together: a Cluster, or a primary with its replica under Sentinels.

use std::{
    fs, iter,
    net::{Ipv4Addr, TcpListener},
    ops::RangeInclusive,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{
    Authority,
    engine::Records,
    postgres::until,
    process::free_port,
    redis::{Make, PASSWORD, RedisServer, USER, cli, tls_files, tls_settings},
};

/// The service that the Sentinels watch over.
pub const SERVICE: &str = "records";

/// The slots of a Cluster, a third for each of its servers.
const SLOTS: [RangeInclusive<u32>; 3] = [0..=5460, 5461..=10_922, 10_923..=16_383];

/// The lines of each of its servers.
const IN_CLUSTER: &str = "cluster-enabled yes\ncluster-node-timeout 2000\n";

/// Three servers with a third of the slots each.
pub struct RedisCluster {
    /// The servers.
    pub servers: Vec<RedisServer>,
}

impl RedisCluster {
    /// A Cluster that is ready.
    pub fn new() -> Self {
        Self::of(Make::Debian)
    }

    /// The same of another make.
    pub fn of(make: Make) -> Self {
        Self::joined(|| {
            let (port, bus) = ports(make);
            let bus_line = if make == Make::Redis6 { String::new() } else { format!("cluster-port {bus}\n") };
            (RedisServer::at(port, make, &format!("{IN_CLUSTER}{bus_line}"), &[]), bus)
        })
    }

    /// One that speaks TLS, to clients and within; the lines say how its servers name each other.
    pub fn over_tls(authority: &Authority, names: &str) -> Self {
        Self::joined(|| {
            let bus = free_port();
            let lines = format!("{IN_CLUSTER}cluster-port {bus}\ntls-cluster yes\n{names}");
            (RedisServer::over_tls(authority, &lines), bus)
        })
    }

    /// Makes one of servers that listen to the others at a port of its own.
    fn joined(start: impl Fn() -> (RedisServer, u16)) -> Self {
        let (servers, buses): (Vec<_>, Vec<_>) = SLOTS.iter().map(|_| start()).unzip();
        // As `redis-cli --cluster create` does: of servers with the same epoch one takes a new one later, and
        // with it takes back a slot that is just being given away.
        for (number, server) in servers.iter().enumerate() {
            server.run(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
        }
        let first = &servers[0];
        for (server, bus) in servers.iter().zip(buses).skip(1) {
            let port = server.port_of_servers().to_string();
            first.run(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus.to_string()]);
        }
        for (server, slots) in servers.iter().zip(SLOTS) {
            let slots: Vec<_> = slots.map(|slot| slot.to_string()).collect();
            let command = ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str));
            server.run(&command.collect::<Vec<_>>());
        }
        let cluster = Self { servers };
        cluster.wait();
        cluster
    }

    /// Waits until every server knows who has which slot.
    pub fn wait(&self) {
        until("the Cluster agrees", || {
            self.servers.iter().all(|server| {
                let told = server.run(&["CLUSTER", "INFO"]);
                told.contains("cluster_state:ok") && told.contains("cluster_known_nodes:3")
            })
        });
    }

    /// Where a daemon finds it; only this server is named.
    pub fn url_by(&self, named: usize) -> String {
        self.servers[named].url().replace("redis://", "redis+cluster://").replace("/0", "")
    }

    /// The same by TLS, under a name of that server.
    pub fn tls_url_by(&self, named: usize, host: &str) -> String {
        self.servers[named].tls_url(host).replace("rediss://", "rediss+cluster://").replace("/0", "")
    }

    /// The server that has a slot.
    pub fn owner(slot: &str) -> usize {
        let slot = slot.parse().unwrap();
        SLOTS.iter().position(|slots| slots.contains(&slot)).unwrap()
    }

    /// Moves a slot with all that is in it from one server to another, in the steps of an operator.
    pub fn move_slot(&self, slot: &str, from: usize, to: usize, halfway: impl FnOnce()) {
        let [source, target] = [from, to].map(|at| self.servers[at].run(&["CLUSTER", "MYID"]));
        self.servers[to].run(&["CLUSTER", "SETSLOT", slot, "IMPORTING", &source]);
        self.servers[from].run(&["CLUSTER", "SETSLOT", slot, "MIGRATING", &target]);
        let keys = self.servers[from].run(&["CLUSTER", "GETKEYSINSLOT", slot, "1000"]);
        let port = self.servers[to].port().to_string();
        let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "10000", "AUTH", PASSWORD, "KEYS"];
        migrate.extend(keys.lines());
        self.servers[from].run(&migrate);
        halfway();
        for server in [to, from] {
            self.servers[server].run(&["CLUSTER", "SETSLOT", slot, "NODE", &target]);
        }
    }
}

/// A primary, a replica, and three Sentinels that agree on which is which.
pub struct RedisSentinels {
    /// The primary at first, and its replica.
    pub servers: [RedisServer; 2],
    sentinels: Vec<Sentinel>,
}

impl RedisSentinels {
    /// A service that is ready.
    pub fn new() -> Self {
        Self::of(Make::Debian)
    }

    /// The same of another make.
    pub fn of(make: Make) -> Self {
        let primary = RedisServer::of(make, "", &[]);
        let replica = RedisServer::of(make, &format!("replicaof 127.0.0.1 {}\n", primary.port()), &[]);
        Self::watched([primary, replica], |primary| Sentinel::of(make, "127.0.0.1", primary, "", &[]))
    }

    /// One in which everybody speaks TLS, and all are `localhost`.
    pub fn over_tls(authority: &Authority) -> Self {
        let name = "replica-announce-ip localhost\n";
        let primary = RedisServer::over_tls(authority, name);
        let follow = format!("{name}replicaof localhost {}\n", primary.port_of_servers());
        let replica = RedisServer::over_tls(authority, &follow);
        Self::watched([primary, replica], |primary| Sentinel::over_tls(authority, "localhost", primary))
    }

    /// Starts Sentinels that watch them. `watch` gets the port of the primary.
    fn watched(servers: [RedisServer; 2], watch: impl Fn(u16) -> Sentinel) -> Self {
        let [primary, replica] = &servers;
        until("the replica has a copy", || {
            replica.run(&["INFO", "replication"]).contains("master_link_status:up")
        });
        let sentinels = (0..3).map(|_| watch(primary.port_of_servers())).collect();
        let group = Self { servers, sentinels };
        until("the Sentinels know each other and the replica", || {
            group.sentinels.iter().all(|sentinel| {
                let told = sentinel.cli(&["SENTINEL", "MASTER", SERVICE]).unwrap_or_default();
                let lines: Vec<_> = told.lines().collect();
                let value = |name| lines.iter().position(|line| *line == name).map(|at| lines[at + 1]);
                value("num-other-sentinels") == Some("2") && value("num-slaves") == Some("1")
            })
        });
        group
    }

    /// Where a daemon finds it.
    pub fn url(&self) -> String {
        self.url_of(SERVICE)
    }

    /// The same for another service.
    pub fn url_of(&self, service: &str) -> String {
        let places = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port));
        url("redis+sentinel", &places.collect::<Vec<_>>(), service)
    }

    /// Where a daemon finds it by TLS.
    pub fn tls_url(&self) -> String {
        let places = self.sentinels.iter().map(|sentinel| format!("localhost:{}", sentinel.tls_port));
        url("rediss+sentinel", &places.collect::<Vec<_>>(), SERVICE)
    }

    /// Waits until the Sentinels say that this server is the primary.
    pub fn wait_for_primary(&self, server: usize) {
        let port = self.servers[server].port_of_servers().to_string();
        until("the Sentinels have made another primary", || {
            self.sentinels.iter().all(|sentinel| {
                sentinel
                    .cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE])
                    .is_ok_and(|told| told.lines().any(|line| line == port))
            })
        });
    }

    /// Has the Sentinels change the roles, as for an upgrade.
    pub fn fail_over(&self) {
        let told = self.sentinels[0].cli(&["SENTINEL", "FAILOVER", SERVICE]);
        assert_eq!(told.as_deref(), Ok("OK"));
    }
}

fn url(scheme: &str, places: &[String], service: &str) -> String {
    format!("{scheme}://{USER}:{}@{}/{service}", PASSWORD.replace(' ', "%20"), places.join(","))
}

/// A Sentinel, which ends with the test.
struct Sentinel {
    port: u16,
    tls_port: u16,
    child: Child,
    _folder: TempDir,
}

impl Sentinel {
    /// One that watches over the primary at this place.
    fn of(make: Make, host: &str, primary: u16, settings: &str, files: &[(&str, Vec<u8>)]) -> Self {
        let folder = tempfile::Builder::new().prefix("pangea-sentinel").tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let port = free_port();
        let place = format!("bind 127.0.0.1\nport {port}\ndir {}\n", folder.path().display());
        let watch = format!(
            "sentinel monitor {SERVICE} {host} {primary} 2
sentinel auth-pass {SERVICE} \"{PASSWORD}\"
sentinel down-after-milliseconds {SERVICE} 1000
sentinel failover-timeout {SERVICE} 6000
"
        );
        let file = folder.path().join("sentinel.conf");
        fs::write(&file, [&place, settings, &watch].concat()).unwrap();
        let mut command = Command::new(make.program());
        command.arg(file).arg("--sentinel").current_dir(&folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { port, tls_port: port, child: command.spawn().unwrap(), _folder: folder }
    }

    /// The same over TLS, to the servers and to who asks.
    fn over_tls(authority: &Authority, host: &str, primary: u16) -> Self {
        let tls_port = free_port();
        let names = "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n";
        let settings = [&tls_settings(tls_port), names].concat();
        let mut sentinel = Self::of(Make::Debian, host, primary, &settings, &tls_files(authority));
        sentinel.tls_port = tls_port;
        sentinel
    }

    fn cli(&self, command: &[&str]) -> Result<String, String> {
        cli(self.port, command)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The ports of a server of a Cluster, for clients and for the other servers. In Redis 6 the second one cannot
/// be configured.
fn ports(make: Make) -> (u16, u16) {
    if make != Make::Redis6 {
        return (free_port(), free_port());
    }
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let buses = iter::repeat_with(free_port);
    let mut both = buses.map(|bus| (bus - 10_000, bus));
    both.find(|(port, _)| is_free(*port)).expect("there are many")
}
