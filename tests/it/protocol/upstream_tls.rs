//! The upstream's certificate: without a good one it learns nothing.

use std::{
    path::Path,
    process::{Child, Stdio},
    sync::mpsc::Receiver,
};

use crate::{
    protocol::upstream::outcome,
    support::{Options, Server, lines, python, read_until, self_signed},
};

/// A server with a self-signed certificate. It ends with the test.
pub(crate) struct Stranger {
    pub(crate) port: u16,
    said: Receiver<String>,
    process: Child,
}

impl Stranger {
    pub(crate) fn start(folder: &Path) -> Self {
        let [certificate, key] = self_signed(folder);
        let mut server = python("tls_server.py");
        let mut process = server.arg(&certificate).arg(&key).stdout(Stdio::piped()).spawn().unwrap();
        let said = lines(process.stdout.take().unwrap());
        let port = read_until(&said, "ready ").trim().rsplit(' ').next().unwrap().parse().unwrap();
        Self { port, said, process }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Shows: TLS-2, UP-7.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a client of the test's own, which trusts the stranger")]
async fn an_upstream_whose_certificate_nobody_vouches_for_is_not_asked() {
    let folder = tempfile::tempdir().unwrap();
    let stranger = Stranger::start(folder.path());
    let endpoint = format!("https://localhost:{}/token", stranger.port);
    let authn = format!("token_endpoint = \"{endpoint}\"").leak();
    let server = Server::with(Options { authn, ..Options::default() }).await;
    assert_eq!(outcome(&server).await, "temporarily_unavailable");
    assert!(stranger.said.try_recv().is_err(), "the stranger was asked");

    let certificate = std::fs::read(folder.path().join("certificate.pem")).unwrap();
    let trusting = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&certificate).unwrap()])
        .build()
        .unwrap();
    assert_eq!(
        trusting.get(&endpoint).send().await.unwrap().status(),
        200,
        "it answers clients that trust it"
    );
    read_until(&stranger.said, "asked /token");
}
