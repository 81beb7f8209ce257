//! Completion, in real shells and without one.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::json;

use crate::{
    operator::help::filled,
    support::{
        Client, Server,
        process::{Daemon, Home, Outcome},
        tree,
    },
};

/// What Bash would complete: `$1` is the script, the rest are the words. The last word is unfinished.
const BASH: &str = r#"
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
ask=$(complete -p pangea-mcp-auth | sed 's/.* -F \([^ ]*\) .*/\1/')
"$ask" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;
const FISH: &str = r#"source $argv[1]; complete -C "$argv[2..]""#;
/// Types the words into a Zsh of its own, and Tab behind them; prints the line up to what is in `$WANTED`.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PROMPT="<re""ady>"; autoload -U compinit; compinit -u -D; source '"$1"
zpty -r shell seen '*<ready>*'
zpty -w -n shell "${*[2,-1]}"$'\t'
zpty -r shell seen "*$WANTED*"
print -r -- "$seen"
zpty -d shell
"#;
/// Registers with what Elvish has in an interactive session, and asks for the last word.
const ELVISH: &str = r"
var completion: = (ns [&arg-completer=[&]])
var edit: = (ns [&completion:=$completion:])
eval (slurp < $args[0]) &ns=(ns [&edit:=$edit:])
$edit:completion:arg-completer[pangea-mcp-auth] (all $args[1..]) | to-lines
";

