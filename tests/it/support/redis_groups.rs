//! Redis servers that belong together: a Cluster, or a primary with its replica under Sentinels.

use std::{
    fs, iter,
    net::{Ipv4Addr, TcpListener},
    ops::RangeInclusive,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{
    postgres::until,
    process::free_port,
    redis::{Make, PASSWORD, RedisServer, USER, cli},
};

/// The service that the Sentinels watch over.
pub const SERVICE: &str = "records";

/// The slots of a Cluster, a third for each of its servers.
const SLOTS: [RangeInclusive<u32>; 3] = [0..=5460, 5461..=10_922, 10_923..=16_383];

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
        let start = |_| {
            let (port, bus) = ports(make);
            let bus_line = if make == Make::Redis6 { String::new() } else { format!("cluster-port {bus}\n") };
            let settings = format!("cluster-enabled yes\ncluster-node-timeout 2000\n{bus_line}");
            (RedisServer::at(port, make, &settings, &[]), bus)
        };
        let (servers, buses): (Vec<_>, Vec<_>) = SLOTS.iter().map(start).unzip();
        let first = &servers[0];
        for (server, bus) in servers.iter().zip(buses).skip(1) {
            first.run(&["CLUSTER", "MEET", "127.0.0.1", &server.port().to_string(), &bus.to_string()]);
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
    ports: Vec<u16>,
    sentinels: Vec<(Child, TempDir)>,
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
        until("the replica has a copy", || {
            replica.run(&["INFO", "replication"]).contains("master_link_status:up")
        });
        let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let sentinels = ports.iter().map(|port| sentinel(make, *port, primary.port())).collect();
        let group = Self { servers: [primary, replica], ports, sentinels };
        until("the Sentinels know each other and the replica", || {
            group.ports.iter().all(|port| {
                let told = cli(*port, &["SENTINEL", "MASTER", SERVICE]).unwrap_or_default();
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
        let places: Vec<_> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let password = PASSWORD.replace(' ', "%20");
        format!("redis+sentinel://{USER}:{password}@{}/{service}", places.join(","))
    }

    /// Waits until the Sentinels say that this server is the primary.
    pub fn wait_for_primary(&self, server: usize) {
        let port = self.servers[server].port().to_string();
        until("the Sentinels have made another primary", || {
            self.ports.iter().all(|sentinel| {
                cli(*sentinel, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE])
                    .is_ok_and(|told| told.lines().any(|line| line == port))
            })
        });
    }

    /// Has the Sentinels change the roles, as for an upgrade.
    pub fn fail_over(&self) {
        let told = cli(self.ports[0], &["SENTINEL", "FAILOVER", SERVICE]);
        assert_eq!(told.as_deref(), Ok("OK"));
    }
}

impl Drop for RedisSentinels {
    fn drop(&mut self) {
        for (sentinel, _) in &mut self.sentinels {
            sentinel.kill().unwrap();
            sentinel.wait().unwrap();
        }
    }
}

/// The ports of a server of a Cluster, for clients and for the others. Redis 6 lets nobody choose the
/// second.
fn ports(make: Make) -> (u16, u16) {
    if make != Make::Redis6 {
        return (free_port(), free_port());
    }
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let buses = iter::repeat_with(free_port);
    let mut both = buses.map(|bus| (bus - 10_000, bus));
    both.find(|(port, _)| is_free(*port)).expect("there are many")
}

fn sentinel(make: Make, port: u16, primary: u16) -> (Child, TempDir) {
    let folder = tempfile::Builder::new().prefix("pangea-sentinel").tempdir().unwrap();
    let place = format!("bind 127.0.0.1\nport {port}\ndir {}\n", folder.path().display());
    let watch = format!(
        "sentinel monitor {SERVICE} 127.0.0.1 {primary} 2
sentinel auth-pass {SERVICE} \"{PASSWORD}\"
sentinel down-after-milliseconds {SERVICE} 1000
sentinel failover-timeout {SERVICE} 6000
"
    );
    let file = folder.path().join("sentinel.conf");
    fs::write(&file, place + &watch).unwrap();
    let mut command = Command::new(make.program());
    command.arg(file).arg("--sentinel").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    (command.spawn().unwrap(), folder)
}
