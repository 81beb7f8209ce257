//! Pictures of a terminal: each command runs in tmux, in a window of 80 columns, on records of a server.
//!
//! A picture is current when it says the same as the terminal does now, ids, times and ports aside.

use std::{
    fs,
    io::Write,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use pangea_mcp_auth::clock::{Clock, ManualClock, SystemClock, UnixTime};
use serde_json::json;

use super::overwrite;
use crate::support::{Client, Options, Server, Tokens, process::Home, tool, tree};

const PATIENCE: Duration = Duration::from_secs(30);
const PROMPT: &str = "$ ";

/// A terminal; it ends with the test.
struct Terminal<'a> {
    home: &'a Home,
    /// The name of its socket: a server that ends may still be at the one before.
    socket: &'a str,
}

impl<'a> Terminal<'a> {
    fn open(home: &'a Home, socket: &'a str, rows: &str) -> Self {
        let terminal = Self { home, socket };
        let programs = Path::new(env!("CARGO_BIN_EXE_pangea-mcp-auth")).parent().unwrap();
        let mut tmux = terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", rows]);
        tmux.arg("exec env PS1='$ ' bash --norc --noprofile");
        tmux.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
        if home.path("config.toml").exists() {
            tmux.env("PANGEA_MCP_AUTH_CONFIG", "config.toml");
        }
        assert!(tmux.status().unwrap().success());
        terminal.wait_for(|screen| screen.trim_end() == PROMPT.trim_end());
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.env_clear().env("HOME", self.home.path("")).env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8");
        tmux.current_dir(self.home.path("")).arg("-S").arg(self.home.path(self.socket)).args(arguments);
        tmux
    }

    /// What the window shows; with its colours if `styled`.
    fn screen(&self, styled: bool) -> String {
        let capture = if styled { &["capture-pane", "-p", "-e"][..] } else { &["capture-pane", "-p"] };
        let shown = self.tmux(capture).output().unwrap();
        assert!(shown.status.success(), "{shown:?}");
        format!("{}\n", String::from_utf8(shown.stdout).unwrap().trim_end())
    }

