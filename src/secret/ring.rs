//! Sealing keys, and the ring that holds more than one of them during a rotation.

use zeroize::Zeroizing;

use super::{KeyId, SealingKey};
use crate::clock::UnixTime;

/// Why a text is not a ring. The messages never quote the text, because it may be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// The text is empty.
    #[error("holds no key")]
    Empty,
    /// An entry is not a key.
    #[error("is not 32 bytes in base64{}", among(.0))]
    NotAKey(Position),
    /// The text after `@` is not a time.
    #[error("has a text after `@` that is no time such as 2026-11-24T04:10:00Z{}", among(.0))]
    NotATime(Position),
    /// The newest key can be guessed.
    #[error("is one byte, repeated: anyone can guess it")]
    Weak,
    /// An earlier entry has the same key.
    #[error("holds one key twice{}", among(.0))]
    Twice(Position),
}

/// The position of an entry, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    at: usize,
    of: usize,
}

fn among(&Position { at, of }: &Position) -> String {
    if of == 1 { String::new() } else { format!(" (entry {at} of {of})") }
}

/// The sealing keys of an installation. Each can decrypt values that were encrypted with it and verify tokens that were
/// derived from it. New values use the current key: the one that became active most recently.
#[derive(Debug, Clone)]
pub struct KeyRing(Vec<RingKey>);

/// A key of a ring.
#[derive(Debug, Clone)]
struct RingKey {
    key: SealingKey,
    /// When it becomes active; `None` if it always was.
    from: Option<UnixTime>,
}

impl KeyRing {
    /// Reads keys separated by white space. Each may have the time at which it becomes active: `KEY`,
    /// `KEY@2026-11-24T04:10:00Z`.
    ///
    /// # Errors
    ///
    /// When an entry cannot be read, there is none, or the newest key is weak.
    pub fn parse(text: &str) -> Result<Self, RingError> {
        let of = text.split_whitespace().count();
        let mut ring = Self(Vec::with_capacity(of));
        for (at, entry) in (1..).zip(text.split_whitespace()) {
            let position = Position { at, of };
            let (key, from) = entry.split_once('@').map_or((entry, None), |(key, from)| (key, Some(from)));
            let key = SealingKey::parse(key).ok_or(RingError::NotAKey(position))?;
            let from = from.map(|from| UnixTime::parse(from).ok_or(RingError::NotATime(position)));
            if ring.holds(KeyId::of(&key)) {
                return Err(RingError::Twice(position));
            }
            ring.0.push(RingKey { key, from: from.transpose()? });
        }
        match ring.newest() {
            None => Err(RingError::Empty),
            Some(newest) if newest.key.is_weak() => Err(RingError::Weak),
            Some(_) => Ok(ring),
        }
    }

    /// The key that becomes active last.
    fn newest(&self) -> Option<&RingKey> {
        self.0.iter().max_by_key(|key| key.from)
    }

    /// The ring as it is stored in a file or keyring: a key per line.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for RingKey { key, from } in &self.0 {
            text.push_str(&key.to_text());
            if let Some(from) = from {
                text.push('@');
                text.push_str(&from.to_string());
            }
            text.push('\n');
        }
        text
    }

    /// Adds a key that becomes active at `from`.
    #[must_use]
    pub fn with(mut self, key: SealingKey, from: UnixTime) -> Self {
        self.0.push(RingKey { key, from: Some(from) });
        self
    }

    /// Removes the keys from before the current one; `None` if there are none.
    #[must_use]
    pub fn without_old(&self, now: UnixTime) -> Option<Self> {
        let since = self.sealing_at(now).from;
        let sealing = self.sealing_id(now);
        let mut kept = self.clone();
        kept.0.retain(|key| key.from > since || KeyId::of(&key.key) == sealing);
        (kept.0.len() < self.0.len()).then_some(kept)
    }

    /// Number of keys.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the ring has the key with this ID.
    #[must_use]
    pub fn holds(&self, id: KeyId) -> bool {
        self.ids().any(|held| held == id)
    }

    /// The IDs of the keys.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.0.iter().map(|key| KeyId::of(&key.key))
    }

    /// The key that became active first.
    #[must_use]
    pub fn oldest(&self) -> &SealingKey {
        let oldest = self.0.iter().min_by_key(|key| key.from);
        &oldest.unwrap_or(&self.0[0]).key
    }

    /// The ID of the current key.
    #[must_use]
    pub fn sealing_id(&self, now: UnixTime) -> KeyId {
        KeyId::of(&self.sealing_at(now).key)
    }

    /// When the current key became active; `None` if it always was.
    #[must_use]
    pub fn sealing_since(&self, now: UnixTime) -> Option<UnixTime> {
        self.sealing_at(now).from
    }

    /// When the next key becomes active, if one is waiting.
    #[must_use]
    pub fn next_change(&self, now: UnixTime) -> Option<UnixTime> {
        self.0.iter().filter_map(|key| key.from).filter(|from| *from > now).min()
    }

    /// The keys, the current one first.
    pub(super) fn sealing_first(&self, now: UnixTime) -> impl Iterator<Item = &SealingKey> {
        let sealing = self.sealing_id(now);
        let others = self.0.iter().rev().map(|key| &key.key).filter(move |key| KeyId::of(key) != sealing);
        std::iter::once(&self.sealing_at(now).key).chain(others)
    }

    /// The current key. Of several with the same time, the last one in the ring. If none is active yet, the first to
    /// become active.
    fn sealing_at(&self, now: UnixTime) -> &RingKey {
        let has_come = |key: &&RingKey| key.from.is_none_or(|from| from <= now);
        let latest = self.0.iter().filter(has_come).max_by_key(|key| key.from);
        let first = || self.0.iter().min_by_key(|key| key.from);
        latest.or_else(first).unwrap_or(&self.0[0])
    }
}

