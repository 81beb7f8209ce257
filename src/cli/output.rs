//! The only module that prints: data to standard output, messages to standard error.
//!
//! On a terminal, a list is a table that fits. When piped, each row is one line of full values with tabs
//! between them, without a header. With `-o json` a list is an array, with `-q` one ID per line. Control
//! characters in text from clients and users are replaced.

use std::{
    cell::Cell,
    fmt::Write as _,
    io::{self, IsTerminal, Write},
    iter::repeat_n,
};

use dialoguer::Confirm;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::{
    failure::{Exit, Failure},
    table::{self, Column},
    times,
};
use crate::{clock::UnixTime, oauth::display_text::is_hidden};

/// Maximum number of rows that are laid out together.
const LAID_OUT_AT_ONCE: usize = 1000;
/// Width of a narrow terminal, in columns.
const NARROW: usize = 80;
/// Default `--limit` on a terminal.
const USUAL_LIMIT: u64 = 50;
/// Size of a write, in bytes.
const BUFFER: usize = 64 * 1024;
/// Characters of an ID on a terminal: unique in practice, and accepted by every command.
const BRIEF_ID: usize = 12;

/// Prints data. A closed pipe is not an error.
pub(super) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints an error and its hint.
pub(super) fn complain(failure: &Failure) {
    let mut words = io::stderr().lock();
    let _ = writeln!(words, "error: {}", readable_lines(&failure.message));
    if let Some(hint) = &failure.hint {
        let _ = writeln!(words, "hint: {}", readable_lines(hint));
    }
}

/// Prints every failure but the last, which it returns. The exit code is the one that all failures share,
/// [`Exit::Partly`] if part of the work was done, and otherwise [`Exit::Failed`].
pub(super) fn tell_all(mut failures: Vec<Failure>, is_some_done: bool) -> Result<(), Failure> {
    let Some(last) = failures.pop() else { return Ok(()) };
    failures.iter().for_each(complain);
    let exit = match last.exit {
        _ if is_some_done => Exit::Partly,
        exit if failures.iter().all(|failure| failure.exit == exit) => exit,
        _ => Exit::Failed,
    };
    Err(Failure { exit, ..last })
}

/// Whether a user is at the terminal and can answer questions.
pub(super) fn is_attended() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Ends a line that a question began.
pub(super) fn end_line() {
    let _ = writeln!(io::stderr().lock());
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A table that fits the terminal.
    Terminal,
    /// Full values, tab-separated.
    Lines,
    Json,
    Ids,
}

#[derive(Debug)]
pub(super) struct Output {
    form: Form,
    colour: bool,
    now: UnixTime,
    /// Whether the reader of standard output has closed it.
    unread: Cell<bool>,
}

pub(super) trait Row: Serialize {
    fn id(&self) -> String;

    fn cells(&self, style: Style) -> Vec<String>;
}

/// One value with all its details.
pub(super) trait Sheet: Serialize {
    fn id(&self) -> String;

    /// Names and texts; an empty name continues the line above.
    fn lines(&self, style: Style) -> Vec<(&'static str, String)>;
}

/// How times and IDs are formatted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    now: UnixTime,
    for_people: bool,
}

impl Style {
    /// Whether the output is a terminal.
    pub(super) const fn is_for_people(self) -> bool {
        self.for_people
    }

    /// A relative time on a terminal, RFC 3339 elsewhere.
    pub(super) fn time(self, time: UnixTime) -> String {
        if self.for_people { times::relative(time, self.now) } else { times::rfc3339(time) }
    }

    /// RFC 3339; on a terminal with the relative time.
    pub(super) fn full_time(self, time: UnixTime) -> String {
        let full = times::rfc3339(time);
        if self.for_people { format!("{full} ({})", times::relative(time, self.now)) } else { full }
    }

    /// The beginning of an ID on a terminal, the full ID elsewhere.
    pub(super) fn id(self, id: &str) -> String {
        if self.for_people { id.chars().take(BRIEF_ID).collect() } else { id.to_owned() }
    }
}

