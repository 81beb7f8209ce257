//! What lies in each engine after logins: none of it is worth stealing.

use std::{path::Path, sync::Arc, time::Duration};

use pangea_mcp_auth::{
    repository::{Repository, SqliteRepository},
    secret::decode,
};

use serde_json::json;

use crate::{
    operator::log::{canaries::everything, contains, stored_bytes},
    stage::AccessTokenForm,
    storage::custom_repository::directory::DirectoryRepository,
    storage::vault::{FOLDER, Vault},
    support::{
        Client, Options, PostgresDatabase, RS_SECRET, Records, RedisServer, SEALING_KEY, Server, Tokens,
    },
};

/// How a P-256 key begins as PKCS#8 (RFC 5958).
const PRIVATE_KEY: [u8; 26] = [
    0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
];

/// Logins of every sort on a repository, some of them still alive, and then its dump.
async fn is_safe_at_rest(engine: &str, repository: Arc<dyn Repository>, dump: impl AsyncFn() -> Vec<u8>) {
    let server = Server::with(Options { repository: Some(repository), ..Options::default() }).await;
    for form in [AccessTokenForm::Opaque, AccessTokenForm::Jwt] {
        server.upstream.switches().token.set(|token| token.access_token = form);
        let mut canaries = everything(&server.url, &server.resource, ("rs-1", RS_SECRET)).await;
        let client = Client::confidential(&server).await;
        let unused_code = client.code(&server).await;
        let first = client.login(&server).await;
        // The upstream's tokens are also exchanged.
        server.advance(Duration::from_mins(2));
        server.renew_leases().await;
        let second = Tokens::of(client.refresh(&server, &first.refresh).await).await;
        for (what, secret) in [
            ("code", &unused_code),
            ("client secret", client.secret.as_ref().unwrap()),
            ("access token", &first.access),
            ("access token", &second.access),
            ("refresh token", &first.refresh),
            ("refresh token", &second.refresh),
        ] {
            canaries.add(what, secret);
        }
        canaries.add("pangea secret", "pck_test");
        canaries.add("sealing key", SEALING_KEY);
        let dump = dump().await;
        for expected in [client.id.as_bytes(), b"ada@example.com", b"signs_from"] {
            assert!(contains(&dump, expected), "{engine}: the dump is of what was written");
        }
        canaries.assert_absent(&dump, engine);
        let sealing_key = decode(SEALING_KEY).unwrap();
        for (what, secret) in [("sealing key", &*sealing_key), ("private key", &PRIVATE_KEY)] {
            for written in spellings(secret) {
                assert!(!contains(&dump, &written), "{engine}: a {what} is stored in clear");
            }
        }
    }
}

/// Bytes as they are, in hexadecimal, and in base64 of either alphabet.
fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let hexadecimal = secret.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    // What stands behind would change the last characters.
    let whole = &secret[..secret.len() / 3 * 3];
    let url = pangea_mcp_auth::secret::encode(whole);
    let standard = url.replace('-', "+").replace('_', "/");
    vec![secret.to_vec(), hexadecimal.to_uppercase().into(), hexadecimal.into(), url.into(), standard.into()]
}

fn all_files(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        all.extend(if entry.is_dir() { all_files(&entry) } else { std::fs::read(&entry).unwrap() });
    }
    all
}

/// Shows: CAUTH-9, LOG-1.
#[tokio::test]
async fn sqlite_holds_nothing_worth_stealing() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Arc::new(SqliteRepository::open(&folder.path().join("records.sqlite")).unwrap());
    is_safe_at_rest("sqlite", repository, async || stored_bytes(folder.path())).await;
}

/// Shows: CAUTH-9, LOG-1.
#[tokio::test]
async fn a_repository_of_ones_own_holds_nothing_worth_stealing() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Arc::new(DirectoryRepository::open(folder.path()).unwrap());
    is_safe_at_rest("directory", repository, async || all_files(folder.path())).await;
}

/// Shows: CAUTH-9, LOG-1.
#[tokio::test]
async fn postgres_holds_nothing_worth_stealing() {
    let engine = PostgresDatabase::new();
    is_safe_at_rest("postgres", engine.repository().await, async || engine.dump()).await;
}

/// Shows: CAUTH-9, LOG-1.
#[tokio::test]
async fn redis_holds_nothing_worth_stealing() {
    let engine = RedisServer::new();
    is_safe_at_rest("redis", engine.repository().await, async || engine.dump()).await;
}

/// Shows: CAUTH-9, LOG-1.
#[tokio::test]
async fn vault_holds_nothing_worth_stealing() {
    let vault = Vault::start().await;
    let repository = vault.open(FOLDER, Duration::ZERO).await.unwrap();
    is_safe_at_rest("vault", Arc::new(repository), async || {
        let mut dump = Vec::new();
        for item in vault.secrets().await {
            // Old versions included: a token that can read Vault can read those.
            let versions = vault.call("get", &json!({ "id": item["id"], "version": "all" })).await;
            dump.extend(format!("{item}\n{versions}\n").into_bytes());
        }
        dump
    })
    .await;
}

/// Shows: LOG-1.
#[tokio::test]
#[should_panic(expected = "is in careless")]
async fn an_engine_that_keeps_a_token_in_clear_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Arc::new(SqliteRepository::open(&folder.path().join("records.sqlite")).unwrap());
    let careless = async || [&*stored_bytes(folder.path()), b"mcp_rt_found"].concat();
    is_safe_at_rest("careless", repository, careless).await;
}
