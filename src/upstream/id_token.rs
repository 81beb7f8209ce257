//! Signed tokens of the upstream: ID tokens, and access tokens where they are JWTs.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    jwk::{Jwk, JwkSet},
};
use serde::Deserialize;
use serde_json::Value;

use super::{UpstreamError, endpoints::Endpoints, kept::Kept};
use crate::{
    clock::{SKEW, UnixTime},
    fetch::{Fetch, Sender},
};

/// Asymmetric algorithms alone: nobody can sign with a public key.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];
/// How far the clocks may differ, the time on the way included.
const LEEWAY: Duration = SKEW.saturating_add(Duration::from_mins(1));
/// How often an unknown key makes us look again.
const AGAIN: Duration = Duration::from_secs(30);
/// How long a key set that could not be fetched is not asked for again.
const BACK_OFF: Duration = Duration::from_secs(5);

/// What a token is meant for, which its `typ` may contradict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Says who signed in. An access token (RFC 9068) is none.
    IdToken,
    /// Gives access at the upstream.
    AccessToken,
}

/// The upstream's public keys, fetched when an unknown one is needed.
#[derive(Debug, Default)]
pub(super) struct Keys(Kept<JwkSet>);

impl Keys {
    /// The claims of a token that the upstream signed under its issuer name and that has not expired.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the keys cannot be fetched; otherwise the token is `Unusable`.
    pub(super) async fn verified(
        &self,
        token: &str,
        purpose: Purpose,
        endpoints: &Endpoints,
        fetch: &Fetch,
        now: UnixTime,
    ) -> Result<Value, UpstreamError> {
        let unusable = |reason: String| UpstreamError::Unusable(format!("{purpose:?}: {reason}"));
        let header = decode_header(token).map_err(|error| unusable(error.to_string()))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(unusable(format!("algorithm {:?} is not accepted", header.alg)));
        }
        if header.crit.is_some() {
            return Err(unusable("it has critical extensions".to_owned()));
        }
        if purpose == Purpose::IdToken && header.typ.as_deref().is_some_and(is_access_token_type) {
            return Err(unusable("its type is that of an access token".to_owned()));
        }
        let key = self.key(header.kid.as_deref(), endpoints, fetch, now).await?;
        let key = DecodingKey::from_jwk(&key).map_err(|error| unusable(error.to_string()))?;
        let mut validation = Validation::new(header.alg);
        // Time is passed in; issuer and audience are compared below and by the caller.
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        validation.required_spec_claims.clear();
        let decoded = decode(token, &key, &validation).map_err(|error| unusable(error.to_string()))?;
        let claims: Value = decoded.claims;
        if claims["iss"].as_str() != Some(&endpoints.issuer) {
            return Err(unusable("another issuer signed it".to_owned()));
        }
        let time = |name: &str| claims[name].as_f64();
        #[expect(clippy::cast_precision_loss, reason = "seconds fit")]
        let (now, leeway) = (now.as_secs() as f64, LEEWAY.as_secs() as f64);
        if time("exp").is_none_or(|exp| exp + leeway <= now) {
            return Err(unusable("it has expired, or has no expiry".to_owned()));
        }
        if time("nbf").is_some_and(|nbf| nbf > now + leeway) {
            return Err(unusable("it is not valid yet".to_owned()));
        }
        Ok(claims)
    }

    /// The key of that name. A known key is found without waiting; one task at a time asks for others.
    async fn key(
        &self,
        kid: Option<&str>,
        endpoints: &Endpoints,
        fetch: &Fetch,
        now: UnixTime,
    ) -> Result<Jwk, UpstreamError> {
        let known = || self.0.document().and_then(|keys| pick(&keys, kid));
        if let Some(key) = known() {
            return Ok(key);
        }
        let _turn = self.0.turn().await;
        if let Some(key) = known() {
            return Ok(key);
        }
        if self.0.is_due(now) {
            match fetched(endpoints, fetch).await {
                Ok(keys) => self.0.note(Some(Arc::new(keys)), now.plus(AGAIN)),
                Err(reason) => {
                    self.0.note(None, now.plus(BACK_OFF));
                    return Err(UpstreamError::Unavailable(reason));
                }
            }
        }
        match (known(), self.0.document()) {
            (Some(key), _) => Ok(key),
            (None, Some(_)) => {
                Err(UpstreamError::Unusable("the token's key is not in the upstream's key set".to_owned()))
            }
            (None, None) => Err(UpstreamError::Unavailable(NO_KEYS.to_owned())),
        }
    }
}

const NO_KEYS: &str = "the upstream's key set cannot be read";

/// The upstream's key set, without the keys whose type is unknown here.
async fn fetched(endpoints: &Endpoints, fetch: &Fetch) -> Result<JwkSet, String> {
    #[derive(Deserialize)]
    struct Document {
        keys: Vec<Value>,
    }
    for target in &endpoints.jwks {
        let answer = fetch.get(target, Sender::Anonymous).await.map_err(|error| error.to_string())?;
        let Ok(document) = serde_json::from_slice::<Document>(&answer.body) else { continue };
        if answer.status == 200 {
            let keys = document.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
            return Ok(JwkSet { keys: keys.collect() });
        }
    }
    Err(NO_KEYS.to_owned())
}

/// `at+jwt`, with or without `application/`, in any case (RFC 9068 section 2.1).
fn is_access_token_type(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").unwrap_or(&typ) == "at+jwt"
}

/// The key of that name; without a name, the only one there is.
fn pick(keys: &JwkSet, kid: Option<&str>) -> Option<Jwk> {
    match (kid, keys.keys.as_slice()) {
        (Some(kid), _) => keys.find(kid).cloned(),
        (None, [only]) => Some(only.clone()),
        (None, _) => None,
    }
}

/// Whether `aud` names `client_id` (a string or a list of strings).
pub(super) fn is_for(claims: &Value, client_id: &str) -> bool {
    match &claims["aud"] {
        Value::String(audience) => audience == client_id,
        Value::Array(audiences) => audiences.iter().any(|audience| audience == client_id),
        _ => false,
    }
}

/// Whether `azp`, if there is one, names `client_id`.
pub(super) fn is_authorized_party(claims: &Value, client_id: &str) -> bool {
    claims.get("azp").is_none_or(|party| party == client_id)
}
