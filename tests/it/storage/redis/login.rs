//! The real binary on Redis, with logins, and while the server is away.

use std::sync::Arc;

use pangea_mcp_auth::{
    clock::SystemClock,
    daemon,
    dev::{StandIn, StandInConfig},
    repository::Repository,
    secret::SystemRandom,
};
use tokio_util::sync::CancellationToken;

use super::connect;
use crate::{
    operator::log::canaries::everything,
    support::{
        Client, Options, RecordServer, Records, RedisServer, Server, Tokens, at_once, http,
        process::{Daemon, Home, PANGEA, RS_SECRET, free_port},
    },
};

/// A home of a daemon whose records are in this server.
async fn home(server: &RedisServer) -> (Home, String) {
    let public_url = format!("http://127.0.0.1:{}", free_port());
    let upstream = pangea(format!("{public_url}/pangea/callback")).await;
    let home = Home::with_configuration(&public_url, &upstream);
    let storage = format!("{}timeout = \"2s\"", server.configuration());
    home.reconfigure("path = \"records.sqlite\"", &storage);
    (home, public_url)
}

/// A stand-in for Pangea that knows who comes.
async fn pangea(redirect_uri: String) -> String {
    let listener = daemon::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let config = StandInConfig {
        issuer: issuer.clone(),
        client_id: PANGEA.0.to_owned(),
        client_secret: PANGEA.1.to_owned(),
        redirect_uris: vec![redirect_uri],
        scopes: vec!["user".to_owned()],
        default_scopes: vec!["user".to_owned()],
        sign_in_as: Some("ada@example.com".to_owned()),
        state_file: None,
    };
    let stand_in = StandIn::new(config, Arc::new(SystemClock), Arc::new(SystemRandom)).unwrap();
    tokio::spawn(daemon::serve(vec![listener], stand_in.router(), CancellationToken::new()));
    issuer
}

/// A fresh answer: the daemon repeats one for up to a second.
async fn ready(public_url: &str) -> u16 {
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    http().get(format!("{public_url}/readyz")).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_outlives_its_server() {
    let mut server = RedisServer::new();
    let (home, public_url) = home(&server).await;
    let mut daemon = home.serve();
    let resource = format!("{public_url}/mcp");
    everything(&public_url, &resource, ("rs-1", RS_SECRET)).await;
    assert_eq!(ready(&public_url).await, 200);
    server.kill();
    assert_eq!(ready(&public_url).await, 503);
    let pairs = "token=none&token_type_hint=access_token";
    let asked = http()
        .post(format!("{public_url}/token"))
        .header("content-type", "application/x-www-form-urlencoded");
    let asked = asked.body(format!("grant_type=refresh_token&refresh_token=mcp_rt_x&client_id=x&{pairs}"));
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
    assert!(answer.text().await.unwrap().contains("temporarily_unavailable"));
    server.start();
    assert_eq!(ready(&public_url).await, 200);
    everything(&public_url, &resource, ("rs-1", RS_SECRET)).await;
    assert!(daemon.is_running());
    assert_eq!(daemon.stop().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_and_revocations_survive_kill_9_of_the_server_and_are_seen_by_every_daemon() {
    let mut engine = RedisServer::new();
    let repository = connect(&engine.url()).await.unwrap();
    let server = Server::with(Options { repository: Some(repository), ..Options::default() }).await;
    let twin = server.twin().await;
    let client = Client::public(&server).await;
    let (kept, gone) = (client.login(&server).await, client.login(&server).await);
    let code = client.code(&server).await;
    let pairs = [("token", &*gone.refresh), ("client_id", &client.id)];
    assert_eq!(server.form("/revoke", &pairs).send().await.unwrap().status(), 200);
    assert_eq!(twin.introspect(&gone.access).await["active"], false);
    engine.kill();
    engine.start();
    for server in [&server, &twin] {
        assert_eq!(server.introspect(&kept.access).await["active"], true);
        assert_eq!(server.introspect(&gone.access).await["active"], false, "what was revoked stays so");
    }
    assert_eq!(client.refresh(&server, &gone.refresh).await.status(), 400);
    Tokens::of(client.refresh(&server, &kept.refresh).await).await;
    let redeeming = (0..8).map(|number| client.redeem(if number % 2 == 0 { &server } else { &twin }, &code));
    let spent = at_once(redeeming).await.into_iter().filter(|answer| answer.status() == 200).count();
    assert_eq!(spent, 1, "a code is spent once");
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_and_check_tell_what_is_wrong_and_what_may_be_lost() {
    let server = RedisServer::new();
    server.run(&["CONFIG", "SET", "appendfsync", "everysec"]);
    let (home, _) = home(&server).await;
    let mut daemon = home.serve();
    daemon.err.said("`appendfsync everysec`");
    let checked = home.run(&["check", "--config", "config.toml"]);
    assert!(checked.out.contains("appendfsync everysec"), "{checked:?}");
    assert_eq!(daemon.stop().code, Some(0));
    home.reconfigure("mcp_auth:open%20sesame", "mcp_auth:canary");
    let refused = Daemon::start(&mut home.command(&["serve", "--config", "config.toml"])).wait();
    assert_eq!(refused.code, Some(69), "{refused:?}");
    assert!(refused.err.contains("refuses the password of the user \"mcp_auth\""), "{refused:?}");
    assert!(!refused.err.contains("canary"), "{refused:?}");
    assert!(connect(&server.url()).await.unwrap().ping().await.is_ok());
}
