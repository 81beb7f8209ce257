//! What the README and the quickstart tell people to do, done.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::support::{Daemon, Finished, SEALING_KEY, free_port, lines, pangea, read_until, tool};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Opens what a client wants opened in the scripted browser.
pub(crate) const WITH_BROWSER: &str = "
import sys, webbrowser
sys.path.insert(0, sys.argv[1])
from fastmcp_client import ScriptedBrowser
from report import Report
webbrowser.register('scripted', None, ScriptedBrowser(Report(), 'approve', 'grace@example.com'), preferred=True)
exec(compile(sys.argv[2], 'README', 'exec'), {'__name__': '__main__'})
";

/// A server that the documentation shows; it ends with the test.
pub(crate) struct Server(Child);

impl Server {
    pub(crate) fn start(program: &str, folder: &Path) -> Self {
        Self::start_with(program, folder, &[])
    }

    /// The same with more environment variables.
    pub(crate) fn start_with(program: &str, folder: &Path, variables: &[(&str, &Path)]) -> Self {
        let mut command = Command::new(tool("PANGEA_TEST_PYTHON"));
        command.args(["-c", program]).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
        command.envs(variables.iter().copied());
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let said = lines(process.stderr.take().unwrap());
        read_until(&said, "Uvicorn running on");
        Self(process)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_readmes_server_and_client_work_with_serve_dev() {
    let readme = document("README.md");
    let commands = blocks(&readme, "sh");
    assert_eq!(commands[1..], ["pangea-mcp-auth serve --dev\npython server.py\npython client.py\n"]);
    let [server, client] = &blocks(&readme, "python")[..] else { panic!("not two programs in the README") };
    let daemon = Daemon::dev();
    let issuer = daemon.said("authorization server");
    for line in daemon.banner.lines().skip_while(|line| *line != "  auth = RemoteAuthProvider(").take(4) {
        let line = line.strip_prefix("  ").unwrap().replace(issuer, "http://localhost:8000");
        assert!(server.lines().any(|shown| shown == line), "the README lacks {line:?}");
    }

    let port = free_port();
    let here = |program: &str| moved(program, issuer, port);
    let _server = Server::start(&here(server), daemon.folder.path());
    let said = run_client(&here(client));
    assert!(said.contains("'sub': 'pui_"), "{said}");
    assert!(said.contains("'email': '"), "the tool says who you are: {said}");
    assert!(said.contains(&format!("'aud': 'http://localhost:{port}/mcp'")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quickstarts_configuration_and_its_introspecting_server_work() {
    let quickstart = document("docs/quickstart.md");
    let [configuration, introspection] = &blocks(&quickstart, "toml")[..] else { panic!("not two pieces") };
    let [server] = &blocks(&quickstart, "python")[..] else { panic!("not one program in the quickstart") };
    let (port, mcp_port) = (free_port(), free_port());
    let issuer = format!("http://localhost:{port}");
    let upstream = pangea(("psa_xxxxxxxx", "pck_real"), format!("{issuer}/pangea/callback")).await;
    let configuration = moved(configuration, &issuer, mcp_port)
        .replace("127.0.0.1:8000", &format!("127.0.0.1:{port}"))
        .replace("https://pdn-xxxxxxxx.login.aws.us.pangea.cloud", &upstream)
        .replace("\n[keys]", &format!("{introspection}\n[keys]"));
    let secrets = [
        ("authn-client-secret", "pck_real"),
        ("sealing-key", SEALING_KEY),
        ("rs-1-secret", "0123456789abcdef0123456789abcdef"),
    ];
    let daemon = Daemon::configured(&configuration, &secrets);

    let _server = Server::start(&moved(server, &issuer, mcp_port), daemon.folder.path());
    let client = &blocks(&document("README.md"), "python")[1];
    let said = run_client(&moved(client, &issuer, mcp_port));
    assert!(said.contains("'username': 'grace@example.com'"), "{said}");
}

pub(crate) fn document(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap()
}

/// The fenced blocks of a language.
pub(crate) fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("\n```{language}\n");
    text.split(&fence).skip(1).map(|rest| format!("{}\n", rest.split("\n```").next().unwrap())).collect()
}

/// The same program for another authorization server and another port of the MCP server.
fn moved(program: &str, issuer: &str, port: u16) -> String {
    program.replace("http://localhost:8000", issuer).replace("9000", &port.to_string())
}

fn run_client(program: &str) -> String {
    let mut command = Command::new(tool("PANGEA_TEST_PYTHON"));
    command.args(["-c", WITH_BROWSER, &format!("{ROOT}/tests/clients"), program]).stdin(Stdio::null());
    let finished = Finished::of(&mut command);
    assert_eq!(finished.code, Some(0), "{}\n{}", finished.said, finished.complained);
    finished.said
}
