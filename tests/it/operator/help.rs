//! The help of every command, and how the program answers the hand that types.

mod examples;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use pangea_mcp_auth::repository::SqliteRepository;

use crate::support::{
    Client, Server,
    process::{Daemon, Home, Outcome},
};

const NARROW: usize = 80;

/// Every command and its subcommands, including the hidden one. The whole program is `[]`.
pub(crate) fn commands(home: &Home) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let mut at = 0;
    while let Some(command) = all.get(at).cloned() {
        let help = home.run(&[words(&command), vec!["-h"]].concat()).out;
        let below = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
        let below = below.lines().take_while(|line| !line.is_empty());
        let names = below.filter(|line| !line.starts_with("   ")).filter_map(|line| {
            let name = line.split_whitespace().next()?;
            (name != "help").then(|| [command.clone(), vec![name.to_owned()]].concat())
        });
        all.extend(names.collect::<Vec<_>>());
        at += 1;
    }
    all.push(vec!["man".to_owned()]);
    all
}

pub(crate) fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

/// The examples of a command, each on one line.
fn examples(help: &str) -> Vec<String> {
    let (_, examples) = help.split_once("\nExamples:\n").unwrap_or_else(|| panic!("no examples: {help}"));
    let examples = examples.split("\n\n").next().unwrap().replace("\\\n   ", "");
    examples.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

#[test]
fn every_command_explains_itself_with_examples() {
    let home = Home::new();
    let all = commands(&home);
    assert!(all.len() > 15, "{all:?}");
    for command in &all {
        for flag in ["-h", "--help"] {
            let help = home.run(&[words(command), vec![flag]].concat());
            assert_eq!((help.code, &*help.err), (Some(0), ""), "{command:?}");
            let wide: Vec<_> = help.out.lines().filter(|line| line.chars().count() > NARROW).collect();
            assert_eq!(wide, [""; 0], "{command:?} {flag}");
            let name = format!("pangea-mcp-auth {}", command.join(" "));
            for example in examples(&help.out) {
                assert!(example.starts_with(name.trim_end()), "{command:?}: {example:?}");
            }
        }
        let [whole, other] = [["--help"].as_slice(), &[]].map(|flag| {
            let arguments = if flag.is_empty() {
                [vec!["help"], words(command)].concat()
            } else {
                [words(command), flag.to_vec()].concat()
            };
            home.run(&arguments).out
        });
        assert_eq!(whole, other, "help {command:?}");
    }
    let version = home.run(&["--version"]);
    assert_eq!(
        (version.code, version.out),
        (Some(0), format!("pangea-mcp-auth {}\n", env!("CARGO_PKG_VERSION")))
    );
}

/// A home whose configuration names the records of a server with a client and a grant; their ids.
pub(super) async fn filled(server: &Server) -> (Home, String, String) {
    let home = Home::with_configuration(&server.url, &server.upstream_url);
    let records = server.folder.path().join("test.sqlite");
    home.reconfigure("records.sqlite", &records.display().to_string());
    let client = Client::public(server).await;
    home.write("leaked-token.txt", &client.login(server).await.access);
    let listed = home.run(&["--config", "config.toml", "tokens", "list", "-q"]);
    (home, client.id, listed.out.trim_end().to_owned())
}

/// Runs a command line as a user types it.
fn in_shell(home: &Home, line: &str) -> Outcome {
    Daemon::start(&mut shell(home, line)).wait()
}

/// A shell that runs a line; it has the program and nothing else of this machine's surroundings.
fn shell(home: &Home, line: &str) -> Command {
    let programs = Path::new(env!("CARGO_BIN_EXE_pangea-mcp-auth")).parent().unwrap();
    let mut shell = Command::new("bash");
    shell.args(["--norc", "--noprofile", "-c", line]).current_dir(home.path("")).env_clear();
    shell.env("HOME", home.path("")).env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    shell.env("PANGEA_MCP_AUTH_CONFIG", "config.toml");
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

#[test]
fn a_mistyped_key_is_named_with_its_line_and_the_right_one() {
    let home = Home::with_configuration("http://127.0.0.1:1", "http://127.0.0.1:1");
    home.reconfigure("listen =", "lisen =");
    let outcome = home.run(&["serve", "--config", "config.toml"]);
    assert_eq!((outcome.code, &*outcome.out), (Some(78), ""), "{outcome:?}");
    for words in ["config.toml:2", "lisen", "listen"] {
        assert!(outcome.err.contains(words), "{}", outcome.err);
    }
}

#[test]
fn errors_are_words_on_standard_error_even_when_json_is_wanted() {
    let home = Home::with_configuration("http://127.0.0.1:1", "http://127.0.0.1:1");
    SqliteRepository::open(&home.path("records.sqlite")).unwrap();
    for (arguments, code) in [("tokens show zzzz -o json", 3), ("tokens list -o json --config gone.toml", 78)]
    {
        let mut arguments: Vec<&str> = arguments.split(' ').collect();
        if code == 3 {
            arguments.extend(["--config", "config.toml"]);
        }
        let outcome = home.run(&arguments);
        assert_eq!((outcome.code, &*outcome.out), (Some(code), ""), "{outcome:?}");
        assert!(outcome.err.lines().any(|line| line.starts_with("error: ")), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let server = Server::start().await;
    let (home, ..) = filled(&server).await;
    for line in ["--help", "serve --example-config", "completions bash", "tokens list", "tokens list -o json"]
    {
        let line = format!("set -o pipefail; pangea-mcp-auth {line} | head -c 1 >/dev/null");
        let outcome = in_shell(&home, &line);
        let said: Vec<_> = outcome.err.lines().filter(|line| !line.starts_with("repository: ")).collect();
        assert_eq!((outcome.code, said), (Some(0), vec![]), "{line}");
    }
}

/// No command connects before it needs to: help works although the repository refuses connections.
#[test]
fn words_need_no_repository_and_no_configuration() {
    let home = Home::new();
    home.write("config.toml", "nonsense = [");
    for arguments in
        ["--help", "--version", "completions bash", "tokens list --help", "serve --example-config"]
    {
        let mut command = home.command(&arguments.split(' ').collect::<Vec<_>>());
        command.env("PANGEA_MCP_AUTH_CONFIG", "config.toml");
        let outcome = Daemon::start(&mut command).wait();
        assert_eq!((outcome.code, &*outcome.err), (Some(0), ""), "{arguments}");
    }
}
