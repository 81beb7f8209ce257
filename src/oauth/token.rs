//! The texts of codes and tokens, and the claims of access tokens.

use std::{fmt, time::Duration};

use data_encoding::BASE32_DNSSEC;
use serde::{Deserialize, Serialize};

use super::{issuer::Issuer, resource::Resource, scope::Scope};
use crate::{
    clock::UnixTime,
    secret::{Random, sha256},
};

const CODE: &str = "mcp_ac_";
const REFRESH: &str = "mcp_rt_";
/// Length of the unguessable part of codes and refresh tokens: 256 bits in base64url.
const UNGUESSABLE: usize = 43;

/// The ID of a grant: 32 characters of `[0-9a-v]`. It begins with the time of the request for it, in
/// seconds, so byte order is chronological.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GrantId(String);

impl GrantId {
    /// Encoded bytes: 4 of time, 16 of hash.
    const BYTES: usize = 20;
    /// Characters of the text.
    const LENGTH: usize = 32;

    /// The ID of the grant that the login with this upstream `state` leads to. A login cannot lead to a
    /// second grant, because its ID would be the same.
    #[must_use]
    pub fn of_login(state: &str, requested_at: UnixTime) -> Self {
        Self::new(requested_at, &sha256(state.as_bytes())[..16])
    }

    /// The ID of a grant that no login led to.
    #[must_use]
    pub fn of_machine(random: &dyn Random, at: UnixTime) -> Self {
        let mut unique = [0; 16];
        random.fill(&mut unique);
        Self::new(at, &unique)
    }

    /// The smallest ID of a request at this time.
    #[must_use]
    pub fn first_at(at: UnixTime) -> Self {
        Self::new(at, &[0; 16])
    }

    fn new(at: UnixTime, unique: &[u8]) -> Self {
        let mut bytes = [0; Self::BYTES];
        let seconds = u32::try_from(at.as_secs()).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&seconds.to_be_bytes());
        bytes[4..].copy_from_slice(unique);
        // Its byte order is numeric order (RFC 4648 section 7).
        Self(BASE32_DNSSEC.encode(&bytes))
    }

    /// `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == Self::LENGTH && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'v'));
        fits.then(|| Self(text.to_owned()))
    }

    /// 32 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[must_use]
pub fn code_text(grant: &GrantId, unguessable: &str) -> String {
    format!("{CODE}{grant}{unguessable}")
}

/// The grant that a presented code names. Nothing is verified.
#[must_use]
pub fn grant_of_code(text: &str) -> Option<GrantId> {
    let rest = text.strip_prefix(CODE)?;
    let (grant, unguessable) = rest.split_at_checked(GrantId::LENGTH)?;
    GrantId::parse(grant).filter(|_| is_unguessable(unguessable))
}

/// The readable parts of a refresh token. Nothing is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    pub grant: GrantId,
    /// Counted from 0: see [`RefreshChain`](super::grant::RefreshChain).
    pub generation: u64,
}

impl RefreshToken {
    /// The whole text.
    #[must_use]
    pub fn text(&self, unguessable: &str) -> String {
        format!("{REFRESH}{}{}_{unguessable}", self.grant, self.generation)
    }

    /// `None` for any text that is not a refresh token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (grant, rest) = text.strip_prefix(REFRESH)?.split_at_checked(GrantId::LENGTH)?;
        let (generation, unguessable) = rest.split_once('_')?;
        let digits = generation.len() <= 19 && generation.bytes().all(|b| b.is_ascii_digit());
        let generation = generation.parse().ok().filter(|_| digits && is_unguessable(unguessable))?;
        Some(Self { grant: GrantId::parse(grant)?, generation })
    }
}

fn is_unguessable(text: &str) -> bool {
    text.len() == UNGUESSABLE && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// The `jti` of an access token: the grant and a number within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenId {
    pub grant: GrantId,
    /// Counted from 1.
    pub number: u64,
}

impl TokenId {
    /// `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (grant, number) = text.split_once('.')?;
        let digits = number.len() <= 19 && number.bytes().all(|b| b.is_ascii_digit());
        Some(Self { grant: GrantId::parse(grant)?, number: number.parse().ok().filter(|_| digits)? })
    }

    /// The `jti` in a presented access token. Nothing is verified: the grant knows the hash of each token.
    #[must_use]
    pub fn of_access_token(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Named<'a> {
            jti: &'a str,
        }
        let mut parts = text.split('.');
        let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
        let claims = crate::secret::decode(claims).filter(|_| parts.next().is_none())?;
        Self::parse(serde_json::from_slice::<Named<'_>>(&claims).ok()?.jti)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.grant, self.number)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// ECDSA with P-256 and SHA-256.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// RSA PKCS#1 v1.5 with SHA-256, which RFC 9068 section 4 requires resource servers to support.
    #[serde(rename = "RS256")]
    Rs256,
}

