//! The repository in Redis without HTTP, beside `redis-benchmark` with the same script on the same
//! server: `cargo bench --bench redis`. It starts servers of its own.
#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use pangea_mcp_auth::{
    clock::UnixTime,
    repository::{Kind, Order, Page, Record, RedisRepository, RedisSettings, Repository, Version, Write},
    secret::Secret,
};
use tempfile::TempDir;

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const DURATION: Duration = Duration::from_secs(5);
const PORT: u16 = 26_379;
/// How many records a list is measured over.
const LISTED: usize = 200_000;

#[tokio::main]
async fn main() {
    for sync in ["always", "everysec"] {
        let server = Server::start(sync);
        let shared = open().await;
        let hash = server.hash_of_replace(&shared).await;
        for callers in [1, 8, 32] {
            let theirs = redis_benchmark(callers, &hash);
            // As many connections as theirs, and one for all, as a daemon has it.
            let mut own = Vec::new();
            for _ in 0..callers {
                own.push(open().await);
            }
            let ours = replaces(own).await;
            let by_one = replaces((0..callers).map(|_| Arc::clone(&shared)).collect()).await;
            let reads = gets((0..callers).map(|_| Arc::clone(&shared)).collect()).await;
            println!(
                "appendfsync {sync}, {callers:>2} callers: redis-benchmark {theirs:>6.0}/s; replace {ours:>6.0}/s \
                 over as many connections ({:.0} %), {by_one:>6.0}/s over one ({:.0} %); get {reads:>6.0}/s",
                100.0 * ours / theirs,
                100.0 * by_one / theirs
            );
        }
        if sync == "everysec" {
            pages(&shared).await;
        }
    }
}

async fn open() -> Arc<RedisRepository> {
    let settings = RedisSettings {
        url: Secret::new("url", format!("redis://127.0.0.1:{PORT}")),
        password: None,
        ca_file: None,
        timeout: Duration::from_secs(10),
    };
    Arc::new(RedisRepository::connect(&settings).await.unwrap())
}

fn record(key: String) -> Record {
    Record { key, value: "x".repeat(1200), parent: Some("client".to_owned()), expires_at: None }
}

fn done(write: Write) -> Version {
    match write {
        Write::Done(version) => version,
        Write::Conflict => panic!("a conflict"),
    }
}

/// A record of a caller's own and its version, whatever was there before.
async fn fresh(repository: &RedisRepository, caller: usize) -> (Record, Version) {
    let record = record(format!("key-{caller}"));
    repository.take(Kind::Grant, &record.key, NOW).await.unwrap();
    let version = done(repository.insert(Kind::Grant, &record, NOW).await.unwrap());
    (record, version)
}

/// How many conditional writes a second.
async fn replaces(repositories: Vec<Arc<RedisRepository>>) -> f64 {
    let begin = Instant::now();
    let callers = repositories.into_iter().enumerate().map(|(caller, repository)| {
        tokio::spawn(async move {
            let ((record, mut version), mut count) = (fresh(&repository, caller).await, 0_u32);
            while begin.elapsed() < DURATION {
                let write = repository.replace(Kind::Grant, &record, version, NOW).await;
                version = done(write.unwrap());
                count += 1;
            }
            count
        })
    });
    total(callers.collect(), begin).await
}

/// How many reads a second.
async fn gets(repositories: Vec<Arc<RedisRepository>>) -> f64 {
    let begin = Instant::now();
    let callers = repositories.into_iter().map(|repository| {
        tokio::spawn(async move {
            let mut count = 0_u32;
            while begin.elapsed() < DURATION / 2 {
                repository.get(Kind::Grant, "key-0", NOW).await.unwrap().unwrap();
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

/// What the first and the last page of a long list take.
async fn pages(repository: &Arc<RedisRepository>) {
    let callers = (0..64).map(|caller| {
        let repository = Arc::clone(repository);
        tokio::spawn(async move {
            for number in (caller..LISTED).step_by(64) {
                let record = record(format!("listed-{number:09}"));
                done(repository.insert(Kind::Grant, &record, NOW).await.unwrap());
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let mut times = Vec::new();
    for (order, after) in [
        (Order::Ascending, None),
        (Order::Ascending, Some(format!("listed-{:09}", LISTED - 200))),
        (Order::Descending, None),
        (Order::Descending, Some("listed-000000200".to_owned())),
    ] {
        let page = Page { parent: Some("client".to_owned()), after, order, limit: 100 };
        let begin = Instant::now();
        for _ in 0..200 {
            assert_eq!(repository.list(Kind::Grant, &page, NOW).await.unwrap().len(), 100);
        }
        times.push((begin.elapsed() / 200).as_micros().to_string());
    }
    println!("a page of 100 among {LISTED}: {} µs at the start and the end, either way", times.join(", "));
}

/// A server with the settings that it comes with, and a file of what it acknowledged.
struct Server(Child, #[expect(dead_code, reason = "the data goes with it")] TempDir);

impl Server {
    fn start(sync: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &PORT.to_string(), "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", sync, "--dir"]).arg(folder.path());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !client("redis-cli").arg("PING").output().unwrap().stdout.starts_with(b"PONG") {
            sleep(Duration::from_millis(50));
        }
        Self(child, folder)
    }

    /// By which hash the server knows the script of a replace.
    async fn hash_of_replace(&self, repository: &RedisRepository) -> String {
        let (record, version) = fresh(repository, 0).await;
        let version = done(repository.replace(Kind::Grant, &record, version, NOW).await.unwrap());
        let mut monitor = client("redis-cli").arg("MONITOR").stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(monitor.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert_eq!(lines.next().as_deref(), Some("OK"));
        done(repository.replace(Kind::Grant, &record, version, NOW).await.unwrap());
        let line = lines.find(|line| line.contains("\"EVALSHA\"")).unwrap();
        monitor.kill().unwrap();
        monitor.wait().unwrap();
        line.split('"').nth(3).unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// How many replaces of one record `redis-benchmark` makes in a second. The record has the version that
/// it is replaced by, so each of them writes.
fn redis_benchmark(connections: usize, hash: &str) -> f64 {
    let place = |what: &str| format!("pangea-mcp-auth:{{grant}}:{what}");
    let stored = format!("7  client\n{}", "x".repeat(1200));
    let key = place("record:theirs");
    assert!(client("redis-cli").args(["SET", &key, &stored]).output().unwrap().status.success());
    let run = |count: f64| {
        let mut command = client("redis-benchmark");
        command.args(["-q", "-c", &connections.to_string(), "-n", &format!("{count:.0}")]);
        command.args(["EVALSHA", hash, "4", &key, &place("keys"), &place("children"), &place("expiry")]);
        command.args(["1800000000", "theirs", "", "client", &stored, "7", "7"]);
        let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let before = said.rsplit_once(" requests per second").unwrap().0;
        before.rsplit([' ', '\r', '\n']).next().unwrap().parse::<f64>().unwrap()
    };
    run(run(2000.0) * DURATION.as_secs_f64())
}

fn client(name: &str) -> Command {
    let mut command = program(name);
    command.args(["-h", "127.0.0.1", "-p", &PORT.to_string()]);
    command
}

fn program(name: &str) -> Command {
    let folder = std::env::var_os("PANGEA_TEST_REDIS").map_or_else(|| "/usr/bin".into(), PathBuf::from);
    assert!(fs::exists(folder.join(name)).unwrap(), "{name} is not there");
    Command::new(folder.join(name))
}
