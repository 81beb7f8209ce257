//! Files that are made from the program: completion scripts, manual pages, the reference of commands,
//! what wrong command lines are answered, and pictures of a terminal.
//!
//! `UPDATE_DOCS=1 cargo nextest run generated` makes them anew.

mod pictures;

use std::{collections::BTreeSet, fs, process::Command};

use crate::{
    operator::help::{commands, words},
    support::{process::Home, tree},
};

/// The reference stands below the words that people wrote.
const REFERENCE: &str = "<!-- From here on generated from --help. -->\n";
const SCRIPTS: [(&str, &str); 5] = [
    ("bash", "pangea-mcp-auth.bash"),
    ("zsh", "_pangea-mcp-auth"),
    ("fish", "pangea-mcp-auth.fish"),
    ("elvish", "pangea-mcp-auth.elv"),
    ("powershell", "_pangea-mcp-auth.ps1"),
];

/// Whether files are to be written, not compared.
pub(super) fn overwrite() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

/// Compares a file of the project with what it should be, or writes it.
pub(super) fn is_current(path: &str, text: &str) {
    let file = tree::root().join(path);
    if overwrite() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == text,
        "{path} is old: UPDATE_DOCS=1 cargo nextest run generated\nit should be:\n{text}"
    );
}

#[test]
fn completion_scripts_are_current() {
    let home = Home::new();
    for (shell, file) in SCRIPTS {
        let printed = home.run(&["completions", shell]);
        assert_eq!((printed.code, &*printed.err), (Some(0), ""), "{printed:?}");
        is_current(&format!("completions/{file}"), &printed.out);
    }
    assert_eq!(names("completions"), BTreeSet::from(SCRIPTS.map(|(_, file)| file.to_owned())));
}

#[test]
fn manual_pages_are_current_and_correct() {
    let home = Home::new();
    fs::create_dir(home.path("man")).unwrap();
    let written = home.run(&["man", "--to", "man"]);
    assert_eq!((written.code, &*written.out, &*written.err), (Some(0), "", ""), "{written:?}");
    let mut expected = BTreeSet::new();
    for command in commands(&home) {
        let page = format!("{}.1", [vec!["pangea-mcp-auth".to_owned()], command].concat().join("-"));
        if page == "pangea-mcp-auth-man.1" {
            continue;
        }
        for check in [
            ["mandoc", "-T", "lint", "-W", "warning"].as_slice(),
            &["man", "--warnings", "-E", "UTF-8", "-l"],
        ] {
            let mut program = Command::new(check[0]);
            program.args(&check[1..]).arg(home.path("man").join(&page)).env("MANWIDTH", "80");
            let said = program.output().unwrap_or_else(|error| panic!("{}: {error}", check[0]));
            let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
            let complaints = if check[0] == "mandoc" { format!("{out}{err}") } else { err.into_owned() };
            assert_eq!((said.status.success(), &*complaints), (true, ""), "{check:?} {page}");
        }
        is_current(&format!("docs/man/{page}"), &home.read(&format!("man/{page}")));
        expected.insert(page);
    }
    assert_eq!(names("docs/man"), expected);
}

#[test]
fn the_reference_of_commands_is_current() {
    let home = Home::new();
    let mut sections = Vec::new();
    for command in commands(&home) {
        let title = format!("pangea-mcp-auth {}", command.join(" "));
        let help = home.run(&[words(&command), vec!["--help"]].concat());
        assert_eq!((help.code, &*help.err), (Some(0), ""), "{help:?}");
        sections.push(format!("\n## `{}`\n\n```text\n{}\n```\n", title.trim_end(), help.out.trim_end()));
    }
    let page = fs::read_to_string(tree::root().join("docs/commands.md")).unwrap();
    let (overview, _) = page.split_once(REFERENCE).expect("the place of the reference");
    is_current("docs/commands.md", &format!("{overview}{REFERENCE}{}", sections.concat()));
}

#[test]
fn answers_to_wrong_command_lines_are_current() {
    let home = Home::new();
    let mut answers = Vec::new();
    for line in [
        "",
        "tokns list",
        "tokens lst",
        "tokens list --clent x",
        "tokens list --state aktive",
        "tokens list --since yesterday-ish",
        "tokens list --limit 0",
        "tokens list -o yaml",
        "tokens show",
        "tokens revoke",
        "tokens revoke d5k9 --all",
        "clients add --name x",
        "keys rotate --forget-old",
        "serve --dev-sign-in-as ada@example.com",
        "serve --dev --dev-listen 0.0.0.0:1",
        "completions tcsh",
        "repository copy --dry-run",
    ] {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let outcome = home.run(&arguments);
        assert_eq!((outcome.code, &*outcome.out), (Some(2), ""), "{outcome:?}");
        answers.push(format!("$ pangea-mcp-auth {line}\n{}\n", outcome.err));
    }
    is_current("tests/it/documents/generated/wrong_command_lines.txt", &answers.concat());
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(tree::root().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
