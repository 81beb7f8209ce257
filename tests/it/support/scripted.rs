//! A server with scripted answers, such as a proxy that gets in the way, on a free port.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderName, HeaderValue, Request, Response},
};
use pangea_mcp_auth::daemon;
use tokio_util::sync::CancellationToken;

/// One answer: status, header fields, body.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Scene {
    /// An answer without more header fields.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// A JSON document that everybody may read.
    pub fn json(body: &serde_json::Value) -> Self {
        let scene = Self::new(200, body.to_string()).with("content-type", "application/json");
        scene.with("access-control-allow-origin", "*")
    }

    /// With one header field more.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

type Script = Arc<dyn Fn(&str) -> Scene + Send + Sync>;

/// A running server.
pub struct Scripted {
    /// Scheme, host and port.
    pub origin: String,
    script: Arc<Mutex<Script>>,
}

impl Scripted {
    /// Serves answers that depend on method and path, such as `GET /jwks.json`.
    pub async fn start(script: impl Fn(&str) -> Scene + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Arc::new(script)));
        let router = Router::new().fallback(play).with_state(Arc::clone(&script));
        tokio::spawn(daemon::serve(vec![listener], router, CancellationToken::new()));
        Self { origin, script }
    }

    /// Answers otherwise from now on.
    pub fn play(&self, script: impl Fn(&str) -> Scene + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }
}

async fn play(State(script): State<Arc<Mutex<Script>>>, request: Request<Body>) -> Response<Body> {
    let script = Arc::clone(&script.lock().unwrap());
    let scene = script(&format!("{} {}", request.method(), request.uri().path()));
    let mut response = Response::new(Body::from(scene.body));
    *response.status_mut() = scene.status.try_into().unwrap();
    for (name, value) in scene.headers {
        let value = HeaderValue::from_str(&value).unwrap();
        response.headers_mut().append(HeaderName::from_static(name), value);
    }
    response
}
