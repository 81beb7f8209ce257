//! A bare connection, for requests that no HTTP library would send.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A connection to a server.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

/// One answer.
#[derive(Debug)]
pub struct WireAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Wire {
    /// Connects to the host and port of an origin, `http://…`.
    pub async fn open(origin: &str) -> Self {
        let stream = TcpStream::connect(origin.trim_start_matches("http://")).await.expect("a connection");
        Self { stream, read: Vec::new() }
    }

    /// Sends all of it, as long as the server reads.
    pub async fn send(&mut self, bytes: &[u8]) -> &mut Self {
        // A server that has heard enough closes: its answer says why.
        let _ = self.stream.write_all(bytes).await;
        self
    }

    /// The next answer; `None` when the connection ends without one.
    pub async fn answer(&mut self) -> Option<WireAnswer> {
        let head_end = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            self.more().await?;
        };
        let head = String::from_utf8_lossy(&self.read[..head_end]).to_lowercase();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        let body_start = head_end + 4;
        while self.read.len() < body_start + length {
            self.more().await?;
        }
        let rest = self.read.split_off(body_start + length);
        let body = String::from_utf8_lossy(&self.read[body_start..]).into_owned();
        self.read = rest;
        Some(WireAnswer { status, head, body })
    }

    async fn more(&mut self) -> Option<()> {
        self.stream.read_buf(&mut self.read).await.ok().filter(|&count| count > 0).map(|_| ())
    }
}
