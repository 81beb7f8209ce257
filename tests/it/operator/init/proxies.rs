//! Reverse proxies with the lines of `docs/reverse-proxy.md`.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use axum::{
    Router,
    http::{HeaderMap, Uri},
};
use pangea_mcp_auth::daemon;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    documents::readme,
    support::{postgres::until, process::free_port, self_signed, tool},
};

/// The two servers of the page: their names, and the ports on which they are behind the proxy.
const SERVERS: [(&str, u16); 2] = [("auth.example.org", 8000), ("mcp.example.org", 9000)];

/// A real proxy with the lines that the documentation shows; it ends with the test.
pub(super) struct ReverseProxy {
    process: Child,
    /// Who vouches for its certificate.
    pub(super) authority: PathBuf,
}

/// The only piece of the page in a language.
fn documented(language: &str) -> String {
    let mut pieces = readme::blocks(&readme::document("docs/reverse-proxy.md"), language);
    assert_eq!(pieces.len(), 1, "one piece of {language}");
    pieces.remove(0)
}

/// The same text with something else in the place of what must be there.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} in {text}");
    text.replace(from, to)
}

impl ReverseProxy {
    /// nginx. Leads ports of this machine to other ports, as the page does with names.
    pub(super) fn nginx(folder: &Path, ports: [(u16, u16); 2]) -> Self {
        let [authority, key] = self_signed(folder);
        let mut servers = documented("nginx");
        for ((name, its_own), (outside, inside)) in SERVERS.into_iter().zip(ports) {
            let block = format!("    listen 443 ssl;\n    server_name {name};\n");
            servers = replaced(&servers, &block, &format!("    listen 127.0.0.1:{outside} ssl;\n"));
            servers = replaced(&servers, &format!("127.0.0.1:{its_own};"), &format!("127.0.0.1:{inside};"));
            let kept = format!("/etc/letsencrypt/live/{name}");
            servers = replaced(&servers, &format!("{kept}/fullchain.pem"), &authority.display().to_string());
            servers = replaced(&servers, &format!("{kept}/privkey.pem"), &key.display().to_string());
        }
        let whole = format!(
            "daemon off;\npid {0}/pid;\nerror_log {0}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n\
             client_body_temp_path {0}/body;\nproxy_temp_path {0}/proxy;\nfastcgi_temp_path {0}/f;\n\
             uwsgi_temp_path {0}/u;\nscgi_temp_path {0}/s;\n{servers}}}\n",
            folder.display()
        );
        fs::write(folder.join("nginx.conf"), whole).unwrap();
        let mut nginx = Command::new(tool("PANGEA_TEST_NGINX"));
        nginx.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
        Self::start(&mut nginx, folder, authority, ports[0].0)
    }

    /// The same with Caddy, which is given our certificate for the one that it would fetch.
    pub(super) fn caddy(folder: &Path, ports: [(u16, u16); 2]) -> Self {
        let [authority, key] = self_signed(folder);
        let tls = format!("    tls {} {}\n", authority.display(), key.display());
        let mut servers = documented("caddyfile");
        for ((name, its_own), (outside, inside)) in SERVERS.into_iter().zip(ports) {
            let site = format!("https://localhost:{outside} {{\n{tls}");
            servers = replaced(&servers, &format!("{name} {{\n"), &site);
            servers = replaced(&servers, &format!("127.0.0.1:{its_own}"), &format!("127.0.0.1:{inside}"));
        }
        // Nothing of this machine's is touched: no port 80, no port for orders, no authority of its own.
        let whole = format!(
            "{{\n    admin off\n    auto_https disable_redirects\n    default_bind 127.0.0.1\n}}\n\n{servers}"
        );
        fs::write(folder.join("Caddyfile"), whole).unwrap();
        let mut caddy = Command::new(tool("PANGEA_TEST_CADDY"));
        caddy.arg("run").arg("--adapter=caddyfile").arg("--config").arg(folder.join("Caddyfile"));
        caddy.env_clear().env("HOME", folder);
        Self::start(&mut caddy, folder, authority, ports[0].0)
    }

