//! TLS, with an authority of the test's own.

use std::{fs, path::PathBuf, process::Command};

use pangea_mcp_auth::repository::{PostgresRepository, PostgresSettings};
use tempfile::TempDir;

use super::{rules, settings};
use crate::support::{
    PostgresServer,
    postgres::{PASSWORD, ROLE},
};

/// An authority and a server's certificate that it has signed.
struct Authority(TempDir);

impl Authority {
    fn new(alternative_name: &str) -> Self {
        let authority = Self(tempfile::tempdir().unwrap());
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
        authority.openssl(&[
            &["req", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Authority"],
            &key,
        ]);
        authority.openssl(&[
            &[
                "req",
                "-x509",
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-keyout",
                "server.key",
                "-out",
                "server.pem",
            ],
            &["-subj", "/CN=server", "-addext", &format!("subjectAltName={alternative_name}")],
            &["-addext", "basicConstraints=critical,CA:FALSE"],
            &key,
        ]);
        authority
    }

    fn openssl(&self, arguments: &[&[&str]]) {
        let made = Command::new("openssl").args(arguments.concat()).current_dir(&self.0).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    fn server(&self) -> PostgresServer {
        let read = |name| fs::read(self.0.path().join(name)).unwrap();
        let (certificate, key) = (read("server.pem"), read("server.key"));
        let encrypted_only = b"hostssl all mcp_auth 127.0.0.1/32 scram-sha-256
host all postgres 127.0.0.1/32 scram-sha-256
";
        let files: [(&str, &[u8]); 3] =
            [("server.crt", &certificate), ("server.key", &key), ("pg_hba.conf", encrypted_only)];
        PostgresServer::with(&["ssl=on"], &files)
    }
}

fn trusting(url: &str, authority: &Authority) -> PostgresSettings {
    PostgresSettings { ca_file: Some(authority.file()), ..settings(url) }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pools_keep_every_rule_over_tls() {
    let authority = Authority::new("IP:127.0.0.1");
    let server = authority.server();
    rules::verify(&server, &trusting(&server.url(), &authority)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_certificate_is_verified_with_the_name_of_its_server() {
    let (known, other) = (Authority::new("DNS:db.example.org"), Authority::new("DNS:db.example.org"));
    let server = known.server();
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
