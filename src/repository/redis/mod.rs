//! Records in Redis or Valkey, for any number of daemons.
//!
//! Every write is one script in one round trip, and a read of one record is one `GET`. The time that is
//! passed in decides whether a record has expired, never the server's clock.
//!
//! Connections break at any moment. A request that certainly has not run is repeated until the timeout. For a
//! write whose answer was lost, see [`RedisRepository`].

mod address;
mod connections;
mod dial;
mod inspect;
mod link;
mod names;
mod problem;
mod scripts;
mod stored;
mod warnings;

use std::{path::PathBuf, time::Duration};

use ::redis::{FromRedisValue, Value, from_redis_value};
use async_trait::async_trait;

use self::{
    address::{Address, Place},
    connections::Connections,
    dial::Dial,
    names::Names,
    scripts::Request,
};
use super::{
    Access, Kind, Page, Record, Repository, RepositoryError, Result, Version, Versioned, Write,
    retry::{Repeat, new_version, settled_insert, settled_replace},
};
use crate::{clock::UnixTime, secret::Secret};

/// Records per round trip of a list, at most.
const CHUNK: usize = 500;

/// Where the servers are and how to connect.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// `redis://…`, `rediss://…`, `redis+unix://…`, `redis+sentinel://h1,h2/service`,
    /// `redis+cluster://h1,h2`; may hold a password.
    pub url: Secret,
    /// The password, if it is not in the URL.
    pub password: Option<Secret>,
    /// A PEM file with the certificate authorities to trust instead of those of this machine.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
}

impl RedisSettings {
    /// The servers and the number of the database, without user and password.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unusable`] when the URL or `ca_file` cannot be read.
    pub fn place(&self) -> Result<String> {
        Ok(Names::of(&Address::of(self)?).database())
    }
}

/// A repository in Redis or Valkey.
///
/// If a connection breaks before the answer to a write arrives, the write may have been made, or a server that
/// has read it may make it later. Therefore:
///
/// - a replace is sent again. It accepts the version that was read and the one that it writes. Versions never
///   repeat, so the second try has the effect of the first, or none;
/// - an insert is not sent again, because the first one might still arrive after the second was taken. If its
///   version is in the record, it was made;
/// - a take is not sent again, because the record and the answer would be lost.
///
/// If doubt remains, the error is [`RepositoryError::Unavailable`].
#[derive(Debug)]
pub struct RedisRepository {
    connections: Connections,
    is_encrypted: bool,
    may_fail_over: bool,
}

impl RedisRepository {
    /// Connects, and checks that every needed command is permitted.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`] when the server cannot be reached, [`RepositoryError::Unusable`] when it can
    /// be reached but not used. Both messages say what to change.
    pub async fn connect(settings: &RedisSettings) -> Result<Self> {
        Self::connect_for(settings, Access::Create).await
    }

    /// Connects with the rights of `access`.
    ///
    /// # Errors
    ///
    /// As [`RedisRepository::connect`]; [`RepositoryError::Absent`] when no daemon has used the database yet and
    /// `access` does not allow that.
    pub async fn connect_for(settings: &RedisSettings, access: Access) -> Result<Self> {
        let address = Address::of(settings)?;
        let (is_encrypted, is_single) = (address.is_encrypted(), matches!(address.place, Place::Single(_)));
        let connections = Connections::new(Dial::new(address, settings.timeout), settings.timeout);
        inspect::inspect(&connections, is_single, access).await?;
        Ok(Self { connections, is_encrypted, may_fail_over: !is_single })
    }

    async fn run<T: FromRedisValue>(&self, request: &Request, deadline: tokio::time::Instant) -> Result<T> {
        value(self.connections.run(request, Repeat::Always, deadline).await?.value)
    }

    /// Removes one batch of one kind. Records that other calls changed in the meantime stay.
    async fn purge(&self, kind: Kind, now: UnixTime) -> Result<u64> {
        loop {
            let deadline = self.connections.deadline();
            let keys: Vec<String> = self.run(&Request::expired(kind, now), deadline).await?;
            if keys.is_empty() {
                return Ok(0);
            }
            let purged: u64 = self.run(&Request::purge(kind, keys, now), deadline).await?;
            if purged > 0 {
                return Ok(purged);
            }
        }
    }
}

