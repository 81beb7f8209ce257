//! A web server that publishes client metadata documents, over https, with an authority of its own.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};

use super::{Authority, Client};

/// What the server does when it is asked for a path.
#[derive(Clone)]
pub enum Deed {
    /// It answers.
    Answer {
        /// HTTP status code.
        status: u16,
        /// Lines of the head.
        headers: Vec<String>,
        /// The body.
        body: Vec<u8>,
    },
    /// It accepts the request and says nothing.
    Silence,
    /// It sends one byte of its answer every fifth of a second.
    Trickle,
    /// It sends zeros without end.
    Flood,
    /// It closes the connection.
    HangUp,
    /// It answers with status 200 and this body, once the test also waits at the gate.
    Gated(Arc<Barrier>, Vec<u8>),
}

/// The server. It listens on loopback until the end of the test.
pub struct DocumentServer {
    port: u16,
    authority: Authority,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    deeds: Mutex<HashMap<String, Deed>>,
    /// The heads of all requests.
    heads: Mutex<Vec<String>>,
    connections: AtomicUsize,
    /// Bytes of floods that were taken.
    flooded: AtomicUsize,
}

impl DocumentServer {
    /// Its certificate is for `localhost`, 127.0.0.1 and 127.0.0.2.
    pub fn start() -> Self {
        let authority = Authority::new("DNS:localhost,IP:127.0.0.1,IP:127.0.0.2");
        let [certificate, key] = authority.certificate();
        let certificates = CertificateDer::pem_slice_iter(&certificate).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(&key).unwrap();
        let tls = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key).unwrap();
        let (tls, shared) = (Arc::new(tls), Arc::new(Shared::default()));
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (tls, shared) = (Arc::clone(&tls), Arc::clone(&of_thread));
                shared.connections.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || serve(stream, tls, &shared));
            }
        });
        Self { port, authority, shared }
    }

    /// The section of a configuration that lets documents come from here. `more` is for the same section.
    pub fn section(&self, more: &str) -> &'static str {
        let ca_file = self.authority.file();
        format!(
            "[client_documents]\nprivate_networks = [\"127.0.0.0/8\", \"::1\"]\nca_file = \"{}\"\n{more}\n",
            ca_file.display()
        )
        .leak()
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }

    /// A document that is right.
    pub fn document(&self, path: &str) -> Value {
        json!({
            "client_id": self.url(path),
            "client_name": "Described client",
            "redirect_uris": ["http://localhost/callback"],
        })
    }

    /// Sets what happens at a path.
    pub fn does(&self, path: &str, deed: Deed) {
        self.shared.deeds.lock().unwrap().insert(path.to_owned(), deed);
    }

    /// Answers at a path.
    pub fn answers(&self, path: &str, status: u16, headers: &[&str], body: impl Into<Vec<u8>>) {
        let headers = headers.iter().map(|header| (*header).to_owned()).collect();
        self.does(path, Deed::Answer { status, headers, body: body.into() });
    }

    /// Publishes a document, with more headers.
    pub fn publishes(&self, path: &str, document: &Value, headers: &[&str]) {
        let headers = [&["content-type: application/json"], headers].concat();
        self.answers(path, 200, &headers, document.to_string());
    }

    /// Publishes a right document with some members changed, and returns its client.
    pub fn client(&self, path: &str, change: &Value) -> Client {
        let mut document = self.document(path);
        for (name, value) in change.as_object().unwrap() {
            document[name] = value.clone();
        }
        self.publishes(path, &document, &[]);
        self.named(path)
    }

    /// The client at a path, whatever is published there.
    pub fn named(&self, path: &str) -> Client {
        let redirect_uri = "http://localhost:4711/callback".to_owned();
        Client { id: self.url(path), secret: None, redirect_uri }
    }

    /// The heads of the requests for a path.
    pub fn asked(&self, path: &str) -> Vec<String> {
        let line = format!("GET {path} ");
        let heads = self.shared.heads.lock().unwrap();
        heads.iter().filter(|head| head.starts_with(&line)).cloned().collect()
    }

    /// All requests so far.
    pub fn requests(&self) -> usize {
        self.shared.heads.lock().unwrap().len()
    }

    /// All connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Bytes of floods that were taken.
    pub fn flooded(&self) -> usize {
        self.shared.flooded.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, tls: Arc<ServerConfig>, shared: &Shared) {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut stream = StreamOwned::new(ServerConnection::new(tls).unwrap(), stream);
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    shared.heads.lock().unwrap().push(head);
    let deed = shared.deeds.lock().unwrap().get(&path).cloned();
    let missing = || Deed::Answer { status: 404, headers: Vec::new(), body: Vec::new() };
    // The other side may have left.
    let _ = match deed.unwrap_or_else(missing) {
        Deed::Answer { status, headers, body } => answer(&mut stream, status, &headers, &body),
        Deed::Silence => stream.read(&mut byte).map(|_| ()),
        Deed::Trickle => trickle(&mut stream),
        Deed::Flood => flood(&mut stream, &shared.flooded),
        Deed::HangUp => Ok(()),
        Deed::Gated(gate, body) => {
            gate.wait();
            answer(&mut stream, 200, &[], &body)
        }
    };
}

fn answer(stream: &mut impl Write, status: u16, headers: &[String], body: &[u8]) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status} Status\r\ncontent-length: {}\r\nconnection: close\r\n", body.len())?;
    for header in headers {
        write!(stream, "{header}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(body)?;
    stream.flush()
}

fn trickle(stream: &mut impl Write) -> std::io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{")?;
    for _ in 0..4999 {
        stream.flush()?;
        thread::sleep(Duration::from_millis(200));
        stream.write_all(b" ")?;
    }
    Ok(())
}

fn flood(stream: &mut impl Write, taken: &AtomicUsize) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n")?;
    let zeros = [0; 4096];
    loop {
        stream.write_all(&zeros)?;
        stream.flush()?;
        taken.fetch_add(zeros.len(), Ordering::SeqCst);
    }
}
