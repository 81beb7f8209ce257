//! The real binary: a home for it, a daemon, and what it says.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicU16, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use tempfile::TempDir;

/// How long a daemon may take for anything before the test gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// The sealing key of every home, 32 bytes in base64.
pub(crate) const SEALING_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The secret of the resource server `rs-1`.
pub(crate) const RS_SECRET: &str = "rs-1-secret-of-more-than-32-characters";
/// The client that the upstream knows.
pub(crate) const PANGEA: (&str, &str) = ("psa_test", "pck_test");

/// A folder with all that a daemon finds on its machine.
pub(crate) struct Home(TempDir);

impl Home {
    /// An empty home.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A home with a configuration for a daemon at `public_url` and its secrets.
    pub(crate) fn with_configuration(public_url: &str, upstream: &str) -> Self {
        let home = Self::new();
        home.write("config.toml", &configuration(public_url, upstream, &public_url["http://".len()..]));
        home.write("authn-client-secret", PANGEA.1);
        home.write("sealing-key", SEALING_KEY);
        home.write("rs-1-secret", RS_SECRET);
        home
    }

    /// Where a file of this home is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file that no other user can read.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
        std::io::Write::write_all(&mut &file, text.as_bytes()).unwrap();
    }

    /// Replaces words in the configuration; they must be there.
    pub(crate) fn reconfigure(&self, from: &str, to: &str) {
        let text = self.read("config.toml");
        assert!(text.contains(from), "{text}");
        self.write("config.toml", &text.replace(from, to));
    }

    /// What is in a file.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Gives a file another mode.
    pub(crate) fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The program with nothing of this machine's surroundings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pangea-mcp-auth"));
        command.args(arguments).env_clear().env("HOME", self.0.path()).current_dir(self.0.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts the configured daemon and waits until it is ready.
    pub(crate) fn serve(&self) -> Daemon {
        self.serve_with(&[])
    }

    /// The same with more arguments.
    pub(crate) fn serve_with(&self, more: &[&str]) -> Daemon {
        let mut daemon = Daemon::start(self.command(&["serve", "--config", "config.toml"]).args(more));
        daemon.err.wait_for("ready public_url=");
        daemon
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        Daemon::start(&mut self.command(arguments)).wait()
    }
}

/// The configuration of a daemon that listens on `listen`.
pub(crate) fn configuration(public_url: &str, upstream: &str, listen: &str) -> String {
    format!(
        r#"public_url = "{public_url}"
listen = "{listen}"

[authn]
issuer_url = "{upstream}"
client_id = "{}"
client_secret = {{ file = "authn-client-secret" }}
scopes = ["user"]

[[resources]]
url = "{public_url}/mcp"
scopes = ["user"]
introspection = {{ client_id = "rs-1", client_secret = {{ file = "rs-1-secret" }} }}

[keys]
sealing = {{ file = "sealing-key" }}

[repository]
path = "records.sqlite"
"#,
        PANGEA.0
    )
}

/// A free port of this machine, below the ports of outgoing connections, so that it stays free while a
/// daemon is down.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 700).unwrap() * 16;
    for _ in 0..1000 {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// A running program. It ends with the test.
pub(crate) struct Daemon {
    child: Child,
    /// What it prints.
    pub(crate) out: Lines,
    /// What it says.
    pub(crate) err: Lines,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Its exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// All that it printed.
    pub(crate) out: String,
    /// All that it said.
    pub(crate) err: String,
}

impl Daemon {
    /// Starts a program.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (out, err) = (Lines::of(child.stdout.take().unwrap()), Lines::of(child.stderr.take().unwrap()));
        Self { child, out, err }
    }

    /// Sends a signal such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asks it to stop and waits for its end.
    pub(crate) fn stop(self) -> Outcome {
        self.signal("TERM");
        self.wait()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Outcome {
        let (out, err) = (self.out.rest(), self.err.rest());
        let status: ExitStatus = self.child.wait().unwrap();
        Outcome { code: status.code(), out, err }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a program writes, line by line.
pub(crate) struct Lines {
    coming: Receiver<String>,
    seen: String,
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, coming) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { coming, seen: String::new() }
    }

    /// The first line with these words, whether it was read already or is to come. A daemon says several things
    /// while it starts, before or after it is ready.
    pub(crate) fn said(&mut self, words: &str) -> String {
        match self.seen.lines().find(|line| line.contains(words)) {
            Some(line) => line.to_owned(),
            None => self.wait_for(words),
        }
    }

    /// Waits for a line with these words and returns it.
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        loop {
            match self.next() {
                Some(line) if line.contains(words) => return line,
                Some(_) => {}
                None => panic!("the program ended without saying {words:?}:\n{}", self.seen),
            }
        }
    }

    /// All that was and will be written, up to the end.
    pub(crate) fn rest(&mut self) -> String {
        while self.next().is_some() {}
        std::mem::take(&mut self.seen)
    }

    fn next(&mut self) -> Option<String> {
        match self.coming.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.seen.push_str(&line);
                self.seen.push('\n');
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the program is silent after:\n{}", self.seen),
        }
    }
}

/// Whether a line is one of the audit log, which has a time, an account and a machine in it.
pub(crate) fn is_audited(line: &str) -> bool {
    line.starts_with("20") && line.contains(" audit: ")
}

/// The path of a file that helps to investigate a failure.
pub(crate) fn artifact(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/artifacts");
    fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}