#[async_trait]
impl Repository for RedisRepository {
    async fn get(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Versioned>> {
        let text: Option<Vec<u8>> = self.run(&Request::get(kind, key), self.connections.deadline()).await?;
        let found = text.map(|text| stored::read(key, text)).transpose()?;
        Ok(found.filter(|found| found.record.is_live(now)))
    }

    async fn insert(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write> {
        let (mine, deadline) = (new_version(), self.connections.deadline());
        let request = Request::insert(kind, record, mine, now);
        match self.connections.run(&request, Repeat::WhatHasNotRun, deadline).await {
            Ok(answer) => outcome(answer.value, mine),
            Err(failure) if failure.is_in_doubt() => {
                let found: Option<Vec<u8>> = self.run(&Request::get(kind, &record.key), deadline).await?;
                let found = found.map(|text| stored::read(&record.key, text)).transpose()?;
                settled_insert(failure, found.as_ref(), mine)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn replace(&self, kind: Kind, record: &Record, read: Version, now: UnixTime) -> Result<Write> {
        let (mine, deadline) = (new_version(), self.connections.deadline());
        let request = Request::replace(kind, record, read, mine, now);
        let answer = self.connections.run(&request, Repeat::Always, deadline).await?;
        settled_replace(outcome(answer.value, mine)?, answer.was_in_doubt)
    }

    async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>> {
        let deadline = self.connections.deadline();
        let request = Request::take(kind, key, now);
        let answer = self.connections.run(&request, Repeat::WhatHasNotRun, deadline).await?;
        let text: Option<Vec<u8>> = value(answer.value)?;
        Ok(text.map(|text| stored::read(key, text)).transpose()?.map(|found| found.record))
    }

    /// Reads part of the index, then its records. Skips entries whose record is gone or has another parent.
    async fn list(&self, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>> {
        let mut found: Vec<Record> = Vec::new();
        let mut behind = page.after.as_ref().map(|after| entry(page, after));
        while found.len() < page.limit {
            let deadline = self.connections.deadline();
            let limit = (page.limit - found.len()).min(CHUNK);
            let request = Request::entries(kind, page, behind.as_deref(), limit);
            let entries: Vec<String> = self.run(&request, deadline).await?;
            let Some(last) = entries.last() else { break };
            let keys: Vec<&str> = entries.iter().map(|entry| key_of(page, entry)).collect();
            let texts: Vec<Option<Vec<u8>>> =
                self.run(&Request::texts(kind, keys.iter().copied()), deadline).await?;
            for (key, text) in keys.iter().zip(texts) {
                let record = text.map(|text| stored::read(key, text)).transpose()?.map(|found| found.record);
                found.extend(record.filter(|record| {
                    record.is_live(now) && (page.parent.is_none() || record.parent == page.parent)
                }));
            }
            if entries.len() < limit {
                break;
            }
            behind = Some(last.clone());
        }
        Ok(found)
    }

    async fn purge_expired(&self, now: UnixTime) -> Result<u64> {
        let mut purged = 0;
        for kind in Kind::ALL {
            purged += self.purge(kind, now).await?;
        }
        Ok(purged)
    }

    /// Checks that every server with records accepts writes.
    async fn ping(&self) -> Result<()> {
        let deadline = self.connections.deadline();
        for kind in self.connections.parts() {
            self.connections.attempt(&Request::rehearsal(kind), deadline).await?;
        }
        Ok(())
    }

    async fn warnings(&self) -> Result<Vec<String>> {
        let mut warnings = warnings::of_servers(&self.connections, self.may_fail_over).await?;
        if !self.is_encrypted {
            warnings.push(warnings::PLAIN.to_owned());
        }
        Ok(warnings)
    }
}

/// The index entry of a key.
fn entry(page: &Page, key: &str) -> String {
    page.parent.as_ref().map_or_else(|| key.to_owned(), |parent| format!("{parent} {key}"))
}

/// The key in an index entry.
fn key_of<'a>(page: &Page, entry: &'a str) -> &'a str {
    let behind_parent = page.parent.as_ref().and_then(|parent| entry.strip_prefix(parent)?.strip_prefix(' '));
    behind_parent.unwrap_or(entry)
}

/// A write answers whether it changed its record.
fn outcome(answer: Value, mine: Version) -> Result<Write> {
    Ok(if value(answer)? { Write::Done(mine) } else { Write::Conflict })
}

/// The answer, if it has the expected type.
fn value<T: FromRedisValue>(answer: Value) -> Result<T> {
    from_redis_value(answer).map_err(|error| RepositoryError::Corrupt(error.to_string()))
}
