//! The stored form of a record: one line of JSON that describes it, then its value.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    clock::UnixTime,
    repository::{Record, RepositoryError, Result, Version, Versioned},
    secret::{Random, decode, encode},
};

/// Longest secret that Vault accepts, in bytes. Vault may count characters, which are never more.
pub(super) const LARGEST_SECRET: usize = 10_240;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    version: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    parent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    expires_at: Option<UnixTime>,
}

/// A version that never repeats.
pub(super) fn new_version(random: &dyn Random) -> Version {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    Version(NonZeroU64::new(u64::from_be_bytes(bytes)).unwrap_or(NonZeroU64::MIN))
}

/// Writes a record.
///
/// # Errors
///
/// When it is longer than Vault accepts.
pub(super) fn text(stored: &Versioned) -> Result<String> {
    let Versioned { record, version } = stored;
    let head = Head {
        version: encode(&version.0.get().to_be_bytes()),
        parent: record.parent.clone(),
        expires_at: record.expires_at,
    };
    let head = serde_json::to_string(&head).map_err(|error| RepositoryError::Corrupt(error.to_string()))?;
    let text = format!("{head}\n{}", record.value);
    if text.len() > LARGEST_SECRET {
        return Err(RepositoryError::TooLarge { size: text.len(), largest: LARGEST_SECRET });
    }
    Ok(text)
}

/// Reads what [`text`] wrote; `None` for anything else.
pub(super) fn read(key: &str, text: &str) -> Option<Versioned> {
    let (head, value) = text.split_once('\n')?;
    let head: Head = serde_json::from_str(head).ok()?;
    let version = u64::from_be_bytes(decode(&head.version)?.try_into().ok()?);
    let record = Record {
        key: key.to_owned(),
        value: value.to_owned(),
        parent: head.parent,
        expires_at: head.expires_at,
    };
    Some(Versioned { record, version: Version(NonZeroU64::new(version)?) })
}

/// Metadata that saves lists and sweeps from reading the secret. If they differ, the secret is right.
pub(super) fn metadata(record: &Record) -> Map<String, Value> {
    let expires_at = record.expires_at.map(|at| ("expires_at".to_owned(), at.as_secs().to_string().into()));
    let parent = record.parent.as_ref().map(|parent| ("parent".to_owned(), parent.as_str().into()));
    expires_at.into_iter().chain(parent).collect()
}

pub(super) fn expiry(metadata: &Map<String, Value>) -> Option<UnixTime> {
    metadata.get("expires_at")?.as_str()?.parse().ok().map(UnixTime::from_secs)
}
