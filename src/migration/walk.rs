//! The records of one kind on one side, in key order, a page at a time.

use std::collections::VecDeque;

use super::{MigrationError, Result};
use crate::{
    clock::UnixTime,
    repository::{Kind, Page, Record, Repository, WRITER_LEASE},
};

/// Records per page.
const PAGE: usize = 200;

#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Source,
    Target,
}

pub(super) struct Walk<'a> {
    repository: &'a dyn Repository,
    side: Side,
    kind: Kind,
    now: UnixTime,
    after: Option<String>,
    page: VecDeque<Record>,
    is_over: bool,
}

impl<'a> Walk<'a> {
    pub(super) const fn new(repository: &'a dyn Repository, side: Side, kind: Kind, now: UnixTime) -> Self {
        Self { repository, side, kind, now, after: None, page: VecDeque::new(), is_over: false }
    }

    /// The next record; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Record>> {
        if self.page.is_empty() && !self.is_over {
            let page = Page { after: self.after.take(), limit: PAGE, ..Page::default() };
            let read = self.repository.list(self.kind, &page, self.now).await;
            self.page = read
                .map_err(|error| match self.side {
                    Side::Source => MigrationError::Source(error),
                    Side::Target => MigrationError::Target(error),
                })?
                .into();
            self.after = self.page.back().map(|last| last.key.clone());
            self.is_over = self.page.is_empty();
        }
        match self.page.pop_front() {
            // The write lease of one repository means nothing in another.
            Some(record) if (self.kind, &*record.key) == (Kind::Replay, WRITER_LEASE) => {
                Box::pin(self.next()).await
            }
            next => Ok(next),
        }
    }
}
