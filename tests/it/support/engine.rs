//! Servers that keep records: what they have in common, and the one of each kind that all tests of a run share.

use std::{
    env,
    fs::{self, File},
    ops::Deref,
    os::unix::process::{CommandExt, parent_id},
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use pangea_mcp_auth::repository::{Repository, RepositoryError};

/// How long a call of a repository may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A database for the records of one daemon.
pub trait Records {
    /// The value of `repository.kind`.
    const KIND: &'static str;

    /// The value of `repository.url`. It contains the password.
    fn url(&self) -> String;

    /// The server's port on the loopback address.
    fn port(&self) -> u16;

    /// Connects to the database at this URL.
    fn connect(
        url: &str,
        timeout: Duration,
    ) -> impl Future<Output = Result<Arc<dyn Repository>, RepositoryError>> + Send;

    /// A repository in this database.
    fn repository(&self) -> impl Future<Output = Arc<dyn Repository>> + Send {
        let url = self.url();
        async move { Self::connect(&url, PATIENCE).await.unwrap() }
    }

    /// The lines of `[repository]`.
    fn configuration(&self) -> String {
        format!("kind = \"{}\"\nurl = \"{}\"\n", Self::KIND, self.url())
    }
}

/// A server of one test, which may stop it.
pub trait RecordServer: Deref<Target: Records> {
    /// Starts it again on the same data, and waits until it answers.
    fn start(&mut self);

    /// Stops it as an operator would.
    fn stop(&mut self);

    /// `kill -9`.
    fn kill(&mut self);

    /// Suspends it: connections stay open and nothing answers.
    fn freeze(&self);

    /// Resumes it.
    fn thaw(&self);
}

/// The folder and the port of a server that the tests of this run share.
pub(super) struct Shared {
    folder: PathBuf,
    /// Its port on the loopback address.
    pub(super) port: u16,
}

impl Shared {
    /// Finds the server of this kind, or starts it if this is the first test of the run that needs one.
    /// `start` gets an empty folder. It returns the server's command and port.
    pub(super) fn of(
        kind: &str,
        start: impl FnOnce(&Path) -> (Command, u16),
        answers: impl FnMut(u16) -> bool,
    ) -> Self {
        let run = Run::this();
        let folder = run.folder.join(kind);
        fs::create_dir_all(&folder).unwrap();
        let _lock = locked(&folder);
        let known = folder.join("port");
        if let Ok(port) = fs::read_to_string(&known) {
            return Self { folder, port: port.parse().unwrap() };
        }
        let (command, port) = start(&folder);
        run.watch(&command, &folder);
        wait_until_it_answers(port, answers);
        fs::write(known, port.to_string()).unwrap();
        Self { folder, port }
    }

    /// A number that no other test of the run gets, from 1.
    pub(super) fn next_number(&self) -> u32 {
        let _lock = locked(&self.folder);
        let file = self.folder.join("number");
        let last: u32 = fs::read_to_string(&file).map_or(0, |number| number.parse().unwrap());
        fs::write(file, (last + 1).to_string()).unwrap();
        last + 1
    }
}

fn wait_until_it_answers(port: u16, mut answers: impl FnMut(u16) -> bool) {
    super::postgres::until("the shared server answers", || answers(port));
}

/// Keeps the other tests out until it is dropped.
fn locked(folder: &Path) -> File {
    let file = File::create(folder.join("lock")).unwrap();
    file.lock().unwrap();
    file
}

/// All tests that the test runner started together.
struct Run {
    folder: PathBuf,
    /// The process whose end is the end of the run.
    owner: u32,
}

/// Runs a server in the background until the owner of the run has ended, then stops it with SIGINT.
const WATCHDOG: &str = r#"
owner=$1 folder=$2; shift 2
(
    "$@" &
    server=$!
    while kill -0 "$owner" && kill -0 "$server"; do sleep 0.5; done
    kill -s INT "$server"
    wait "$server"
    rm -rf "$folder"
    rmdir "${folder%/*}"
) &
"#;

impl Run {
    /// `cargo nextest` runs each test in a process of its own, `cargo test` all of them in this one.
    fn this() -> Self {
        let (name, owner) = match env::var_os("NEXTEST_RUN_ID") {
            Some(id) => (id, parent_id()),
            None => (process::id().to_string().into(), process::id()),
        };
        Self { folder: env::temp_dir().join("pangea-engines").join(name), owner }
    }

    /// Starts a server under a watchdog in a process group of its own, which a signal for this test does
    /// not reach.
    fn watch(&self, server: &Command, folder: &Path) {
        let mut watchdog = Command::new("sh");
        watchdog.args(["-c", WATCHDOG, "watchdog", &self.owner.to_string()]).arg(folder);
        watchdog.arg(server.get_program()).args(server.get_args());
        watchdog.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(watchdog.process_group(0).status().unwrap().success());
    }
}
