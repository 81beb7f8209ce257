//! What differs between Pangea projects, or is not known of Pangea. `serve --dev` uses the defaults; the tests
//! implement everything else.

use super::{claims::Claims, signing::SigningKeys};
use crate::{
    jose::SigningRefused,
    secret::{encode, sha256},
};

/// Decisions of a stand-in.
pub trait Conduct: Send + Sync + 'static {
    /// Whether the person can't sign in, and nothing that was issued to them works.
    fn is_disabled(&self, _email: &str) -> bool {
        false
    }

    /// The groups that the person is in.
    fn groups(&self, _email: &str) -> Vec<String> {
        Vec::new()
    }

    /// Whether the verifier proves possession of a code (RFC 7636 section 4.6). Without a challenge, a verifier is a
    /// mistake of the client.
    fn proves_possession(&self, challenge: Option<&str>, verifier: Option<&str>) -> bool {
        match (challenge, verifier) {
            (Some(challenge), Some(verifier)) => encode(&sha256(verifier.as_bytes())) == challenge,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// The access token to issue, by default the opaque one.
    ///
    /// # Errors
    ///
    /// When a token can't be signed.
    fn access_token(
        &self,
        opaque: String,
        _claims: &Claims<'_>,
        _keys: &SigningKeys,
    ) -> Result<String, SigningRefused> {
        Ok(opaque)
    }

    /// The ID token to issue, by default a correct one if the scope contains `openid`.
    ///
    /// # Errors
    ///
    /// When the token can't be signed.
    fn id_token(&self, claims: &Claims<'_>, keys: &SigningKeys) -> Result<Option<String>, SigningRefused> {
        if claims.asks_for_id_token() { keys.sign(&claims.of_id_token()).map(Some) } else { Ok(None) }
    }
}

/// The defaults.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ordinary;

impl Conduct for Ordinary {}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn challenge_and_verifier_belong_together() {
        for (challenge, verifier, expected) in [
            (Some(CHALLENGE), Some(VERIFIER), true),
            (Some(CHALLENGE), Some("wrong"), false),
            (Some(CHALLENGE), None, false),
            (None, Some(VERIFIER), false),
            (None, None, true),
        ] {
            assert_eq!(
                Ordinary.proves_possession(challenge, verifier),
                expected,
                "{challenge:?} {verifier:?}"
            );
        }
    }
}
