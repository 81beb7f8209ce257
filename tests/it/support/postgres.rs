//! `PostgreSQL`: a database of the test's own in a shared server, or a whole server that the test may kill and
//! start again. Both sync like a real one.

use std::{
    fs,
    io::Write as _,
    ops::Deref,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{self, Child, Command, Output, Stdio},
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use pangea_mcp_auth::{
    repository::{PostgresRepository, PostgresSettings, Repository, RepositoryError},
    secret::Secret,
};
use tempfile::TempDir;

use super::{
    engine::{PATIENCE, RecordServer, Records, Shared},
    process::free_port,
};

/// The role that a daemon would have, and its database.
pub const ROLE: &str = "mcp_auth";
/// The password of every role.
pub const PASSWORD: &str = "open sesame";
/// The role that may do everything.
const SUPERUSER: &str = "postgres";
/// How long a server may take to start or to stop.
const PATIENCE_WITH_SERVERS: Duration = Duration::from_mins(1);

/// An empty database of [`ROLE`], in the server that all tests of the run share unless [`PostgresServer`] has
/// its own.
pub struct PostgresDatabase {
    port: u16,
    name: String,
}

impl PostgresDatabase {
    /// A new database in the shared server.
    pub fn new() -> Self {
        let shared =
            Shared::of("postgres", start_shared, |port| Self::maintenance(port).psql("SELECT 1").is_ok());
        let name = format!("test_{}", shared.next_number());
        let maintenance = Self::maintenance(shared.port);
        maintenance.sql(&format!("CREATE DATABASE {name} OWNER {ROLE}"));
        Self { port: shared.port, name }
    }

    /// The database that every server has.
    fn maintenance(port: u16) -> Self {
        Self { port, name: "postgres".to_owned() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL for another role.
    pub fn url_of(&self, role: &str) -> String {
        self.url_with(role, PASSWORD, &self.name)
    }

    /// The URL with another role, password and database.
    pub fn url_with(&self, role: &str, password: &str, database: &str) -> String {
        format!("postgres://{role}:{}@127.0.0.1:{}/{database}", password.replace(' ', "%20"), self.port)
    }

    /// Runs statements as the superuser and returns what they print.
    pub fn sql(&self, statements: &str) -> String {
        self.psql(statements).unwrap_or_else(|error| panic!("{statements}: {error}"))
    }

    /// A dump of the database, except for the key that `pg_dump` invents each time.
    pub fn dump(&self) -> Vec<u8> {
        let output = client("pg_dump").arg(self.url_of(SUPERUSER)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = output.stdout.split_inclusive(|byte| *byte == b'\n');
        let is_data = |line: &&[u8]| !line.starts_with(b"\\restrict ") && !line.starts_with(b"\\unrestrict ");
        lines.filter(is_data).flatten().copied().collect()
    }

    fn psql(&self, statements: &str) -> Result<String, String> {
        let Output { status, stdout, stderr } = client("psql")
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.url_of(SUPERUSER)])
            .args(["-c", statements])
            .output()
            .unwrap();
        if status.success() {
            Ok(String::from_utf8(stdout).unwrap())
        } else {
            Err(String::from_utf8_lossy(&stderr).into_owned())
        }
    }
}

impl Records for PostgresDatabase {
    const KIND: &'static str = "postgres";

    fn url(&self) -> String {
        self.url_of(ROLE)
    }

    fn port(&self) -> u16 {
        self.port
    }

    async fn connect(url: &str, timeout: Duration) -> Result<Arc<dyn Repository>, RepositoryError> {
        let settings = PostgresSettings { timeout, ..settings(url) };
        Ok(Arc::new(PostgresRepository::connect(&settings).await?))
    }
}

/// How a daemon with this URL connects.
pub fn settings(url: &str) -> PostgresSettings {
    PostgresSettings {
        url: Secret::new("repository.url", url.to_owned()),
        password: None,
        ca_file: None,
        connections: 8,
        timeout: PATIENCE,
    }
}

/// A server with its data, and the database of [`ROLE`] in it.
pub struct PostgresServer {
    folder: TempDir,
    database: PostgresDatabase,
    settings: Vec<String>,
    postmaster: Option<Child>,
}

impl Deref for PostgresServer {
    type Target = PostgresDatabase;

    fn deref(&self) -> &PostgresDatabase {
        &self.database
    }
}

impl PostgresServer {
    /// A running server with an empty database.
    pub fn new() -> Self {
        Self::with(&[], &[])
    }

    /// The same with settings of `postgresql.conf`, each as `name=value`, and files next to it.
    pub fn with(settings: &[&str], files: &[(&str, &[u8])]) -> Self {
        let folder = folder_for_postgres("pangea-postgres");
        copy_template(folder.path(), files);
        let settings = settings.iter().map(ToString::to_string).collect();
        let database = PostgresDatabase { port: free_port(), name: ROLE.to_owned() };
        let mut server = Self { folder, database, settings, postmaster: None };
        server.start();
        server
    }

    /// The file of a table or an index of the database.
    pub fn file_of(&self, relation: &str) -> PathBuf {
        let path = self.sql(&format!("SELECT pg_relation_filepath('{relation}')"));
        self.folder.path().join("data").join(path.trim_end())
    }

    /// The server's log.
    pub fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn processes(&self) -> Vec<u32> {
        let postmaster = self.postmaster.as_ref().expect("the server runs").id();
        let mut all = children_of(postmaster);
        all.push(postmaster);
        all
    }
}

impl RecordServer for PostgresServer {
    fn start(&mut self) {
        assert!(self.postmaster.is_none(), "the server runs");
        // No process of the server is left, and another process may have its number by now.
        let _ = fs::remove_file(self.folder.path().join("data/postmaster.pid"));
        let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = server(self.folder.path(), self.port);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.postmaster = Some(command.spawn().unwrap());
        until("the server takes connections", || {
            let ended = self.postmaster.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the server ended:\n{}", self.said());
            let answer = self.psql("SELECT 1");
            assert!(!matches!(&answer, Err(error) if error.contains("password")), "{answer:?}");
            answer.is_ok()
        });
    }

    fn stop(&mut self) {
        let mut postmaster = self.postmaster.take().expect("the server runs");
        signal("INT", &[postmaster.id()]);
        until("the server stops", || postmaster.try_wait().unwrap().is_some());
    }

    /// Kills every process of the server at one moment.
    fn kill(&mut self) {
        let mut postmaster = self.postmaster.take().expect("the server runs");
        // Stopped first, it starts no further process while they are counted.
        signal("STOP", &[postmaster.id()]);
        let mut all = children_of(postmaster.id());
        all.push(postmaster.id());
        signal("KILL", &all);
        postmaster.wait().unwrap();
        until("the server's processes are gone", || !all.iter().any(|process| is_alive(*process)));
    }

    fn freeze(&self) {
        signal("STOP", &self.processes());
    }

    fn thaw(&self) {
        signal("CONT", &self.processes());
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if self.postmaster.is_some() {
            self.kill();
        }
    }
}

/// The server that the tests of a run share, in this folder.
fn start_shared(folder: &Path) -> (Command, u16) {
    copy_template(folder, &[]);
    let port = free_port();
    (server(folder, port), port)
}

/// The command that serves the data in this folder.
fn server(folder: &Path, port: u16) -> Command {
    let mut command = as_postgres(&program("postgres"));
    command.arg("-D").arg(folder.join("data")).args(["-p", &port.to_string()]);
    for setting in [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=200",
        "shared_buffers=32MB",
        "fsync=on",
    ] {
        command.args(["-c", setting]);
    }
    command
}

/// Puts the data of a new server into this folder, with more files.
fn copy_template(folder: &Path, files: &[(&str, &[u8])]) {
    let data = folder.join("data");
    run(Command::new("cp").arg("-R").arg(template()).arg(&data));
    for (name, bytes) in files {
        fs::write(data.join(name), bytes).unwrap();
    }
    run(Command::new("chmod").args(["-R", "u=rwX,go="]).arg(&data));
    chown(&data);
}

/// A program of the server. `tests/setup` says where they are [default: Debian's folder].
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("PANGEA_TEST_POSTGRES").map(PathBuf::from).or_else(usual_folder);
    let program = folder.map(|folder| folder.join(name)).filter(|program| program.exists());
    program.unwrap_or_else(|| panic!("PostgreSQL's {name} is not there: use tests/run, or run tests/setup"))
}

/// Debian's folder of the newest version.
fn usual_folder() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.map_while(Result::ok);
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    versions.map(|entry| entry.path()).max_by_key(version).map(|newest| newest.join("bin"))
}

