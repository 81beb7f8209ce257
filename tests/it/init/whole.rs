//! From nothing to a person who is signed in: what `init` wrote and printed, used as it stands.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::{Beginning, non_interactive::FOLDER};
use crate::{
    readme::{self, WITH_BROWSER},
    support::{
        Finished, PostgresServer, pangea,
        postgres::{PASSWORD, ROLE},
        process::{Daemon, Home, PANGEA, free_port},
        tool,
    },
};

/// The program between two lines of what `init` printed.
fn program(printed: &str) -> String {
    let program = printed.split_once("(server.py):\n\n").unwrap().1;
    program.split_once("\n\nThe same set-up").unwrap().0.to_owned()
}

/// Signs a person in with FastMCP's client and calls the tool.
fn sign_in(mcp_url: &str, variables: &[(&str, &Path)]) -> String {
    let client = &readme::blocks(&readme::document("README.md"), "python")[1];
    let client = client.replace("http://localhost:9000/mcp", mcp_url);
    let clients = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
    let mut command = Command::new(tool("PANGEA_TEST_PYTHON"));
    command.args(["-c", WITH_BROWSER, clients, &client]).stdin(Stdio::null()).envs(variables.iter().copied());
    let finished = Finished::of(&mut command);
    assert_eq!(finished.code, Some(0), "{}\n{}", finished.said, finished.complained);
    finished.said
}

fn passes(home: &Home, arguments: &[&str], variables: &[(&str, &Path)]) {
    let mut command = home.command(&[&["check", "--output", "json"], arguments].concat());
    let checked = Daemon::start(command.envs(variables.iter().copied())).wait();
    let report: Value = serde_json::from_str(&checked.out).unwrap();
    let troubles = (&report["failed"], &report["warned"]);
    assert_eq!((checked.code, troubles), (Some(0), (&0.into(), &0.into())), "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_this_machine_with_sqlite() {
    let beginning = Beginning::start().await;
    beginning.home.write("given-secret", &format!("{}\n", PANGEA.1));
    let made = beginning.init(&["--mcp-url", &beginning.mcp_url, "--mcp-name", "Ada's \"notes\""]);
    assert_eq!(made.code, Some(0), "{made:?}");

    let daemon = Daemon::start(&mut beginning.home.command(&["serve"]));
    let mut daemon = daemon;
    daemon.err.wait_for("ready public_url=");
    let program = program(&made.out);
    assert!(program.contains(r#"FastMCP("Ada's \"notes\"", "#), "{program}");
    let _server = readme::Server::start(&program, &beginning.home.path(""));
    let said = sign_in(&beginning.mcp_url, &[]);
    assert!(said.contains(&format!("'aud': '{}'", beginning.mcp_url)), "{said}");
    passes(&beginning.home, &["--resource", &beginning.mcp_url], &[]);
    daemon.stop();
}

/// A real nginx with the lines that the documentation shows; it ends with the test.
struct Nginx {
    process: Child,
    /// Who vouches for its certificate.
    authority: std::path::PathBuf,
}

impl Nginx {
    /// Leads ports of this machine to other ports, as the page does with names.
    fn start(folder: &Path, [auth, mcp]: [(u16, u16); 2]) -> Self {
        let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.join(name));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        openssl.args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate).stderr(Stdio::null());
        assert!(openssl.status().expect("openssl is there").success());
        let page = readme::document("docs/reverse-proxy.md");
        let [servers] = &readme::blocks(&page, "nginx")[..] else { panic!("not one piece for nginx") };
        let mut servers = servers.clone();
        for (name, its_own, (outside, inside)) in
            [("auth.example.org", 8000, auth), ("mcp.example.org", 9000, mcp)]
        {
            let block = format!("    listen 443 ssl;\n    server_name {name};\n");
            assert!(servers.contains(&block), "{servers}");
            servers = servers.replace(&block, &format!("    listen 127.0.0.1:{outside} ssl;\n"));
            servers = servers.replace(&format!("127.0.0.1:{its_own};"), &format!("127.0.0.1:{inside};"));
            let kept = format!("/etc/letsencrypt/live/{name}");
            servers = servers.replace(&format!("{kept}/fullchain.pem"), &certificate.display().to_string());
            servers = servers.replace(&format!("{kept}/privkey.pem"), &key.display().to_string());
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
        let mut process = nginx.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        crate::support::postgres::until("nginx listens", || {
            let log = || fs::read_to_string(folder.join("error.log")).unwrap_or_default();
            assert!(process.try_wait().unwrap().is_none(), "nginx ended: {}", log());
            std::net::TcpStream::connect(("127.0.0.1", auth.0)).is_ok()
        });
        Self { process, authority: certificate }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = self.process.id().to_string();
        let _ = Command::new("kill").args(["-s", "TERM", &pid]).status();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_reverse_proxy_with_postgres() {
    let [public, inside, mcp, mcp_inside] = [(); 4].map(|()| free_port());
    let (public_url, mcp_url) =
        (format!("https://localhost:{public}"), format!("https://localhost:{mcp}/mcp"));
    let upstream = pangea(PANGEA, format!("{public_url}/pangea/callback")).await;
    let postgres = PostgresServer::new();
    let home = Home::new();
    home.write("given-secret", PANGEA.1);
    home.write("given-password", PASSWORD);
    let database = format!("postgres://{ROLE}@127.0.0.1:{}/{ROLE}", postgres.port());
    let made = home.run(&[
        "init",
        "--non-interactive",
        "--deployment=reverse-proxy",
        "--public-url",
        &public_url,
        &format!("--listen=127.0.0.1:{inside}"),
        "--mcp-url",
        &mcp_url,
        "--issuer-url",
        &upstream,
        "--client-id",
        PANGEA.0,
        "--client-secret-file=given-secret",
        "--repository=postgres",
        "--repository-url",
        &database,
        "--repository-secret-file=given-password",
    ]);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.out.contains("docs/reverse-proxy.md"), "{}", made.out);
    assert!(!format!("{made:?}{}", home.read(&format!("{FOLDER}/config.toml"))).contains(PASSWORD));

    let mut daemon = Daemon::start(&mut home.command(&["serve"]));
    daemon.err.wait_for("ready public_url=");
    let folder = tempfile::tempdir().unwrap();
    let nginx = Nginx::start(folder.path(), [(public, inside), (mcp, mcp_inside)]);
    let trusting = [("SSL_CERT_FILE", nginx.authority.as_path())];
    let program = program(&made.out).replace("port=9000", &format!("port={mcp_inside}"));
    let _server = readme::Server::start_with(&program, &home.path(""), &trusting);
    let said = sign_in(&mcp_url, &trusting);
    assert!(said.contains(&format!("'aud': '{mcp_url}'")), "{said}");
    passes(&home, &["--resource", &mcp_url], &trusting);
    daemon.stop();
}
