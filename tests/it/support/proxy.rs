//! A way to the server on which a request or its answer may be lost.

use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// What is to happen to the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Passes = 0,
    /// The connection breaks before the server has it.
    Lost = 1,
    /// The connection breaks when the server has answered.
    AnswerLost = 2,
}

/// A listener that hands everything on.
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    next: AtomicU8,
    requests: AtomicUsize,
}

impl Proxy {
    pub async fn before(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&shared)));
            }
        });
        Self { port, state }
    }

    /// The URL of the server by way of this.
    pub fn url(&self, url: &str, port: u16) -> String {
        url.replace(&format!(":{port}/"), &format!(":{}/", self.port))
    }

    /// Decides over the next request.
    pub fn next(&self, fate: Fate) {
        self.state.next.store(fate as u8, Ordering::SeqCst);
    }

    /// How many requests have come.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }
}

async fn pass(client: TcpStream, server: TcpStream, state: Arc<State>) {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let mut request = vec![0; 1 << 16];
    loop {
        // The server may also send something between requests.
        tokio::select! {
            read = from_client.read(&mut request) => {
                let Some(read) = some(read) else { return };
                state.requests.fetch_add(1, Ordering::SeqCst);
                let fate = state.next.swap(Fate::Passes as u8, Ordering::SeqCst);
                if fate == Fate::Lost as u8 {
                    return;
                }
                if to_server.write_all(&request[..read]).await.is_err() {
                    return;
                }
                if fate == Fate::AnswerLost as u8 {
                    let _ = from_server.read(&mut request).await;
                    return;
                }
            }
            on = hand_on(&mut from_server, &mut to_client) => if !on { return },
        }
    }
}

async fn hand_on(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) -> bool {
    let mut bytes = vec![0; 1 << 16];
    match some(from.read(&mut bytes).await) {
        Some(read) => to.write_all(&bytes[..read]).await.is_ok(),
        None => false,
    }
}

fn some(read: std::io::Result<usize>) -> Option<usize> {
    read.ok().filter(|read| *read > 0)
}