impl Output {
    pub(super) fn new(format: Format, quiet: bool, no_color: bool, now: UnixTime) -> Self {
        let form = match format {
            _ if quiet => Form::Ids,
            Format::Json => Form::Json,
            Format::Table if io::stdout().is_terminal() => Form::Terminal,
            Format::Table => Form::Lines,
        };
        Self { form, colour: form == Form::Terminal && !no_color, now, unread: Cell::new(false) }
    }

    /// Whether `--quiet` is given.
    pub(super) fn is_quiet(&self) -> bool {
        self.form == Form::Ids
    }

    /// Whether this format contains the names of clients.
    pub(super) fn tells_names(&self) -> bool {
        matches!(self.form, Form::Terminal | Form::Json)
    }

    fn style(&self) -> Style {
        Style { now: self.now, for_people: self.form == Form::Terminal }
    }

    pub(super) const fn list(&self, columns: &'static [Column]) -> List<'_> {
        List { output: self, columns, waiting: Vec::new(), text: String::new(), count: 0, hidden: Vec::new() }
    }

    /// Maximum number of rows without `--limit`.
    pub(super) const fn usual_limit(&self) -> u64 {
        if matches!(self.form, Form::Terminal) { USUAL_LIMIT } else { u64::MAX }
    }

    /// Prints the number of rows and, if the list was cut, how to continue.
    pub(super) fn end_of_list(&self, counted: &str, last: Option<&str>) {
        match last {
            Some(last) => self.note(&format!("{counted}; to continue, use --after {last}")),
            None => self.remark(counted),
        }
    }

    pub(super) fn sheet(&self, sheet: &impl Sheet) {
        match self.form {
            Form::Ids => self.write(&format!("{}\n", readable(&sheet.id()))),
            Form::Json => self.json(sheet),
            Form::Terminal | Form::Lines => {
                let lines = sheet.lines(self.style());
                let widest = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
                let text = lines.iter().map(|(name, text)| match self.form {
                    Form::Terminal => format!("{name:widest$}  {}\n", readable(text)),
                    _ => format!("{name}\t{}\n", readable(text)),
                });
                self.write(&text.collect::<String>());
            }
        }
    }

    /// Prints a report as JSON or as text. `text` gets whether colours are allowed.
    pub(super) fn document(&self, value: &impl Serialize, text: impl FnOnce(bool) -> String) {
        match self.form {
            Form::Json => self.json(value),
            Form::Ids => {}
            Form::Terminal | Form::Lines => self.write(&text(self.colour)),
        }
    }

    /// Prints JSON, whatever format is selected.
    pub(super) fn json(&self, value: &impl Serialize) {
        self.write(&(pretty(value) + "\n"));
    }

    /// Prints the result of a command as JSON or as a sentence.
    pub(super) fn outcome(&self, value: &impl Serialize, words: &str) {
        match self.form {
            Form::Json => self.json(value),
            Form::Ids => {}
            Form::Terminal | Form::Lines => self.say(words),
        }
    }

    /// Prints an ID that was processed, with `--quiet`.
    pub(super) fn done(&self, id: &str) {
        if self.is_quiet() {
            self.print_id(id);
        }
    }

    pub(super) fn print_id(&self, id: &str) {
        self.write(&format!("{}\n", readable(id)));
    }

    /// Prints a message.
    #[expect(clippy::unused_self, reason = "messages are part of the output")]
    pub(super) fn say(&self, words: &str) {
        let _ = writeln!(io::stderr().lock(), "{}", words.trim_end());
    }

    /// Prints a message, wrapped to the width of the terminal and indented.
    pub(super) fn tell(&self, indent: usize, words: &str) {
        self.tell_item("", indent, words);
    }

    /// The same after a mark, such as a number. Further lines begin at `indent`.
    pub(super) fn tell_item(&self, mark: &str, indent: usize, words: &str) {
        let width = usize::from(table::terminal_width()).min(NARROW);
        self.say(&format!("{mark:indent$}{}", folded_to(width, words, indent, indent)));
    }

    /// Prints a message on a terminal only.
    pub(super) fn remark(&self, words: &str) {
        if self.form == Form::Terminal {
            self.say(words);
        }
    }

    /// Prints a message, except with `--quiet`.
    pub(super) fn note(&self, words: &str) {
        if !self.is_quiet() {
            self.say(words);
        }
    }

    pub(super) fn warn(&self, words: &str) {
        self.say(&format!("warning: {words}"));
    }

    /// Prints a question; the answer follows on the same line.
    #[expect(clippy::unused_self, reason = "messages are part of the output")]
    pub(super) fn ask(&self, question: &str) {
        let mut words = io::stderr().lock();
        let _ = words.write_all(question.as_bytes()).and_then(|()| words.flush());
    }

    /// Asks for confirmation, unless `--yes` is given.
    #[expect(clippy::unused_self, reason = "messages are part of the output")]
    pub(super) fn confirm(&self, question: &str, yes: bool) -> Result<(), Failure> {
        if yes {
            return Ok(());
        }
        if !is_attended() {
            let message = format!("{question} Refusing without confirmation: stdin is not a terminal");
            return Err(
                Failure::new(Exit::Usage, message).hint("use --yes, or --dry-run to see what would be done")
            );
        }
        match Confirm::new().with_prompt(question).default(false).interact() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::new(Exit::Failed, "nothing was changed")),
            Err(_) => Err(Failure::new(Exit::Interrupted, "interrupted; nothing was changed")),
        }
    }

    /// A progress bar on standard error, if that is a terminal.
    pub(super) fn progress(&self, what: &'static str, total: Option<u64>) -> ProgressBar {
        let shown = self.form != Form::Ids && io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target).with_message(what);
        let template = if total.is_some() { "{msg} {wide_bar} {pos}/{len}" } else { "{msg} {pos}" };
        match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }

    /// Whether standard output was closed, so that the command can stop.
    pub(super) const fn is_unread(&self) -> bool {
        self.unread.get()
    }

    fn write(&self, text: &str) {
        let mut out = io::stdout().lock();
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            self.unread.set(true);
        }
    }
}

