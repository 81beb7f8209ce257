//! What the daemons store in.

use crate::support::{PostgresServer, RedisServer};

/// A storage engine.
pub(super) trait Engine: Send {
    /// The lines of `[repository]`.
    fn configuration(&self) -> String;

    /// Whether it is a program that can be killed.
    fn is_a_server(&self) -> bool {
        true
    }

    /// `kill -9`.
    fn kill(&mut self);

    /// Starts it again on what it has stored.
    fn start(&mut self);
}

/// A file beside the configuration: it has no life of its own.
pub(super) struct Sqlite;

impl Engine for Sqlite {
    fn configuration(&self) -> String {
        "path = \"records.sqlite\"\n".to_owned()
    }

    fn is_a_server(&self) -> bool {
        false
    }

    fn kill(&mut self) {}

    fn start(&mut self) {}
}

impl Engine for PostgresServer {
    fn configuration(&self) -> String {
        // With more patience nobody would ever hear that it is away.
        format!("kind = \"postgres\"\nurl = \"{}\"\ntimeout = \"3s\"\n", self.url())
    }

    fn kill(&mut self) {
        Self::kill(self);
    }

    fn start(&mut self) {
        Self::start(self);
    }
}

impl Engine for RedisServer {
    fn configuration(&self) -> String {
        format!("kind = \"redis\"\nurl = \"{}\"\ntimeout = \"3s\"\n", self.url())
    }

    fn kill(&mut self) {
        Self::kill(self);
    }

    fn start(&mut self) {
        Self::start(self);
    }
}
