//! Which of two records is newer. Records only move forward, so the records themselves show it.

use serde::Deserialize;

use crate::{
    clock::UnixTime,
    oauth::{client::Client, grant::Grant},
    repository::{Kind, Record},
};

/// What to do about a record that both sides have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: both are equal.
    Same,
    /// Keep the target's, which is newer.
    Keep,
    /// Replace it with the source's.
    Replace,
}

/// Judges a record. The source is right unless the target's record is newer.
pub(super) fn judge(kind: Kind, source: &Record, target: &Record) -> Verdict {
    if source == target {
        return Verdict::Same;
    }
    let is_newer = match kind {
        Kind::Client => ends(target) > ends(source),
        Kind::Grant => is_later(grant(source), grant(target)),
        // A retired key stays retired.
        Kind::Key => target.expires_at.is_some() && source.expires_at.is_none(),
        // The target has used it.
        Kind::Replay => true,
    };
    if is_newer { Verdict::Keep } else { Verdict::Replace }
}

/// Whether a record that only the target has may have been removed from the source since the last copy: it is not
/// younger than the youngest record of the source. Keys and one-time markers are never removed.
pub(super) fn may_be_gone(kind: Kind, target: &Record, newest: Option<UnixTime>) -> bool {
    let made_at = made_at(kind, target);
    matches!(kind, Kind::Client | Kind::Grant) && made_at.is_some() && made_at <= newest
}

/// When a client or grant was created.
pub(super) fn made_at(kind: Kind, record: &Record) -> Option<UnixTime> {
    match kind {
        Kind::Client => serde_json::from_str::<Client>(&record.value).ok().map(|client| client.issued_at),
        Kind::Grant => grant(record).map(|grant| grant.terms().granted_at),
        Kind::Key | Kind::Replay => None,
    }
}

/// Whether both records are the same signing key.
pub(super) fn is_same_key(one: &Record, other: &Record) -> bool {
    #[derive(Deserialize)]
    struct Named {
        kid: String,
    }
    let kid = |record: &Record| serde_json::from_str::<Named>(&record.value).ok().map(|named| named.kid);
    one.key == other.key && kid(one).is_some_and(|one| Some(one) == kid(other))
}

/// When a client expires. Use extends its life, so the later one is newer.
fn ends(record: &Record) -> UnixTime {
    record.expires_at.unwrap_or(UnixTime::from_secs(u64::MAX))
}

fn grant(record: &Record) -> Option<Grant> {
    serde_json::from_str(&record.value).ok()
}

fn is_later(source: Option<Grant>, target: Option<Grant>) -> bool {
    match (source, target) {
        (Some(source), Some(target)) => target.progress() > source.progress(),
        (None, Some(_)) => true,
        (_, None) => false,
    }
}
