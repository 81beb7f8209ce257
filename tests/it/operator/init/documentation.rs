//! `docs/init.md` shows what is really said.

use super::{Beginning, terminal::Terminal};
use crate::support::{documented, process::PANGEA};

/// What was said, as it would be with the usual addresses.
fn usual(text: &str, beginning: &Beginning) -> String {
    let home = beginning.home.path("");
    let home = home.to_str().unwrap().trim_end_matches('/');
    [
        (home, "~"),
        (&*beginning.public_url, "http://localhost:8000"),
        (&*beginning.mcp_url, "http://localhost:9000/mcp"),
        (&*beginning.upstream, "https://pdn-xxxxxxxx.login.aws.us.pangea.cloud"),
        (PANGEA.0, "psa_xxxxxxxx"),
        ("\r\n", "\n"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (own, usual)| text.replace(own, usual))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_the_wizard_and_the_command_that_does_the_same() {
    let beginning = Beginning::start().await;
    let mut terminal = Terminal::open(&beginning);
    terminal.begin(&beginning);
    terminal.name_pangea(&beginning);
    let (code, transcript) = terminal.end();
    assert_eq!(code, 0, "{transcript}");
    let said = usual(&transcript, &beginning);
    let (walk, _) = said.split_once("\nConfiguration ").unwrap();
    documented("docs/init.md", "text", 0, walk.trim_end());

    beginning.home.write("given-secret", PANGEA.1);
    let made = beginning.init(&["--mcp-url", &beginning.mcp_url]);
    let said = usual(&made.out, &beginning);
    let command = said.split_once("without questions:\n\n").unwrap().1;
    documented("docs/init.md", "text", 1, &command.replace("\n    ", "\n").replacen("    ", "", 1));
}
