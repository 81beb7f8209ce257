//! Removes all expired records.

use crate::{
    clock::Clock,
    repository::{Repository, RepositoryError},
};

/// Removes expired records in bounded batches, and returns how many. `progress` is called for each batch.
///
/// # Errors
///
/// When the repository does not answer. Removed records stay removed.
pub async fn purge(
    repository: &dyn Repository,
    clock: &dyn Clock,
    mut progress: impl FnMut(u64),
) -> Result<u64, RepositoryError> {
    let mut all = 0;
    loop {
        let purged = repository.purge_expired(clock.now()).await?;
        if purged == 0 {
            return Ok(all);
        }
        all += purged;
        progress(all);
        tokio::task::yield_now().await;
    }
}
