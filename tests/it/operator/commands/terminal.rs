//! A person at a terminal who runs a command.

use std::process::Command;

use rexpect::{
    process::WaitStatus,
    session::{Options, PtySession},
    spawn_with_options,
};

use crate::support::process::Home;

/// How long a command may take for anything.
const PATIENCE: u64 = 30_000;

/// A command in a terminal.
pub(crate) struct Terminal(PtySession);

impl Terminal {
    /// Begins a command, which a shell reads, in a terminal that is so wide and has no colours.
    pub(crate) fn open(home: &Home, line: &str, columns: u16) -> Self {
        let program = env!("CARGO_BIN_EXE_pangea-mcp-auth");
        let mut command = Command::new("sh");
        command.args([
            "-c",
            &format!("stty -echo cols {columns}; {}", line.replacen("pangea-mcp-auth", program, 1)),
        ]);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "dumb")
            .env("HOME", home.path(""))
            .env("PANGEA_MCP_AUTH_CONFIG", "config.toml")
            .current_dir(home.path(""));
        let options = Options::new().timeout_ms(Some(PATIENCE));
        Self(spawn_with_options(command, options).unwrap())
    }

    /// Waits for a question and answers it.
    pub(crate) fn answer(mut self, question: &str, answer: &str) -> Self {
        self.0.exp_string(question).unwrap();
        self.0.send(answer).unwrap();
        self.0.flush().unwrap();
        self
    }

    /// The exit code and what is seen from here on.
    pub(crate) fn end(mut self) -> (i32, String) {
        let seen = self.0.exp_eof().unwrap();
        let status = self.0.process().wait().unwrap();
        let WaitStatus::Exited(_, code) = status else { panic!("{status:?}") };
        (code, seen.replace('\r', ""))
    }
}
