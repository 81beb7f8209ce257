//! TLS, with an authority of the test's own.

use pangea_mcp_auth::repository::{PostgresRepository, PostgresSettings};

use super::rules;
use crate::support::{
    Authority, PostgresServer, Records,
    postgres::{PASSWORD, ROLE, settings},
};

/// A server with a certificate of the authority's.
fn server(authority: &Authority) -> PostgresServer {
    let [certificate, key] = authority.certificate();
    let encrypted_only = b"hostssl all mcp_auth 127.0.0.1/32 scram-sha-256
host all postgres 127.0.0.1/32 scram-sha-256
";
    let files: [(&str, &[u8]); 3] =
        [("server.crt", &certificate), ("server.key", &key), ("pg_hba.conf", encrypted_only)];
    PostgresServer::with(&["ssl=on"], &files)
}

fn trusting(url: &str, authority: &Authority) -> PostgresSettings {
    PostgresSettings { ca_file: Some(authority.file()), ..settings(url) }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pools_keep_every_rule_over_tls() {
    let authority = Authority::new("IP:127.0.0.1");
    let server = server(&authority);
    rules::verify(&server, &trusting(&server.url(), &authority)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_certificate_is_verified_with_the_name_of_its_server() {
    let (known, other) = (Authority::new("DNS:db.example.org"), Authority::new("DNS:db.example.org"));
    let server = server(&known);
    let by_name = |mode: &str| {
        let password = PASSWORD.replace(' ', "%20");
        let port = server.port();
        format!("postgres://{ROLE}:{password}@db.example.org:{port}/{ROLE}?hostaddr=127.0.0.1&sslmode={mode}")
    };
    for mode in ["require", "verify-ca", "verify-full"] {
        PostgresRepository::connect(&trusting(&by_name(mode), &known)).await.unwrap();
        let refused = [
            trusting(&by_name(mode), &other),
            trusting(&format!("{}?sslmode={mode}", server.url()), &known),
            settings(&by_name(mode)),
        ];
        for settings in refused {
            let error = PostgresRepository::connect(&settings).await.expect_err(mode).to_string();
            assert!(error.starts_with("the certificate of PostgreSQL at "), "{error}");
            assert!(error.contains(" is not trusted ("), "{error}");
        }
    }
    let plain = PostgresRepository::connect(&settings(&by_name("disable"))).await.expect_err("is not let in");
    assert!(plain.to_string().contains("pg_hba.conf"), "{plain}");
}
