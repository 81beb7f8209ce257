//! A pooler before a `PostgreSQL` server, which gives each transaction any connection.

use std::{
    net::{Ipv4Addr, TcpStream},
    path::PathBuf,
    process::{Child, Stdio},
};

use tempfile::TempDir;

use super::{
    engine::Records,
    postgres::{PASSWORD, PostgresDatabase, ROLE, as_postgres, folder_for_postgres, until},
    process::free_port,
};

/// A running pooler.
pub struct PgBouncer {
    _folder: TempDir,
    port: u16,
    child: Child,
}

impl PgBouncer {
    /// Starts one that has this many connections to the server.
    pub fn before(server: &PostgresDatabase, connections: u32) -> Self {
        Self::with(server, connections, "")
    }

    /// Starts one that leaves out what a client asks of its session, in place of refusing it.
    pub fn that_ignores_options(server: &PostgresDatabase, connections: u32) -> Self {
        Self::with(server, connections, "ignore_startup_parameters = options")
    }

    fn with(server: &PostgresDatabase, connections: u32, setting: &str) -> Self {
        let (folder, port) = (folder_for_postgres("pangea-pgbouncer"), free_port());
        let configuration = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]
{ROLE} = host=127.0.0.1 port={} user={ROLE} password='{PASSWORD}' dbname={}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 500
server_login_retry = 1
{setting}
logfile = {}
",
            server.port(),
            server.name(),
            folder.path().join("log").display()
        );
        std::fs::write(&configuration, text).unwrap();
        let mut command = as_postgres(&program());
        command.arg(&configuration).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        until("the pooler listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        Self { _folder: folder, port, child }
    }

    /// Where a daemon finds its database.
    pub fn url(&self) -> String {
        format!("postgres://{ROLE}@127.0.0.1:{}/{ROLE}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    let named = std::env::var_os("PANGEA_TEST_PGBOUNCER").map(PathBuf::from);
    let program = named.unwrap_or_else(|| PathBuf::from("/usr/sbin/pgbouncer"));
    assert!(program.exists(), "pgbouncer is not there: use tests/run, or run tests/setup");
    program
}
