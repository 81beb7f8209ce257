//! A real WebKit, the engine of Safari, on a virtual screen.

use std::{
    io::{BufRead, BufReader},
    ops::Deref,
    process::{Child, Command, Stdio},
    time::Duration,
};

use fantoccini::{ClientBuilder, wd::Capabilities};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tempfile::TempDir;

use super::{free_port, tool, window::Window};

const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(100);

/// A browser; it ends with the test.
pub struct WebKit {
    window: Window,
    _driver: Running,
    _screen: Running,
    _home: TempDir,
}

impl WebKit {
    /// Starts the browser.
    pub async fn start() -> Self {
        let (screen, display) = screen();
        let home = tempfile::tempdir().unwrap();
        let port = free_port();
        let driver = Command::new(tool("PANGEA_TEST_WEBKITDRIVER"))
            .arg(format!("--port={port}"))
            .env("DISPLAY", display)
            .env("HOME", home.path())
            .env("XDG_RUNTIME_DIR", home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let driver = Running(driver);
        let capabilities = || Capabilities::from_iter([("browserName".to_owned(), json!("MiniBrowser"))]);
        let address = format!("http://127.0.0.1:{port}");
        for _ in 0..TRIES {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            if let Ok(client) = builder.capabilities(capabilities()).connect(&address).await {
                return Self { window: Window { client }, _driver: driver, _screen: screen, _home: home };
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("WebKit does not start");
    }

    /// Closes the browser, which does not end with its driver.
    pub async fn close(self) {
        self.window.client.clone().close().await.unwrap();
    }
}

impl Deref for WebKit {
    type Target = Window;

    fn deref(&self) -> &Window {
        &self.window
    }
}

/// A screen without a monitor, and its name.
fn screen() -> (Running, String) {
    let mut server = Command::new(tool("PANGEA_TEST_XVFB"))
        .args(["-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut number = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
    (Running(server), format!(":{}", number.trim()))
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
