//! What a daemon says of itself.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    http,
    process::{Daemon, Home, free_port},
};

fn home() -> Home {
    Home::with_configuration(&format!("http://127.0.0.1:{}", free_port()), "http://127.0.0.1:9")
}

#[test]
fn the_ready_line_says_what_runs_with_what_for_whom() {
    let home = home();
    let mut daemon = Daemon::start(&mut home.command(&["serve", "--config", "config.toml"]));
    let ready = daemon.err.wait_for("ready public_url=http://127.0.0.1:");
    for field in [
        "version=\"",
        env!("CARGO_PKG_VERSION"),
        "config=config.toml",
        "repository=\"sqlite\"",
        "upstream=http://127.0.0.1:9",
    ] {
        assert!(ready.contains(field), "no {field} in {ready}");
    }
    assert_eq!(daemon.stop().code, Some(0));
}

/// Promise 10.
#[test]
fn a_hangup_does_not_end_a_daemon_and_is_logged() {
    let home = home();
    let mut daemon = home.serve();
    for _ in 0..2 {
        daemon.signal("HUP");
        daemon.err.wait_for("SIGHUP");
    }
    thread::sleep(Duration::from_millis(100));
    assert!(daemon.is_running());
    assert_eq!(daemon.stop().code, Some(0));
}

/// Whoever reads the log may end first: a terminal, a pipe, a supervisor that restarts.
#[tokio::test]
async fn a_daemon_whose_log_has_no_reader_serves_and_stops_when_told() {
    let home = home();
    let mut command = home.command(&["serve", "--config", "config.toml"]);
    let mut daemon = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(daemon.stderr.take().unwrap()).lines().map_while(Result::ok);
    let ready = lines.find(|line| line.contains(" ready ")).unwrap();
    let url = ready.split("public_url=").nth(1).unwrap().split(' ').next().unwrap();
    drop(lines);
    let signal = |name: &str| {
        assert!(Command::new("kill").arg(name).arg(daemon.id().to_string()).status().unwrap().success());
    };
    for _ in 0..2 {
        signal("-HUP");
        let no_client = format!("{url}/authorize?client_id=none");
        assert_eq!(http().get(no_client).send().await.unwrap().status(), 400);
        let wrong = http().post(format!("{url}/introspect")).basic_auth("rs", Some("wrong")).body("token=x");
        let wrong = wrong.header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(wrong.send().await.unwrap().status(), 401);
    }
    signal("-TERM");
    let begin = Instant::now();
    while daemon.try_wait().unwrap().is_none() {
        if begin.elapsed() > Duration::from_secs(10) {
            daemon.kill().unwrap();
            panic!("SIGTERM does not stop it");
        }
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn each_v_on_the_command_line_tells_more() {
    let mut told = Vec::new();
    for more in [&[][..], &["-v"], &["-vv"]] {
        let daemon = super::Daemon::start(more);
        assert_eq!(http().get(format!("{}/authorize", daemon.url)).send().await.unwrap().status(), 400);
        told.push(daemon.stop().0.lines().count());
    }
    assert!(told.is_sorted_by(|less, more| less < more), "{told:?}");
}
