//! Three daemons with one repository, as programs of their own, and the hand that kills them.

use std::{thread::sleep, time::Duration};

use super::{
    engine::Engine,
    history::{Recorder, Victim},
};
use crate::support::{
    Chance,
    process::{Daemon, Home, configuration, free_port},
};

/// How many daemons there are.
pub(super) const DAEMONS: usize = 3;

/// The programs.
pub(super) struct Fleet {
    home: Home,
    pub(super) issuer: String,
    listen: Vec<String>,
    daemons: Vec<Option<Daemon>>,
    engine: Box<dyn Engine>,
}

impl Fleet {
    /// Three running daemons.
    pub(super) fn start(issuer: &str, upstream: &str, engine: Box<dyn Engine>) -> Self {
        let home = Home::with_configuration(issuer, upstream);
        let listen: Vec<_> = (0..DAEMONS).map(|_| format!("127.0.0.1:{}", free_port())).collect();
        for (number, listen) in listen.iter().enumerate() {
            let text = configuration(issuer, upstream, listen);
            let (rest, _) = text.split_once("[repository]").unwrap();
            home.write(&file(number), &format!("{rest}[repository]\n{}", engine.configuration()));
        }
        let daemons = (0..DAEMONS).map(|number| Some(serve(&home, number))).collect();
        Self { home, issuer: issuer.to_owned(), listen, daemons, engine }
    }

    /// Where each of them listens.
    pub(super) fn urls(&self) -> Vec<String> {
        self.listen.iter().map(|listen| format!("http://{listen}")).collect()
    }

    /// A configuration file of theirs.
    pub(super) fn configuration(&self) -> std::path::PathBuf {
        self.home.path(&file(0))
    }

    /// Kills and restarts daemons this many times, chosen by `chance`; at last all of them at once.
    pub(super) fn burn(&mut self, recorder: &Recorder, mut chance: Chance, kills: usize) {
        for _ in 0..kills {
            sleep(Duration::from_millis(100 + chance.below(400) as u64));
            match chance.below(5) {
                3 | 4 if self.engine.is_a_server() => {
                    self.kill_engine(recorder, Duration::from_millis(chance.below(4000) as u64));
                }
                3 | 4 => self.kill_daemons(recorder, &[0, 1, 2]),
                number => self.kill_daemons(recorder, &[number]),
            }
        }
        // All memory goes; what is left is in the repository.
        if self.engine.is_a_server() {
            self.kill_engine(recorder, Duration::ZERO);
        }
        self.kill_daemons(recorder, &[0, 1, 2]);
    }

    fn kill_engine(&mut self, recorder: &Recorder, away: Duration) {
        let from = recorder.now();
        self.engine.kill();
        sleep(away);
        self.engine.start();
        recorder.note_outage(Victim::Engine, from);
    }

    fn kill_daemons(&mut self, recorder: &Recorder, victims: &[usize]) {
        let from = recorder.now();
        for victim in victims {
            self.daemons[*victim].take().expect("it runs").kill();
        }
        for victim in victims {
            self.daemons[*victim] = Some(serve(&self.home, *victim));
            recorder.note_outage(Victim::Daemon(*victim), from);
        }
    }
}

fn file(number: usize) -> String {
    format!("config-{number}.toml")
}

fn serve(home: &Home, number: usize) -> Daemon {
    let mut daemon = Daemon::start(&mut home.command(&["serve", "--config", &file(number)]));
    daemon.err.wait_for("ready public_url=");
    daemon
}
