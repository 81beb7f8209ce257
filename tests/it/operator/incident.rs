//! The rehearsal of `docs/incident.md`, with two daemons: a token is found in a log.

use crate::{
    operator::commands::{page::ManualPage, terminal::Terminal},
    operator::processes::{
        Upstream,
        visitor::{Tokens, Visitor, introspect},
    },
    support::{
        PostgresDatabase, Records, claims,
        process::{Daemon, Home, RS_SECRET, configuration, free_port},
    },
};

/// Two daemons of one installation, and who signed in.
struct Installation {
    home: Home,
    /// Where each of the two answers.
    origins: [String; 2],
    _daemons: [Daemon; 2],
    _upstream: Upstream,
    visitor: Visitor,
}

impl Installation {
    /// Both keep their records where `repository` says.
    async fn start(repository: &str) -> Self {
        let origins = [(); 2].map(|()| format!("http://127.0.0.1:{}", free_port()));
        let url = &origins[0];
        let upstream = Upstream::start(url).await;
        let home = Home::with_configuration(url, &upstream.url);
        let daemons = [0, 1].map(|number| {
            let listen = &origins[number]["http://".len()..];
            let text =
                configuration(url, &upstream.url, listen).replace("path = \"records.sqlite\"", repository);
            let name = ["config.toml", "config-1.toml"][number];
            home.write(name, &text);
            let mut daemon = Daemon::start(&mut home.command(&["serve", "--config", name]));
            daemon.err.wait_for("ready public_url=");
            daemon
        });
        let visitor = Visitor::register(url, &format!("{url}/mcp")).await;
        Self { home, origins, _daemons: daemons, _upstream: upstream, visitor }
    }

    /// What introspection says of a token at each of the two.
    async fn is_good(&self, token: &str) -> [bool; 2] {
        let mut good = [true; 2];
        for (origin, good) in self.origins.iter().zip(&mut good) {
            *good = introspect(origin, ("rs-1", RS_SECRET), token).await["active"] == true;
        }
        good
    }

    /// Neither token is taken by either of the two.
    async fn refuses(&self, tokens: &Tokens) {
        assert_eq!(self.is_good(&tokens.access).await, [false; 2]);
        for origin in &self.origins {
            let refused = self.visitor.at(origin).refresh(&tokens.refresh).await.unwrap_err();
            assert_eq!(refused, (400, "invalid_grant".to_owned()), "{origin}");
        }
    }
}

async fn rehearse(repository: &str) {
    let installation = Installation::start(repository).await;
    let Installation { home, visitor, origins, .. } = &installation;
    let bystander = visitor.login().await;
    let first = visitor.login().await;
    let leaked = visitor.refresh(&first.refresh).await.unwrap();
    assert_eq!(installation.is_good(&leaked.access).await, [true; 2]);
    home.write("leaked.log", &format!("GET /mcp \"Authorization: Bearer {}\" 200\n", leaked.access));
    home.write("older.log", &format!("refresh_token={}", first.refresh));

    let id = |tokens: &Tokens| claims(&tokens.access)["jti"].as_str().unwrap()[..32].to_owned();
    let sub = claims(&leaked.access)["sub"].as_str().unwrap().to_owned();
    let client = claims(&leaked.access)["client_id"].as_str().unwrap().to_owned();
    let (theirs, other) = (id(&leaked), id(&bystander));
    let renamed = [
        ("https://mcp.example.org", &*origins[0]),
        ("d5k9c3a0m6r0r5o8k8q7j0c2a4s6u8v0", &theirs),
        ("d5k9bss0v1f2", &other[..12]),
        ("pui_3wlq7ydm5q5avgiqzqzcqzmmzclswqjc", &sub),
        ("mcp_q7ZxAmV0bT5cK2hYw1uLrA", &client),
    ];
    let older = "pangea-mcp-auth tokens revoke --token-stdin --dry-run < older.log";
    let (_, seen) = Terminal::open(home, older, 120).end();
    assert!(seen.contains("\n1 would be revoked"), "a token that was rotated is known, too: {seen}");
    let mut page = ManualPage::read("incident.md", &renamed);

    page.next(home);
    installation.refuses(&leaked).await;
    installation.refuses(&first).await;
    assert_eq!(installation.is_good(&bystander.access).await, [true; 2], "no one else is cut off");
    // The same again, and the refresh token before the current one.
    page.next(home);
    page.next(home);

    page.next(home);
    page.next(home);
    installation.refuses(&bystander).await;

    let later = visitor.login().await;
    page.next(home);
    installation.refuses(&later).await;
    page.next(home);
    page.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_a_log_is_dead_in_both_daemons_as_soon_as_the_command_ends() {
    rehearse("path = \"records.sqlite\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn and_so_it_is_with_postgres() {
    let server = PostgresDatabase::new();
    rehearse(server.configuration().trim_end()).await;
}
