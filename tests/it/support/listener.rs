//! An application that waits for its answer on a loopback port.

use std::{collections::BTreeMap, time::Duration};

use axum::{Router, extract::State, http::Uri, response::Html};
use pangea_mcp_auth::daemon;
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::query;

/// What the browser shows once the answer has arrived.
const PAGE: &str = r#"<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Connected</title><h1>Connected</h1>"#;

/// Listens on a free port and takes whatever comes.
pub struct Listener {
    /// Scheme, host and port.
    pub origin: String,
    /// Where the answer goes.
    pub redirect_uri: String,
    answers: UnboundedReceiver<String>,
    stop: CancellationToken,
}

impl Listener {
    /// Listens.
    pub async fn start() -> Self {
        let (sender, answers) = unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(take).with_state(sender);
        let stop = CancellationToken::new();
        tokio::spawn(daemon::serve(vec![listener], router, stop.clone()));
        Self { redirect_uri: format!("{origin}/callback"), origin, answers, stop }
    }

    /// The parameters of the next answer.
    pub async fn answer(&mut self) -> BTreeMap<String, String> {
        let next = timeout(Duration::from_secs(20), self.answers.recv()).await;
        let next = next.expect("the application got no answer").unwrap();
        query(&format!("{}{next}", self.origin))
    }

    /// Whether nothing else has come.
    pub fn is_quiet(&self) -> bool {
        self.answers.is_empty()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn take(State(answers): State<UnboundedSender<String>>, uri: Uri) -> Html<&'static str> {
    let _ = answers.send(uri.to_string());
    Html(PAGE)
}
