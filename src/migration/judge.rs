//! Which of two records is newer. Records only ever go forward, so that can be read from them.

use serde::Deserialize;

use crate::{
    clock::UnixTime,
    oauth::{client::Client, grant::Grant},
    repository::{Kind, Record},
};

/// What to do about a record that both sides have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Same,
    /// The target's is newer.
    Keep,
    /// The source's belongs there.
    Replace,
}

/// Judges a record. Unless the target's is newer, the source is right.
pub(super) fn judge(kind: Kind, source: &Record, target: &Record) -> Verdict {
    if source == target {
        return Verdict::Same;
    }
    let is_newer = match kind {
        Kind::Client => ends(target) > ends(source),
        Kind::Grant => is_later(grant(source), grant(target)),
        // A key that was told to retire does not come back.
        Kind::Key => target.expires_at.is_some() && source.expires_at.is_none(),
        // It was used there.
        Kind::Replay => true,
    };
    if is_newer { Verdict::Keep } else { Verdict::Replace }
}

/// Whether a record that only the target has was there when the source was copied, and has gone
/// since: it is not younger than all that the source has. Keys and what may be used once stay.
pub(super) fn may_be_gone(kind: Kind, target: &Record, newest: Option<UnixTime>) -> bool {
    let made_at = made_at(kind, target);
    matches!(kind, Kind::Client | Kind::Grant) && made_at.is_some() && made_at <= newest
}

/// When a client or grant was made.
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

/// Whoever lives longer was used later; without an end, longest.
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
