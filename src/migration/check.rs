//! Whether both sides hold the same, by count and checksum.

use super::{KINDS, Migration, Result, Side, Walk};
use crate::{
    repository::Record,
    secret::{encode, sha256},
};

/// What both sides hold of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The kind.
    pub kind: &'static str,
    /// Count and checksum of the source's records.
    pub source: (u64, String),
    /// Count and checksum of the target's records.
    pub target: (u64, String),
}

impl Checked {
    /// Whether both hold the same.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.source == self.target
    }
}

impl Migration {
    /// Reads both sides once more, whole, and says what they hold.
    ///
    /// # Errors
    ///
    /// When a side does not answer.
    pub async fn check(&self) -> Result<Vec<Checked>> {
        let now = self.clock.now();
        let mut all = Vec::new();
        for kind in KINDS {
            let source = sum(Walk::new(&*self.from, Side::Source, kind, now)).await?;
            let target = sum(Walk::new(&*self.to, Side::Target, kind, now)).await?;
            all.push(Checked { kind: kind.as_str(), source, target });
        }
        Ok(all)
    }
}

/// The count, and SHA-256 over all that came before and the next record, again and again.
async fn sum(mut walk: Walk<'_>) -> Result<(u64, String)> {
    let (mut count, mut sum) = (0, [0; 32]);
    while let Some(record) = walk.next().await? {
        count += 1;
        sum = sha256(&joined(&sum, &record));
    }
    Ok((count, encode(&sum)))
}

/// The parts with their lengths before them, so that no two records give the same bytes.
fn joined(sum: &[u8], record: &Record) -> Vec<u8> {
    let Record { key, value, parent, expires_at } = record;
    let expires_at = expires_at.map(|at| at.as_secs().to_string()).unwrap_or_default();
    let parent = parent.as_deref().map(|parent| format!("={parent}")).unwrap_or_default();
    let mut bytes = sum.to_vec();
    for part in [key, value, &parent, &expires_at] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}
