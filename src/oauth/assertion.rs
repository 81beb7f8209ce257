//! Client assertions (`private_key_jwt`; RFC 7523 section 3, draft-ietf-oauth-rfc7523bis): a client signs that it
//! is itself, for this server, for a few minutes, once.

use std::{fmt, time::Duration};

use serde::Deserialize;
use serde_json::Number;

use super::{
    client::ClientId,
    client_keys::{AssertionAlgorithm, ClientKey, ClientKeys},
    error::{ErrorCode, OAuthError, refuse},
    issuer::Issuer,
};
use crate::{
    clock::{SKEW, UnixTime},
    secret::{decode, encode, sha256},
};

/// The only `client_assertion_type`.
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How far ahead `exp` may be.
pub const LONGEST_LIFE: Duration = Duration::from_mins(10);
/// Longest assertion, in bytes.
const LONGEST: usize = 8 * 1024;
/// Longest `jti`, in bytes.
const LONGEST_ID: usize = 512;

/// An assertion whose signature is not verified yet. Its `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Assertion {
    text: String,
    /// Length of the part of the text that is signed.
    signed: usize,
    signature: Vec<u8>,
    algorithm: AssertionAlgorithm,
    kid: Option<String>,
    claims: Claims,
}

/// An assertion that a key of its client signed.
#[derive(Debug)]
pub struct Verified<'a>(&'a Claims);

/// An assertion that is accepted, unless it was used before.
#[derive(Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Identifies the assertion among those of all clients: 43 characters of base64url.
    pub id: String,
    /// When it expires.
    pub expires_at: UnixTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: UnixTime,
    nbf: Option<UnixTime>,
    iat: Option<UnixTime>,
    jti: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    List(Vec<String>),
}

impl Audience {
    /// The only audience, if there is one.
    fn only(&self) -> Option<&str> {
        match self {
            Self::One(audience) => Some(audience),
            Self::List(list) => match list.as_slice() {
                [audience] => Some(audience),
                _ => None,
            },
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

/// The claims as they are written. Only `sub` must be there for an assertion to be read at all.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    iss: Option<String>,
    sub: String,
    #[serde(default)]
    aud: Option<Audience>,
    #[serde(default)]
    exp: Option<Number>,
    #[serde(default)]
    nbf: Option<Number>,
    #[serde(default)]
    iat: Option<Number>,
    #[serde(default)]
    jti: Option<String>,
}

impl Assertion {
    /// Reads a `client_assertion`. Nothing that it says is verified.
    ///
    /// # Errors
    ///
    /// `invalid_client` when it is not a JWT, has a critical extension, another type, or another algorithm than
    /// [`AssertionAlgorithm`], or lacks a claim that every assertion must have.
    pub fn parse(text: &str) -> Result<Self, OAuthError> {
        if text.len() > LONGEST {
            return Err(wrong("the client assertion is too long"));
        }
        let unreadable = || wrong("the client assertion is not a readable JWT");
        let (signed, signature) = text.rsplit_once('.').ok_or_else(unreadable)?;
        let (header, claims) = signed.split_once('.').ok_or_else(unreadable)?;
        let header: Header = json(header).ok_or_else(unreadable)?;
        let algorithm = AssertionAlgorithm::parse(&header.alg)
            .ok_or_else(|| wrong("the client assertion has an algorithm that is not accepted"))?;
        if header.crit.is_some() {
            return Err(wrong("the client assertion has a critical extension"));
        }
        if !header.typ.as_deref().is_none_or(is_assertion) {
            return Err(wrong("the typ of the JWT is not one of a client assertion"));
        }
        Ok(Self {
            text: text.to_owned(),
            signed: signed.len(),
            signature: decode(signature).ok_or_else(unreadable)?,
            algorithm,
            kid: header.kid,
            claims: json::<Written>(claims).ok_or_else(unreadable)?.complete()?,
        })
    }

    /// The client that it claims to be of.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.claims.sub
    }

    /// Verifies the signature with the client's keys. `is_signed` gets the algorithm, a key that fits it, the
    /// signed bytes and the signature.
    ///
    /// # Errors
    ///
    /// `invalid_client` when no key verifies it.
    pub fn verified(
        &self,
        keys: &ClientKeys,
        is_signed: impl Fn(AssertionAlgorithm, &ClientKey, &[u8], &[u8]) -> bool,
    ) -> Result<Verified<'_>, OAuthError> {
        let message = &self.text.as_bytes()[..self.signed];
        let mut candidates = keys.candidates(self.kid.as_deref(), self.algorithm);
        if candidates.any(|key| is_signed(self.algorithm, key, message, &self.signature)) {
            return Ok(Verified(&self.claims));
        }
        refuse(ErrorCode::InvalidClient, "no registered key of the client verifies the client assertion")
    }
}

