//! Reads the upstream's answers, in all the forms that they may have.

use serde::Deserialize;
use serde_json::Value;

use super::UpstreamError;
use crate::{clock::UnixTime, fetch::Answer};

/// The token response. Only `access_token` is certain to be there.
#[derive(Deserialize)]
pub(super) struct TokenResponse {
    pub(super) access_token: Option<String>,
    pub(super) refresh_token: Option<String>,
    pub(super) expires_in: Option<Value>,
    pub(super) id_token: Option<String>,
    pub(super) error: Option<String>,
}

/// The result of introspection.
pub(super) enum Introspection {
    Active(Value),
    Inactive,
    /// The endpoint does not exist, or refuses this client.
    Unsupported(String),
    Unavailable(String),
}

const INVALID_CLIENT: &str =
    "invalid_client (authn.client_id or authn.client_secret is wrong, or the secret has expired)";

/// Whether the refusal is about the upstream or this client, and not about the person.
pub(super) fn is_trouble(explained: &str) -> bool {
    matches!(explained, INVALID_CLIENT | "server_error")
}

/// The upstream's error code, with an explanation for the operator.
pub(super) fn explained(error: &str) -> String {
    let known = error.bytes().all(|b| b.is_ascii_graphic()) && error.len() <= 64;
    match error {
        "invalid_client" => INVALID_CLIENT.to_owned(),
        _ if known => error.to_owned(),
        _ => "an unreadable error".to_owned(),
    }
}

/// Reads a number, or a number in a string.
pub(super) fn expiry(expires_in: Option<&Value>, now: UnixTime) -> Option<UnixTime> {
    let seconds = match expires_in? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
    (0.0..1e10).contains(&seconds).then(|| now.plus(std::time::Duration::from_secs(seconds as u64)))
}

/// An email address in claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) text: String,
    /// Whether the claims say explicitly that the upstream verified it.
    pub(super) verified: bool,
}

/// A person described by claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) subject: String,
    pub(super) address: Option<Address>,
    pub(super) username: Option<String>,
    pub(super) groups: Vec<String>,
}

/// The person in a set of claims; `None` without a subject. Only `true` and `"true"` mark an address as verified.
pub(super) fn described(claims: &Value, subject: &str) -> Option<Described> {
    let subject = text(claims, subject)
        .filter(|subject| subject.len() <= 255 && !subject.chars().any(char::is_control))?;
    let verified = &claims["email_verified"];
    let address = address(claims, verified == true || verified == "true");
    let groups = claims.get("groups").and_then(Value::as_array);
    let username = text(claims, "username").or_else(|| text(claims, "preferred_username"));
    let username = username.filter(|name| name.len() <= 255 && !name.chars().any(char::is_control));
    Some(Described {
        username: username.map(str::to_owned),
        subject: subject.to_owned(),
        address,
        groups: groups.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
    })
}

/// The address in Pangea's own record of the user, which says `verified` itself. `Ok(None)` without such a user or
/// address.
pub(super) fn address_of_user(answer: &Answer, subject: &str) -> Result<Option<Address>, UpstreamError> {
    let envelope: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let user = &envelope["result"];
    match envelope["status"].as_str() {
        Some("Success") if user["id"] == subject => Ok(address(user, user["verified"] == true)),
        Some("Success" | "NotFound") => Ok(None),
        _ => Err(UpstreamError::Unavailable(format!("user/profile/get answers HTTP {}", answer.status))),
    }
}

fn address(claims: &Value, verified: bool) -> Option<Address> {
    let email = text(claims, "email").filter(|email| email.len() <= 320);
    let text = email.filter(|email| !email.chars().any(char::is_control))?.to_owned();
    Some(Address { text, verified })
}

fn text<'a>(claims: &'a Value, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
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

/// Reads Pangea's envelope, whose `status` counts more than the HTTP code.
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

