//! The people that sign in. Any email address works.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::ids;
use crate::clock::UnixTime;

/// What is known of a person beyond the email address, which is the key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Person {
    pub(super) created_at: UnixTime,
    pub(super) last_login_at: Option<UnixTime>,
    pub(super) login_count: u64,
}

impl Person {
    pub(super) fn new(now: UnixTime) -> Self {
        Self { created_at: now, last_login_at: None, login_count: 0 }
    }
}

/// The address in lower case, when it could be one.
pub(super) fn email(text: &str) -> Option<String> {
    let email = text.trim().to_lowercase();
    let (name, host) = email.split_once('@')?;
    let plain = !email.contains(|c: char| c.is_whitespace() || c.is_control());
    (!name.is_empty() && !host.is_empty() && !host.contains('@') && email.len() <= 254 && plain)
        .then_some(email)
}

/// The `pui_` id that always belongs to the address.
pub(super) fn user_id(email: &str) -> String {
    ids::derived("pui", email)
}

/// The names that the address suggests: `ada.lovelace@…` is Ada Lovelace.
pub(super) fn profile(email: &str) -> Value {
    let (name, _) = email.split_once('@').unwrap_or((email, ""));
    let mut names = name.split(['.', '_', '-', '+']).filter(|part| !part.is_empty()).map(capitalized);
    let mut profile = Map::new();
    profile.insert("first_name".to_owned(), json!(names.next().unwrap_or_else(|| name.to_owned())));
    if let Some(last_name) = names.next() {
        profile.insert("last_name".to_owned(), json!(last_name));
    }
    Value::Object(profile)
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_at_sign_and_two_sides() {
        assert_eq!(email(" Ada@Example.com ").as_deref(), Some("ada@example.com"));
        for text in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a@b@c",
            "a b@c",
            "a\u{7}@c",
            &format!("{}@c", "a".repeat(260)),
        ] {
            assert_eq!(email(text), None, "{text}");
        }
    }

    #[test]
    fn names_come_from_the_address() {
        assert_eq!(profile("ada@example.com"), json!({"first_name": "Ada"}));
        assert_eq!(profile("ada.lovelace@x"), json!({"first_name": "Ada", "last_name": "Lovelace"}));
        assert_eq!(profile("..@x"), json!({"first_name": ".."}));
    }
}
