//! What the upstream's signed tokens claim: ID tokens, and access tokens where they are JWTs.

use std::time::Duration;

use serde_json::Value;

use super::{UpstreamError, endpoints::Endpoints};
use crate::{
    clock::{SKEW, UnixTime},
    fetch::Fetch,
    jose::{Jws, JwsError, NoKey, RemoteKeySet},
};

/// How far the clocks may differ, transit included.
const LEEWAY: Duration = SKEW.saturating_add(Duration::from_mins(1));

/// What a token is for. Its `typ` may contradict that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Says who signed in. An access token (RFC 9068) never does.
    IdToken,
    /// Gives access at the upstream.
    AccessToken,
}

/// The claims of a token that the upstream signed under its issuer name and that has not expired.
///
/// # Errors
///
/// `Unavailable` when the keys cannot be fetched; otherwise the token is `Unusable`.
pub(super) async fn verified(
    token: &str,
    purpose: Purpose,
    keys: &RemoteKeySet,
    endpoints: &Endpoints,
    fetch: &Fetch,
    now: UnixTime,
) -> Result<Value, UpstreamError> {
    let unusable = |reason: &str| UpstreamError::Unusable(format!("{purpose:?}: {reason}"));
    let refused = |error: JwsError| unusable(&error.to_string());
    let jws = Jws::parse(token).map_err(refused)?;
    if purpose == Purpose::IdToken && jws.has_type("at+jwt") {
        return Err(unusable("its type is that of an access token"));
    }
    let key = keys.key(jws.kid(), &endpoints.jwks, fetch, now).await?;
    let claims = jws.verified(&key).map_err(refused)?;
    if claims["iss"].as_str() != Some(&endpoints.issuer) {
        return Err(unusable("another issuer signed it"));
    }
    check_times(&claims, now).map_err(unusable)?;
    Ok(claims)
}

/// Checks `exp` and `nbf`. The error says why the token is not valid at `now`.
fn check_times(claims: &Value, now: UnixTime) -> Result<(), &'static str> {
    let time = |name: &str| claims[name].as_f64();
    #[expect(clippy::cast_precision_loss, reason = "seconds fit")]
    let (now, leeway) = (now.as_secs() as f64, LEEWAY.as_secs() as f64);
    if time("exp").is_none_or(|exp| exp + leeway <= now) {
        return Err("it has expired, or has no expiry");
    }
    if time("nbf").is_some_and(|nbf| nbf > now + leeway) {
        return Err("it is not valid yet");
    }
    Ok(())
}

impl From<NoKey> for UpstreamError {
    fn from(error: NoKey) -> Self {
        match error {
            NoKey::Unavailable(reason) => Self::Unavailable(reason),
            NoKey::Unknown => Self::Unusable(error.to_string()),
        }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_valid_from_its_nbf_until_its_exp_give_or_take_the_leeway() {
        let now = 1_800_000_000;
        let leeway = LEEWAY.as_secs();
        for (claims, valid) in [
            (json!({"exp": now + 1}), true),
            (json!({"exp": now - leeway + 1}), true),
            (json!({"exp": now - leeway}), false),
            (json!({"exp": (now + 1).to_string()}), false),
            (json!({}), false),
            (json!({"exp": now + 600, "nbf": now}), true),
            (json!({"exp": now + 600, "nbf": now + leeway}), true),
            (json!({"exp": now + 600, "nbf": now + leeway + 1}), false),
        ] {
            assert_eq!(check_times(&claims, UnixTime::from_secs(now)).is_ok(), valid, "{claims}");
        }
    }
}
