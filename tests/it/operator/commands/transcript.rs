//! Commands with all that comes of them, as a text that is compared with the one in `snapshots/`:
//! standard output as it is, standard error behind `! `, an exit code other than 0 behind `? `.
//! Lines of the audit log are left out. `SNAPSHOTS=overwrite` writes what is new.

use std::{fmt::Write as _, io::Write as _, path::Path, process::Stdio};

use snapbox::{Assert, Data};

use super::records::Records;
use crate::support::process::{Daemon, Outcome, is_audited};

/// What was run so far.
pub(super) struct Transcript<'a> {
    records: &'a Records,
    text: String,
}

impl<'a> Transcript<'a> {
    pub(super) fn new(records: &'a Records) -> Self {
        Self { records, text: String::new() }
    }

    /// Runs a command in a pipe.
    pub(super) fn run(&mut self, arguments: &str) -> Outcome {
        let outcome = self.records.run(arguments);
        self.note(&format!("$ pangea-mcp-auth {arguments}"), &outcome);
        outcome
    }

    /// The same with something on standard input, which the transcript calls `what`.
    pub(super) fn run_with(&mut self, arguments: &str, what: &str, input: &[u8]) -> Outcome {
        let outcome = run_with(self.records, arguments, input);
        self.note(&format!("$ pangea-mcp-auth {arguments} < {what}"), &outcome);
        outcome
    }

    fn note(&mut self, command: &str, outcome: &Outcome) {
        let said = words(&outcome.err).lines().map(|line| format!("! {line}\n")).collect::<String>();
        let code = outcome.code.filter(|code| *code != 0).map(|code| format!("? {code}\n"));
        writeln!(self.text, "{command}\n{}{said}{}", outcome.out, code.unwrap_or_default()).unwrap();
    }

    /// Calls a text that is another at each time by a name.
    pub(super) fn name(&mut self, text: &str, name: &str) {
        self.text = self.text.replace(text, name);
    }

    /// Calls the first word behind `before` by a name, wherever it stands.
    pub(super) fn hide_after(&mut self, before: &str, name: &str) {
        let rest = self.text.split(before).nth(1).unwrap();
        let word = rest.split_whitespace().next().unwrap().to_owned();
        self.name(&word, name);
    }

    /// Compares all of it with a file.
    pub(super) fn is(self, file: &str) {
        same(file, &self.records.without_times(&without_accounts(&self.text)));
    }
}

/// The text without who runs the tests, and where.
fn without_accounts(text: &str) -> String {
    let hidden = |line: &str| match line.split_once(" by ").filter(|_| line.starts_with("operator\t")) {
        Some((action, _)) => format!("{action} by <account>\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(hidden).collect()
}

/// What was said, without the audit log, and without the line about the repository, which is in another
/// folder each time.
pub(super) fn words(said: &str) -> String {
    let lines = said.lines().filter(|line| !line.starts_with("repository: ") && !is_audited(line));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Runs a command with something on standard input.
pub(super) fn run_with(records: &Records, arguments: &str, input: &[u8]) -> Outcome {
    let (read, mut write) = std::io::pipe().unwrap();
    let mut command = records.command(arguments);
    let running = Daemon::start(command.stdin(Stdio::from(read)));
    drop(command);
    // A reader that has read enough hangs up.
    let _ = write.write_all(input);
    drop(write);
    running.wait()
}

/// Compares a text with a file.
pub(super) fn same(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/operator/commands/snapshots").join(file);
    Assert::new().action_env("SNAPSHOTS").eq(text, Data::read_from(&path, None));
}
