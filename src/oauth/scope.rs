//! Scope: a set of words (RFC 6749 section 3.3).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::{ErrorCode, OAuthError};

/// A set of scope words in the order in which they were first named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(Vec<String>);

/// Words that many clients ask for out of habit. They name no permission of a resource, so they
/// are never a reason to refuse.
const HABITS: [&str; 2] = ["offline_access", "openid"];

/// More words than any server offers. Each is compared with all before it, so a flood of them would
/// keep a processor busy.
const MOST_WORDS: usize = 256;

impl Scope {
    /// Reads a space-separated list; repeated words and surplus spaces do not count.
    ///
    /// # Errors
    ///
    /// `invalid_scope` when a character is not allowed in a scope word, or at more than 256 words.
    pub fn parse(text: &str) -> Result<Self, OAuthError> {
        let mut words: Vec<String> = Vec::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            if !word.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)) {
                return Err(OAuthError::new(
                    ErrorCode::InvalidScope,
                    "the scope holds a character that is not allowed",
                ));
            }
            if words.iter().any(|known| known == word) {
                continue;
            }
            if words.len() == MOST_WORDS {
                return Err(OAuthError::new(ErrorCode::InvalidScope, "the scope has too many words"));
            }
            words.push(word.to_owned());
        }
        Ok(Self(words))
    }

    /// The words.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is no word.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `word` is one of these.
    #[must_use]
    pub fn contains(&self, word: &str) -> bool {
        self.0.iter().any(|known| known == word)
    }

    /// Whether every word of `other` is one of these.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.words().all(|word| self.contains(word))
    }

    /// What a request for `requested` gets where `self` is offered: the words that are offered,
    /// and `offline_access` when it was asked for. Nothing asked for means everything offered.
    ///
    /// # Errors
    ///
    /// `invalid_scope` when words were asked for and none of them can be granted.
    pub fn grant(&self, requested: Option<&Self>) -> Result<Self, OAuthError> {
        let Some(requested) = requested.filter(|requested| !requested.is_empty()) else {
            return Ok(self.clone());
        };
        let mut granted: Vec<String> =
            requested.words().filter(|word| self.contains(word)).map(str::to_owned).collect();
        if granted.is_empty() && requested.words().any(|word| !HABITS.contains(&word)) {
            return Err(OAuthError::new(
                ErrorCode::InvalidScope,
                format!("none of these scopes is offered; offered: {self}"),
            ));
        }
        if granted.is_empty() {
            granted.clone_from(&self.0);
        }
        if requested.contains(HABITS[0]) && !granted.iter().any(|word| word == HABITS[0]) {
            granted.push(HABITS[0].to_owned());
        }
        Ok(Self(granted))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl TryFrom<String> for Scope {
    type Error = OAuthError;

    fn try_from(text: String) -> Result<Self, OAuthError> {
        Self::parse(&text)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    #[test]
    fn characters_outside_the_grammar_are_refused() {
        for text in ["a\"b", "a\\b", "a\tb", "ü", "a\nb", "\u{7f}"] {
            assert!(Scope::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(scope(" b  a b ").to_string(), "b a");
    }

    #[test]
    fn a_scope_has_a_bounded_number_of_words() {
        let words = |count: usize| (0..count).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
        assert!(Scope::parse(&words(MOST_WORDS)).is_ok());
        assert!(Scope::parse(&words(MOST_WORDS + 1)).is_err());
        assert!(Scope::parse(&"again ".repeat(10 * MOST_WORDS)).is_ok());
    }

    #[test]
    fn granting_is_never_wider_than_asked_or_offered() {
        let offered = scope("user admin");
        for (requested, granted) in [
            (None, Some("user admin")),
            (Some(""), Some("user admin")),
            (Some("user"), Some("user")),
            (Some("user other"), Some("user")),
            (Some("other"), None),
            (Some("offline_access"), Some("user admin offline_access")),
            (Some("openid"), Some("user admin")),
            (Some("user offline_access openid"), Some("user offline_access")),
            (Some("other offline_access"), None),
        ] {
            let requested = requested.map(scope);
            let got = offered.grant(requested.as_ref()).ok().map(|scope| scope.to_string());
            assert_eq!(got.as_deref(), granted, "{requested:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(words in prop::collection::hash_set("[!#-\\[\\]-~]{1,9}", 1..6)) {
            let text = words.into_iter().collect::<Vec<_>>().join(" ");
            prop_assert_eq!(scope(&text).to_string(), text);
        }

        #[test]
        fn nothing_makes_it_panic(text: String) {
            let _ = Scope::parse(&text);
        }
    }
}