impl Verified<'_> {
    /// Judges what the assertion says.
    ///
    /// # Errors
    ///
    /// `invalid_client` when it is of another client, for another server, has expired, or lives too long.
    pub fn judge(&self, client: &ClientId, issuer: &Issuer, now: UnixTime) -> Result<Accepted, OAuthError> {
        let Self(claims) = self;
        if claims.iss != client.as_str() || claims.sub != client.as_str() {
            return Err(wrong("iss and sub of the client assertion must be the client_id"));
        }
        if !claims.aud.only().is_some_and(|audience| is_issuer(audience, issuer)) {
            return Err(wrong("aud of the client assertion must be this server's issuer, and nothing else"));
        }
        if claims.exp <= now {
            return Err(wrong("the client assertion has expired"));
        }
        if claims.exp > now.plus(LONGEST_LIFE) {
            return Err(wrong("exp of the client assertion is more than ten minutes ahead"));
        }
        let begins = claims.nbf.max(claims.iat);
        if begins.is_some_and(|begins| begins > now.plus(SKEW)) {
            return Err(wrong("the client assertion is not valid yet"));
        }
        // A client ID has no NUL.
        let id = encode(&sha256(format!("{client}\0{}", claims.jti).as_bytes()));
        Ok(Accepted { id, expires_at: claims.exp })
    }
}

impl Written {
    fn complete(self) -> Result<Claims, OAuthError> {
        let missing = |name: &str| wrong(format!("the client assertion has no {name}"));
        let unreadable = || wrong("a time in the client assertion cannot be read");
        let time = |number: Option<Number>| match number {
            None => Ok(None),
            Some(number) => seconds(&number).map(Some).ok_or_else(unreadable),
        };
        Ok(Claims {
            iss: self.iss.ok_or_else(|| missing("iss"))?,
            sub: Some(self.sub).filter(|sub| !sub.is_empty()).ok_or_else(|| missing("sub"))?,
            aud: self.aud.ok_or_else(|| missing("aud"))?,
            exp: time(self.exp)?.ok_or_else(|| missing("exp"))?,
            nbf: time(self.nbf)?,
            iat: time(self.iat)?,
            jti: self.jti.filter(|jti| (1..=LONGEST_ID).contains(&jti.len())).ok_or_else(|| {
                wrong(format!("the client assertion has no jti of 1 to {LONGEST_ID} bytes"))
            })?,
        })
    }
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Assertion")
    }
}

/// Whether a JWT of this type may be a client assertion. Types of tokens that others make are not (RFC 8725 section
/// 3.11).
fn is_assertion(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "client-authentication+jwt")
}

/// Some clients write a slash after the host, where the issuer has none.
fn is_issuer(audience: &str, issuer: &Issuer) -> bool {
    audience == issuer.as_str() || audience.strip_suffix('/') == Some(issuer.as_str())
}

/// A `NumericDate` (RFC 7519 section 2), which may have a fraction.
fn seconds(number: &Number) -> Option<UnixTime> {
    let fractional = || Duration::try_from_secs_f64(number.as_f64()?).ok().map(|since| since.as_secs());
    number.as_u64().or_else(fractional).map(UnixTime::from_secs)
}

fn json<T: for<'de> Deserialize<'de>>(encoded: &str) -> Option<T> {
    serde_json::from_slice(&decode(encoded)?).ok()
}

