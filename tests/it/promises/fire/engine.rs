//! What the daemons store in.

use crate::support::{RecordServer, Records};

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

/// A file next to the configuration. No process of its own keeps it.
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

impl<S: RecordServer + Send> Engine for S {
    fn configuration(&self) -> String {
        // With a longer timeout no client would ever be told that the server is away.
        format!("{}timeout = \"3s\"\n", Records::configuration(&**self))
    }

    fn kill(&mut self) {
        RecordServer::kill(self);
    }

    fn start(&mut self) {
        RecordServer::start(self);
    }
}
