//! Conformance, durability, group commit, failures.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use tempfile::TempDir;
use tokio::task::{JoinSet, yield_now};

use super::*;
use crate::repository::conformance;

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

/// Tells the child process of the `kill -9` test which file to write to.
const CHILD_FILE: &str = "PANGEA_TEST_SQLITE_CHILD_FILE";

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("records.db");
    (folder, path)
}

fn open(path: &Path) -> Arc<SqliteRepository> {
    Arc::new(SqliteRepository::open(path).expect("opens"))
}

fn grant(key: &str) -> Record {
    Record {
        key: key.to_owned(),
        value: "{}".to_owned(),
        parent: Some("client".to_owned()),
        expires_at: None,
    }
}

async fn insert(repository: &SqliteRepository, key: &str) -> Version {
    match repository.insert(Kind::Grant, &grant(key), NOW).await.expect("answers") {
        Write::Done(version) => version,
        Write::Conflict => panic!("{key} is taken"),
    }
}

async fn is_stored(repository: &SqliteRepository, key: &str) -> bool {
    repository.get(Kind::Grant, key, NOW).await.expect("answers").is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_handle_keeps_every_rule() {
    let folders = Mutex::new(Vec::new());
    let verdict = conformance::verify(async || {
        let (folder, path) = folder();
        folders.lock().expect("no panic").push(folder);
        let repository: Arc<dyn Repository> = open(&path);
        [Arc::clone(&repository), repository]
    });
    assert_eq!(verdict.await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_handles_to_one_file_keep_every_rule() {
    let folders = Mutex::new(Vec::new());
    let verdict = conformance::verify(async || {
        let (folder, path) = folder();
        folders.lock().expect("no panic").push(folder);
        [open(&path) as Arc<dyn Repository>, open(&path)]
    });
    assert_eq!(verdict.await, Ok(()));
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_reopening() {
    let (_folder, path) = folder();
    let repository = open(&path);
    for number in 0..100 {
        insert(&repository, &format!("key-{number}")).await;
    }
    drop(repository);
    let repository = open(&path);
    for number in 0..100 {
        assert!(is_stored(&repository, &format!("key-{number}")).await);
    }
}

#[tokio::test]
async fn the_last_to_leave_folds_the_log_into_the_file() {
    let (folder, path) = folder();
    let (one, other) = (open(&path), open(&path));
    insert(&one, "key").await;
    assert!(is_stored(&one, "key").await && is_stored(&other, "key").await);
    drop(one);
    assert!(is_stored(&other, "key").await);
    drop(other);
    let files: Vec<_> =
        fs::read_dir(&folder).expect("lists").map(|file| file.expect("a file").path()).collect();
    assert_eq!(files, [path]);
}

#[tokio::test]
async fn what_waits_is_committed_together() {
    let (_folder, path) = folder();
    let repository = open(&path);
    let before = repository.commits();
    let release = hold_the_writer(&repository).await;
    let (mut inserts, waiting) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for number in 0..64 {
        let (repository, waiting) = (Arc::clone(&repository), Arc::clone(&waiting));
        inserts.spawn(async move {
            waiting.fetch_add(1, Ordering::Relaxed);
            insert(&repository, &format!("key-{number}")).await
        });
    }
    while waiting.load(Ordering::Relaxed) < 64 {
        yield_now().await;
    }
    release.send(()).expect("the writer waits");
    inserts.join_all().await;
    assert_eq!(repository.commits() - before, 2, "the held one, and 64 in one");
}

#[tokio::test]
async fn a_failing_statement_spoils_no_other() {
    let (_folder, path) = folder();
    let repository = open(&path);
    let release = hold_the_writer(&repository).await;
    let failing =
        || repository.writer.write(|connection| connection.execute("INSERT INTO record DEFAULT VALUES", []));
    let [first, second] = [grant("first"), grant("second")];
    let (first, failed, second, ()) = tokio::join!(
        biased;
        repository.insert(Kind::Grant, &first, NOW),
        failing(),
        repository.insert(Kind::Grant, &second, NOW),
        async { release.send(()).expect("the writer waits") },
    );
    assert!(matches!(first, Ok(Write::Done(_))) && matches!(second, Ok(Write::Done(_))));
    assert!(matches!(failed, Err(RepositoryError::Unavailable(_))), "{failed:?}");
    assert!(is_stored(&repository, "first").await && is_stored(&repository, "second").await);
}

#[tokio::test]
async fn when_a_transaction_is_lost_nobody_is_told_that_it_was_stored() {
    let (_folder, path) = folder();
    let repository = open(&path);
    let release = hold_the_writer(&repository).await;
    let [first, second] = [grant("first"), grant("second")];
    let (first, lost, second, ()) = tokio::join!(
        biased;
        repository.insert(Kind::Grant, &first, NOW),
        repository.writer.write(|connection| connection.execute_batch("ROLLBACK")),
        repository.insert(Kind::Grant, &second, NOW),
        async { release.send(()).expect("the writer waits") },
    );
    assert!(matches!(first, Err(RepositoryError::Unavailable(_))), "{first:?}");
    assert!(matches!(lost, Err(RepositoryError::Unavailable(_))), "{lost:?}");
    assert!(matches!(second, Err(RepositoryError::Unavailable(_))), "{second:?}");
    assert!(!is_stored(&repository, "first").await && !is_stored(&repository, "second").await);
    insert(&repository, "third").await;
}

#[tokio::test]
async fn a_caller_that_leaves_takes_nothing_with_it() {
    let (_folder, path) = folder();
    let repository = open(&path);
    let release = hold_the_writer(&repository).await;
    let left = tokio::spawn({
        let repository = Arc::clone(&repository);
        async move { insert(&repository, "left").await }
    });
    yield_now().await;
    left.abort();
    release.send(()).expect("the writer waits");
    insert(&repository, "stayed").await;
    assert!(is_stored(&repository, "left").await);
}

#[tokio::test]
async fn a_file_that_stays_busy_is_unavailable_and_then_usable_again() {
    let (_folder, path) = folder();
    let repository = open(&path);
    repository.writer.write(|connection| connection.busy_timeout(Duration::ZERO)).await.expect("a setting");
    let other = Connection::open(&path).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("begins");
    let write = repository.insert(Kind::Grant, &grant("key"), NOW).await;
    assert!(matches!(write, Err(RepositoryError::Unavailable(_))), "{write:?}");
    assert!(!is_stored(&repository, "key").await, "reads go on");
    other.execute_batch("ROLLBACK").expect("ends");
    insert(&repository, "key").await;
}

#[tokio::test]
async fn a_writer_waits_for_another_process() {
    let (_folder, path) = folder();
    let repository = open(&path);
    let other = Connection::open(&path).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("begins");
    let record = grant("key");
    let (write, ()) = tokio::join!(biased; repository.insert(Kind::Grant, &record, NOW), async {
        yield_now().await;
        other.execute_batch("ROLLBACK").expect("ends");
    });
    assert!(matches!(write, Ok(Write::Done(_))), "{write:?}");
}

#[tokio::test]
async fn a_read_of_a_busy_file_waits_on_another_thread() {
    let (_folder, path) = folder();
    let repository = open(&path);
    insert(&repository, "key").await;
    drop(repository);
    let other = Connection::open(&path).expect("opens");
    other.execute_batch("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE").expect("locks every reader out");
    let readers = Arc::new(Readers::new(path));
    let query = |connection: &Connection| statements::get(connection, Kind::Grant, "key", NOW);
    let busy = readers.read_now(query).expect_err("is locked");
    assert!(is_busy(&busy), "{busy}");
    let (found, ()) = tokio::join!(biased; Readers::read_elsewhere(&readers, query), async {
        yield_now().await;
        other.execute_batch("ROLLBACK").expect("ends");
    });
    assert!(found.expect("answers").is_some());
}

#[tokio::test]
async fn a_dead_writer_is_unavailable() {
    let (_folder, path) = folder();
    let repository = open(&path);
    repository.ping().await.expect("answers");
    let died = repository.writer.write(|_| -> rusqlite::Result<()> { panic!("on purpose") }).await;
    assert!(matches!(died, Err(RepositoryError::Unavailable(_))), "{died:?}");
    let write = repository.insert(Kind::Grant, &grant("key"), NOW).await;
    assert!(matches!(write, Err(RepositoryError::Unavailable(_))), "{write:?}");
    assert!(repository.ping().await.is_err());
}

#[tokio::test]
async fn a_damaged_row_is_corrupt() {
    let (_folder, path) = folder();
    let repository = open(&path);
    insert(&repository, "key").await;
    for damage in ["value = CAST(x'ff' AS TEXT)", "value = '{}', version = 0"] {
        let statement = format!("UPDATE record SET {damage}");
        repository.writer.write(move |connection| connection.execute(&statement, [])).await.expect("damages");
        let found = repository.get(Kind::Grant, "key", NOW).await;
        assert!(matches!(found, Err(RepositoryError::Corrupt(_))), "{damage}: {found:?}");
    }
}

/// Occupies the writing thread until the sender sends.
async fn hold_the_writer(repository: &Arc<SqliteRepository>) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel::<()>();
    let (started, holding) = tokio::sync::oneshot::channel();
    let repository = Arc::clone(repository);
    tokio::spawn(async move {
        let hold = move |_: &Connection| {
            started.send(()).expect("the test waits");
            released.recv().expect("the test releases");
            Ok(())
        };
        repository.writer.write(hold).await
    });
    holding.await.expect("the writer runs");
    release
}

#[tokio::test]
async fn the_file_and_its_companions_are_for_their_owner_alone() {
    let (folder, path) = folder();
    let repository = open(&path);
    insert(&repository, "key").await;
    let files: Vec<_> = fs::read_dir(&folder).expect("lists").map(|file| file.expect("a file")).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        assert_eq!(file.metadata().expect("its mode").mode() & 0o777, 0o600, "{file:?}");
    }
}

/// What the child process below acknowledges is there after its death, and what it acknowledged
/// to be taken has not come back.
#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let (_folder, path) = folder();
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "--ignored", "--nocapture", "repository::sqlite::tests::child_of_the_kill_9_test"])
        .env(CHILD_FILE, &path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines =
        BufReader::new(child.stdout.take().expect("its output")).lines().map_while(std::result::Result::ok);
    let mut acknowledged: Vec<String> = lines.by_ref().filter(|line| line.contains('!')).take(400).collect();
    child.kill().expect("kills");
    acknowledged.extend(lines);
    child.wait().expect("is gone");

    let repository = open(&path);
    let acknowledged = acknowledged.iter().filter_map(|line| line.split_once('!'));
    let (taken, stored): (Vec<_>, Vec<_>) = acknowledged.partition(|(what, _)| *what == "taken");
    assert!(stored.len() >= 100 && taken.len() >= 100);
    for (_, key) in taken {
        assert!(!is_stored(&repository, key).await, "{key} has come back");
    }
    for (_, key) in stored {
        assert!(is_stored(&repository, key).await, "{key} is lost");
    }
}

#[tokio::test]
#[ignore = "runs in a process of its own, started and killed by the test above"]
async fn child_of_the_kill_9_test() {
    let Some(path) = std::env::var_os(CHILD_FILE) else { return };
    let repository = open(Path::new(&path));
    let mut tasks = JoinSet::new();
    for task in 0..16 {
        let repository = Arc::clone(&repository);
        tasks.spawn(async move {
            for number in 0.. {
                let (kept, gone) = (format!("kept-{task}-{number}"), format!("gone-{task}-{number}"));
                insert(&repository, &kept).await;
                println!("stored!{kept}");
                insert(&repository, &gone).await;
                repository.take(Kind::Grant, &gone, NOW).await.expect("answers").expect("is there");
                println!("taken!{gone}");
            }
        });
    }
    tasks.join_all().await;
}
