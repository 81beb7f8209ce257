//! Where clients, grants and signing keys live.
//!
//! A backend implements [`Repository`]: seven methods over single records, no transaction beyond
//! one record. [`conformance`] says whether it is right, races included. The rest of the program
//! uses the typed [`Collection`], never the trait.

mod authorities;
mod collection;
pub mod conformance;
mod memory;
mod postgres;
mod redis;
mod retry;
mod routed;
mod sqlite;
mod vault;

use std::{fmt::Debug, num::NonZeroU64};

use async_trait::async_trait;

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

/// What a record is about. Keys are unique within their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A registered client.
    Client,
    /// What one person allowed one client at one resource.
    Grant,
    /// A signing key, sealed.
    Key,
    /// Something that may be used once.
    Replay,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Client, Self::Grant, Self::Key, Self::Replay];

    /// The name under which backends store it.
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

/// One stored value. To the backend the value is opaque text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Unique within its kind; [`is_key`] says what may be one.
    pub key: String,
    /// Versioned JSON.
    pub value: String,
    /// What this record is listed under: a grant's client, or that a client is unused.
    pub parent: Option<String>,
    /// From this second on the record does not exist; `None` keeps it for good.
    pub expires_at: Option<UnixTime>,
}

impl Record {
    /// Whether the record exists at `now`.
    #[must_use]
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// Which write of a record was read. Opaque: backends choose the numbers, and no two writes under
/// one key may share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub NonZeroU64);

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// The record.
    pub record: Record,
    /// What [`Repository::replace`] wants back.
    pub version: Version,
}

/// The outcome of a conditional write. A conflict is an outcome, not an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Write {
    /// Stored durably; the version of what is stored now.
    Done(Version),
    /// Nothing was changed, for somebody else was faster.
    Conflict,
}

/// A part of a list, ordered by key.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Only records with this parent.
    pub parent: Option<String>,
    /// Continue behind this key (exclusive), in the direction of `order`.
    pub after: Option<String>,
    /// Which end of the keys comes first. Grant keys begin with their time, so descending is
    /// newest first.
    pub order: Order,
    /// At most this many records.
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

/// Why a repository could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The storage engine cannot serve now, be it away, full, or damaged as it says itself; trying again
    /// later may help.
    #[error("the repository is unavailable: {0}")]
    Unavailable(String),
    /// The record is larger than the storage engine takes; nothing was stored.
    #[error("the record has {size} bytes where the repository takes {largest}")]
    TooLarge {
        /// Its size, in bytes as it would be stored.
        size: usize,
        /// The largest that is taken.
        largest: usize,
    },
    /// What the storage engine returned is no record, though the engine is well.
    #[error("the repository holds a value that cannot be read: {0}")]
    Corrupt(String),
    /// The storage engine cannot be used as it is set up; the sentence says what to change.
    #[error("{0}")]
    Unusable(String),
    /// Nothing has been stored there yet, and the caller did not ask for it to be made.
    #[error("there is no repository at {0}: `serve` makes it; if it should exist, correct [repository]")]
    Absent(String),
}

/// What opening a repository may do to the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Make it where there is none.
    Create,
    /// Read and write what exists.
    ReadWrite,
    /// Read what exists, and leave the storage as it is, byte for byte.
    ReadOnly,
}

/// How many processes may write to one storage at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Atomicity {
    /// Any number: each write is conditional in the storage itself.
    Shared,
    /// One: the storage knows no conditional write, and only this process keeps its own writes
    /// apart. `serve` lets a second daemon wait or go.
    SingleProcess,
}

/// The key of the record that says who has the right to write, in a repository that bears one writer.
/// It is of kind [`Kind::Replay`] and belongs to its own storage: it is copied nowhere.
pub const WRITER_LEASE: &str = "writer.lease";

/// The result of a repository call.
pub type Result<T> = std::result::Result<T, RepositoryError>;

/// Storage of single records with conditional writes.
///
/// Time is passed in: a record whose `expires_at` is not after `now` does not exist, for any
/// method. A write that answered `Done` survives a crash of the process and of the machine
/// (volatile backends aside).
#[async_trait]
pub trait Repository: Debug + Send + Sync + 'static {
    /// The record under `key`, if it lives.
    async fn get(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Versioned>>;

    /// Stores a new record; [`Write::Conflict`] if a live one has its key.
    async fn insert(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write>;

    /// Stores `record` in place of the one that was read as `read`; [`Write::Conflict`] if that
    /// has been changed, taken or has expired since.
    async fn replace(&self, kind: Kind, record: &Record, read: Version, now: UnixTime) -> Result<Write>;

    /// Removes the record and returns it; of many callers at most one gets it.
    async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>>;

    /// Live records of a kind in key order.
    async fn list(&self, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>>;

    /// Removes a bounded batch of expired records of every kind and says how many; zero when
    /// there are none left.
    async fn purge_expired(&self, now: UnixTime) -> Result<u64>;

    /// Whether the storage engine answers.
    async fn ping(&self) -> Result<()>;

    /// How many processes may write at once.
    fn atomicity(&self) -> Atomicity {
        Atomicity::Shared
    }

    /// What an operator should know of how the storage engine is set up, a sentence each with its
    /// remedy: that it may lose acknowledged writes, say. Empty when all is well.
    async fn warnings(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}