fn wrong(description: impl Into<std::borrow::Cow<'static, str>>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, description)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn client() -> ClientId {
        ClientId::parse("mcp_machine").unwrap()
    }

    fn issuer() -> Issuer {
        Issuer::parse("https://auth.example.org").unwrap()
    }

    fn claims() -> Value {
        json!({ "iss": "mcp_machine", "sub": "mcp_machine", "aud": "https://auth.example.org",
            "exp": NOW.as_secs() + 300, "iat": NOW.as_secs(), "jti": "one" })
    }

    fn text(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| encode(value.to_string().as_bytes());
        format!("{}.{}.{}", part(header), part(claims), encode(b"signature"))
    }

    fn keys() -> ClientKeys {
        let key =
            json!({ "kty": "EC", "crv": "P-256", "x": encode(&[1; 32]), "y": encode(&[2; 32]), "kid": "k" });
        ClientKeys::parse(json!({ "keys": [key] }).to_string().as_bytes()).unwrap()
    }

    /// The judgement of an assertion whose signature is right.
    fn judged(header: &Value, claims: &Value) -> Result<Accepted, OAuthError> {
        let assertion = Assertion::parse(&text(header, claims))?;
        assertion.verified(&keys(), |_, _, _, _| true)?.judge(&client(), &issuer(), NOW)
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    fn without(name: &str) -> Value {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        claims
    }

    /// Shows: CAUTH-10, CAUTH-11.
    #[test]
    fn one_defect_at_a_time_is_refused() {
        let es256 = json!({ "alg": "ES256" });
        assert_eq!(judged(&es256, &claims()).unwrap().expires_at, NOW.plus(Duration::from_mins(5)));
        let at = |offset: i64| json!(NOW.as_secs().checked_add_signed(offset).unwrap());
        for (claims, accepted) in [
            (without("iss"), false),
            (without("sub"), false),
            (without("aud"), false),
            (without("exp"), false),
            (without("jti"), false),
            (without("iat"), true),
            (with("iss", json!("mcp_other")), false),
            (with("sub", json!("mcp_other")), false),
            (with("sub", json!(7)), false),
            (with("sub", json!("")), false),
            (with("exp", at(1)), true),
            (with("exp", at(600)), true),
            (with("exp", at(601)), false),
            (with("exp", at(0)), false),
            (with("exp", at(-1)), false),
            (with("exp", json!(NOW.as_secs().to_string())), false),
            (with("exp", json!(-1)), false),
            (with("exp", json!(1.0e300)), false),
            (with("exp", json!(1_800_000_300.5)), true),
            (with("exp", json!(null)), false),
            (with("nbf", at(0)), true),
            (with("nbf", at(120)), true),
            (with("nbf", at(121)), false),
            (with("iat", at(121)), false),
            (with("iat", at(-3600)), true),
            (with("jti", json!("")), false),
            (with("jti", json!(1)), false),
            (with("jti", json!("j".repeat(512))), true),
            (with("jti", json!("j".repeat(513))), false),
            (with("aud", json!(["https://auth.example.org"])), true),
            (with("aud", json!("https://auth.example.org/")), true),
            (with("aud", json!("https://auth.example.org//")), false),
            (with("aud", json!("https://auth.example.org/token")), false),
            (with("aud", json!("https://AUTH.example.org")), false),
            (with("aud", json!("https://auth.example.org:443")), false),
            (with("aud", json!(["https://auth.example.org", "https://auth.example.org/token"])), false),
            (with("aud", json!(["https://auth.example.org", "https://auth.example.org"])), false),
            (with("aud", json!([])), false),
            (with("aud", json!("")), false),
            (with("aud", json!({ "a": 1 })), false),
        ] {
            let outcome = judged(&es256, &claims);
            assert_eq!(outcome.is_ok(), accepted, "{claims}");
            assert!(outcome.is_ok() || outcome.unwrap_err().code() == ErrorCode::InvalidClient);
        }
    }

    /// Shows: CAUTH-10, CAUTH-11.
    #[test]
    fn only_headers_of_a_client_assertion_are_read() {
        for (header, accepted) in [
            (json!({ "alg": "ES256", "kid": "k" }), true),
            (json!({ "alg": "ES256", "kid": "other" }), false),
            (json!({ "alg": "ES256", "kid": 7 }), false),
            (json!({ "alg": "RS256" }), false),
            (json!({ "alg": "none" }), false),
            (json!({ "alg": "HS256" }), false),
            (json!({ "alg": "ES384" }), false),
            (json!({ "alg": "es256" }), false),
            (json!({ "alg": ["ES256"] }), false),
            (json!({}), false),
            (json!({ "alg": "ES256", "crit": ["b64"], "b64": false }), false),
            (json!({ "alg": "ES256", "crit": [] }), false),
            (json!({ "alg": "ES256", "jwk": { "kty": "EC" }, "jku": "https://evil.example/" }), true),
            (json!({ "alg": "ES256", "typ": "JWT" }), true),
            (json!({ "alg": "ES256", "typ": "client-authentication+jwt" }), true),
            (json!({ "alg": "ES256", "typ": "application/Client-Authentication+JWT" }), true),
            (json!({ "alg": "ES256", "typ": "at+jwt" }), false),
            (json!({ "alg": "ES256", "typ": "oauth-id-jag+jwt" }), false),
            (json!({ "alg": "ES256", "typ": "dpop+jwt" }), false),
            (json!({ "alg": "ES256", "typ": "" }), false),
        ] {
            assert_eq!(judged(&header, &claims()).is_ok(), accepted, "{header}");
        }
    }

    #[test]
    fn anything_but_three_parts_of_base64url_is_refused() {
        let good = text(&json!({ "alg": "ES256" }), &claims());
        assert!(Assertion::parse(&good).is_ok());
        let twice = r#"{"alg":"ES256","alg":"none"}"#;
        let twice = format!("{}.{}.x", encode(twice.as_bytes()), encode(claims().to_string().as_bytes()));
        for text in [
            "",
            "a.b",
            "..",
            "e30.e30.e30",
            &good.replace('.', "="),
            &format!("{good}="),
            &format!("{good}.x"),
            &twice,
            &format!("{good}{}", "A".repeat(LONGEST)),
        ] {
            assert_eq!(Assertion::parse(text).unwrap_err().code(), ErrorCode::InvalidClient, "{text}");
        }
    }

    /// Shows: CAUTH-10.
    #[test]
    fn only_a_verified_signature_leads_on_and_it_covers_header_and_claims() {
        let text = text(&json!({ "alg": "ES256" }), &claims());
        let assertion = Assertion::parse(&text).unwrap();
        assert!(assertion.verified(&keys(), |_, _, _, _| false).is_err());
        let covers = |_: AssertionAlgorithm, _: &ClientKey, message: &[u8], signature: &[u8]| {
            message == text.rsplit_once('.').unwrap().0.as_bytes() && signature == b"signature"
        };
        assert!(assertion.verified(&keys(), covers).is_ok());
        assert!(!format!("{assertion:?}").contains(&text[..10]), "it is not printed");
    }

    /// Shows: CAUTH-10.
    #[test]
    fn an_assertion_is_identified_by_its_client_and_jti() {
        let id = |claims: &Value, client: &ClientId| {
            let assertion = Assertion::parse(&text(&json!({ "alg": "ES256" }), claims)).unwrap();
            let verified = assertion.verified(&keys(), |_, _, _, _| true).unwrap();
            verified.judge(client, &issuer(), NOW).unwrap().id
        };
        let one = id(&claims(), &client());
        assert_eq!(id(&with("exp", json!(NOW.as_secs() + 9)), &client()), one, "whatever else it says");
        assert_ne!(id(&with("jti", json!("two")), &client()), one);
        let other = ClientId::parse("mcp_other").unwrap();
        let mut theirs = with("iss", json!("mcp_other"));
        theirs["sub"] = json!("mcp_other");
        assert_ne!(id(&theirs, &other), one);
        assert!(crate::repository::is_key(&one));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, header: String, claims: String) {
            let _ = Assertion::parse(&text);
            let part = |text: &str| encode(text.as_bytes());
            let _ = Assertion::parse(&format!("{}.{}.", part(&header), part(&claims)));
        }
    }
}
