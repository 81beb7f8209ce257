//! Records in a directory: one file each, written to a draft and renamed into place.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use pangea_mcp_auth::{
    clock::UnixTime,
    repository::{Kind, Order, Page, Record, Repository, RepositoryError, Result, Version, Versioned, Write},
    secret::{Random, SystemRandom, sha256},
};
use serde::{Deserialize, Serialize};

/// Expired records that one call removes at most.
const PURGE_BATCH: u64 = 500;

/// A repository in a directory. Any number of processes may share it.
#[derive(Debug)]
pub(crate) struct DirectoryRepository(Arc<Directory>);

/// The directory. It has a folder for each kind, and a file that writers lock.
#[derive(Debug)]
struct Directory(PathBuf);

/// The contents of a file.
#[derive(Serialize, Deserialize)]
struct Stored {
    key: String,
    value: String,
    parent: Option<String>,
    expires_at: Option<UnixTime>,
    version: NonZeroU64,
}

impl DirectoryRepository {
    /// Opens the directory, and creates it if it doesn't exist.
    ///
    /// # Errors
    ///
    /// If the directory cannot be created or used.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        for kind in Kind::ALL {
            fs::create_dir_all(path.join(kind.as_str()))?;
        }
        File::options().create(true).append(true).open(path.join("lock"))?;
        Ok(Self(Arc::new(Directory(path.to_owned()))))
    }

    /// Runs blocking file operations on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let directory = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || work(&directory)).await;
        done.map_err(|error| RepositoryError::Unavailable(error.to_string()))?.map_err(|error| {
            match error.kind() {
                io::ErrorKind::InvalidData => RepositoryError::Corrupt(error.to_string()),
                _ => RepositoryError::Unavailable(error.to_string()),
            }
        })
    }
}

#[async_trait]
impl Repository for DirectoryRepository {
    async fn get(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Versioned>> {
        let key = key.to_owned();
        self.run(move |directory| directory.live(kind, &key, now)).await
    }

    async fn insert(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write> {
        let record = record.clone();
        self.run(move |directory| {
            let _lock = directory.lock()?;
            match directory.live(kind, &record.key, now)? {
                Some(_) => Ok(Write::Conflict),
                None => directory.store(kind, record),
            }
        })
        .await
    }

    async fn replace(&self, kind: Kind, record: &Record, read: Version, now: UnixTime) -> Result<Write> {
        let record = record.clone();
        self.run(move |directory| {
            let _lock = directory.lock()?;
            match directory.live(kind, &record.key, now)? {
                Some(found) if found.version == read => directory.store(kind, record),
                _ => Ok(Write::Conflict),
            }
        })
        .await
    }

    async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>> {
        let key = key.to_owned();
        self.run(move |directory| {
            let _lock = directory.lock()?;
            let found = directory.live(kind, &key, now)?;
            if found.is_some() {
                directory.remove(kind, &key)?;
            }
            Ok(found.map(|found| found.record))
        })
        .await
    }

    async fn list(&self, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>> {
        let page = page.clone();
        self.run(move |directory| {
            let mut records = directory.all(kind)?;
            records.retain(|record| record.is_live(now));
            if page.parent.is_some() {
                records.retain(|record| record.parent == page.parent);
            }
            records.sort_by(|one, other| one.key.cmp(&other.key));
            if page.order == Order::Descending {
                records.reverse();
            }
            if let Some(after) = &page.after {
                records.retain(|record| match page.order {
                    Order::Ascending => record.key > *after,
                    Order::Descending => record.key < *after,
                });
            }
            records.truncate(page.limit);
            Ok(records)
        })
        .await
    }

    async fn purge_expired(&self, now: UnixTime) -> Result<u64> {
        self.run(move |directory| {
            let _lock = directory.lock()?;
            let mut purged = 0;
            for kind in Kind::ALL {
                for record in directory.all(kind)?.iter().filter(|record| !record.is_live(now)) {
                    if purged == PURGE_BATCH {
                        return Ok(purged);
                    }
                    directory.remove(kind, &record.key)?;
                    purged += 1;
                }
            }
            Ok(purged)
        })
        .await
    }

    async fn ping(&self) -> Result<()> {
        self.run(|directory| File::open(directory.0.join("lock")).map(|_| ())).await
    }
}

impl Directory {
    /// Excludes every other writer, in this process and in others, until the file is dropped.
    /// Readers need no lock: with a rename they see the old record or the new one.
    fn lock(&self) -> io::Result<File> {
        let file = File::open(self.0.join("lock"))?;
        file.lock()?;
        Ok(file)
    }

    fn live(&self, kind: Kind, key: &str, now: UnixTime) -> io::Result<Option<Versioned>> {
        let found = read(&self.file(kind, key))?;
        Ok(found.filter(|found| found.record.is_live(now)))
    }

    fn all(&self, kind: Kind) -> io::Result<Vec<Record>> {
        let mut records = Vec::new();
        for entry in fs::read_dir(self.0.join(kind.as_str()))? {
            // Another process may remove a file while we read the folder.
            records.extend(read(&entry?.path())?.map(|found| found.record));
        }
        Ok(records)
    }

    /// Writes a record so that a crash leaves the old one or the new one, complete.
    fn store(&self, kind: Kind, record: Record) -> io::Result<Write> {
        let (file, version) = (self.file(kind, &record.key), new_version());
        let Record { key, value, parent, expires_at } = record;
        let stored = Stored { key, value, parent, expires_at, version };
        // One draft is enough, because there is only one writer at a time.
        let draft = self.0.join("draft");
        let mut writing = File::create(&draft)?;
        writing.write_all(&serde_json::to_vec(&stored)?)?;
        writing.sync_all()?;
        fs::rename(&draft, &file)?;
        self.sync(kind)?;
        Ok(Write::Done(Version(version)))
    }

    fn remove(&self, kind: Kind, key: &str) -> io::Result<()> {
        fs::remove_file(self.file(kind, key))?;
        self.sync(kind)
    }

    /// A rename or a removal is durable once its folder is synced.
    fn sync(&self, kind: Kind) -> io::Result<()> {
        File::open(self.0.join(kind.as_str()))?.sync_all()
    }

    /// A key may be too long for a file name, and two keys may differ only in case. The file is
    /// therefore named after the key's hash.
    fn file(&self, kind: Kind, key: &str) -> PathBuf {
        let name: String = sha256(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        self.0.join(kind.as_str()).join(name)
    }
}

/// The record in a file, if the file exists.
fn read(file: &Path) -> io::Result<Option<Versioned>> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Stored { key, value, parent, expires_at, version } = serde_json::from_slice(&text)?;
    let record = Record { key, value, parent, expires_at };
    Ok(Some(Versioned { record, version: Version(version) }))
}

/// No two writes of one key may share a version, even if the record was removed between them.
/// 64 random bits don't repeat in practice.
fn new_version() -> NonZeroU64 {
    let mut bytes = [0; 8];
    SystemRandom.fill(&mut bytes);
    NonZeroU64::new(u64::from_le_bytes(bytes)).unwrap_or(NonZeroU64::MIN)
}
