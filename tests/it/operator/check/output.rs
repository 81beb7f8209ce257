//! What is printed: for people, for programs, on a terminal, and never a secret.

use std::process::Command;

use rexpect::{process::WaitStatus, session::Options, spawn_with_options};
use serde_json::Value;

use super::{Well, check, fits_schema};
use crate::support::{
    PostgresDatabase, Scene, Scripted,
    process::{Home, PANGEA, RS_SECRET, SEALING_KEY},
};

/// What a terminal shows of `check`, with its exit code.
fn on_a_terminal(home: &Home, variables: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pangea-mcp-auth"));
    command.args(["check", "--config", "config.toml"]).env_clear().env("TERM", "xterm");
    command.env("HOME", home.path("")).envs(variables.iter().copied()).current_dir(home.path(""));
    let options = Options::new().timeout_ms(Some(60_000));
    let mut session = spawn_with_options(command, options).unwrap();
    let seen = session.exp_eof().unwrap();
    let WaitStatus::Exited(_, code) = session.process().wait().unwrap() else { panic!("{seen}") };
    (code, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_shows_progress_and_colour_unless_it_shall_not() {
    let well = Well::start().await;
    let (code, seen) = on_a_terminal(&well.home, &[]);
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("checking ") && seen.contains("\u{1b}[32mok  \u{1b}[0m"), "{seen:?}");
    for variables in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let (code, seen) = on_a_terminal(&well.home, &[variables]);
        assert_eq!(code, 0, "{seen}");
        assert!(seen.contains("ok    configuration: ") && !seen.contains("\u{1b}[32m"), "{seen:?}");
    }
    let piped = well.home.run(&["check", "--config", "config.toml"]);
    assert!(!piped.out.contains('\u{1b}') && piped.err.is_empty(), "{piped:?}");
    let quiet = well.home.run(&["check", "--config", "config.toml", "--quiet"]);
    assert_eq!((quiet.code, quiet.out.as_str(), quiet.err.as_str()), (Some(0), "", ""), "{quiet:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_mcp_servers_are_a_hundred_findings() {
    let well = Well::start().await;
    let url = &well.public_url;
    let more = (0..100).map(|n| format!("[[resources]]\nurl = \"{url}/r{n}\"\nscopes = [\"user\"]\n"));
    let more = more.collect::<String>();
    well.home.reconfigure("[keys]", &format!("{more}\n[keys]"));
    let checked = check(&well.home, &[]);
    assert_eq!(checked.status("public.resource_metadata").len(), 101);
    assert_eq!(checked.report["failed"], 100, "the daemon does not know of them yet");
    let outcome = well.home.run(&["check", "--config", "config.toml"]);
    assert!(outcome.out.ends_with("passed, 0 warned, 100 failed, 0 skipped\n"), "{}", outcome.out);
}

#[test]
fn without_anything_configured_there_is_still_a_report() {
    let home = Home::new();
    let outcome = home.run(&["check", "--output", "json"]);
    let report: Value = serde_json::from_str(&outcome.out).unwrap();
    fits_schema("check.json", &report);
    assert_eq!((outcome.code, &report["status"]), (Some(1), &"fail".into()), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_told_whatever_is_wrong() {
    let well = Well::start().await;
    let postgres = PostgresDatabase::new();
    let database = postgres.url_with("mcp_auth", "not the password", postgres.name());
    let careless = Scripted::start(|asked| {
        if asked != "POST /v2/oauth/token" {
            return Scene::new(200, "");
        }
        let body =
            format!("{{\"error\":\"invalid_client\",\"error_description\":\"{} is wrong\"}}", PANGEA.1);
        Scene::new(401, body).with("content-type", "application/json")
    })
    .await;
    let original = well.home.read("config.toml");
    let upstream = original.split("issuer_url = \"").nth(1).unwrap().split('"').next().unwrap();
    let secrets = [PANGEA.1, RS_SECRET, SEALING_KEY, "not the password", "not%20the%20password", "pck_wrong"];
    for (from, to) in [
        ("", String::new()),
        (upstream, careless.origin.clone()),
        ("path = \"records.sqlite\"", format!("kind = \"postgres\"\nurl = \"{database}\"")),
        ("{ file = \"authn-client-secret\" }", format!("\"{}\"", PANGEA.1)),
    ] {
        well.home.write("config.toml", &original.replace(from, &to));
        for more in [&["-vv"][..], &["--output", "json"], &["--output", "json", "-vv"]] {
            let outcome = well.home.run(&[&["check", "--config", "config.toml"], more].concat());
            for secret in secrets {
                // The name of a file is none.
                let told = format!("{}{}", outcome.out, outcome.err).replace("rs-1-secret\" }", "");
                assert!(!told.contains(secret), "{secret} after {to:?}: {told}");
            }
        }
    }
}
