//! Records in one table of a `PostgreSQL` database, for any number of daemons.
//!
//! Every call is one statement in one round trip. Statements are prepared where a connection is a session of
//! its own. Behind a pooler, which may run each statement in another session, they are not.
//!
//! Connections break at any moment. A statement that certainly has not run is repeated until the timeout. For a
//! write whose answer was lost, see [`PostgresRepository`].

mod address;
mod connections;
mod problem;
mod schema;
mod sessions;
mod statements;
mod tls;
mod warnings;

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;

use self::{address::Address, connections::Connections, problem::Names, statements::Statement};
use super::{
    Access, Kind, Page, Record, Repository, Result, Version, Versioned, Write,
    retry::{Repeat, new_version, settled_insert, settled_replace},
};
use crate::{clock::UnixTime, secret::Secret};

/// The only table.
const TABLE: &str = "pangea_mcp_auth_record";

/// Where the servers are and how to connect.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// `postgres://user@host/database?sslmode=…`; may hold a password.
    pub url: Secret,
    /// The password, if it is not in the URL.
    pub password: Option<Secret>,
    /// A PEM file with the certificate authorities to trust instead of those of this machine.
    pub ca_file: Option<PathBuf>,
    /// Most connections at once.
    pub connections: u32,
    /// How long one request may take.
    pub timeout: Duration,
}

impl PostgresSettings {
    /// The servers and the database, without user and password.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unusable`](super::RepositoryError::Unusable) when the URL cannot be read.
    pub fn place(&self) -> Result<String> {
        Ok(Names::of(&Address::of(self)?.config).place())
    }
}

/// A repository in `PostgreSQL`.
///
/// If a connection breaks before the answer to a write arrives, the write may have been made, or a server process
/// that is still running may make it later. Therefore:
///
/// - a replace is sent again. It accepts the version that was read and the one that it writes. Versions never
///   repeat, so the second try has the effect of the first, or none;
/// - an insert is not sent again, because the first one might still arrive after the second was taken. If its
///   version is in the table, it was made;
/// - a take is not sent again, because the record and the answer would be lost.
///
/// If doubt remains, the error is [`RepositoryError::Unavailable`](super::RepositoryError::Unavailable).
#[derive(Debug)]
pub struct PostgresRepository {
    connections: Connections,
    is_encrypted: bool,
}

impl PostgresRepository {
    /// Connects, and creates or migrates the schema.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`](super::RepositoryError::Unavailable) when the server cannot be reached, [`RepositoryError::Unusable`](super::RepositoryError::Unusable) when it can
    /// be reached but not used. Both messages say what to change.
    pub async fn connect(settings: &PostgresSettings) -> Result<Self> {
        Self::connect_for(settings, Access::Create).await
    }

    /// Connects with the rights of `access`.
    ///
    /// # Errors
    ///
    /// As [`PostgresRepository::connect`]; [`RepositoryError::Absent`](super::RepositoryError::Absent) when the table does not exist and `access` does
    /// not allow creating it.
    pub async fn connect_for(settings: &PostgresSettings, access: Access) -> Result<Self> {
        let address = Address::of(settings)?;
        let is_encrypted = address.is_encrypted();
        let connections = Connections::open(address, settings)?;
        schema::prepare(&connections, access).await?;
        Ok(Self { connections, is_encrypted })
    }
}

#[async_trait]
impl Repository for PostgresRepository {
    async fn get(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Versioned>> {
        let deadline = self.connections.deadline();
        let answer = self.connections.run(&Statement::get(kind, key, now), Repeat::Always, deadline).await?;
        answer.value.first().map(|row| statements::versioned(key, row)).transpose()
    }

    async fn insert(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write> {
        let (mine, deadline) = (new_version(), self.connections.deadline());
        let statement = Statement::insert(kind, record, mine, now);
        match self.connections.run(&statement, Repeat::WhatHasNotRun, deadline).await {
            Ok(answer) => Ok(outcome(&answer.value, mine)),
            Err(failure) if failure.is_in_doubt() => {
                let statement = Statement::get(kind, &record.key, now);
                let found = self.connections.run(&statement, Repeat::Always, deadline).await?;
                let found =
                    found.value.first().map(|row| statements::versioned(&record.key, row)).transpose()?;
                settled_insert(failure, found.as_ref(), mine)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn replace(&self, kind: Kind, record: &Record, read: Version, now: UnixTime) -> Result<Write> {
        let (mine, deadline) = (new_version(), self.connections.deadline());
        let statement = Statement::replace(kind, record, read, mine, now);
        let answer = self.connections.run(&statement, Repeat::Always, deadline).await?;
        settled_replace(outcome(&answer.value, mine), answer.was_in_doubt)
    }

    async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>> {
        let deadline = self.connections.deadline();
        let statement = Statement::take(kind, key, now);
        let answer = self.connections.run(&statement, Repeat::WhatHasNotRun, deadline).await?;
        answer.value.first().map(|row| statements::record(key.to_owned(), row)).transpose()
    }

    async fn list(&self, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>> {
        let deadline = self.connections.deadline();
        let answer =
            self.connections.run(&Statement::list(kind, page, now), Repeat::Always, deadline).await?;
        answer.value.iter().map(statements::listed).collect()
    }

    async fn purge_expired(&self, now: UnixTime) -> Result<u64> {
        let deadline = self.connections.deadline();
        let answer = self.connections.run(&Statement::purge(now), Repeat::Always, deadline).await?;
        answer.value.first().map_or(Ok(0), statements::count)
    }

    async fn ping(&self) -> Result<()> {
        let deadline = self.connections.deadline();
        Ok(self.connections.attempt(&Statement::ping(), deadline).await.map(|_| ())?)
    }

    async fn warnings(&self) -> Result<Vec<String>> {
        let deadline = self.connections.deadline();
        let answer = self.connections.run(&warnings::statement(), Repeat::Always, deadline).await?;
        let mut warnings = answer.value.first().map_or_else(|| Ok(Vec::new()), warnings::of_server)?;
        if !self.is_encrypted {
            warnings.push(warnings::PLAIN.to_owned());
        }
        Ok(warnings)
    }
}

/// A write returns its row, or none after a conflict.
fn outcome(rows: &[tokio_postgres::Row], mine: Version) -> Write {
    if rows.is_empty() { Write::Conflict } else { Write::Done(mine) }
}
