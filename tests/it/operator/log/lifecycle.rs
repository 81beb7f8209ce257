//! What a daemon says of itself.

use std::{thread, time::Duration};

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
