//! Compares both repositories by count and checksum.

use super::{KINDS, Migration, Result, Side, Walk};
use crate::{
    repository::Record,
    secret::{encode, sha256},
};

/// Count and checksum of one kind on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub kind: &'static str,
    /// Count and checksum of the source's records.
    pub source: (u64, String),
    /// Count and checksum of the target's records.
    pub target: (u64, String),
}

impl Checked {
    /// Whether both sides have the same records.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.source == self.target
    }
}

impl Migration {
    /// Reads all records on both sides.
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

/// The count, and a SHA-256 chain over the records.
async fn sum(mut walk: Walk<'_>) -> Result<(u64, String)> {
    let (mut count, mut sum) = (0, [0; 32]);
    while let Some(record) = walk.next().await? {
        count += 1;
        sum = sha256(&joined(&sum, &record));
    }
    Ok((count, encode(&sum)))
}

/// The parts with their lengths, so that different records give different bytes.
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