/// A list that is printed piece by piece, so that it needs little memory.
pub(super) struct List<'a> {
    output: &'a Output,
    columns: &'static [Column],
    waiting: Vec<Vec<String>>,
    text: String,
    count: u64,
    /// Columns that do not fit the terminal.
    hidden: Vec<&'static str>,
}

impl List<'_> {
    pub(super) fn push(&mut self, row: &impl Row) {
        self.count += 1;
        match self.output.form {
            Form::Terminal => self.waiting.push(self.cells(row)),
            Form::Lines => self.text += &(self.cells(row).join("\t") + "\n"),
            Form::Ids => self.text += &(readable(&row.id()) + "\n"),
            Form::Json => {
                self.text += if self.count == 1 { "[\n  " } else { ",\n  " };
                self.text += &pretty(row).replace('\n', "\n  ");
            }
        }
        if self.waiting.len() >= LAID_OUT_AT_ONCE || self.text.len() >= BUFFER {
            self.flush();
        }
    }

    /// Ends the list and returns its number of rows.
    pub(super) fn finish(mut self) -> u64 {
        if self.output.form == Form::Json {
            self.text += if self.count == 0 { "[]\n" } else { "\n]\n" };
        }
        self.flush();
        if !self.hidden.is_empty() {
            let hidden = self.hidden.join(", ");
            self.output
                .tell(0, &format!("hidden columns: {hidden} (a wider terminal or -o json shows them)"));
        }
        self.count
    }

    fn cells(&self, row: &impl Row) -> Vec<String> {
        row.cells(self.output.style()).iter().map(|cell| readable(cell)).collect()
    }

    fn flush(&mut self) {
        if !self.waiting.is_empty() {
            let width = table::terminal_width();
            let laid_out = table::lay_out(self.columns, &self.waiting, width, self.output.colour);
            self.text = laid_out.text;
            for title in laid_out.hidden {
                if !self.hidden.contains(&title) {
                    self.hidden.push(title);
                }
            }
            self.waiting.clear();
        }
        self.output.write(&self.text);
        self.text.clear();
    }
}