impl SigningAlgorithm {
    /// As in `alg` and metadata.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

/// How far `iat` is set back, so that a verifier whose clock is behind accepts a fresh token.
const BACKDATED: Duration = Duration::from_secs(30);

/// The `iat` of a token that is issued now.
#[must_use]
pub const fn issued_at(now: UnixTime) -> UnixTime {
    now.minus(BACKDATED)
}

/// A claim about the person that the operator may put into access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonClaim {
    /// The email address, if it counts for `[access]`.
    Email,
    /// The name that the person signs in with.
    Username,
    /// The groups that `[access]` lists.
    Groups,
}

/// Claims about the person, in addition to `sub`.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct PersonClaims<'a> {
    /// See [`PersonClaim::Email`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<&'a str>,
    /// See [`PersonClaim::Username`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<&'a str>,
    /// See [`PersonClaim::Groups`]. Empty for a person without groups, absent if the operator does not want
    /// the claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<&'a [String]>,
}

/// The claims of an access token (RFC 9068 section 2.2).
#[derive(Debug, Serialize)]
pub struct Claims<'a> {
    /// RFC 9068 section 2.2, like all that follow.
    pub iss: &'a Issuer,
    /// See [`Terms::sub`](super::grant::Terms::sub).
    pub sub: &'a str,
    /// In the configured spelling.
    pub aud: &'a Resource,
    /// As in requests.
    pub client_id: &'a str,
    /// Left out when empty.
    #[serde(skip_serializing_if = "Scope::is_empty")]
    pub scope: &'a Scope,
    /// See [`issued_at`].
    pub iat: UnixTime,
    /// From this second on the token is invalid.
    pub exp: UnixTime,
    /// See [`TokenId`].
    pub jti: String,
    /// As far as the operator wants them.
    #[serde(flatten)]
    pub person: PersonClaims<'a>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::{SystemRandom, encode, random_token};

    fn grant() -> GrantId {
        GrantId::of_login("state", UnixTime::from_secs(1_800_000_000))
    }

    #[test]
    fn grant_ids_are_ordered_by_time_and_decided_by_the_state() {
        let at = |state, seconds| GrantId::of_login(state, UnixTime::from_secs(seconds));
        assert_eq!(at("a", 1), at("a", 1));
        assert_ne!(at("a", 1), at("b", 1));
        assert!(at("z", 1_799_999_999) < at("a", 1_800_000_000));
        assert_eq!(GrantId::parse(grant().as_str()), Some(grant()));
    }

    #[test]
    fn texts_are_taken_apart_as_they_were_put_together() {
        let unguessable = random_token(&SystemRandom);
        assert_eq!(grant_of_code(&code_text(&grant(), &unguessable)), Some(grant()));
        for generation in [0, 7, u64::MAX / 10] {
            let token = RefreshToken { grant: grant(), generation };
            assert_eq!(RefreshToken::parse(&token.text(&unguessable)), Some(token));
        }
        let id = TokenId { grant: grant(), number: 3 };
        assert_eq!(TokenId::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn ids_have_one_spelling() {
        let id = grant();
        let id = id.as_str();
        for other in ["", "0", &id[1..], &format!("{id}0"), &id.to_uppercase(), &format!("w{}", &id[1..])] {
            assert_eq!(GrantId::parse(other), None, "{other}");
        }
        for number in ["", "+1", "-1", "x", "00000000000000000001", "99999999999999999999"] {
            assert_eq!(TokenId::parse(&format!("{id}.{number}")), None, "{number}");
            let refresh = format!("{REFRESH}{id}{number}_{}", "x".repeat(UNGUESSABLE));
            assert_eq!(RefreshToken::parse(&refresh), None, "{number}");
        }
        for unguessable in ["x".repeat(UNGUESSABLE - 1), "x".repeat(UNGUESSABLE + 1), "=".repeat(UNGUESSABLE)]
        {
            assert_eq!(grant_of_code(&format!("{CODE}{id}{unguessable}")), None);
            assert_eq!(RefreshToken::parse(&format!("{REFRESH}{id}0_{unguessable}")), None);
        }
    }

    #[test]
    fn texts_keep_to_the_safe_alphabet() {
        let token = RefreshToken { grant: grant(), generation: 12 }.text(&random_token(&SystemRandom));
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    }

    #[test]
    fn the_name_of_an_access_token_is_found_in_its_claims() {
        let id = TokenId { grant: grant(), number: 1 };
        let token = format!("e30.{}.x", encode(format!("{{\"jti\":\"{id}\",\"a\":1}}").as_bytes()));
        assert_eq!(TokenId::of_access_token(&token), Some(id));
        for other in ["", "a.b", "a.b.c", "e30.e30.x", "e30.bnVsbA.x", &format!("{token}.y")] {
            assert_eq!(TokenId::of_access_token(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(text: String) {
            let _ = (grant_of_code(&text), RefreshToken::parse(&text), TokenId::parse(&text));
            let _ = TokenId::of_access_token(&text);
            let _ = (grant_of_code(&format!("{CODE}{text}")), RefreshToken::parse(&format!("{REFRESH}{text}")));
        }
    }
}
