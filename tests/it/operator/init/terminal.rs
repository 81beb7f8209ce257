//! A terminal, and a person who types.

use std::process::Command;

use rexpect::{
    process::WaitStatus,
    session::{Options, PtySession},
    spawn_with_options,
};

use super::{Beginning, PANGEA};

/// How long the wizard may take for anything.
const PATIENCE: u64 = 60_000;

/// What the shell says of the terminal when `init` has ended.
const AFTERWARDS: &str = r#"trap : INT
echo "shell $$"
stty echo cols "$COLUMNS_WANTED"
"$0" "$@"
code=$?
stty -a | tr ';' ' ' | grep -q ' echo ' && echo 'echo is on'
exit $code"#;

/// A terminal in which `init` runs.
pub(super) struct Terminal {
    pub(super) session: PtySession,
    transcript: String,
    /// The process that started `init`.
    pub(super) shell: String,
}

impl Terminal {
    /// `init` in 80 columns.
    pub(super) fn open(beginning: &Beginning) -> Self {
        Self::with(beginning, 80, &[], &[])
    }

    /// `init` with more arguments and variables, on a terminal with this many columns.
    pub(super) fn with(
        beginning: &Beginning,
        columns: u16,
        more: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        // The library switches echo off, which no person's terminal does.
        let mut command = Command::new("sh");
        command.args(["-c", AFTERWARDS, env!("CARGO_BIN_EXE_pangea-mcp-auth"), "init"]);
        command.args(["--config", "config.toml"]).args(more);
        let home = beginning.home.path("");
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "xterm")
            .env("HOME", &home)
            .env("COLUMNS_WANTED", columns.to_string())
            .envs(variables.iter().copied())
            .current_dir(home);
        let options = Options::new().timeout_ms(Some(PATIENCE));
        let mut session = spawn_with_options(command, options).unwrap();
        session.exp_string("shell ").unwrap();
        let shell = session.exp_string("\r\n").unwrap();
        Self { session, transcript: String::new(), shell }
    }

    /// Waits for words.
    pub(super) fn see(&mut self, words: &str) {
        match self.session.exp_string(words) {
            Ok(before) => self.transcript += &(before + words),
            Err(error) => panic!("{words:?}: {error}\nafter {}", self.transcript),
        }
    }

    /// Types a line.
    pub(super) fn type_line(&mut self, line: &str) {
        self.session.send_line(line).unwrap();
    }

    /// Waits for a question and answers it.
    pub(super) fn answer(&mut self, question: &str, answer: &str) {
        self.see(question);
        self.type_line(answer);
    }

    /// Presses Ctrl and a letter.
    pub(super) fn control(&mut self, letter: char) {
        self.session.send_control(letter).unwrap();
    }

    /// Reads to the end; exit code and all that was seen. The terminal shows what is typed again.
    pub(super) fn end(mut self) -> (i32, String) {
        let rest = self.session.exp_eof().unwrap();
        let status = self.session.process().wait().unwrap();
        let WaitStatus::Exited(_, code) = status else { panic!("{status:?}") };
        let transcript = self.transcript + &rest;
        let transcript = transcript.strip_suffix("echo is on\r\n");
        (code, transcript.expect("the terminal shows what is typed").to_owned())
    }

    /// The questions up to those about Pangea, answered with Enter.
    pub(super) fn begin(&mut self, beginning: &Beginning) {
        self.answer("Choice [1]: ", "");
        self.answer("Public URL [http://localhost:8000]: ", &beginning.public_url);
        self.answer("MCP server [http://localhost:9000/mcp]: ", &beginning.mcp_url);
        self.answer("Name [My server]: ", "");
        self.answer("Choice [1]: ", "");
    }

    /// The questions after [`Terminal::begin`], answered correctly: Pangea, and the usual repository.
    pub(super) fn name_pangea(&mut self, beginning: &Beginning) {
        self.answer("Hosted Login URL: ", &beginning.upstream);
        self.answer("Scope [user]: ", "");
        self.answer("Client ID: ", PANGEA.0);
        self.answer("(not shown): ", PANGEA.1);
        self.answer("Choice [1]: ", "");
    }
}
