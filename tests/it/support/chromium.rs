//! A real Chromium, headless, with a profile of its own, and what it wrote down about its work.

use std::{
    fs,
    io::{BufRead, BufReader, Lines, Read, Write},
    net::TcpStream,
    ops::Deref,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use fantoccini::{
    ClientBuilder,
    wd::{Capabilities, WebDriverCompatibleCommand},
};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::{ParseError, Url};

use super::{tool, window::Window};

/// The width and height of a laptop's window, in pixels.
pub const LAPTOP: (u32, u32) = (1280, 900);
/// The same of a small phone, what its browser takes of the screen aside.
pub const PHONE: (u32, u32) = (390, 664);
const PATIENCE: Duration = Duration::from_secs(20);
/// Nothing but loopback can be reached, whatever a page or Chromium itself would like.
const ARGUMENTS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
];

/// Pages are drawn with a typeface like those of people's machines, not with the one for test machines.
const FONTS: &str = r#"<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd"><fontconfig>
<include>/etc/fonts/fonts.conf</include>
<alias binding="strong"><family>system-ui</family><prefer><family>Inter</family></prefer></alias>
<alias binding="strong"><family>sans-serif</family><prefer><family>Inter</family></prefer></alias>
<alias binding="strong"><family>sans</family><prefer><family>Inter</family></prefer></alias>
</fontconfig>"#;

/// A browser; it ends with the test.
pub struct Chromium {
    window: Window,
    _driver: Driver,
}

impl Deref for Chromium {
    type Target = Window;

    fn deref(&self) -> &Window {
        &self.window
    }
}

/// The driver, which ends the browser when it ends.
struct Driver {
    process: Child,
    port: u16,
    /// Open as long as the driver may write to it.
    _output: Lines<BufReader<ChildStdout>>,
    /// Removed after both have ended.
    _profile: TempDir,
}

impl Chromium {
    /// Starts the browser with a wide, light window.
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let options = json!({ "binary": tool("PANGEA_TEST_CHROMIUM"), "args": arguments });
        let driver = Driver::start(profile);
        let capabilities = Capabilities::from_iter([
            ("goog:chromeOptions".to_owned(), options),
            ("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL", "performance": "ALL" })),
        ]);
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .unwrap_or_else(|error| panic!("Chromium does not start: {error}"));
        let chromium = Self { window: Window { client }, _driver: driver };
        chromium.look(LAPTOP, false).await;
        chromium
    }

    /// Looks at pages through a window of this size, by day or by night. The page need not be loaded again.
    pub async fn look(&self, (width, height): (u32, u32), dark: bool) {
        let phone = width < LAPTOP.0;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 2, "mobile": phone });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
        self.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
    }

    /// What axe-core finds against WCAG 2.2, levels A and AA, one line each.
    pub async fn accessibility_faults(&self) -> Vec<String> {
        let axe = fs::read_to_string(tool("PANGEA_TEST_AXE")).unwrap();
        self.client.execute(&axe, vec![]).await.unwrap();
        let run = "const done = arguments[0];
            const values = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
            axe.run(document, { runOnly: { type: 'tag', values } }).then(
                found => done(found.violations.flatMap(
                    rule => rule.nodes.map(node => `${rule.id}: ${rule.help}: ${node.html}`))),
                error => done([String(error)]))";
        let found = self.client.execute_async(run, vec![]).await.unwrap();
        serde_json::from_value(found).unwrap()
    }

    /// A command of the browser's developer tools.
    pub async fn devtools(&self, command: &str, params: Value) -> Value {
        self.driver_command("goog/cdp/execute", json!({ "cmd": command, "params": params })).await
    }

    /// What the console got since it was last asked.
    pub async fn console(&self) -> Vec<String> {
        self.log("browser").await.iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// The addresses that were asked for over the network, redirects and all, since it was last asked.
    pub async fn requested(&self) -> Vec<Url> {
        let entries = self.log("performance").await;
        let events = entries.iter().map(|entry| {
            let event: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            event["message"].clone()
        });
        let sent = events.filter(|event| event["method"] == "Network.requestWillBeSent");
        let urls = sent.map(|event| Url::parse(event["params"]["request"]["url"].as_str().unwrap()).unwrap());
        // Others, such as `data:` and `chrome:`, lead nowhere.
        urls.filter(|url| ["http", "https", "ws", "wss"].contains(&url.scheme())).collect()
    }

    /// Keeps a picture of the window among the artifacts.
    pub async fn photograph(&self, name: &str) {
        let picture = json!({ "format": "png" });
        let picture = self.devtools("Page.captureScreenshot", picture).await;
        fs::write(artifact(name), STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()).unwrap();
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        self.driver_command("se/log", json!({ "type": kind })).await.as_array().unwrap().clone()
    }

    async fn driver_command(&self, path: &'static str, body: Value) -> Value {
        let command = DriverCommand { path, body };
        self.client.issue_cmd(command).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

/// Where something that people may want to look at is kept; git ignores the folder.
fn artifact(name: &str) -> PathBuf {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/artifacts"));
    fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

impl Driver {
    fn start(profile: TempDir) -> Self {
        let fonts = profile.path().join("fonts.conf");
        fs::write(&fonts, FONTS).unwrap();
        // The driver takes a free port of IPv4 and ends if another process has the same port of IPv6.
        let started = (0..5).find_map(|_| {
            let mut process = Command::new(tool("PANGEA_TEST_CHROMEDRIVER"))
                .arg("--port=0")
                .env("FONTCONFIG_FILE", &fonts)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
            let port = output.by_ref().map_while(Result::ok).find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse().ok()
            });
            if port.is_none() {
                process.wait().unwrap();
            }
            Some((process, output, port?))
        });
        let (process, output, port) = started.expect("chromedriver says its port");
        Self { process, port, _output: output, _profile: profile }
    }

    /// Asks the driver to end with its browser, and waits until both have.
    fn shut_down(&mut self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new())?;
        self.process.wait().map(drop)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.shut_down().is_err() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// A command that only this driver has.
#[derive(Debug)]
struct DriverCommand {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for DriverCommand {
    fn endpoint(&self, base_url: &Url, session_id: Option<&str>) -> Result<Url, ParseError> {
        base_url.join(&format!("session/{}/{}", session_id.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
