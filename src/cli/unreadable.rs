//! Records that cannot be read: warnings and errors about them.

use std::collections::BTreeSet;

use super::{
    failure::{Exit, Failure},
    output::{Output, tell_all},
};
use crate::repository::Unreadable;

/// Warns of records that a list leaves out.
pub(super) fn warn(unreadable: &[Unreadable], output: &Output) {
    for record in unreadable {
        output.warn(&record.to_string());
    }
}

/// Fails for each record that a revocation skipped.
pub(super) fn judge(unreadable: &BTreeSet<Unreadable>, is_some_done: bool) -> Result<(), Failure> {
    let failures = unreadable.iter().map(|record| Failure::new(Exit::Failed, record.to_string()));
    tell_all(failures.collect(), is_some_done).map_err(|failure| {
        failure.hint(
            "the record was skipped; a grant that cannot be read issues no tokens, and introspection calls its tokens \
             inactive",
        )
    })
}