/// A temporary folder that belongs to the user that runs servers.
pub fn folder_for_postgres(prefix: &str) -> TempDir {
    let folder = tempfile::Builder::new().prefix(prefix).tempdir().unwrap();
    chown(folder.path());
    folder
}

/// A command that runs as an ordinary user, for no server wants to be run by root.
pub fn as_postgres(program: &Path) -> Command {
    if !am_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

fn am_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Gives a folder, with all in it, to the user that runs servers.
fn chown(path: &Path) {
    if am_root() {
        run(Command::new("chown").args(["-R", "postgres:postgres"]).arg(path));
    }
}

/// A client of the server's, in no one's locale and time zone.
fn client(name: &str) -> Command {
    let mut command = Command::new(program(name));
    command.env_clear().stdin(Stdio::null());
    command
}

/// Data of a server with the role and its database, made once for all tests and runs.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let made_by = fs::metadata(program("initdb")).unwrap().mtime();
        let kept =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("postgres-{made_by}-{ROLE}-{PASSWORD}-en"));
        if !kept.exists() {
            make_template(&kept);
        }
        kept
    })
}

fn make_template(kept: &Path) {
    let folder = folder_for_postgres("pangea-initdb");
    let data = folder.path().join("data");
    let password = folder.path().join("password");
    fs::write(&password, PASSWORD).unwrap();
    chown(&password);
    let mut initdb = as_postgres(&program("initdb"));
    initdb.arg("-D").arg(&data).arg("--pwfile").arg(&password).arg("--no-sync");
    initdb.args(["-U", SUPERUSER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C"]);
    // A language that orders text otherwise than by its bytes.
    initdb.args(["--locale-provider=icu", "--icu-locale=en"]);
    run(&mut initdb);
    single_user(
        &data,
        &format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}';\nCREATE DATABASE {ROLE} OWNER {ROLE};\n"),
    );
    // The process that comes second deletes what it made.
    let mine = kept.with_extension(process::id().to_string());
    run(Command::new("cp").arg("-R").arg(&data).arg(&mine));
    if fs::rename(&mine, kept).is_err() {
        fs::remove_dir_all(&mine).unwrap();
    }
}

/// Runs statements, one in each line, in data that no server uses.
fn single_user(data: &Path, statements: &str) {
    let mut command = as_postgres(&program("postgres"));
    command.args(["--single", "-D"]).arg(data).arg("postgres");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    running.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
    let Output { status, stderr, .. } = running.wait_with_output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
}

fn run(command: &mut Command) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let said = || format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {}", said());
}

/// Sends a signal; a process that is gone by now does not mind.
fn signal(name: &str, processes: &[u32]) {
    let processes = processes.iter().map(ToString::to_string);
    let sent = Command::new("kill").args(["-s", name]).args(processes).stderr(Stdio::null()).status();
    sent.unwrap();
}

fn children_of(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().map_while(Result::ok);
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|process| state_and_parent(*process).is_some_and(|(_, its)| its == parent)).collect()
}

fn is_alive(process: u32) -> bool {
    state_and_parent(process).is_some_and(|(state, _)| state != "Z")
}

/// What a process does, and which one started it.
fn state_and_parent(process: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
}

/// Asks until the answer is yes.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE_WITH_SERVERS;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE_WITH_SERVERS:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
