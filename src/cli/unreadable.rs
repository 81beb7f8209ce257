//! What is told of records that cannot be read.

use std::collections::BTreeSet;

use super::{
    failure::{Exit, Failure, tell_all},
    output::Output,
};
use crate::repository::Unreadable;

/// A list shows the others, and names these beside it.
pub(super) fn warn(unreadable: &[Unreadable], output: &Output) {
    for record in unreadable {
        output.warn(&record.to_string());
    }
}

/// The end of a command that was to end all grants that are meant: with these nothing was done.
pub(super) fn judge(unreadable: &BTreeSet<Unreadable>, is_some_done: bool) -> Result<(), Failure> {
    let failures = unreadable.iter().map(|record| Failure::new(Exit::Failed, record.to_string()));
    tell_all(failures.collect(), is_some_done).map_err(|failure| {
        failure.hint(
            "nothing was done with it; nothing is issued from a grant that cannot be read, and no token of it is \
             called active",
        )
    })
}