impl From<SealingKey> for KeyRing {
    fn from(key: SealingKey) -> Self {
        Self(vec![RingKey { key, from: None }])
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{SystemRandom, encode},
        *,
    };

    fn key() -> SealingKey {
        SealingKey::generate(&SystemRandom)
    }

    fn text(key: &SealingKey) -> String {
        key.to_text().to_string()
    }

    const fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(seconds)
    }

    #[test]
    fn a_key_is_read_as_it_was_written_in_either_alphabet() {
        let key = key();
        let standard = key.to_text().replace('-', "+").replace('_', "/") + "=";
        for text in [key.to_text().to_string(), standard, format!("{}\n", &*key.to_text())] {
            assert_eq!(SealingKey::parse(&text).map(|k| k.to_text()), Some(key.to_text()));
        }
        assert!(SealingKey::parse("c2hvcnQ").is_none());
        assert!(SealingKey::parse("not base64!").is_none());
    }

    #[test]
    fn the_key_whose_time_came_last_seals() {
        let (one, two, three) = (key(), key(), key());
        let lines = format!(
            "{}\n{}@1970-01-01T00:03:20Z\n{}@1970-01-01T00:01:40Z\n",
            text(&one),
            text(&two),
            text(&three)
        );
        let ring = KeyRing::parse(&lines).unwrap();
        for (now, sealing) in [(0, &one), (99, &one), (100, &three), (199, &three), (200, &two)] {
            assert_eq!(ring.sealing_id(at(now)), KeyId::of(sealing), "{now}");
            assert_eq!(ring.sealing_first(at(now)).count(), 3);
        }
        assert_eq!(*ring.to_text(), lines);
        let since = |now| ring.sealing_since(at(now));
        assert_eq!((since(99), since(100), since(200)), (None, Some(at(100)), Some(at(200))));
        assert_eq!((ring.next_change(at(0)), ring.next_change(at(200))), (Some(at(100)), None));
        let ids = |now| ring.without_old(at(now)).map(|kept| kept.ids().collect::<Vec<_>>());
        assert_eq!(ids(99), None, "the one that seals and those to come stay");
        assert_eq!(ids(100), Some(vec![KeyId::of(&two), KeyId::of(&three)]));
        assert_eq!(ids(200), Some(vec![KeyId::of(&two)]));
    }

    #[test]
    fn before_every_time_the_first_key_seals_and_of_equals_the_last() {
        let (one, two) = (key(), key());
        let early = KeyRing::from(one.clone()).with(two.clone(), at(9));
        let late = KeyRing::parse(&format!(
            "{}@2100-01-01T00:00:00Z {}@2090-01-01T00:00:00Z",
            text(&one),
            text(&two)
        ));
        assert_eq!(late.unwrap().sealing_id(at(9)), KeyId::of(&two));
        assert_eq!(early.oldest().to_text(), one.to_text());
        let equals = KeyRing::parse(&format!("{} {}", text(&one), text(&two))).unwrap();
        assert_eq!(equals.sealing_id(at(9)), KeyId::of(&two));
    }

    #[test]
    fn a_ring_with_a_mistake_is_refused_without_quoting_it() {
        let good = text(&key());
        for (written, words) in [
            (String::new(), "holds no key"),
            (" \n".to_owned(), "holds no key"),
            ("canary".to_owned(), "is not 32 bytes in base64"),
            (format!("{good} canary"), "is not 32 bytes in base64 (entry 2 of 2)"),
            (format!("{good}@canary"), "no time such as 2026-11-24T04:10:00Z"),
            (format!("{good}@"), "no time such as"),
            (format!("canary@2026-11-24T04:10:00Z {good}"), "(entry 1 of 2)"),
            (format!("{good} {good}@2026-11-24T04:10:00Z"), "holds one key twice (entry 2 of 2)"),
            (encode(&[0; 32]), "is one byte, repeated"),
            (encode(&[b'x'; 32]), "is one byte, repeated"),
            (format!("{good} {}@2026-11-24T04:10:00Z", encode(&[0; 32])), "is one byte, repeated"),
        ] {
            let error = KeyRing::parse(&written).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("canary") && !error.contains(&good), "{error}");
        }
        let replaced = format!("{} {good}", encode(&[0; 32]));
        assert!(KeyRing::parse(&replaced).is_ok(), "a weak key can be replaced");
    }
}
