//! Storage of clients, grants and signing keys.
//!
//! A backend implements [`Repository`]: seven methods over single records, without transactions over several.
//! [`conformance`] checks a backend, races included. The rest of the program uses the typed [`Collection`],
//! never the trait.

mod authorities;
mod collection;
pub mod conformance;
mod forward;
mod hosts;
mod memory;
mod postgres;
mod redis;
mod retry;
mod routed;
mod sqlite;
mod vault;

use std::{fmt::Debug, num::NonZeroU64, pin::Pin};

use async_trait::async_trait;

pub(crate) use self::forward::forward_to_repository;
pub use self::{
    collection::{ATTEMPTS, Change, Collection, Entity, Listed, Stored, Unreadable, Updated},
    memory::MemoryRepository,
    postgres::{PostgresRepository, PostgresSettings},
    redis::{RedisRepository, RedisSettings},
    routed::RoutedRepository,
    sqlite::SqliteRepository,
    vault::{ForeignSecret, TokenSource, VaultRepository, VaultSettings},
};
use crate::clock::UnixTime;

/// The kind of a record. Keys are unique within their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A registered client.
    Client,
    /// A person's permission for one client at one resource.
    Grant,
    /// A signing key, sealed.
    Key,
    /// A marker that something was used, is held by one process, or belongs to a person.
    Replay,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Client, Self::Grant, Self::Key, Self::Replay];

    /// The name in storage. It never changes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Grant => "grant",
            Self::Key => "key",
            Self::Replay => "replay",
        }
    }
}

/// Whether a record can have this key: 1 to 255 bytes of `[A-Za-z0-9._-]`.
#[must_use]
pub fn is_key(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// A stored record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Unique within its kind; [`is_key`] says what may be one.
    pub key: String,
    /// JSON with a version; opaque text to the backend.
    pub value: String,
    /// The value by which [`Page::parent`] selects it: a grant's client, or a mark of unused clients.
    pub parent: Option<String>,
    /// The first second in which the record no longer exists; `None` if it never expires.
    pub expires_at: Option<UnixTime>,
}

impl Record {
    /// Whether the record exists at `now`.
    #[must_use]
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// Identifies one write of a record. The backend chooses the numbers; two writes under one key never share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub NonZeroU64);

/// A record and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// What is stored.
    pub record: Record,
    /// Passed to [`Repository::replace`].
    pub version: Version,
}

/// The outcome of a conditional write. A conflict is an outcome, not an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Write {
    /// The record is stored durably, under this version.
    Done(Version),
    /// Nothing was changed, because another writer was faster.
    Conflict,
}

/// Selects a page of a list.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Selects records with this parent only.
    pub parent: Option<String>,
    /// The key after which the page starts (exclusive), in the direction of `order`.
    pub after: Option<String>,
    /// The direction. Grant keys begin with their time, so descending means newest first.
    pub order: Order,
    /// Maximum number of records.
    pub limit: usize,
}

/// The direction of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Smallest key (byte order) first.
    #[default]
    Ascending,
    /// Largest key (byte order) first.
    Descending,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The storage engine cannot serve now: it is unreachable, full, or reports damage. A later try may succeed.
    #[error("the repository is unavailable: {0}")]
    Unavailable(String),
    /// The record is larger than the storage engine allows. Nothing was stored.
    #[error("the record has {size} bytes; the repository allows {largest}")]
    TooLarge {
        /// Size of the stored form, in bytes.
        size: usize,
        /// Maximum, in bytes.
        largest: usize,
    },
    /// The storage engine works, but returned something that is not a record.
    #[error("the repository has a value that cannot be read: {0}")]
    Corrupt(String),
    /// The storage engine cannot be used with this setup. The message says what to change.
    #[error("{0}")]
    Unusable(String),
    /// There is no repository yet, and [`Access`] does not allow creating one.
    #[error("there is no repository at {0}: `serve` creates it; if it should exist, correct [repository]")]
    Absent(String),
}

/// What a caller may do with the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read and write, and create the storage if there is none.
    Create,
    /// Read and write what exists.
    ReadWrite,
    /// Read what exists. No byte of the storage changes.
    ReadOnly,
}

/// How many processes may write to one storage at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Atomicity {
    /// Any number: the storage itself makes writes conditional.
    Shared,
    /// One: the storage has no conditional writes, so only one process can order them. `serve` uses a write lease.
    SingleProcess,
}

/// The key of the write lease of a single-writer repository. The record is of kind [`Kind::Replay`] and is never
/// copied to another repository.
pub const WRITER_LEASE: &str = "writer.lease";

/// [`std::result::Result`] with [`RepositoryError`].
pub type Result<T> = std::result::Result<T, RepositoryError>;

/// What an asynchronous method of [`Repository`] returns.
pub(crate) type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Storage of single records with conditional writes.
///
/// Time is passed in: to every method, a record whose `expires_at` is not after `now` does not exist. A write that
/// returned `Done` survives a crash of the process and of the machine, except in volatile backends.
#[async_trait]
pub trait Repository: Debug + Send + Sync + 'static {
    /// Reads a record.
    async fn get(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Versioned>>;

    /// Stores a new record; [`Write::Conflict`] if the key is taken.
    async fn insert(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write>;

    /// Replaces the record that was read as `read`; [`Write::Conflict`] if it has been changed, taken or has expired
    /// since.
    async fn replace(&self, kind: Kind, record: &Record, read: Version, now: UnixTime) -> Result<Write>;

    /// Removes a record and returns it. Of several concurrent callers, at most one gets it.
    async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>>;

    /// Lists records of a kind in key order.
    async fn list(&self, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>>;

    /// Removes a bounded batch of expired records of every kind and returns how many; zero if none are left.
    async fn purge_expired(&self, now: UnixTime) -> Result<u64>;

    /// Checks that the storage engine answers.
    async fn ping(&self) -> Result<()>;

    /// How many processes may write at once.
    fn atomicity(&self) -> Atomicity {
        Atomicity::Shared
    }

    /// Problems of the storage engine's setup, each with its fix: for example, that it may lose acknowledged writes.
    async fn warnings(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}
