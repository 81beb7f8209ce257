//! What the upstream's answers say, in every form in which it may say it.

use serde::Deserialize;
use serde_json::Value;

use super::{Identity, UpstreamError};
use crate::{clock::UnixTime, fetch::Answer};

/// The token response, read leniently: only `access_token` is certain.
#[derive(Deserialize)]
pub(super) struct TokenResponse {
    pub(super) access_token: Option<String>,
    pub(super) refresh_token: Option<String>,
    pub(super) expires_in: Option<Value>,
    pub(super) id_token: Option<String>,
    pub(super) error: Option<String>,
}

/// What introspection said.
pub(super) enum Introspection {
    Active(Value),
    Inactive,
    /// There is no such endpoint, or it will not talk to us.
    Unsupported(String),
    Unavailable(String),
}

const INVALID_CLIENT: &str =
    "invalid_client (authn.client_id or authn.client_secret is wrong, or the secret has expired)";

/// Whether the upstream refuses because something is wrong with it or with us, and not with the person.
pub(super) fn is_trouble(explained: &str) -> bool {
    matches!(explained, INVALID_CLIENT | "server_error")
}

/// The upstream's word, with what it usually means for the operator.
pub(super) fn explained(error: &str) -> String {
    let known = error.bytes().all(|b| b.is_ascii_graphic()) && error.len() <= 64;
    match error {
        "invalid_client" => INVALID_CLIENT.to_owned(),
        _ if known => error.to_owned(),
        _ => "an unreadable error".to_owned(),
    }
}

/// A number, or a number in a string; anything else says nothing.
pub(super) fn expiry(expires_in: Option<&Value>, now: UnixTime) -> Option<UnixTime> {
    let seconds = match expires_in? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
    (0.0..1e10).contains(&seconds).then(|| now.plus(std::time::Duration::from_secs(seconds as u64)))
}

/// The person in a set of claims; `None` if they name nobody.
pub(super) fn identity(claims: &Value, subject: &str) -> Option<Identity> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let verified = claims.get("email_verified").is_none_or(|verified| verified != false);
    let email = text("email").filter(|_| verified).filter(|email| email.len() <= 320);
    let subject =
        text(subject).filter(|subject| subject.len() <= 255 && !subject.chars().any(char::is_control))?;
    let groups = claims.get("groups").and_then(Value::as_array);
    Some(Identity {
        subject: subject.to_owned(),
        email: email.filter(|email| !email.chars().any(char::is_control)).map(str::to_owned),
        groups: groups.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
    })
}

pub(super) fn introspection(answer: &Answer) -> Introspection {
    let claims: Option<Value> = serde_json::from_slice(&answer.body).ok();
    match (answer.status, claims) {
        (200, Some(claims)) if claims["active"] == true => Introspection::Active(claims),
        (200, Some(claims)) if claims["active"] == false => Introspection::Inactive,
        (429 | 500.., _) => {
            Introspection::Unavailable(format!("introspection answers HTTP {}", answer.status))
        }
        (status, _) => Introspection::Unsupported(format!("introspection answers HTTP {status}")),
    }
}

/// Reads Pangea's envelope: `status` first, the HTTP code second.
pub(super) fn token_info(answer: &Answer) -> Introspection {
    let envelope: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match envelope["status"].as_str() {
        Some("Success") if envelope["result"]["enabled"] == false => Introspection::Inactive,
        Some("Success") => Introspection::Active(envelope["result"].clone()),
        Some("ExpiredToken" | "InvalidToken" | "NotFound") => Introspection::Inactive,
        Some(status) if status.len() <= 64 => {
            Introspection::Unavailable(format!("token/check answers {status}"))
        }
        _ => Introspection::Unavailable(format!("token/check answers HTTP {}", answer.status)),
    }
}

/// The names of groups on one page of `user/group/list`, and where the next one begins.
pub(super) fn group_list(answer: &Answer) -> Result<(Vec<String>, Option<String>), UpstreamError> {
    let envelope: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let (status, result) = (envelope["status"].as_str(), &envelope["result"]);
    match (status, result["groups"].as_array()) {
        (Some("Success"), Some(groups)) => {
            let names = groups.iter().filter_map(|group| group["name"].as_str()).map(str::to_owned);
            let last = result["last"].as_str().filter(|last| !last.is_empty() && !groups.is_empty());
            Ok((names.collect(), last.map(str::to_owned)))
        }
        (Some("NotFound"), _) => Ok((Vec::new(), None)),
        _ => Err(UpstreamError::Unavailable(format!("user/group/list answers HTTP {}", answer.status))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lifetime_is_a_number_or_a_number_in_a_string() {
        let now = UnixTime::from_secs(100);
        for (value, expected) in [
            (json!(60), Some(160)),
            (json!("60"), Some(160)),
            (json!(60.9), Some(160)),
            (json!("soon"), None),
            (json!(-1), None),
            (json!(1e300), None),
            (json!(null), None),
        ] {
            assert_eq!(expiry(Some(&value), now).map(UnixTime::as_secs), expected, "{value}");
        }
    }

    #[test]
    fn an_address_that_is_not_verified_is_no_address() {
        let email = |claims: Value| identity(&claims, "sub").and_then(|identity| identity.email);
        assert_eq!(email(json!({"sub": "p", "email": "a@b"})).as_deref(), Some("a@b"));
        assert_eq!(email(json!({"sub": "p", "email": "a@b", "email_verified": false})), None);
        assert_eq!(identity(&json!({"email": "a@b"}), "sub"), None);
    }
}
