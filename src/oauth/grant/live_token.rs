//! Access tokens that a grant remembers.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, SeqAccess, Visitor, value},
};

use crate::{clock::UnixTime, oauth::scope::Scope, secret::TokenHash};

/// An access token that was issued and not revoked.
#[derive(Debug, Clone)]
pub struct LiveToken {
    /// Counted from 1 within the grant.
    pub number: u64,
    /// Of the whole text.
    pub hash: TokenHash,
    /// The token's `iat` is a little earlier, see [`issued_at`](crate::oauth::token::issued_at).
    pub issued_at: UnixTime,
    /// The token's `exp`.
    pub expires_at: UnixTime,
    /// `None` for the scope of the grant, which a refresh may narrow.
    pub scope: Option<Scope>,
}

/// The version of the stored object. It is left out of version 1.
const VERSION: u64 = 1;
/// The lifetime, in seconds, of tokens that are stored without one. Stored records depend on it.
const USUAL_LIFETIME: u64 = 600;

/// A token as it is stored. The names are short because a grant may hold many of them, and its record should
/// fit into one page of a database.
#[derive(Serialize)]
struct Written<'a> {
    n: u64,
    h: &'a TokenHash,
    /// Issued at.
    i: UnixTime,
    /// Lifetime in seconds, unless it is the usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    l: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'a Scope>,
}

#[derive(Deserialize)]
struct Read {
    #[serde(default = "first_version")]
    v: u64,
    n: u64,
    h: TokenHash,
    i: UnixTime,
    #[serde(default = "usual_lifetime")]
    l: u64,
    #[serde(default)]
    s: Option<Scope>,
}

const fn first_version() -> u64 {
    VERSION
}

const fn usual_lifetime() -> u64 {
    USUAL_LIFETIME
}

impl Serialize for LiveToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { number, hash, issued_at, expires_at, scope } = self;
        let lifetime = Some(expires_at.since(*issued_at).as_secs()).filter(|l| *l != USUAL_LIFETIME);
        Written { n: *number, h: hash, i: *issued_at, l: lifetime, s: scope.as_ref() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LiveToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EitherForm)
    }
}

struct EitherForm;

impl<'de> Visitor<'de> for EitherForm {
    type Value = LiveToken;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an access token of a grant")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LiveToken, A::Error> {
        let Read { v, n, h, i, l, s } = Read::deserialize(value::MapAccessDeserializer::new(map))?;
        if v != VERSION {
            return Err(A::Error::custom(format!("version {v} of an access token, of a later release")));
        }
        let expires_at = i.plus(Duration::from_secs(l));
        Ok(LiveToken { number: n, hash: h, issued_at: i, expires_at, scope: s })
    }

    /// The form of earlier releases.
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<LiveToken, A::Error> {
        let (number, hash, issued_at, expires_at, scope) =
            Deserialize::deserialize(value::SeqAccessDeserializer::new(list))?;
        Ok(LiveToken { number, hash, issued_at, expires_at, scope })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_of_an_earlier_release_is_read_and_written_as_an_object() {
        let hash = TokenHash::of("at");
        for (earlier, today) in [
            (json!([12, hash, 1000, 1600, null]), json!({ "n": 12, "h": hash, "i": 1000 })),
            (json!([1, hash, 5, 6, "user"]), json!({ "n": 1, "h": hash, "i": 5, "l": 1, "s": "user" })),
        ] {
            let token: LiveToken = serde_json::from_value(earlier.clone()).unwrap();
            assert_eq!(serde_json::to_value(&token).unwrap(), today, "{earlier}");
            let read: LiveToken = serde_json::from_value(today.clone()).unwrap();
            assert_eq!(read.expires_at, token.expires_at);
            assert_eq!(serde_json::to_value(&read).unwrap(), today);
        }
    }

    #[test]
    fn a_token_of_a_later_release_is_refused() {
        let later = json!({ "v": 2, "n": 1, "h": TokenHash::of("at"), "i": 5, "l": 1 });
        assert!(serde_json::from_value::<LiveToken>(later).unwrap_err().to_string().contains("version 2"));
    }

    /// `docs/performance.md`: a record that outgrows a page makes refreshes slower.
    #[test]
    fn a_token_takes_little_room() {
        let (issued_at, lifetime) = (UnixTime::from_secs(1_800_000_000), Duration::from_mins(10));
        let expires_at = issued_at.plus(lifetime);
        let token = LiveToken { number: 999, hash: TokenHash::of("at"), issued_at, expires_at, scope: None };
        assert!(serde_json::to_string(&token).unwrap().len() <= 75);
    }
}
