//! The tokens that the switches ask for, and people whom a test disabled.

use std::{sync::Arc, time::Duration};

use pangea_mcp_auth::{
    dev::{Claims, Conduct, SigningKeys, fresh_id},
    jose::{ProtectedHeader, SigningKey, SigningRefused},
    oauth::token::SigningAlgorithm,
    secret::{SystemRandom, encode, sha256},
};
use serde_json::{Value, json};

use super::{
    people::People,
    switches::{AccessTokenForm, IdToken, Pkce, Switches, TokenEndpoint},
};

/// The age of an ID token that is to be expired.
const LONG_AGO: Duration = Duration::from_hours(2);

tokio::task_local! {
    /// The settings that the token request meets which this task answers.
    pub(super) static SETTINGS: TokenEndpoint;
}

/// Does what the switches say.
pub(super) struct Scripted {
    pub(super) switches: Arc<Switches>,
    pub(super) people: Arc<People>,
}

impl Conduct for Scripted {
    fn is_disabled(&self, email: &str) -> bool {
        self.people.is_disabled(email)
    }

    fn groups(&self, email: &str) -> Vec<String> {
        self.people.groups(email)
    }

    fn proves_possession(&self, challenge: Option<&str>, verifier: Option<&str>) -> bool {
        SETTINGS.with(|settings| proves_possession(settings.pkce, challenge, verifier))
    }

    fn access_token(
        &self,
        opaque: String,
        claims: &Claims<'_>,
        keys: &SigningKeys,
    ) -> Result<String, SigningRefused> {
        let form = SETTINGS.with(|settings| settings.access_token);
        if form == AccessTokenForm::Opaque {
            return Ok(opaque);
        }
        let mut jwt = claims.of_person();
        self.verify_email(&mut jwt);
        // A list of its own in Pangea, not the client: here, the issuer.
        jwt["aud"] = json!([jwt["iss"]]);
        jwt["client_id"] = json!(claims.client_id);
        jwt["scope"] = json!(claims.scope);
        jwt["jti"] = json!(fresh_id("pmt", &SystemRandom));
        if form == AccessTokenForm::JwtOfAnotherIssuer {
            jwt["iss"] = json!("https://another-issuer.example");
        }
        keys.sign(&jwt)
    }

    fn id_token(&self, claims: &Claims<'_>, keys: &SigningKeys) -> Result<Option<String>, SigningRefused> {
        let form = SETTINGS.with(|settings| settings.id_token);
        if form == IdToken::Absent || (form == IdToken::WhenAsked && !claims.asks_for_id_token()) {
            return Ok(None);
        }
        let mut jwt = claims.of_id_token();
        self.verify_email(&mut jwt);
        distort(form, &mut jwt);
        sign(form, &jwt, keys).map(Some)
    }
}

impl Scripted {
    fn verify_email(&self, claims: &mut Value) {
        self.switches.addresses.take().say_whether_verified(claims);
    }
}

/// RFC 7636 section 4.6, as far as the switch has it enforced.
fn proves_possession(enforcement: Pkce, challenge: Option<&str>, verifier: Option<&str>) -> bool {
    match (challenge, verifier, enforcement) {
        (_, _, Pkce::Ignore) | (None, None, _) | (Some(_), None, Pkce::Lax) | (None, Some(_), Pkce::Lax) => {
            true
        }
        (Some(challenge), Some(verifier), _) => encode(&sha256(verifier.as_bytes())) == challenge,
        (Some(_), None, Pkce::Strict) | (None, Some(_), Pkce::Strict) => false,
    }
}

/// Distorts the claims of an ID token as its form says.
fn distort(form: IdToken, claims: &mut Value) {
    match form {
        IdToken::Absent
        | IdToken::WhenAsked
        | IdToken::Present
        | IdToken::BadSignature
        | IdToken::UnknownKey
        | IdToken::Critical
        | IdToken::AccessTokenType => {}
        IdToken::WrongNonce => claims["nonce"] = json!("a-nonce-that-was-never-sent"),
        IdToken::WithoutNonce => leave_out(claims, "nonce"),
        IdToken::WithoutEmail => leave_out(claims, "email"),
        IdToken::WrongAudience => claims["aud"] = json!("psa_another"),
        IdToken::WrongParty => {
            claims["aud"] = json!([claims["aud"], "psa_another"]);
            claims["azp"] = json!("psa_another");
        }
        IdToken::RightParty => claims["azp"] = claims["aud"].clone(),
        IdToken::WrongIssuer => claims["iss"] = json!("https://another-issuer.example"),
        IdToken::Expired => {
            for time in ["iat", "exp"] {
                claims[time] = json!(claims[time].as_u64().unwrap() - LONG_AGO.as_secs());
            }
        }
    }
}

/// Signs an ID token, wrongly if that is its form.
fn sign(form: IdToken, claims: &Value, keys: &SigningKeys) -> Result<String, SigningRefused> {
    let mut header = keys.header();
    match form {
        IdToken::BadSignature => {
            let another = SigningKey::generate(SigningAlgorithm::Es256)?;
            return another.sign(&ProtectedHeader::new(&header), claims);
        }
        IdToken::UnknownKey => header["kid"] = json!("pvi_another|1"),
        IdToken::Critical => header["crit"] = json!(["urn:example:extension"]),
        IdToken::AccessTokenType => header["typ"] = json!("at+jwt"),
        _ => {}
    }
    keys.sign_under(&header, claims)
}

pub(super) fn leave_out(object: &mut Value, name: &str) {
    object.as_object_mut().unwrap().remove(name);
}

#[test]
fn pkce_is_enforced_as_far_as_the_switch_says() {
    // RFC 7636 appendix B.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    for (challenge, verifier, expected) in [
        (Some(challenge), Some(verifier), [true, true, true]),
        (Some(challenge), Some("wrong"), [false, false, true]),
        (Some(challenge), None, [false, true, true]),
        (None, Some(verifier), [false, true, true]),
        (None, None, [true, true, true]),
    ] {
        let allowed =
            [Pkce::Strict, Pkce::Lax, Pkce::Ignore].map(|pkce| proves_possession(pkce, challenge, verifier));
        assert_eq!(allowed, expected, "{challenge:?} {verifier:?}");
    }
}
