//! Redis: a database of the test's own in a shared server, or a whole server that the test may kill and start
//! again. Both keep what they acknowledge. Daemons log in as a user with the permissions that the documentation
//! lists and no others.

use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use pangea_mcp_auth::{
    repository::{RedisRepository, RedisSettings, Repository, RepositoryError},
    secret::Secret,
};
use tempfile::TempDir;

use super::{
    Authority,
    engine::{PATIENCE, RecordServer, Records, Shared},
    postgres::until,
    process::free_port,
    tool,
};

/// The user that a daemon would be.
pub const USER: &str = "mcp_auth";
/// The password of every user.
pub const PASSWORD: &str = "open sesame";

/// The settings of every server, as the documentation recommends.
const SETTINGS: &str = "bind 127.0.0.1
appendonly yes
appendfsync always
save \"\"
rdbcompression no
repl-diskless-sync-delay 0
";

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    /// Redis as Debian has it.
    Debian,
    /// The oldest Redis that is promised.
    Redis6,
    /// Valkey.
    Valkey,
}

impl Make {
    /// The program that serves.
    pub fn program(self) -> PathBuf {
        match self {
            Self::Debian => program("redis-server"),
            Self::Redis6 => tool("PANGEA_TEST_REDIS_6"),
            Self::Valkey => tool("PANGEA_TEST_VALKEY"),
        }
    }
}

/// An empty database, in the server that all tests of the run share unless [`RedisServer`] has its own.
pub struct RedisDatabase {
    port: u16,
    number: u32,
}

impl RedisDatabase {
    /// A new database in the shared server.
    pub fn new() -> Self {
        let shared = Shared::of("redis", start_shared, |port| {
            cli(port, &["PING"]).is_ok_and(|answer| answer == "PONG")
        });
        Self { port: shared.port, number: shared.next_number() }
    }

    /// The URL for another user.
    pub fn url_of(&self, user: &str, password: &str) -> String {
        format!("redis://{user}:{}@127.0.0.1:{}/{}", password.replace(' ', "%20"), self.port, self.number)
    }

