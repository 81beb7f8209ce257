//! Signed tokens of the upstream: ID tokens, and access tokens where they are JWTs.

use std::time::Duration;

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    jwk::{Jwk, JwkSet},
};
use serde_json::Value;
use tokio::sync::Mutex;

use super::endpoints::Endpoints;
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

/// The upstream's public keys, fetched when needed.
#[derive(Debug, Default)]
pub(super) struct Keys(Mutex<Option<(JwkSet, UnixTime)>>);

impl Keys {
    /// The claims of a token, if the upstream signed it and it is not over.
    ///
    /// # Errors
    ///
    /// A sentence for the log.
    pub(super) async fn verified(
        &self,
        token: &str,
        endpoints: &Endpoints,
        fetch: &Fetch,
        now: UnixTime,
    ) -> Result<Value, String> {
        let header = decode_header(token).map_err(|error| error.to_string())?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(format!("algorithm {:?} is not accepted", header.alg));
        }
        let key = self.key(header.kid.as_deref(), endpoints, fetch, now).await?;
        let key = DecodingKey::from_jwk(&key).map_err(|error| error.to_string())?;
        let mut validation = Validation::new(header.alg);
        // Time is passed in, and issuer and audience are judged by whoever knows what they must be.
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        validation.required_spec_claims.clear();
        let claims: Value = decode(token, &key, &validation).map_err(|error| error.to_string())?.claims;
        let time = |name: &str| claims[name].as_f64();
        #[expect(clippy::cast_precision_loss, reason = "seconds fit")]
        let (now, leeway) = (now.as_secs() as f64, LEEWAY.as_secs() as f64);
        if time("exp").is_none_or(|exp| exp + leeway <= now) {
            return Err("it has expired, or does not say when it will".to_owned());
        }
        if time("nbf").is_some_and(|nbf| nbf > now + leeway) {
            return Err("it is not valid yet".to_owned());
        }
        Ok(claims)
    }

    async fn key(
        &self,
        kid: Option<&str>,
        endpoints: &Endpoints,
        fetch: &Fetch,
        now: UnixTime,
    ) -> Result<Jwk, String> {
        let mut known = self.0.lock().await;
        if let Some(key) = known.as_ref().and_then(|(keys, _)| pick(keys, kid)) {
            return Ok(key);
        }
        if known.as_ref().is_some_and(|(_, fetched_at)| now.since(*fetched_at) < AGAIN) {
            return Err("its key is not among the upstream's".to_owned());
        }
        for url in &endpoints.jwks {
            let answer = fetch.get(url, Sender::Anonymous).await.map_err(|error| error.to_string())?;
            let Ok(keys) = serde_json::from_slice::<JwkSet>(&answer.body) else { continue };
            if answer.status == 200 {
                let key = pick(&keys, kid);
                *known = Some((keys, now));
                return key.ok_or_else(|| "its key is not among the upstream's".to_owned());
            }
        }
        Err("the upstream's keys cannot be read".to_owned())
    }
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
