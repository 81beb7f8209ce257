//! Python programs: MCP servers made with FastMCP, and clients that end with a report.

use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use super::{lines, read_until, tool};

/// A Python program of the outside clients' folder, ready for arguments.
pub fn python(program: &str) -> Command {
    let mut command = Command::new(tool("PANGEA_TEST_PYTHON"));
    command.arg(format!("{}/tests/clients/{program}", env!("CARGO_MANIFEST_DIR"))).stdin(Stdio::null());
    command
}

/// An MCP server that leaves sign-in to us; it ends with the test.
pub struct FastMcp {
    /// What people enter in their client, and the resource.
    pub url: String,
    process: Child,
}

impl FastMcp {
    /// Starts a server that says `ready URL` once it listens.
    pub fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let said = lines(process.stdout.take().unwrap());
        let said = read_until(&said, "ready ");
        let url = said.rsplit_once("ready ").unwrap().1.trim().to_owned();
        Self { url, process }
    }
}

impl Drop for FastMcp {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub said: String,
    /// Standard error.
    pub complained: String,
}

impl Finished {
    /// Runs a program to its end.
    pub fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let [said, complained] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Self { code: status.code(), said, complained }
    }

    /// The report of a client that ended with this code.
    pub fn report(&self, code: i32) -> Value {
        assert_eq!(self.code, Some(code), "{}\n{}", self.said, self.complained);
        serde_json::from_str(&self.said).unwrap_or_else(|error| panic!("{error}: {}", self.said))
    }
}
