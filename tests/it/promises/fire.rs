//! The promises under fire (docs/security.md): three daemons on one repository, two hundred callers, and
//! `kill -9` of daemons and of the database again and again. A checker reads what happened.

mod actors;
mod broken_repository;
mod checker;
mod clocks;
mod engine;
mod fleet;
mod history;
mod site;

use std::{sync::Arc, time::Duration};

use pangea_mcp_auth::{
    clock::SystemClock,
    config::{Overrides, Source, load_repositories},
    daemon,
    flow::administration::Administration,
};
use tokio::time::sleep;

use self::{
    checker::{Violation, violations},
    engine::{Engine, Sqlite},
    fleet::{DAEMONS, Fleet},
    history::{Event, History, Operation, Outcome},
    site::Site,
};
use crate::{
    operator::processes::Upstream,
    support::{Chance, PostgresServer, RedisServer, Surroundings, process::free_port},
};

/// How often a process is killed while all of them work.
const KILLS: usize = 10;
/// Whose dice are thrown: another number is another run.
const SEED: u64 = 1;

/// Shows: CODE-6, REFRESH-2, REFRESH-3, REFRESH-9, REVOKE-5.
#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_every_promise_under_kill_9() {
    keeps_every_promise("sqlite", Box::new(Sqlite)).await;
}

/// Shows: CODE-6, REFRESH-2, REFRESH-3, REFRESH-9, REVOKE-5.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_every_promise_under_kill_9() {
    keeps_every_promise("postgres", Box::new(PostgresServer::new())).await;
}

/// Shows: CODE-6, REFRESH-2, REFRESH-3, REFRESH-9, REVOKE-5.
#[tokio::test(flavor = "multi_thread")]
async fn redis_keeps_every_promise_under_kill_9() {
    keeps_every_promise("redis", Box::new(RedisServer::new())).await;
}

async fn keeps_every_promise(name: &str, engine: Box<dyn Engine>) {
    let issuer = format!("http://127.0.0.1:{}", free_port());
    let upstream = Upstream::start(&issuer).await;
    let mut fleet = tokio::task::block_in_place(|| Fleet::start(&issuer, &upstream.url, engine));
    let site = Site::new(fleet.issuer.clone(), fleet.urls(), operator(&fleet).await).await;
    let working = actors::work(&site, SEED);
    let watched = Arc::clone(&site);
    let burning = tokio::task::spawn_blocking(move || {
        fleet.burn(&watched.recorder, Chance::of(SEED), KILLS);
        fleet
    });
    let _fleet = burning.await.unwrap();
    let history = aftermath(&site, working).await;
    history.must_be_clean(name);
    history.is_a_load();
}

/// Lets every actor finish, and checks everything again.
async fn aftermath(site: &Arc<Site>, working: tokio::task::JoinSet<()>) -> History {
    site.recorder.end();
    working.join_all().await;
    sleep(Duration::from_secs(1)).await;
    site.recorder.be_quiet();
    actors::look_at_everything(site).await;
    site.recorder.history(DAEMONS)
}

/// An operator who works on the repository while the daemons run.
async fn operator(fleet: &Fleet) -> Administration {
    let (file, environment) = (Some(fleet.configuration()), &Surroundings);
    let source = Source { file, environment, overrides: Overrides::default(), dev: None };
    let repository = daemon::open_repository(&load_repositories(&source).unwrap()).await.unwrap();
    Administration::new(&repository, None, Arc::new(SystemClock))
}

impl History {
    /// A promise that no actor tests is not shown to hold.
    fn is_a_load(&self) {
        let tokens = |event: &Event| matches!(event.outcome, Outcome::Tokens { .. });
        let few = [
            ("callers at once / 20", self.most_at_once() / 20),
            ("redemptions", self.count(|e| matches!(e.operation, Operation::Redeem { .. }) && tokens(e))),
            ("refreshes", self.count(|e| matches!(e.operation, Operation::Refresh { .. }) && tokens(e))),
            ("revocations", self.count(|e| e.outcome == Outcome::Revoked)),
            ("lost answers", self.count(|e| matches!(e.outcome, Outcome::Lost { .. }))),
        ];
        for (what, number) in few {
            assert!(number >= 10, "the load was no load: {what}: {few:?}");
        }
    }

    /// Writes the history out, with the problems that were found.
    fn must_be_clean(&self, name: &str) {
        let found: Vec<Violation> = violations(self);
        let path = self.write(name, &found);
        let broken = checker::promises(&found);
        assert!(
            found.is_empty(),
            "{} times promises were broken, {broken:?}; first {:#?}; see {}",
            found.len(),
            found[0],
            path.display()
        );
    }
}
