//! The real binary, started as people start it.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use pangea_mcp_auth::{clock::SystemClock, daemon, dev::StandInConfig, secret::SystemRandom};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::stage::Stage;

/// A sealing key for configurations.
pub const SEALING_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const PATIENCE: Duration = Duration::from_mins(1);

/// A running `pangea-mcp-auth serve`; it ends with the test.
pub struct Daemon {
    /// What it said on standard output up to its last line.
    pub banner: String,
    /// Configuration, secrets, state.
    pub folder: TempDir,
    process: Child,
}

impl Daemon {
    /// `serve --dev` on free ports.
    pub fn dev() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(folder.path());
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--dev-listen", "127.0.0.1:0"]);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let said = lines(process.stdout.take().unwrap());
        let banner = read_until(&said, "Stop with Ctrl-C.");
        Self { banner, folder, process }
    }

    /// `serve` with a configuration file, and files with secrets next to it.
    pub fn configured(configuration: &str, secrets: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            file
        };
        let file = write("config.toml", configuration);
        for (name, secret) in secrets {
            write(name, secret);
        }
        let process = serve(folder.path(), &file);
        Self { banner: String::new(), folder, process }
    }

    /// Kills the daemon and starts it again with its configuration file.
    pub fn restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = serve(self.folder.path(), &self.folder.path().join("config.toml"));
    }

    /// What a command prints as JSON. It has the daemon's configuration.
    pub fn command(&self, arguments: &[&str]) -> serde_json::Value {
        let mut command = command(self.folder.path());
        command
            .arg("--config")
            .arg(self.folder.path().join("config.toml"))
            .args(["-o", "json"])
            .args(arguments);
        let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// The rest of the banner's line after `name`.
    pub fn said(&self, name: &str) -> &str {
        let after = self.banner.split_once(name).unwrap_or_else(|| panic!("no {name} in {}", self.banner)).1;
        after.lines().next().unwrap().trim()
    }
}

/// Starts the daemon and waits until it is ready.
fn serve(folder: &Path, configuration: &Path) -> Child {
    let mut command = command(folder);
    let mut process =
        command.arg("serve").arg("--config").arg(configuration).stderr(Stdio::piped()).spawn().unwrap();
    let said = lines(process.stderr.take().unwrap());
    read_until(&said, " ready ");
    process
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What stands for a Pangea project: a client, with where it may send people. Returns its URL.
pub async fn pangea(client: (&str, &str), redirect_uri: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let config = StandInConfig {
        issuer: issuer.clone(),
        client_id: client.0.to_owned(),
        client_secret: client.1.to_owned(),
        redirect_uris: vec![redirect_uri],
        scopes: vec!["user".to_owned()],
        default_scopes: vec!["user".to_owned()],
        sign_in_as: None,
        state_file: None,
    };
    let stage = Stage::new(config, Arc::new(SystemClock), Arc::new(SystemRandom));
    tokio::spawn(daemon::serve(vec![listener], stage.router(), CancellationToken::new()));
    issuer
}

/// A loopback port that no process listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Lines that a process says, all of them read, so that it never has to wait for us.
pub fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

/// What is said up to the line that holds `text`.
pub fn read_until(said: &Receiver<String>, text: &str) -> String {
    let mut all = String::new();
    loop {
        let line = said.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("never said {text:?}: {all}"));
        all.push_str(&line);
        all.push('\n');
        if line.contains(text) {
            return all;
        }
    }
}

/// The binary with nothing of this machine's configuration.
fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pangea-mcp-auth"));
    command.env_clear().env("HOME", home).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    for variable in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"] {
        command.env(variable, home);
    }
    command
}
