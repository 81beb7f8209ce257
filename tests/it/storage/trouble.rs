//! Engines in trouble: what a daemon says at its start, and what it does while it runs. It is alive and not
//! ready, promises nothing, and recovers automatically with everything that it had promised.

mod disk;
mod files;
mod server;

use std::time::Duration;

use crate::{
    operator::processes::{
        Upstream,
        visitor::{Tokens, Visitor, introspect},
    },
    support::{
        http,
        postgres::until,
        process::{Daemon, Home, RS_SECRET, free_port},
    },
};

/// A home whose configuration is right but for the lines of `[repository]`.
fn home(repository: &str) -> Home {
    at(&format!("http://127.0.0.1:{}", free_port()), "http://127.0.0.1:9", repository)
}

fn at(url: &str, upstream: &str, repository: &str) -> Home {
    let home = Home::with_configuration(url, upstream);
    home.reconfigure("path = \"records.sqlite\"", repository);
    home
}

/// `serve` ends with this code and this one sentence, and nothing else.
#[track_caller]
fn refuses(home: &Home, code: i32, sentence: &str) {
    let outcome = home.run(&["serve", "--config", "config.toml"]);
    assert_eq!((outcome.code, outcome.out.as_str()), (Some(code), ""), "{}", outcome.err);
    assert!(outcome.err.contains(sentence), "{sentence:?} is not in\n{}", outcome.err);
    assert_eq!(outcome.err.lines().count(), 1, "{}", outcome.err);
}

/// A running daemon with a client that was promised something.
struct Patient {
    url: String,
    visitor: Visitor,
    /// Promised to be good.
    kept: Tokens,
    /// Promised to be over.
    revoked: Tokens,
    home: Home,
    daemon: Daemon,
    upstream: Upstream,
}

impl Patient {
    async fn with(repository: &str) -> Self {
        let url = format!("http://127.0.0.1:{}", free_port());
        let upstream = Upstream::start(&url).await;
        let home = at(&url, &upstream.url, repository);
        let daemon = home.serve();
        let visitor = Visitor::register(&url, &format!("{url}/mcp")).await;
        let (kept, revoked) = (visitor.login().await, visitor.login().await);
        assert_eq!(visitor.revoke(&revoked.refresh).await, 200);
        let patient = Self { url, visitor, kept, revoked, home, daemon, upstream };
        assert_eq!(patient.readiness().await, 200);
        patient
    }

    /// A fresh answer: the daemon repeats one for up to a second.
    async fn readiness(&self) -> u16 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.status("readyz").await
    }

    async fn status(&self, path: &str) -> u16 {
        http().get(format!("{}/{path}", self.url)).send().await.unwrap().status().as_u16()
    }

    /// Alive, not ready, and every client is asked to retry.
    async fn is_in_trouble(&mut self) {
        assert_eq!((self.readiness().await, self.status("healthz").await), (503, 200));
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &self.kept.refresh),
            ("client_id", &self.visitor.client_id),
        ];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = http().post(format!("{}/token", self.url)).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let response = request.send().await.unwrap();
        let wait = response.headers().get("retry-after").map(|wait| wait.to_str().unwrap().parse::<u32>());
        assert_eq!((response.status().as_u16(), wait), (503, Some(Ok(1))));
        let said = response.text().await.unwrap();
        assert!(said.contains("\"temporarily_unavailable\""), "{said}");
        assert_eq!(self.visitor.revoke(&self.kept.refresh).await, 503, "a revocation is not promised");
        assert!(self.daemon.is_running());
    }

    /// Ready again without a restart, and nothing is lost.
    async fn has_recovered(&mut self) {
        let readyz = format!("{}/readyz", self.url);
        let ready = async || http().get(&readyz).send().await.unwrap().status() == 200;
        tokio::task::block_in_place(|| {
            until("ready again", || tokio::runtime::Handle::current().block_on(ready()));
        });
        self.keeps_its_promises().await;
        self.kept = self.visitor.refresh(&self.kept.refresh).await.unwrap();
        assert!(self.is_active(&self.kept).await);
        self.visitor.login().await;
    }

    async fn keeps_its_promises(&self) {
        assert!(self.is_active(&self.kept).await, "what was promised is lost");
        assert!(!self.is_active(&self.revoked).await, "what was revoked came back");
        assert_eq!(self.visitor.refresh(&self.revoked.refresh).await.unwrap_err().0, 400);
    }

    async fn is_active(&self, tokens: &Tokens) -> bool {
        introspect(&self.url, ("rs-1", RS_SECRET), &tokens.access).await["active"] == true
    }

    /// The same after a restart.
    async fn restarted(self) {
        self.restarted_after(|| ()).await;
    }

    /// The same when something is done between the end and the new beginning.
    async fn restarted_after(self, mend: impl FnOnce()) {
        let Self { url, visitor, kept, revoked, home, daemon, upstream } = self;
        daemon.kill();
        mend();
        let daemon = tokio::task::block_in_place(|| home.serve());
        Self { url, visitor, kept, revoked, home, daemon, upstream }.keeps_its_promises().await;
    }
}
