//! Everything that has expired goes.

use crate::{
    clock::Clock,
    repository::{Repository, RepositoryError},
};

/// Removes what has expired, a bounded batch at a time, and says how many records it were.
/// `progress` hears of each batch.
///
/// # Errors
///
/// When the repository does not answer; what was removed is gone.
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