    /// Runs a command in the database, as the user who may do everything, and returns what it prints.
    pub fn run(&self, command: &[&str]) -> String {
        self.cli(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    fn cli(&self, command: &[&str]) -> Result<String, String> {
        // A Cluster has one database, which cannot be selected.
        let number = self.number.to_string();
        let selected = if self.number == 0 { &[][..] } else { &["-n", &number] };
        cli(self.port, &[selected, command].concat())
    }
}

impl Records for RedisDatabase {
    const KIND: &'static str = "redis";

    fn url(&self) -> String {
        self.url_of(USER, PASSWORD)
    }

    fn port(&self) -> u16 {
        self.port
    }

    async fn connect(url: &str, timeout: Duration) -> Result<Arc<dyn Repository>, RepositoryError> {
        let settings = RedisSettings { timeout, ..settings(url) };
        Ok(Arc::new(RedisRepository::connect(&settings).await?))
    }
}

/// How a daemon with this URL connects.
pub fn settings(url: &str) -> RedisSettings {
    RedisSettings {
        url: Secret::new("repository.url", url.to_owned()),
        password: None,
        ca_file: None,
        timeout: PATIENCE,
    }
}

/// A server with its data, and its first database.
pub struct RedisServer {
    make: Make,
    folder: TempDir,
    database: RedisDatabase,
    tls_port: Option<u16>,
    child: Option<Child>,
}

impl Deref for RedisServer {
    type Target = RedisDatabase;

    fn deref(&self) -> &RedisDatabase {
        &self.database
    }
}

impl RedisServer {
    /// A running server with nothing in it.
    pub fn new() -> Self {
        Self::with("", &[])
    }

    /// The same with more lines of `redis.conf` and files next to it.
    pub fn with(settings: &str, files: &[(&str, &[u8])]) -> Self {
        Self::of(Make::Debian, settings, files)
    }

    /// The same of another make.
    pub fn of(make: Make, settings: &str, files: &[(&str, &[u8])]) -> Self {
        Self::at(free_port(), make, settings, files)
    }

    /// The same on a port that is known before.
    pub(super) fn at(port: u16, make: Make, settings: &str, files: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::Builder::new().prefix("pangea-redis").tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        write_configuration(folder.path(), port, settings);
        let database = RedisDatabase { port, number: 0 };
        let mut server = Self { make, folder, database, tls_port: None, child: None };
        server.start();
        server
    }

    /// One that daemons reach by TLS, with a certificate of this authority.
    pub fn over_tls(authority: &Authority, settings: &str) -> Self {
        let tls_port = free_port();
        let lines = [&tls_settings(tls_port), settings].concat();
        let files = tls_files(authority);
        let files = files.each_ref().map(|(name, bytes)| (*name, bytes.as_slice()));
        let mut server = Self::with(&lines, &files);
        server.tls_port = Some(tls_port);
        server
    }

    /// Where a daemon finds it by TLS, if this is a name of it.
    pub fn tls_url(&self, host: &str) -> String {
        let there = self.url().replace("redis://", "rediss://");
        there.replace(&format!("127.0.0.1:{}", self.port), &format!("{host}:{}", self.port_of_servers()))
    }

    /// The port at which other servers find it.
    pub fn port_of_servers(&self) -> u16 {
        self.tls_port.unwrap_or(self.port)
    }

    /// Starts it and does not wait.
    pub fn start_unready(&mut self) {
        assert!(self.child.is_none(), "the server runs");
        let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = server(self.make, self.folder.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    /// Everything on its disk, uncompressed.
    pub fn dump(&self) -> Vec<u8> {
        self.run(&["SAVE"]);
        all_files(self.folder.path())
    }

    /// The server's log.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log()).unwrap()).into_owned()
    }

    /// A file of its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self) -> PathBuf {
        self.path("log")
    }

    fn signal(&self, name: &str) {
        signal(name, self.child.as_ref().expect("the server runs").id());
    }
}

impl RecordServer for RedisServer {
    fn start(&mut self) {
        self.start_unready();
        until("the server answers", || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the server ended:\n{}", self.said());
            self.cli(&["PING"]).is_ok_and(|answer| answer == "PONG")
        });
    }

    fn stop(&mut self) {
        self.signal("TERM");
        let mut child = self.child.take().expect("the server runs");
        until("the server stops", || child.try_wait().unwrap().is_some());
    }

    fn kill(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn freeze(&self) {
        self.signal("STOP");
    }

    fn thaw(&self) {
        self.signal("CONT");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

/// The server that the tests of a run share, in this folder.
fn start_shared(folder: &Path) -> (Command, u16) {
    let port = free_port();
    write_configuration(folder, port, "databases 1000\n");
    (server(Make::Debian, folder), port)
}

/// The command that serves the data in this folder.
fn server(make: Make, folder: &Path) -> Command {
    let mut command = Command::new(make.program());
    command.arg(folder.join("redis.conf"));
    command
}

fn write_configuration(folder: &Path, port: u16, settings: &str) {
    let users = format!(
        "user default on \">{PASSWORD}\" ~* &* +@all\nuser {USER} on \">{PASSWORD}\" {}\n",
        documented_permissions()
    );
    // A replica authenticates to its primary.
    let primary = format!("masterauth \"{PASSWORD}\"\n");
    let place = format!("port {port}\ndir {}\n", folder.display());
    let text = [SETTINGS, &place, &users, &primary, settings].concat();
    fs::write(folder.join("redis.conf"), text).unwrap();
}

/// The lines that let servers and Sentinels speak TLS, to clients at this port, with the files.
pub(super) fn tls_settings(port: u16) -> String {
    // Their own folder is where they run.
    let files = "tls-cert-file server.pem\ntls-key-file server.key\ntls-ca-cert-file ca.pem\n";
    format!("tls-port {port}\n{files}tls-auth-clients no\ntls-replication yes\n")
}

/// The certificate of a server, its key, and whom it trusts.
pub(super) fn tls_files(authority: &Authority) -> [(&'static str, Vec<u8>); 3] {
    let [certificate, key] = authority.certificate();
    let trusted = fs::read(authority.file()).unwrap();
    [("server.pem", certificate), ("server.key", key), ("ca.pem", trusted)]
}

/// Runs a command on the server at this port.
pub fn cli(port: u16, command: &[&str]) -> Result<String, String> {
    let mut cli = Command::new(program("redis-cli"));
    cli.args(["-e", "-p", &port.to_string()]).env("REDISCLI_AUTH", PASSWORD).stdin(Stdio::null());
    let Output { status, stdout, stderr } = cli.args(command).output().unwrap();
    let said = String::from_utf8_lossy(&stdout).trim_end().to_owned();
    if status.success() { Ok(said) } else { Err(format!("{said}{}", String::from_utf8_lossy(&stderr))) }
}

/// A program of the server. `tests/setup` says where they are [default: Debian's folder].
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("PANGEA_TEST_REDIS").map_or_else(|| "/usr/bin".into(), PathBuf::from);
    let program = folder.join(name);
    assert!(program.exists(), "Redis's {name} is not there: use tests/run, or run tests/setup");
    program
}

/// The permissions that the documentation lists.
pub fn documented_permissions() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/repositories/redis.md");
    let page = fs::read_to_string(page).unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix("ACL SETUSER mcp_auth on '>…' "));
    line.expect("the documentation has the line").to_owned()
}

fn all_files(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        // The passwords in there are those of its users.
        if entry.is_dir() {
            all.extend(all_files(&entry));
        } else if entry.extension().is_none_or(|extension| extension != "conf") {
            all.extend(fs::read(&entry).unwrap());
        }
    }
    all
}

fn signal(name: &str, process: u32) {
    let sent = Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap();
    assert!(sent.success());
}
