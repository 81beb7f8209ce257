//! An authority of the test's own.

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;

/// An authority and a server's certificate that it has signed.
pub struct Authority(TempDir);

impl Authority {
    /// One whose certificate is for this name or address.
    pub fn new(alternative_name: &str) -> Self {
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

    /// What to trust.
    pub fn file(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    /// The certificate of the server and its key.
    pub fn certificate(&self) -> [Vec<u8>; 2] {
        ["server.pem", "server.key"].map(|name| fs::read(self.0.path().join(name)).unwrap())
    }
}
