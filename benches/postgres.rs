//! The repository in `PostgreSQL` without HTTP, beside `pgbench` with a prepared upsert of one row on
//! the same server: `cargo bench --bench postgres`. It starts a server of its own.
#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use pangea_mcp_auth::{
    clock::UnixTime,
    repository::{Kind, Page, PostgresRepository, PostgresSettings, Record, Repository, Version, Write},
    secret::Secret,
};
use tempfile::TempDir;

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const DURATION: Duration = Duration::from_secs(8);
const ROWS: usize = 10_000;
const MANY: usize = 1_000_000;
const PORT: u16 = 26_431;

/// What `pgbench` runs: the table and the value are as those of the repository.
const UPSERT: &str = "\\set n random(1, 10000)
INSERT INTO pangea_mcp_auth_record VALUES ('replay', 'pgbench-' || :n, 1, NULL, 'client', repeat('x', 1200))
ON CONFLICT (kind, key) DO UPDATE SET version = excluded.version, value = excluded.value;
";

#[tokio::main]
async fn main() {
    let server = Server::start();
    for connections in [1, 8, 32] {
        let repository = open(connections).await;
        let versions = fill(&repository, connections).await;
        let theirs = server.pgbench(connections);
        let ours = replaces(&repository, versions).await;
        let reads = gets(&repository, connections).await;
        println!(
            "{connections:>2} connections: replace {ours:>6.0}/s, pgbench upsert {theirs:>6.0}/s, ratio {:.0} %; get {reads:>6.0}/s",
            100.0 * ours / theirs
        );
        assert!(sql("TRUNCATE pangea_mcp_auth_record"));
    }
    pages(&*open(1).await).await;
}

