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
    let cases: [(Spoil, &str); 4] = [
        (|home| home.set_mode("records.sqlite", 0o400), "records.sqlite is read-only: make it"),
        (
            |home| home.set_mode("records.sqlite", 0o644),
            "is open to every user of this machine: run chmod 600",
        ),
        (|home| overwrite(&home.path("records.sqlite"), 0), DAMAGED),
        (|home| overwrite(&home.path("records.sqlite"), 4096), DAMAGED),
    ];
    for (spoil, sentence) in cases {
        let home = used();
        spoil(&home);
        let before = fs::read(home.path("records.sqlite")).unwrap();
        for _ in 0..2 {
            refuses(&home, 69, sentence);
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

/// In place: whoever has the file open sees it.
fn write_over(path: &Path, bytes: &[u8]) {
    OpenOptions::new().write(true).open(path).unwrap().write_all(bytes).unwrap();
}
