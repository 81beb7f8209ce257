//! TLS, with an authority of the test's own.

use pangea_mcp_auth::repository::{RedisRepository, RedisSettings};

use super::{rules, settings};
use crate::support::{Authority, RedisServer, process::free_port};

/// A server that is reached by TLS on the port that is returned.
fn server(authority: &Authority) -> (RedisServer, u16) {
    let ([certificate, key], port) = (authority.certificate(), free_port());
    let ca = std::fs::read(authority.file()).unwrap();
    let files: [(&str, &[u8]); 3] = [("server.pem", &certificate), ("server.key", &key), ("ca.pem", &ca)];
    // Its own folder is where it runs.
    let settings = format!(
        "tls-port {port}\ntls-cert-file server.pem\ntls-key-file server.key\ntls-ca-cert-file ca.pem\ntls-auth-clients no\n"
    );
    (RedisServer::with(&settings, &files), port)
}

fn url(server: &RedisServer, port: u16, host: &str) -> String {
    let there = server.url().replace("redis://", "rediss://");
    there.replace(&format!("127.0.0.1:{}", server.port()), &format!("{host}:{port}"))
}

fn trusting(url: &str, authority: &Authority) -> RedisSettings {
    RedisSettings { ca_file: Some(authority.file()), ..settings(url) }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_connections_keep_every_rule_over_tls() {
    let authority = Authority::new("IP:127.0.0.1");
    let (server, port) = server(&authority);
    let settings = trusting(&url(&server, port, "127.0.0.1"), &authority);
    rules::verify(&settings, || _ = server.run(&["FLUSHALL"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_certificate_is_verified_with_the_name_of_its_server() {
    let (known, other) = (Authority::new("DNS:localhost"), Authority::new("DNS:localhost"));
    let (server, port) = server(&known);
    let by_name = url(&server, port, "localhost");
    RedisRepository::connect(&trusting(&by_name, &known)).await.unwrap();
    let refused =
        [trusting(&by_name, &other), trusting(&url(&server, port, "127.0.0.1"), &known), settings(&by_name)];
    for settings in refused {
        let error = RedisRepository::connect(&settings).await.expect_err("is not trusted").to_string();
        assert!(error.starts_with("the certificate of Redis at "), "{error}");
        assert!(error.contains(" is not trusted ("), "{error}");
    }
    let with_ca = trusting(&server.url(), &known);
    let plain = RedisRepository::connect(&with_ca).await.expect_err("ca_file means nothing").to_string();
    assert!(plain.contains("write rediss://"), "{plain}");
}
