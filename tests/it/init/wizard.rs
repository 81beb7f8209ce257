//! A person at a terminal of 80 columns, who mistypes, goes back, and sometimes leaves.

use std::process::Command;

use rexpect::{
    process::WaitStatus,
    session::{Options, PtySession},
    spawn_with_options,
};

use super::Beginning;
use crate::support::process::PANGEA;

/// How long the wizard may take for anything.
const PATIENCE: u64 = 30_000;

/// A terminal in which `init` runs.
struct Terminal {
    session: PtySession,
    transcript: String,
}

impl Terminal {
    fn open(beginning: &Beginning) -> Self {
        // The library switches echo off, which no person's terminal does.
        let mut command = Command::new("sh");
        command.args(["-c", r#"stty echo cols 80 && exec "$0" "$@""#]);
        command.args([env!("CARGO_BIN_EXE_pangea-mcp-auth"), "init", "--config", "config.toml"]);
        let home = beginning.home.path("");
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "xterm")
            .env("HOME", &home)
            .current_dir(home);
        let options = Options::new().timeout_ms(Some(PATIENCE));
        Self { session: spawn_with_options(command, options).unwrap(), transcript: String::new() }
    }

    /// Waits for words.
    fn see(&mut self, words: &str) {
        match self.session.exp_string(words) {
            Ok(before) => self.transcript += &(before + words),
            Err(error) => panic!("{error}\nafter {}", self.transcript),
        }
    }

    /// Waits for a question and answers it.
    fn answer(&mut self, question: &str, answer: &str) {
        self.see(question);
        self.session.send_line(answer).unwrap();
    }

    /// Reads to the end; exit code and all that was seen.
    fn end(mut self) -> (i32, String) {
        let rest = self.session.exp_eof().unwrap();
        let status = self.session.process().wait().unwrap();
        let WaitStatus::Exited(_, code) = status else { panic!("{status:?}") };
        (code, self.transcript + &rest)
    }

    /// The questions up to those about Pangea, answered with Enter.
    fn begin(&mut self, beginning: &Beginning) {
        self.answer("Choice [1]: ", "");
        self.answer("Public URL [http://localhost:8000]: ", &beginning.public_url);
        self.answer("Choice [1]: ", "");
        self.answer("MCP server [http://localhost:9000/mcp]: ", "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_mistypes_goes_back_and_arrives() {
    let beginning = Beginning::start().await;
    let mut terminal = Terminal::open(&beginning);
    terminal.answer("Choice [1]: ", "7");
    terminal.answer("Choice [1]: ", "");
    terminal.answer("Public URL [http://localhost:8000]: ", "http://mcp.example.org");
    terminal.see("That does not work");
    terminal.answer("Public URL [http://localhost:8000]: ", "http://localhost:1");
    terminal.answer("Choice [1]: ", "<");
    terminal.answer("Public URL [http://localhost:1]: ", &beginning.public_url);
    terminal.answer("Choice [1]: ", "");
    terminal.answer("MCP server [http://localhost:9000/mcp]: ", "");
    terminal.see(&format!("\n{}/pangea/callback\r\n", beginning.public_url));
    terminal.answer("Hosted Login URL: ", "http://127.0.0.1:1");
    terminal.see("FAIL  upstream.issuer");
    terminal.answer("Hosted Login URL [http://127.0.0.1:1]: ", &beginning.upstream);
    terminal.see("ok    upstream.issuer");
    terminal.answer("Scope [user]: ", "");
    terminal.answer("Client ID: ", "psa_wrong");
    terminal.answer("Client secret (not shown): ", "pck_wrong");
    terminal.see("FAIL  upstream.authorize");
    terminal.answer("[again]: ", "<");
    terminal.answer("Client secret, Enter for the one before (not shown): ", "<");
    terminal.answer("Client ID [psa_wrong]: ", PANGEA.0);
    terminal.answer("(not shown): ", "");
    terminal.see("FAIL  upstream.credentials");
    terminal.answer("[again]: ", "<");
    terminal.answer("(not shown): ", PANGEA.1);
    terminal.see("ok    upstream.credentials");
    terminal.answer("Choice [1]: ", "");
    let (code, transcript) = terminal.end();
    assert_eq!(code, 0, "{transcript}");
    assert_eq!(beginning.files(), ["authn-client-secret", "config.toml", "sealing-key"]);
    assert!(beginning.home.read("config.toml").contains(&beginning.public_url));
    for command in ["serve --config config.toml", "check --config config.toml --resource", "tokens list"] {
        assert!(transcript.contains(&format!("pangea-mcp-auth {command}")), "{command} {transcript}");
    }
    for secret in [PANGEA.1, "pck_wrong", "\u{1b}", &beginning.home.read("sealing-key")] {
        assert!(!transcript.contains(secret), "{secret:?} was seen: {transcript}");
    }
    let long: Vec<_> = transcript.lines().filter(|line| line.trim_end().chars().count() > 80).collect();
    assert_eq!(long, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_it_shows_does_the_same() {
    let beginning = Beginning::start().await;
    let mut terminal = Terminal::open(&beginning);
    terminal.begin(&beginning);
    terminal.answer("Hosted Login URL: ", &beginning.upstream);
    terminal.answer("Scope [user]: ", "");
    terminal.answer("Client ID: ", PANGEA.0);
    terminal.answer("(not shown): ", PANGEA.1);
    terminal.answer("Choice [1]: ", "");
    let (code, transcript) = terminal.end();
    assert_eq!(code, 0, "{transcript}");
    let written = beginning.home.read("config.toml");
    let command = transcript.split("The same without questions:").nth(1).unwrap();
    let command =
        command.replace("\\\r\n", " ").replace("--config config.toml", "--config again/config.toml");
    let words: Vec<&str> = command.split_whitespace().skip(1).collect();
    let outcome = beginning.home.run(&words);
    assert_eq!(outcome.code, Some(0), "{words:?} {outcome:?}");
    assert_eq!(beginning.home.read("again/config.toml"), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_at_any_question_leaves_nothing_behind() {
    let beginning = Beginning::start().await;
    for questions in 0..4 {
        let mut terminal = Terminal::open(&beginning);
        if questions > 0 {
            terminal.begin(&beginning);
            terminal.see("Hosted Login URL: ");
        } else {
            terminal.see("Choice [1]: ");
        }
        if questions > 1 {
            terminal.session.send_line(&beginning.upstream).unwrap();
            terminal.answer("Scope [user]: ", "");
            terminal.answer("Client ID: ", PANGEA.0);
            terminal.see("(not shown): ");
        }
        if questions > 2 {
            terminal.session.send_line(PANGEA.1).unwrap();
            terminal.see("Choice [1]: ");
        }
        terminal.session.send_control('c').unwrap();
        let (code, transcript) = terminal.end();
        assert_eq!(code, 130, "after {questions}: {transcript}");
        assert_eq!(beginning.files(), [""; 0], "after {questions}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_input_is_an_interruption_too() {
    let beginning = Beginning::start().await;
    let mut terminal = Terminal::open(&beginning);
    terminal.see("Choice [1]: ");
    terminal.session.send_control('d').unwrap();
    assert_eq!(terminal.end().0, 130);
    assert_eq!(beginning.files(), [""; 0]);
}
