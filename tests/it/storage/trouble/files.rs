//! A `SQLite` file that may not be used, or is damaged.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use super::{Patient, home, refuses};
use crate::support::{
    postgres::as_postgres,
    process::{Daemon, Home},
};

const PATH: &str = "path = \"records.sqlite\"";
const DAMAGED: &str = "records.sqlite is damaged or not a SQLite database: restore it from a backup";

/// A home in which a daemon has run.
fn used() -> Home {
    let home = home(PATH);
    assert_eq!(home.serve().stop().code, Some(0));
    home
}

#[test]
fn a_file_that_cannot_be_used_is_named_at_start_and_left_alone() {
    type Spoil = fn(&Home);
    let cases: [(Spoil, i32, &str); 5] = [
        (|home| home.set_mode("records.sqlite", 0o400), 69, "records.sqlite is read-only: make it"),
        (
            |home| home.set_mode("records.sqlite", 0o644),
            78,
            "is open to every user of this machine (mode 644)",
        ),
        (|home| home.set_mode("records.sqlite", 0o660), 78, "records.sqlite can be changed by group "),
        (|home| overwrite(&home.path("records.sqlite"), 0), 69, DAMAGED),
        (|home| overwrite(&home.path("records.sqlite"), 4096), 69, DAMAGED),
    ];
    for (spoil, code, sentence) in cases {
        let home = used();
        spoil(&home);
        let before = fs::read(home.path("records.sqlite")).unwrap();
        for words in [sentence, "repository.path: "] {
            refuses(&home, code, words);
        }
        assert!(fs::read(home.path("records.sqlite")).unwrap() == before, "{sentence}");
    }
}

#[test]
fn a_folder_that_may_not_be_written_to_is_named_at_start() {
    let home = used();
    let folder = home.path("");
    let everybody_in = || fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
    assert!(Command::new("chown").args(["-R", "postgres"]).arg(&folder).status().unwrap().success());
    fs::set_permissions(&folder, Permissions::from_mode(0o500)).unwrap();
    let mut command = as_postgres(Path::new(env!("CARGO_BIN_EXE_pangea-mcp-auth")));
    command.args(["serve", "--config", "config.toml"]).env_clear().env("HOME", &folder);
    command.current_dir(&folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let outcome = Daemon::start(&mut command).wait();
    everybody_in();
    assert_eq!(outcome.code, Some(69), "{}", outcome.err);
    let sentence = "records.sqlite is read-only: make it and its folder writable";
    assert!(outcome.err.contains(sentence) && outcome.err.lines().count() == 1, "{}", outcome.err);
}

/// Kubernetes and systemd hand secrets to a daemon that is not root like this. Only root can try it.
#[test]
fn a_secret_of_roots_is_read_where_only_a_group_of_the_daemon_may_read_it_too() {
    let chown = |owner: &str, path: &Path| {
        Command::new("chown").args(["-R", owner]).arg(path).status().is_ok_and(|status| status.success())
    };
    let home = home(PATH);
    let secret = home.path("authn-client-secret");
    let serve = || {
        let mut command = as_postgres(Path::new(env!("CARGO_BIN_EXE_pangea-mcp-auth")));
        command.args(["serve", "--config", "config.toml"]).env_clear().env("HOME", home.path(""));
        command.current_dir(home.path("")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Daemon::start(&mut command)
    };
    if !chown("postgres:postgres", &home.path("")) || !chown("root:postgres", &secret) {
        return;
    }
    for mode in [0o440, 0o640] {
        home.set_mode("authn-client-secret", mode);
        serve().err.wait_for("ready");
    }
    for mode in [0o444, 0o460] {
        home.set_mode("authn-client-secret", mode);
        let outcome = serve().wait();
        assert_eq!(outcome.code, Some(78), "{mode:o} {}", outcome.err);
        assert!(outcome.err.contains("chgrp ") && outcome.err.contains("chmod 440"), "{}", outcome.err);
    }
    assert!(chown("daemon:postgres", &secret));
    home.set_mode("authn-client-secret", 0o440);
    assert_eq!(serve().wait().code, Some(78), "another user's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_damaged_at_work_serves_nobody_until_it_is_restored() {
    let mut patient = Patient::with(PATH).await;
    let files = ["records.sqlite", "records.sqlite-wal"].map(|name| patient.home.path(name));
    let before = files.each_ref().map(|file| fs::read(file).unwrap());
    for file in &files {
        overwrite(file, 0);
    }
    // What is in memory serves until something is written.
    while patient.readiness().await == 200 {}
    patient.is_in_trouble().await;
    for (file, bytes) in files.iter().zip(&before) {
        write_over(file, bytes);
    }
    patient.has_recovered().await;
    patient.restarted().await;
}

fn overwrite(path: &Path, from: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[from..].fill(0xaa);
    write_over(path, &bytes);
}

/// In place: a process that has the file open sees it.
fn write_over(path: &Path, bytes: &[u8]) {
    OpenOptions::new().write(true).open(path).unwrap().write_all(bytes).unwrap();
}