fn shell(home: &Home, program: &str, arguments: &[&str]) -> Outcome {
    let programs = Path::new(env!("CARGO_BIN_EXE_pangea-mcp-auth")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let mut shell = Command::new(program);
    shell.args(arguments).current_dir(home.path("")).env_clear().env("HOME", home.path("")).env("PATH", path);
    shell.env("TERM", "vt100").env("PANGEA_MCP_AUTH_CONFIG", "config.toml");
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Daemon::start(&mut shell).wait()
}

/// What a shell offers for the last of these words, which is `wanted` and maybe more. On a machine
/// that is busy, ids may come too late for it to wait.
fn offers(home: &Home, name: &str, words: &str, wanted: &str) -> String {
    let mut offered = String::new();
    for _ in 0..10 {
        offered = ask_shell(home, name, words, wanted);
        if offered.contains(wanted) {
            break;
        }
    }
    offered
}

fn ask_shell(home: &Home, name: &str, words: &str, wanted: &str) -> String {
    let script = |file: &str| tree::root().join("completions").join(file).display().to_string();
    let split: Vec<&str> = words.split(' ').collect();
    let outcome = match name {
        "bash" => {
            let script = script("pangea-mcp-auth.bash");
            shell(home, "bash", &[&["--norc", "--noprofile", "-c", BASH, "bash", &script], &*split].concat())
        }
        "fish" => shell(home, "fish", &["--no-config", "-c", FISH, &script("pangea-mcp-auth.fish"), words]),
        "zsh" => {
            let arguments = ["5", "env", &format!("WANTED={wanted}"), "zsh", "-f", "-c", ZSH, "zsh"];
            let script = script("_pangea-mcp-auth");
            shell(home, "timeout", &[&arguments, &*vec![&*script, words]].concat())
        }
        _ => {
            home.write("ask.elv", ELVISH);
            let script = script("pangea-mcp-auth.elv");
            shell(home, "elvish", &[&["-norc", "ask.elv", &script], &*split].concat())
        }
    };
    // 124: Zsh has typed and waits for what does not come.
    assert!(outcome.code == Some(0) || name == "zsh" && outcome.code == Some(124), "{name}: {outcome:?}");
    assert_eq!(outcome.err, "", "{name} {words}");
    outcome.out
}

#[tokio::test]
async fn real_shells_complete_commands_and_the_ids_that_there_are() {
    let server = Server::start().await;
    let (home, client, grant) = filled(&server).await;
    for name in ["bash", "fish", "zsh", "elvish"] {
        for (words, wanted) in [
            ("pangea-mcp-auth tok", "tokens"),
            ("pangea-mcp-auth tokens revoke --dry", "--dry-run"),
            ("pangea-mcp-auth tokens list --state act", "active"),
            (&format!("pangea-mcp-auth tokens revoke {}", &grant[..6]), &grant),
            (&format!("pangea-mcp-auth clients show {}", &client[..6]), &client),
            (&format!("pangea-mcp-auth tokens list --client {}", &client[..6]), &client),
        ] {
            let offered = offers(&home, name, words, wanted);
            assert!(offered.contains(wanted), "{name} {words}: {offered:?}");
        }
    }
    let with_name = offers(&home, "fish", &format!("pangea-mcp-auth clients show {}", &client[..6]), &client);
    assert!(with_name.ends_with("\tTest client\n"), "{with_name:?}");
}

/// Asks as the script of Fish does, which shows what is said of a value.
fn ask(home: &Home, words: &[&str]) -> Outcome {
    let mut command = home.command(&[&["--", "pangea-mcp-auth"], words].concat());
    Daemon::start(command.env("_PANGEA_MCP_AUTH_COMPLETE", "fish")).wait()
}

/// Every file of a home with its length.
fn files(home: &Home) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut folders = vec![home.path("")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
            let kind = entry.metadata().unwrap();
            found.insert(entry.path().display().to_string(), kind.len());
            if kind.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn what_cannot_be_asked_is_not_offered_and_nothing_is_said_or_made() {
    let sqlite = r#"kind = "sqlite""#;
    for (what, configuration) in [
        ("no configuration", None),
        ("a broken one", Some("[[[".to_owned())),
        ("no file yet", Some(format!("[repository]\n{sqlite}\npath = \"folder/records.sqlite\"\n"))),
        ("an empty file", Some(format!("[repository]\n{sqlite}\npath = \"empty\"\n"))),
        ("another program's file", Some(format!("[repository]\n{sqlite}\npath = \"config.toml\"\n"))),
        ("memory", Some("[repository]\nkind = \"memory\"\n".to_owned())),
        (
            "no file there",
            Some(
                "[repository]\nkind = \"postgres\"\nurl = \"postgres://a:canary@127.0.0.1:1/x\"\n".to_owned(),
            ),
        ),
    ] {
        let home = Home::new();
        home.write("empty", "");
        if let Some(text) = &configuration {
            home.write("config.toml", text);
        }
        let before = files(&home);
        for words in [
            &["--config", "config.toml", "tokens", "revoke", ""][..],
            &["--config=config.toml", "clients", "show", ""],
            &["--dev", "tokens", "show", ""],
            &["tokens", "list", "--after", "d"],
        ] {
            let asked = ask(&home, words);
            assert_eq!((asked.code, &*asked.err), (Some(0), ""), "{what}: {words:?}");
            assert_eq!(asked.out.contains("--config\t"), words.last() == Some(&""), "{what}: {asked:?}");
            assert!(!asked.out.contains("canary"), "{what}");
        }
        assert_eq!(files(&home), before, "{what}");
    }
}

#[test]
fn what_another_version_of_a_script_may_ask_is_refused_in_silence() {
    let home = Home::new();
    for (shell, words) in [("tcsh", ""), ("bash", "tok")] {
        let mut command = home.command(&["--", "pangea-mcp-auth", words]);
        command.env("_PANGEA_MCP_AUTH_COMPLETE", shell).env("_CLAP_COMPLETE_INDEX", "7");
        let outcome = Daemon::start(&mut command).wait();
        assert_eq!((outcome.code, &*outcome.out, &*outcome.err), (Some(1), "", ""), "{shell}");
    }
}

#[test]
fn scripts_are_silent_where_the_program_is_not_or_is_another() {
    let home = Home::new();
    let script = |file: &str| tree::root().join("completions").join(file).display().to_string();
    let (bash, fish) = (script("pangea-mcp-auth.bash"), script("pangea-mcp-auth.fish"));
    let path = format!("{}:/usr/bin:/bin", home.path("").display());
    for is_there in [false, true] {
        if is_there {
            home.write("pangea-mcp-auth", "#!/bin/sh\necho what is that >&2\nexit 2\n");
            home.set_mode("pangea-mcp-auth", 0o700);
        }
        for (program, arguments) in [
            ("bash", &["--norc", "--noprofile", "-c", BASH, "bash", &bash, "pangea-mcp-auth", "tok"][..]),
            ("fish", &["--no-config", "-c", FISH, &fish, "pangea-mcp-auth tok"]),
        ] {
            let mut shell = Command::new(program);
            shell.args(arguments).env_clear().env("HOME", home.path("")).env("PATH", &path);
            shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let outcome = Daemon::start(&mut shell).wait();
            assert_eq!((outcome.out.trim(), &*outcome.err), ("", ""), "{program} {is_there}");
        }
    }
}

/// A name is a stranger's words.
#[tokio::test]
async fn what_is_said_of_a_value_cannot_steer_the_terminal() {
    let server = Server::start().await;
    let (home, ..) = filled(&server).await;
    let client = Client::registered(&server, json!({ "client_name": "Test" })).await;
    let database = server.folder.path().join("test.sqlite");
    let database = rusqlite::Connection::open(database).unwrap();
    let edit = r#"UPDATE record SET value = replace(value, '"Test"', '"a\u001b[2Jb"')"#;
    database.execute(edit, []).unwrap();
    let words = ["--config", "config.toml", "clients", "show", &client.id[..12]];
    let asked = (0..10).map(|_| ask(&home, &words)).find(|asked| !asked.out.is_empty()).unwrap();
    assert!(asked.out.contains(&client.id) && !asked.out.contains('\u{1b}'), "{asked:?}");
    assert!(asked.out.contains("[2Jb"), "{asked:?}");
}
