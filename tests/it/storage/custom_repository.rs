//! The repository that `docs/custom-repository.md` shows, as it is compiled there.

use std::{fs, path::Path, sync::Arc};

use pangea_mcp_auth::repository::{Repository, conformance};
use tempfile::TempDir;

use crate::support::{Client, Options, Server, Tokens};

#[path = "../../../docs/custom-repository/directory.rs"]
pub(crate) mod directory;

use directory::DirectoryRepository;

fn open(folder: &TempDir) -> Arc<dyn Repository> {
    Arc::new(DirectoryRepository::open(folder.path()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_repository_keeps_every_rule() {
    let folders = std::sync::Mutex::new(Vec::new());
    let verdict = conformance::verify(async || {
        let folder = tempfile::tempdir().unwrap();
        let handles = [open(&folder), open(&folder)];
        folders.lock().unwrap().push(folder);
        handles
    });
    assert_eq!(verdict.await, Ok(()));
}

#[tokio::test]
async fn a_login_is_served_from_a_repository_of_ones_own_and_a_restart_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::with(Options { repository: Some(open(&folder)), ..Options::default() }).await;
    let client = Client::confidential(&server).await;
    let first = client.login(&server).await;
    let second = Tokens::of(client.refresh(&server, &first.refresh).await).await;
    assert!(!server.folder.path().join("test.sqlite").exists(), "[repository] is not looked at");
    server.repository = Some(open(&folder));
    let again = server.twin().await;
    assert_eq!(again.introspect(&second.access).await["active"], true);
    for (kind, count) in [("client", 1), ("grant", 1), ("key", 1)] {
        assert_eq!(fs::read_dir(folder.path().join(kind)).unwrap().count(), count, "{kind}");
    }
}

#[test]
fn the_document_shows_what_is_compiled() {
    let read = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let document = read("docs/custom-repository.md");
    for file in ["directory.rs", "main.rs"] {
        let shown = format!("```rust\n{}```\n", read(&format!("docs/custom-repository/{file}")));
        assert!(document.contains(&shown), "docs/custom-repository.md does not show {file} as it is");
    }
    let here = read("tests/it/storage/custom_repository.rs");
    assert!(
        here.contains("conformance::verify(async || {")
            && document.contains("conformance::verify(async || {")
    );
}
