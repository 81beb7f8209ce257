//! A real daemon in a process of its own.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
};

use super::stored_bytes;

/// A real daemon, for development, with a state directory of its own.
pub(crate) struct Daemon {
    child: Child,
    stderr: Option<std::thread::JoinHandle<String>>,
    /// Its URL.
    pub(crate) url: String,
    /// The introspection secret of its banner.
    pub(crate) secret: String,
    folder: tempfile::TempDir,
}

impl Daemon {
    /// Starts it on free ports with these flags more.
    pub(crate) fn start(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pangea-mcp-auth"));
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--dev-listen", "127.0.0.1:0"]).args(more);
        command.args(["--dev-sign-in-as", "ada@example.com"]).env_clear().env("HOME", folder.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let (mut url, mut secret) = (String::new(), String::new());
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            let last = || line.split_whitespace().next_back().unwrap_or_default().to_owned();
            if line.contains("authorization server  ") {
                url = last();
            }
            if let Some((_, after)) = line.split_once("client_secret=") {
                after.clone_into(&mut secret);
                break;
            }
        }
        assert!(!url.is_empty() && !secret.is_empty(), "no banner");
        Self { child, stderr: Some(stderr), url, secret, folder }
    }

    /// A value of `/proc/PID/status`, in KiB.
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Stops it; what it logged, and its database.
    pub(crate) fn stop(mut self) -> (String, Vec<u8>) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let stored = stored_below(self.folder.path());
        (self.stderr.take().unwrap().join().unwrap(), stored)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bytes of every database below a folder.
fn stored_below(folder: &Path) -> Vec<u8> {
    let mut bytes = stored_bytes(folder);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bytes.extend(stored_below(&path));
        }
    }
    bytes
}