/// What a list of a million grants costs, page by page, and whether it needs more memory than a page.
async fn pages(repository: &PostgresRepository) {
    let fill = format!(
        "INSERT INTO pangea_mcp_auth_record
         SELECT 'grant', 'grant-' || lpad(n::text, 8, '0'), 1, NULL, 'client-' || n % 1000, repeat('x', 1200)
         FROM generate_series(1, {MANY}) AS n"
    );
    assert!(sql(&fill) && sql("VACUUM ANALYZE pangea_mcp_auth_record"));
    let mut page = Page { limit: 500, ..Page::default() };
    let (mut count, mut times, before) = (0, Vec::new(), memory_kib());
    loop {
        let begin = Instant::now();
        let records = repository.list(Kind::Grant, &page, NOW).await.unwrap();
        times.push(begin.elapsed().as_secs_f64() * 1_000.0);
        count += records.len();
        let Some(last) = records.into_iter().next_back() else { break };
        page.after = Some(last.key);
    }
    assert_eq!(count, MANY);
    let median = |times: &[f64]| {
        let mut times = times.to_vec();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let (first, last) = (median(&times[..100]), median(&times[times.len() - 100..]));
    println!(
        "{MANY} grants by pages of 500: {first:.2} ms a page among the first hundred, {last:.2} ms among the last; \
         {} KiB of memory more at the end",
        memory_kib().saturating_sub(before)
    );
}

/// The largest size of this process so far.
fn memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn open(connections: u32) -> Arc<PostgresRepository> {
    let url = format!("postgres://postgres@127.0.0.1:{PORT}/postgres");
    let settings = PostgresSettings {
        url: Secret::new("url", url),
        password: None,
        ca_file: None,
        connections,
        timeout: Duration::from_secs(10),
    };
    Arc::new(PostgresRepository::connect(&settings).await.unwrap())
}

fn record(caller: u32, row: usize) -> Record {
    let (key, value) = (format!("key-{caller}-{row}"), "x".repeat(1200));
    Record { key, value, parent: Some("client".to_owned()), expires_at: None }
}

fn done(write: Write) -> Version {
    match write {
        Write::Done(version) => version,
        Write::Conflict => panic!("a conflict"),
    }
}

/// The rows of each caller, with their versions.
async fn fill(repository: &Arc<PostgresRepository>, callers: u32) -> Vec<Vec<Version>> {
    let rows = ROWS / callers as usize;
    let filling = (0..callers).map(|caller| {
        let repository = Arc::clone(repository);
        tokio::spawn(async move {
            let mut versions = Vec::new();
            for row in 0..rows {
                versions.push(done(repository.insert(Kind::Grant, &record(caller, row), NOW).await.unwrap()));
            }
            versions
        })
    });
    let mut versions = Vec::new();
    for caller in filling.collect::<Vec<_>>() {
        versions.push(caller.await.unwrap());
    }
    versions
}

/// How many conditional writes a second.
async fn replaces(repository: &Arc<PostgresRepository>, versions: Vec<Vec<Version>>) -> f64 {
    let begin = Instant::now();
    let callers = (0..).zip(versions).map(|(caller, mut versions)| {
        let repository = Arc::clone(repository);
        tokio::spawn(async move {
            let mut count = 0_u32;
            for row in (0..versions.len()).cycle() {
                if begin.elapsed() > DURATION {
                    break;
                }
                let record = record(caller, row);
                let write = repository.replace(Kind::Grant, &record, versions[row], NOW).await;
                versions[row] = done(write.unwrap());
                count += 1;
            }
            count
        })
    });
    total(callers.collect(), begin).await
}

/// How many reads a second.
async fn gets(repository: &Arc<PostgresRepository>, callers: u32) -> f64 {
    let begin = Instant::now();
    let callers = (0..callers).map(|caller| {
        let repository = Arc::clone(repository);
        tokio::spawn(async move {
            let (key, mut count) = (record(caller, 0).key, 0_u32);
            while begin.elapsed() < DURATION / 2 {
                repository.get(Kind::Grant, &key, NOW).await.unwrap().unwrap();
                count += 1;
            }
            count
        })
    });
    total(callers.collect(), begin).await
}

async fn total(callers: Vec<tokio::task::JoinHandle<u32>>, begin: Instant) -> f64 {
    let mut all = 0.0;
    for caller in callers {
        all += f64::from(caller.await.unwrap());
    }
    all / begin.elapsed().as_secs_f64()
}

/// A server with the settings that it comes with.
struct Server {
    folder: TempDir,
    child: Child,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        own(folder.path());
        let data = folder.path().join("data");
        let made =
            server_program("initdb").arg("-D").arg(&data).args(["-U", "postgres", "-A", "trust"]).output();
        assert!(made.unwrap().status.success());
        let mut command = server_program("postgres");
        command.arg("-D").arg(&data).args(["-p", &PORT.to_string(), "-c", "unix_socket_directories="]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { folder, child };
        while !sql("SELECT 1") {
            sleep(Duration::from_millis(50));
        }
        server
    }

    /// How many upserts `pgbench` makes in a second with as many connections.
    fn pgbench(&self, connections: u32) -> f64 {
        let script = self.folder.path().join("upsert.sql");
        fs::write(&script, UPSERT).unwrap();
        let (clients, seconds) = (connections.to_string(), DURATION.as_secs().to_string());
        let mut command = client("pgbench");
        command.args(["-n", "-M", "prepared", "-j", "2", "-c", &clients, "-T", &seconds, "-f"]).arg(script);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let output = String::from_utf8(output.stdout).unwrap();
        let line = output.lines().find(|line| line.starts_with("tps = ")).unwrap();
        line.split(' ').nth(2).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-s", "INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

/// Whether a statement succeeds.
fn sql(statement: &str) -> bool {
    let mut command = client("psql");
    command.args(["-c", statement]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().unwrap().success()
}

fn programs() -> PathBuf {
    if let Some(named) = std::env::var_os("PANGEA_TEST_POSTGRES") {
        return named.into();
    }
    let versions = fs::read_dir("/usr/lib/postgresql").unwrap().map_while(Result::ok);
    let newest = versions.map(|entry| entry.path()).max_by_key(|path| path.to_string_lossy().len()).unwrap();
    newest.join("bin")
}

fn client(name: &str) -> Command {
    let mut command = Command::new(programs().join(name));
    command
        .args(["-h", "127.0.0.1", "-p", &PORT.to_string(), "-U", "postgres"])
        .env("PGDATABASE", "postgres");
    command
}

/// The server does not want to be run by root.
fn server_program(name: &str) -> Command {
    let program = programs().join(name);
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

fn own(folder: &Path) {
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        let home = fs::metadata("/var/lib/postgresql").unwrap();
        chown(folder, Some(home.uid()), Some(home.gid())).unwrap();
    }
}
