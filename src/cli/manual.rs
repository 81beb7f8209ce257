//! `man`: generates a manual page for each command, from the definitions that `--help` uses.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Command, CommandFactory};
use clap_mangen::{
    Man as Page,
    roff::{Inline, Roff, bold, roman},
};

use super::{
    Arguments,
    failure::{EXIT_CODES, Exit, Failure},
};
use crate::config;

/// Date on the pages: when their content last changed.
const DATE: &str = "2026-11-28";
const SOURCE: &str = concat!("pangea-mcp-auth ", env!("CARGO_PKG_VERSION"));
/// Heading of the examples in the help.
const EXAMPLES: &str = "Examples:\n";
const FILES: [(&str, &str); 3] = [
    (
        "~/.config/pangea-mcp-auth/config.toml",
        "The configuration, unless --config or $PANGEA_MCP_AUTH_CONFIG names another file.",
    ),
    (
        "~/.local/state/pangea-mcp-auth/pangea-mcp-auth.sqlite",
        "Clients, grants and keys, unless [repository] names another location.",
    ),
    ("~/.local/state/pangea-mcp-auth/dev/", "The files of --dev."),
];
const VARIABLES: [(&str, &str); 2] = [
    ("PANGEA_MCP_AUTH_CONFIG", "The configuration file."),
    ("NO_COLOR", "If it is not empty, colours are disabled."),
];

/// Write a manual page for each command.
#[derive(Debug, clap::Args)]
#[command(
    hide = true,
    after_help = "Examples:
  pangea-mcp-auth man --to .
  pangea-mcp-auth man --to /usr/local/share/man/man1"
)]
pub(super) struct Man {
    /// Directory for the pages; existing files are overwritten.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    to: PathBuf,
}

impl Man {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let mut command = Arguments::command().disable_help_subcommand(true);
        command.build();
        write_pages(command, &self.to).map_err(|error| {
            let message = format!("cannot write the pages to {}: {error}", self.to.display());
            Failure::new(Exit::Failed, message).hint("use --to with an existing, writable directory")
        })
    }
}

/// Writes the page of a command and of its subcommands.
fn write_pages(command: Command, folder: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write_pages(below.clone(), folder)?;
    }
    let is_whole = command.get_name() == super::completions::PROGRAM;
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let has_commands = command.has_subcommands();
    let page = Page::new(command).date(DATE).source(SOURCE);
    let mut out = Vec::new();
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    if has_commands {
        page.render_subcommands_section(&mut out)?;
    }
    let mut more = Roff::new();
    explain(&mut more, &help);
    if is_whole {
        tell_surroundings(&mut more);
    } else {
        more.control("SH", ["SEE ALSO"]);
        more.text([bold(super::completions::PROGRAM), roman("(1)")]);
    }
    more.to_writer(&mut out)?;
    fs::write(folder.join(page.get_filename()), tidy(&out))
}

/// Removes what formatters warn of: a break next to a space, blanks at ends of lines.
fn tidy(page: &[u8]) -> String {
    let page = String::from_utf8_lossy(page).replace(".br\n\n.br\n", ".sp\n");
    page.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

/// The text below the options in the help, and the examples.
fn explain(page: &mut Roff, help: &str) {
    let (words, examples) = help.split_once(EXAMPLES).unwrap_or((help, ""));
    if !words.trim().is_empty() {
        page.control("SH", ["OUTPUT"]);
        page.text([roman(words.split_whitespace().collect::<Vec<_>>().join(" "))]);
    }
    page.control("SH", ["EXAMPLES"]);
    page.control("nf", []);
    for line in examples.lines().filter(|line| !line.is_empty()) {
        page.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    page.control("fi", []);
}

/// The sections that apply to every command.
fn tell_surroundings(page: &mut Roff) {
    page.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT_CODES {
        tell(page, &code.to_string(), vec![roman(meaning)]);
    }
    page.control("SH", ["FILES"]);
    for (file, words) in FILES {
        tell(page, file, vec![roman(words)]);
    }
    page.control("SH", ["ENVIRONMENT"]);
    for (variable, words) in VARIABLES {
        tell(page, variable, vec![roman(words)]);
    }
    page.control("PP", []);
    page.text([roman(
        "Each configuration key also has an environment variable, which overrides the file. \
         RESOURCES__0__ is the first resource, RESOURCES__1__ the second, and so on.",
    )]);
    for (variable, words) in config::variables() {
        tell(page, &variable, vec![roman(words)]);
    }
}

fn tell(page: &mut Roff, name: &str, words: Vec<Inline>) {
    page.control("TP", []);
    page.text([bold(name)]);
    page.text(words);
}