    /// Waits until it listens on `port`.
    fn start(command: &mut Command, folder: &Path, authority: PathBuf, port: u16) -> Self {
        let log = folder.join("said.log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
        let mut process = command.spawn().unwrap();
        until("the proxy listens", || {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(process.try_wait().unwrap().is_none(), "the proxy ended: {}", said());
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self { process, authority }
    }
}

impl Drop for ReverseProxy {
    fn drop(&mut self) {
        let pid = self.process.id().to_string();
        let _ = Command::new("kill").args(["-s", "TERM", &pid]).status();
        let _ = self.process.wait();
    }
}

/// No Traefik is at hand that could run; its lines are at least what they seem to be.
#[test]
fn the_lines_for_traefik_are_read_and_fit_together() {
    let mut python = Command::new(tool("PANGEA_TEST_PYTHON"));
    let read = "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.argv[1])))";
    let output = python.args(["-c", read, &documented("yaml")]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [routers, services] = ["routers", "services"].map(|part| read["http"][part].as_object().unwrap());
    assert_eq!((routers.len(), services.len()), (SERVERS.len(), SERVERS.len()));
    for (name, port) in SERVERS {
        let rule = format!("Host(`{name}`)");
        let mut meant = routers.values().filter(|router| router["rule"] == *rule);
        let router = meant.next().unwrap_or_else(|| panic!("no router for {name}: {read}"));
        assert!(router["tls"]["certResolver"].is_string(), "{router}");
        let service = &services[router["service"].as_str().unwrap()];
        let expected = json!([{ "url": format!("http://127.0.0.1:{port}") }]);
        assert_eq!(service["loadBalancer"]["servers"], expected);
    }
}

/// What the page requires of each proxy: paths and answers pass unchanged, long headers fit both ways, and the
/// daemon learns the client's address.
#[tokio::test(flavor = "multi_thread")]
async fn what_matters_of_a_proxy_is_so_with_its_lines() {
    let behind = Router::new().fallback(async |uri: Uri, headers: HeaderMap| {
        let told = ["x-forwarded-for", "cookie"].map(|name| headers[name].to_str().unwrap().to_owned());
        let long = format!("__Host-flow={}", "s".repeat(16 * 1024));
        let answer =
            [("set-cookie", &*long), ("cache-control", "no-store"), ("access-control-allow-origin", "*")];
        (answer.map(|(name, value)| (name, value.to_owned())), json!([uri.to_string(), told]).to_string())
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let inside = listener.local_addr().unwrap().port();
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    tokio::spawn(daemon::serve(vec![listener], behind, stop));
    for (proxy, appends) in [(ReverseProxy::nginx as fn(&Path, _) -> _, true), (ReverseProxy::caddy, false)] {
        let folder = tempfile::tempdir().unwrap();
        let outside = [free_port(), free_port()];
        let proxy: ReverseProxy = proxy(folder.path(), outside.map(|port| (port, inside)));
        let authority = reqwest::Certificate::from_pem(&fs::read(&proxy.authority).unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "it trusts the proxy's certificate")]
        let client = reqwest::Client::builder().tls_certs_only([authority]).build().unwrap();
        let path = "/.well-known/oauth-authorization-server/auth?a=%2F";
        let cookie = format!("__Host-flow={}", "s".repeat(16 * 1024));
        let asked = client.get(format!("https://localhost:{}{path}", outside[0]));
        let asked = asked.header("cookie", &cookie).header("x-forwarded-for", "203.0.113.9");
        let answer = asked.send().await.unwrap();
        let expected =
            [("set-cookie", &*cookie), ("cache-control", "no-store"), ("access-control-allow-origin", "*")];
        for (name, value) in expected {
            let all: Vec<_> = answer.headers().get_all(name).iter().collect();
            assert_eq!(all, [value], "{name}");
        }
        let peers = if appends { "203.0.113.9, 127.0.0.1" } else { "127.0.0.1" };
        let told: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(told, json!([path, [peers, cookie]]));
    }
}