/// Wraps text for a narrow terminal. The first line begins at `column`, further lines at `indent`. A word that
/// is too long gets a line of its own, so that it can be copied.
pub(super) fn folded(text: &str, column: usize, indent: usize) -> String {
    folded_to(NARROW, text, column, indent)
}

fn folded_to(width: usize, text: &str, mut column: usize, indent: usize) -> String {
    let (mut out, mut is_first) = (String::new(), true);
    for word in readable(text).split_whitespace() {
        let length = word.chars().count();
        if !is_first && column + 1 + length > width {
            out.push('\n');
            out.extend(repeat_n(' ', indent));
            column = indent;
        } else if !is_first {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        (column, is_first) = (column + length, false);
    }
    out
}

/// JSON with control and invisible characters escaped, so that they cannot affect a terminal.
fn pretty(value: &impl Serialize) -> String {
    let json = serde_json::to_string_pretty(value).unwrap_or_default();
    // The serializer escapes everything below a space. Of the rest of ASCII, only DEL is harmful.
    if json.bytes().all(|byte| byte < 0x7f) {
        return json;
    }
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        // Those below a space are between values.
        if is_hidden(c) && c >= ' ' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(c);
        }
    }
    text
}

/// Untrusted text on one line. Characters that move the cursor, reverse the writing direction or are invisible
/// become U+FFFD, so that the reader notices them.
pub(super) fn readable(text: &str) -> String {
    if text.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
        return text.to_owned();
    }
    text.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect()
}

/// The same for several lines.
fn readable_lines(text: &str) -> String {
    text.split('\n').map(readable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_stranger_wrote_reaches_the_terminal_as_a_command() {
        assert_eq!(readable("a\u{1b}[2Jb\tc\nd\u{202e}e"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}e");
        assert_eq!(readable("Zoë ✓ 日本"), "Zoë ✓ 日本");
        // Tags, zero-width characters and blank fillers are invisible: two names can look the same.
        assert_eq!(readable("a\u{e0041}b\u{200b}c\u{3164}d"), "a\u{fffd}b\u{fffd}c\u{fffd}d");
        assert_eq!(readable_lines("a\u{9b}2J\nb"), "a\u{fffd}2J\nb");
    }

    #[test]
    fn json_has_no_character_that_a_terminal_obeys_and_means_the_same() {
        let name = "a\u{1b}[2J\u{9b}2J\u{7f}\u{202e}é\n";
        let json = pretty(&[name]);
        assert_eq!(json, "[\n  \"a\\u001b[2J\\u009b2J\\u007f\\u202eé\\n\"\n]");
        assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap(), [name]);
        let tagged = pretty(&["a\u{e0041}\u{200b}"]);
        assert_eq!(tagged, "[\n  \"a\\udb40\\udc41\\u200b\"\n]");
        assert_eq!(serde_json::from_str::<[String; 1]>(&tagged).unwrap(), ["a\u{e0041}\u{200b}"]);
    }

    #[test]
    fn lines_are_no_longer_than_a_terminal_unless_a_word_is() {
        let (word, long) = ("seven77 ".repeat(20), "x".repeat(90));
        let folded = folded(&format!("{word}{long} end"), 5, 2);
        let lines: Vec<&str> = folded.lines().collect();
        assert!(lines.iter().all(|line| line.len() <= 80 || line.trim() == long), "{folded}");
        assert_eq!((lines[0].len(), lines.last()), (71, Some(&"  end")));
    }
}
