//! From nothing to a person who is signed in: what `init` wrote and printed, used as it stands.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{Beginning, non_interactive::FOLDER, proxies::ReverseProxy};
use crate::{
    documents::readme::{self, WITH_BROWSER},
    support::{
        Finished, PostgresDatabase, Records, pangea,
        postgres::{PASSWORD, ROLE},
        process::{Daemon, Home, PANGEA, free_port},
        tool,
    },
};

/// The program between two lines of what `init` printed.
fn program(printed: &str) -> String {
    let program = printed.split_once("(server.py):\n\n").unwrap().1;
    program.split_once("\n\nTo repeat this set-up").unwrap().0.to_owned()
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
    assert_eq!((checked.code, &report["failed"]), (Some(0), &0.into()), "{report:#}");
    let mut warned =
        report["findings"].as_array().unwrap().iter().filter(|finding| finding["status"] == "warn");
    assert!(warned.all(|finding| finding["name"] == "access"), "{report:#}");
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

#[tokio::test(flavor = "multi_thread")]
async fn behind_nginx_with_postgres() {
    let postgres = PostgresDatabase::new();
    let database = format!("postgres://{ROLE}@127.0.0.1:{}/{}", postgres.port(), postgres.name());
    let repository = ["--repository=postgres", "--repository-url", &database];
    let given = ["--repository-secret-file=given-password"];
    behind(ReverseProxy::nginx, &[&repository[..], &given].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_caddy_with_sqlite() {
    behind(ReverseProxy::caddy, &[]).await;
}

/// Sets up a daemon behind a proxy, with these answers about the repository, and signs a user in.
async fn behind(proxy: fn(&Path, [(u16, u16); 2]) -> ReverseProxy, repository: &[&str]) {
    let [public, inside, mcp, mcp_inside] = [(); 4].map(|()| free_port());
    let (public_url, mcp_url) =
        (format!("https://localhost:{public}"), format!("https://localhost:{mcp}/mcp"));
    let upstream = pangea(PANGEA, format!("{public_url}/pangea/callback")).await;
    let home = Home::new();
    home.write("given-secret", PANGEA.1);
    home.write("given-password", PASSWORD);
    let listen = format!("--listen=127.0.0.1:{inside}");
    let flags =
        ["init", "--non-interactive", "--deployment=reverse-proxy", "--public-url", &public_url, &listen];
    let answers = ["--mcp-url", &mcp_url, "--issuer-url", &upstream, "--client-id", PANGEA.0];
    let secret = ["--client-secret-file=given-secret"];
    let made = home.run(&[&flags[..], &answers, &secret, repository].concat());
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.out.contains("docs/reverse-proxy.md"), "{}", made.out);
    assert!(!format!("{made:?}{}", home.read(&format!("{FOLDER}/config.toml"))).contains(PASSWORD));

    let mut daemon = Daemon::start(&mut home.command(&["serve"]));
    daemon.err.wait_for("ready public_url=");
    let folder = tempfile::tempdir().unwrap();
    let proxy = proxy(folder.path(), [(public, inside), (mcp, mcp_inside)]);
    let trusting = [("SSL_CERT_FILE", &*proxy.authority)];
    let program = program(&made.out).replace("port=9000", &format!("port={mcp_inside}"));
    let _server = readme::Server::start_with(&program, &home.path(""), &trusting);
    let said = sign_in(&mcp_url, &trusting);
    assert!(said.contains(&format!("'aud': '{mcp_url}'")), "{said}");
    passes(&home, &["--resource", &mcp_url], &trusting);
    daemon.stop();
}
