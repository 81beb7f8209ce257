//! Without questions: every answer is a flag, and what init wrote works.

use std::{io::Write, process::Stdio};

use serde_json::Value;

use super::{super::check::fits_schema, Beginning, mode};
use crate::support::process::{Daemon, Outcome, PANGEA};

impl Beginning {
    /// The answers of a user who has only what Pangea gave.
    pub(super) fn flags(&self) -> Vec<String> {
        let flags = [
            ("--public-url", &*self.public_url),
            ("--issuer-url", &self.upstream),
            ("--client-id", PANGEA.0),
            ("--client-secret-file", "given-secret"),
        ];
        let flags = flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value.to_owned()]);
        ["init", "--non-interactive"].map(str::to_owned).into_iter().chain(flags).collect()
    }

    pub(super) fn init(&self, more: &[&str]) -> Outcome {
        let flags = self.flags();
        let arguments: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
        self.home.run(&arguments)
    }
}

pub(super) const FOLDER: &str = ".config/pangea-mcp-auth";

#[tokio::test(flavor = "multi_thread")]
async fn what_init_wrote_serves_and_passes_its_check() {
    let beginning = Beginning::start().await;
    beginning.home.write("given-secret", &format!("{}\n", PANGEA.1));
    let outcome = beginning.init(&[]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    for name in ["config.toml", "authn-client-secret", "sealing-key"] {
        assert_eq!(mode(&beginning.home.path(&format!("{FOLDER}/{name}"))), 0o600, "{name}");
    }
    let configuration = beginning.home.read(&format!("{FOLDER}/config.toml"));
    assert!(configuration.contains("client_secret = { file = \"authn-client-secret\" }"), "{configuration}");
    assert!(configuration.lines().filter(|line| line.starts_with("# ")).count() > 10, "comments are kept");
    assert!(outcome.out.contains("files of mode 600"), "it says where secrets are: {}", outcome.out);
    assert!(!format!("{outcome:?}{configuration}").contains(PANGEA.1));

    let mut daemon = Daemon::start(&mut beginning.home.command(&["serve"]));
    daemon.err.wait_for("ready public_url=");
    let checked = beginning.home.run(&["check", "--output", "json"]);
    let report: Value = serde_json::from_str(&checked.out).unwrap();
    assert_eq!((checked.code, &report["failed"]), (Some(0), &0.into()), "{report}");
    let mut warned =
        report["findings"].as_array().unwrap().iter().filter(|finding| finding["status"] == "warn");
    assert!(warned.all(|finding| finding["name"] == "access"), "{report}");
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_set_up_stays_and_force_keeps_the_sealing_key() {
    let beginning = Beginning::start().await;
    beginning.home.write("given-secret", PANGEA.1);
    assert_eq!(beginning.init(&[]).code, Some(0));
    let read = |name: &str| beginning.home.read(&format!("{FOLDER}/{name}"));
    let before = (read("config.toml"), read("sealing-key"));

    let again = beginning.init(&["--output", "json"]);
    let report: Value = serde_json::from_str(&again.out).unwrap();
    fits_schema("init.json", &report);
    assert_eq!((again.code, &report["changed"]), (Some(0), &false.into()), "{again:?}");
    let other = beginning.init(&["--mcp-url", "http://localhost:7777/mcp"]);
    assert_eq!(other.code, Some(1));
    assert!(other.err.contains("--mcp-url") && other.err.contains("--force"), "{}", other.err);
    assert_eq!(before, (read("config.toml"), read("sealing-key")));

    let forced = beginning.init(&["--mcp-url", "http://localhost:7777/mcp", "--force", "--output", "json"]);
    assert_eq!(forced.code, Some(0), "{forced:?}");
    fits_schema("init.json", &serde_json::from_str(&forced.out).unwrap());
    assert!(read("config.toml").contains("http://localhost:7777/mcp"));
    assert_eq!(before.1, read("sealing-key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_upstream_refuses_is_not_written() {
    let beginning = Beginning::start().await;
    beginning.home.write("given-secret", "pck_wrong");
    let refused = beginning.init(&[]);
    assert_eq!(refused.code, Some(77), "{refused:?}");
    assert_eq!(beginning.files(), ["given-secret"]);

    let unreachable = beginning.init(&["--issuer-url", "http://127.0.0.1:1"]);
    assert_eq!(unreachable.code, Some(2), "a flag given twice");
    let flags = beginning.flags().join(" ").replace(&beginning.upstream, "http://127.0.0.1:1");
    let unreachable = beginning.home.run(&flags.split(' ').collect::<Vec<_>>());
    assert_eq!(unreachable.code, Some(69), "{unreachable:?}");
    assert_eq!(beginning.files(), ["given-secret"]);

    let insisting = beginning.init(&["--no-check"]);
    assert_eq!(insisting.code, Some(0), "{insisting:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_comes_from_standard_input_or_the_environment_too() {
    let beginning = Beginning::start().await;
    let flags = beginning.flags();
    let base: Vec<&str> = flags.iter().map(String::as_str).take(flags.len() - 2).collect();
    let stdin = [&base[..], &["--client-secret-stdin", "--config", "one.toml"]].concat();
    let mut child = beginning.home.command(&stdin).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(PANGEA.1.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(beginning.home.read("authn-client-secret"), PANGEA.1);

    let variable = [&base[..], &["--client-secret-env", "GIVEN", "--config", "sub/two.toml"]].concat();
    let status = beginning.home.command(&variable).env("GIVEN", PANGEA.1).status().unwrap();
    assert!(status.success());
    assert_eq!(beginning.home.read("sub/authn-client-secret"), PANGEA.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_secret_in_the_way_is_not_overwritten_and_nothing_new_stays() {
    let beginning = Beginning::start().await;
    beginning.home.write("given-secret", PANGEA.1);
    beginning.home.write("authn-client-secret", "pck_of_somebody");
    let outcome = beginning.init(&["--config", "config.toml"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_eq!(beginning.files(), ["authn-client-secret", "given-secret"]);

    // What was replaced before it went wrong is put back, and what was new goes.
    beginning.home.write("sealing-key", "spoilt");
    let outcome = beginning.init(&["--config", "config.toml", "--force"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_eq!(beginning.home.read("sealing-key"), "spoilt");
    assert_eq!(beginning.home.read("authn-client-secret"), "pck_of_somebody");
    std::fs::remove_file(beginning.home.path("authn-client-secret")).unwrap();
    let outcome = beginning.init(&["--config", "config.toml"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_eq!(beginning.files(), ["given-secret", "sealing-key"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_sign_in_and_what_the_server_is_called_have_flags() {
    let beginning = Beginning::start().await;
    beginning.home.write("given-secret", PANGEA.1);
    let lists = ["--allow-domain", "example.org,example.com", "--allow-email", "ada@example.net"];
    let outcome = beginning.init(&[&lists[..], &["--mcp-name", "Notes", "--config", "config.toml"]].concat());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let written = beginning.home.read("config.toml");
    for line in
        ["domains = [\"example.org\", \"example.com\"]", "emails = [\"ada@example.net\"]", "name = \"Notes\""]
    {
        assert!(written.lines().any(|written| written == line), "{line}: {written}");
    }
    let same = beginning.init(&[&lists[..], &["--config", "config.toml"]].concat());
    assert_eq!(same.code, Some(0), "{same:?}");
    let other = beginning.init(&["--allow-domain", "example.net", "--config", "config.toml"]);
    assert!(other.code == Some(1) && other.err.contains("--allow-domain"), "{other:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_mcp_server_on_the_host_name_of_the_authorization_server_is_warned_of() {
    let beginning = Beginning::start().await;
    beginning.home.write("given-secret", PANGEA.1);
    let flags = beginning.flags().join(" ").replace(&beginning.public_url, "https://auth.example.org");
    let init = |mcp_url: &str, file: &str| {
        let arguments = format!("{flags} --mcp-url {mcp_url} --no-check --config {file}");
        beginning.home.run(&arguments.split(' ').collect::<Vec<_>>())
    };
    let beside = init("https://auth.example.org:8443/mcp", "beside.toml");
    assert!(beside.code == Some(0) && beside.err.contains("warning: "), "{beside:?}");
    let elsewhere = init("https://mcp.example.org/mcp", "elsewhere.toml");
    assert!(elsewhere.code == Some(0) && !elsewhere.err.contains("warning: "), "{elsewhere:?}");
}

/// A command line of an earlier release still works, and what is taken otherwise than it was given is said.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_once_asked_is_still_accepted_and_a_slash_that_goes_is_mentioned() {
    let beginning = Beginning::start().await;
    beginning.home.write("given-secret", PANGEA.1);
    let flags = beginning.flags().join(" ");
    let flags = flags.replace(&beginning.public_url, &format!("{}/", beginning.public_url));
    let arguments = format!("{flags} --gateway http://127.0.0.1:9000/mcp --config config.toml");
    let outcome = beginning.home.run(&arguments.split(' ').collect::<Vec<_>>());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.err.contains("without the trailing slash"), "{outcome:?}");
    assert!(beginning.home.read("config.toml").contains("upstream = \"http://127.0.0.1:9000/mcp\""));
    let help = beginning.home.run(&["init", "--help"]).out;
    assert!(!help.contains("gateway"), "{help}");
}

/// Nothing would be written through a dangling link, and `init` does not claim otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_leads_nowhere_is_refused_and_one_that_leads_to_a_file_stays() {
    let beginning = Beginning::start().await;
    beginning.home.write("given-secret", PANGEA.1);
    let (link, target) = (beginning.home.path("config.toml"), beginning.home.path("real.toml"));
    std::os::unix::fs::symlink(&target, &link).unwrap();
    for more in [&["--config", "config.toml"][..], &["--config", "config.toml", "--force"]] {
        let outcome = beginning.init(more);
        assert_eq!((outcome.code, &*outcome.out), (Some(1), ""), "{outcome:?}");
        assert!(outcome.err.contains("symbolic link"), "{outcome:?}");
        assert_eq!(beginning.files(), ["config.toml", "given-secret"]);
    }
    beginning.home.write("real.toml", "spoilt");
    let outcome = beginning.init(&["--config", "config.toml", "--force"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(beginning.home.read("real.toml").contains("public_url"), "what it leads to was written");
}

#[test]
fn missing_answers_are_named_and_nobody_is_asked() {
    let home = crate::support::process::Home::new();
    let outcome = home.run(&["init", "--non-interactive", "--deployment", "reverse-proxy"]);
    assert_eq!(outcome.code, Some(2));
    for flag in ["--public-url", "--mcp-url", "--issuer-url", "--client-id", "--client-secret-file"] {
        assert!(outcome.err.contains(flag), "{flag} {}", outcome.err);
    }
    let outcome = home.run(&["init"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.err.contains("--non-interactive"), "{}", outcome.err);
    for wrong in [["--public-url", "http://mcp.example.org"], ["--repository-url", "redis://a:b@h"]] {
        assert_eq!(home.run(&["init", "--non-interactive", wrong[0], wrong[1]]).code, Some(2), "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_is_needed_only_where_no_place_is_named() {
    let beginning = Beginning::start().await;
    beginning.home.write("given-secret", PANGEA.1);
    let flags = beginning.flags();
    let mut command = beginning.home.command(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let outcome = Daemon::start(command.env_remove("HOME").args(["--config", "here.toml"])).wait();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(beginning.files(), ["authn-client-secret", "given-secret", "here.toml", "sealing-key"]);
    let again = beginning.home.run(&["init", "--config", "here.toml"]);
    assert_eq!(again.code, Some(0), "{again:?}");
}

#[test]
fn development_needs_no_set_up() {
    let outcome = crate::support::process::Home::new().run(&["init", "--dev"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.err.contains("serve --dev"), "{}", outcome.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_names_of_the_original_library_answer_too() {
    let beginning = Beginning::start().await;
    let mut command = beginning.home.command(&["init", "--non-interactive", "--config", "config.toml"]);
    command.args(["--public-url", &beginning.public_url]).env("PANGEA_AUTHN_ISSUER_URL", &beginning.upstream);
    command.env("PANGEA_AUTHN_CLIENT_ID", PANGEA.0).env("PANGEA_AUTHN_CLIENT_SECRET", PANGEA.1);
    let outcome = Daemon::start(&mut command).wait();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(beginning.home.read("authn-client-secret"), PANGEA.1);
    let written = beginning.home.read("config.toml");
    assert!(written.contains(&beginning.upstream) && written.contains(PANGEA.0), "{written}");
    let checked = beginning.home.run(&["check", "--config", "config.toml", "--output", "json"]);
    let findings: serde_json::Value = serde_json::from_str(&checked.out).unwrap();
    let findings = findings["findings"].as_array().unwrap().clone();
    let credentials = findings.iter().find(|finding| finding["name"] == "upstream.credentials");
    assert_eq!(credentials.unwrap()["status"], "pass", "{checked:?}");
}