    fn wait_for(&self, is_there: impl Fn(&str) -> bool) {
        let begin = Instant::now();
        while !is_there(&self.screen(false)) {
            assert!(begin.elapsed() < PATIENCE, "the terminal shows:\n{}", self.screen(false));
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Types a line and shows it with what came of it.
    fn run(&self, line: &str, ends_with: &str) -> String {
        assert!(self.tmux(&["send-keys", "-l", line]).status().unwrap().success());
        assert!(self.tmux(&["send-keys", "Enter"]).status().unwrap().success());
        self.wait_for(|screen| screen.lines().count() > 1 && screen.trim_end().ends_with(ends_with));
        let screen = self.screen(true);
        let end = screen.trim_end().strip_suffix(PROMPT.trim_end()).unwrap_or(&screen);
        end.trim_end().to_owned()
    }
}

impl Drop for Terminal<'_> {
    /// A daemon outlives its terminal, so it is stopped first.
    fn drop(&mut self) {
        let _ = self.tmux(&["send-keys", "C-c"]).status();
        let begin = Instant::now();
        while !self.screen(false).trim_end().ends_with(PROMPT.trim_end()) && begin.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.tmux(&["kill-server"]).status();
    }
}

/// A server with a few people, clients and days behind it.
async fn busy() -> Server {
    let begin = UnixTime::from_secs(SystemClock.now().as_secs() - 75 * 3600 - 240);
    let clock = Arc::new(ManualClock::at(begin));
    let server = Server::at(Options::default(), clock).await;
    let desk = Client::registered(&server, json!({ "client_name": "Claude Code" })).await;
    let old = desk.login(&server).await;
    server.advance(Duration::from_hours(49));
    let editor =
        json!({ "client_name": "Cursor", "redirect_uris": ["cursor://anysphere.cursor-mcp/callback"] });
    let editor = Client::registered(&server, editor).await;
    editor.login(&server).await;
    Tokens::of(desk.refresh(&server, &old.refresh).await).await;
    server.advance(Duration::from_hours(26));
    desk.login(&server).await;
    server
}

fn home_of(server: &Server) -> Home {
    let home = Home::with_configuration(&server.url, &server.upstream_url);
    let records = server.folder.path().join("test.sqlite");
    home.reconfigure("records.sqlite", &records.display().to_string());
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_tokens_are_current() {
    let server = busy().await;
    let home = home_of(&server);
    let listed = home.run(&["--config", "config.toml", "tokens", "list", "-q"]).out;
    let oldest = &listed.lines().last().unwrap()[..12];
    for (name, line) in [
        ("tokens-list", "pangea-mcp-auth tokens list"),
        ("tokens-show", &format!("pangea-mcp-auth tokens show {oldest}")),
        ("tokens-revoke", "pangea-mcp-auth tokens revoke --user ada@example.com --dry-run"),
    ] {
        is_current(name, line, &Terminal::open(&home, name, "24").run(line, PROMPT.trim_end()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_picture_of_a_check_is_current() {
    let server = busy().await;
    let home = home_of(&server);
    home.write("authn-client-secret", "pck_mistyped");
    // So many that nothing scrolls away.
    let shown = Terminal::open(&home, "check", "60").run("pangea-mcp-auth check", PROMPT.trim_end());
    is_current("check", "pangea-mcp-auth check", &shown);
}

#[test]
fn the_picture_of_development_is_current() {
    let home = Home::new();
    // A picture that is kept shows the usual ports; others are as long, for lines break by length.
    let ports = if overwrite() {
        String::new()
    } else {
        let first = 8100 + u16::try_from(std::process::id() % 900).unwrap();
        let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        let free: Vec<u16> = (first..first + 100).filter(is_free).take(2).collect();
        format!(" --listen 127.0.0.1:{} --dev-listen 127.0.0.1:{}", free[0], free[1])
    };
    let terminal = Terminal::open(&home, "serve-dev", "24");
    let shown = terminal.run(&format!("clear; pangea-mcp-auth serve --dev{ports}"), "Stop with Ctrl-C.");
    let line = "pangea-mcp-auth serve --dev";
    is_current("serve-dev", line, &format!("{PROMPT}{line}\n{shown}"));
}

/// Compares the picture of this name with what a terminal shows, or draws it.
fn is_current(name: &str, line: &str, shown: &str) {
    let drawn = draw(line, shown);
    let file = tree::root().join(format!("docs/images/{name}.svg"));
    let mut kept = fs::read_to_string(&file).unwrap_or_default();
    if overwrite() && words(&kept) != words(&drawn) {
        fs::write(&file, &drawn).unwrap();
        kept.clone_from(&drawn);
    }
    assert_eq!(words(&kept), words(&drawn), "{name}: UPDATE_DOCS=1 cargo nextest run generated");
}

fn draw(title: &str, shown: &str) -> String {
    let mut python = Command::new(tool("PANGEA_TEST_PYTHON"));
    python.arg(tree::root().join("tests/pictures/svg.py")).arg(title);
    let mut python = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    python.stdin.take().unwrap().write_all(shown.as_bytes()).unwrap();
    let drawn = python.wait_with_output().unwrap();
    assert!(drawn.status.success());
    String::from_utf8(drawn.stdout).unwrap()
}

/// What a picture says, without what is different each time: ids, secrets, times, ports and folders.
fn words(svg: &str) -> Vec<String> {
    let texts = svg.split("<text").skip(1).filter_map(|rest| rest.split_once('>')?.1.split("</text>").next());
    let all = texts.collect::<Vec<_>>().join(" ").replace("&#160;", " ");
    let plain = all.split_whitespace().map(|word| {
        let is_changing = word.bytes().any(|b| b.is_ascii_digit())
            || word.len() > 30
            || word.starts_with("mcp_")
            || word.contains("/tmp");
        if is_changing { "…".to_owned() } else { word.to_owned() }
    });
    let mut plain: Vec<String> = plain.collect();
    plain.dedup();
    plain
}