/// The group names on one page of `user/group/list`, and the start of the next page.
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
    fn an_error_is_repeated_only_if_it_is_short_and_readable() {
        let longest = "x".repeat(64);
        for readable in ["invalid_grant", &longest] {
            assert_eq!(explained(readable), readable);
        }
        for unreadable in ["two words", "\u{1b}[2J", "é", &"x".repeat(65)] {
            assert_eq!(explained(unreadable), explained(" "), "{unreadable}");
        }
    }

    #[test]
    fn what_the_upstream_says_of_a_person_is_bounded_and_readable() {
        let of = |subject: &str, username: &str, email: &str| {
            described(&json!({"sub": subject, "username": username, "email": email}), "sub")
        };
        let text = |length: usize| "x".repeat(length);
        for (subject, taken) in
            [(text(255), true), (text(256), false), ("a\nb".to_owned(), false), (text(0), false)]
        {
            assert_eq!(of(&subject, "", "").is_some(), taken, "{subject}");
        }
        for (username, taken) in [(text(255), true), (text(256), false), ("a\nb".to_owned(), false)] {
            assert_eq!(of("p", &username, "").unwrap().username.is_some(), taken, "{username}");
        }
        for (email, taken) in [(text(320), true), (text(321), false), ("a\nb".to_owned(), false)] {
            assert_eq!(of("p", "", &email).unwrap().address.is_some(), taken, "{email}");
        }
    }

    #[test]
    fn up_8_an_address_is_verified_by_true_alone() {
        let verified = |value: Value| {
            let claims = json!({"sub": "p", "email": "a@b", "email_verified": value});
            described(&claims, "sub").and_then(|person| person.address).map(|address| address.verified)
        };
        for proof in [json!(true), json!("true")] {
            assert_eq!(verified(proof.clone()), Some(true), "{proof}");
        }
        for none in [
            json!(false),
            json!("false"),
            json!("no"),
            json!("TRUE"),
            json!("yes"),
            json!(""),
            json!(0),
            json!(1),
            json!(null),
            json!([]),
            json!([true]),
            json!({}),
        ] {
            assert_eq!(verified(none.clone()), Some(false), "{none}");
        }
        let described = |claims| described(&claims, "sub");
        let absent = described(json!({"sub": "p", "email": "a@b"})).unwrap();
        assert!(!absent.address.unwrap().verified);
        let foreign = described(json!({"sub": "p", "email": "a@b", "verified": true})).unwrap();
        assert!(!foreign.address.unwrap().verified, "`verified` belongs to the user record alone");
        assert_eq!(described(json!({"email": "a@b", "email_verified": true})), None);
    }

    #[test]
    fn a_list_of_groups_goes_on_while_it_names_a_group_and_the_next_page() {
        let groups = |groups: Value, last: Value| {
            let body = json!({"status": "Success", "result": {"groups": groups, "last": last}});
            let answer =
                Answer { status: 200, headers: http::HeaderMap::new(), body: body.to_string().into_bytes() };
            group_list(&answer).unwrap()
        };
        let (one, next) = (json!([{"name": "staff"}]), Some("next".to_owned()));
        assert_eq!(groups(one.clone(), json!("next")), (vec!["staff".to_owned()], next));
        assert_eq!(groups(one.clone(), json!("")), (vec!["staff".to_owned()], None));
        assert_eq!(groups(one, json!(null)), (vec!["staff".to_owned()], None));
        assert_eq!(groups(json!([]), json!("next")), (vec![], None));
    }

    #[test]
    fn up_8_pangeas_record_of_a_user_verifies_with_true_alone() {
        let user = |status: &str, result: Value| {
            let body = json!({"status": status, "result": result}).to_string().into_bytes();
            address_of_user(&Answer { status: 200, headers: http::HeaderMap::new(), body }, "pui_1")
        };
        for (verified, expected) in [(json!(true), true), (json!("true"), false), (json!(null), false)] {
            let result = json!({"id": "pui_1", "email": "a@b", "verified": verified});
            assert_eq!(user("Success", result).unwrap().unwrap().verified, expected);
        }
        let other = json!({"id": "pui_2", "email": "a@b", "verified": true});
        assert_eq!(user("Success", other).unwrap(), None, "another user's record");
        assert_eq!(user("NotFound", json!(null)).unwrap(), None);
        assert!(user("Unauthorized", json!(null)).is_err());
    }

    #[test]
    fn a_username_is_what_pangea_or_openid_connect_calls_so() {
        let username = |claims: Value| described(&claims, "sub").and_then(|person| person.username);
        for (claims, expected) in [
            (json!({"sub": "p", "username": "ada", "preferred_username": "lovelace"}), Some("ada")),
            (json!({"sub": "p", "preferred_username": "lovelace"}), Some("lovelace")),
            (json!({"sub": "p", "username": ""}), None),
            (json!({"sub": "p", "username": "a\nb"}), None),
            (json!({"sub": "p", "username": "a".repeat(256)}), None),
            (json!({"sub": "p", "username": 7}), None),
        ] {
            assert_eq!(username(claims.clone()).as_deref(), expected, "{claims}");
        }
    }
}
