//! Scope: a set of words (RFC 6749 section 3.3).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::{ErrorCode, OAuthError};

/// Scope words without duplicates, in their original order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(Vec<String>);

/// Asks for a refresh token (OpenID Connect Core section 11). It is not a permission of a resource, and is
/// accepted everywhere.
pub const OFFLINE_ACCESS: &str = "offline_access";

/// Scopes of OpenID Connect, which many clients request from every server.
pub(super) const HABITS: [&str; 4] = ["openid", "profile", "email", OFFLINE_ACCESS];

/// More words than any server offers. Each word is compared with all before it, so their number must be
/// bounded.
const MOST_WORDS: usize = 256;

impl Scope {
    /// Parses a space-separated list. Repeated words and extra spaces are ignored.
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

    /// In their original order.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn contains(&self, word: &str) -> bool {
        self.0.iter().any(|known| known == word)
    }

    /// The scope of a refresh that asks for `requested`, if this scope was granted; `None` if it asks for
    /// more (RFC 6749 section 6).
    #[must_use]
    pub fn narrowed_to(&self, requested: &Self) -> Option<Self> {
        let overlap = self.overlap(requested);
        let beyond = requested.words().find(|word| *word != OFFLINE_ACCESS && !self.contains(word));
        match beyond {
            Some(_) => None,
            None if overlap.is_empty() => Some(self.clone()),
            None => Some(overlap),
        }
    }

    /// The words of `requested` that are in this scope.
    #[must_use]
    pub fn overlap(&self, requested: &Self) -> Self {
        Self(requested.words().filter(|word| self.contains(word)).map(str::to_owned).collect())
    }

    fn with(mut self, word: &str) -> Self {
        if !self.contains(word) {
            self.0.push(word.to_owned());
        }
        self
    }
}

/// The scopes that a client can get at a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScopeOffer {
    Listed {
        scopes: Scope,
        /// For requests that ask for none.
        default: Scope,
    },
    /// Any scope (development).
    Any {
        /// For requests that ask for none.
        default: Scope,
    },
}

impl ScopeOffer {
    /// The scope that a request gets. Unknown words are dropped. A request without a known word gets the
    /// default, which may be empty.
    #[must_use]
    pub fn grant(&self, requested: Option<&Scope>) -> Scope {
        let nothing = Scope::default();
        let requested = requested.unwrap_or(&nothing);
        let granted = match self {
            Self::Listed { scopes, default } => {
                let overlap = scopes.overlap(requested);
                if overlap.words().all(|word| word == OFFLINE_ACCESS) { default.clone() } else { overlap }
            }
            Self::Any { default } if requested.words().all(|word| HABITS.contains(&word)) => {
                requested.words().fold(default.clone(), Scope::with)
            }
            Self::Any { .. } => requested.clone(),
        };
        if requested.contains(OFFLINE_ACCESS) { granted.with(OFFLINE_ACCESS) } else { granted }
    }

    /// The words of `scope` that are offered.
    #[must_use]
    pub fn offered(&self, scope: &Scope) -> Scope {
        match self {
            Self::Listed { scopes, .. } => scopes.overlap(scope),
            Self::Any { .. } => scope.clone(),
        }
    }

    /// For requests that ask for none.
    #[must_use]
    pub const fn default_scope(&self) -> &Scope {
        match self {
            Self::Listed { default, .. } | Self::Any { default } => default,
        }
    }

    /// The scopes that metadata lists.
    #[must_use]
    pub const fn known(&self) -> &Scope {
        match self {
            Self::Listed { scopes, .. } => scopes,
            Self::Any { default } => default,
        }
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
    fn authz_20_to_22_a_scope_is_a_wish() {
        let listed = |scopes, default| ScopeOffer::Listed { scopes: scope(scopes), default: scope(default) };
        let all = listed("user admin", "user admin");
        let marked = listed("user admin", "user");
        let none = listed("", "");
        let oidc = listed("openid user", "user");
        let any = ScopeOffer::Any { default: scope("user") };
        for (offer, requested, granted) in [
            (&all, None, "user admin"),
            (&all, Some(""), "user admin"),
            (&all, Some("user"), "user"),
            (&all, Some("admin user"), "admin user"),
            (&all, Some("user other"), "user"),
            (&all, Some("other"), "user admin"),
            (&all, Some("openid"), "user admin"),
            (&all, Some("offline_access"), "user admin offline_access"),
            (&all, Some("user offline_access openid"), "user offline_access"),
            (&marked, None, "user"),
            (&marked, Some("openid"), "user"),
            (&marked, Some("openid email profile"), "user"),
            (&marked, Some("other offline_access"), "user offline_access"),
            (&marked, Some("admin"), "admin"),
            (&marked, Some("user admin"), "user admin"),
            (&none, None, ""),
            (&none, Some("openid email profile"), ""),
            (&none, Some("offline_access"), "offline_access"),
            (&oidc, Some("openid email"), "openid"),
            (&any, None, "user"),
            (&any, Some("read write"), "read write"),
            (&any, Some("read offline_access"), "read offline_access"),
            (&any, Some("openid email profile"), "user openid email profile"),
            (&any, Some("offline_access"), "user offline_access"),
        ] {
            let got = offer.grant(requested.map(scope).as_ref()).to_string();
            assert_eq!(got, granted, "{offer:?} {requested:?}");
        }
    }

    #[test]
    fn a_refresh_never_gets_more_than_was_granted() {
        let granted = scope("user admin");
        for (requested, narrowed) in [
            ("user", Some("user")),
            ("admin user", Some("admin user")),
            ("", Some("user admin")),
            ("offline_access", Some("user admin")),
            ("user offline_access", Some("user")),
            ("user other", None),
            ("other", None),
            ("openid", None),
        ] {
            let got = granted.narrowed_to(&scope(requested)).map(|scope| scope.to_string());
            assert_eq!(got.as_deref(), narrowed, "{requested}");
        }
        assert_eq!(Scope::default().narrowed_to(&scope("user")), None);
        assert_eq!(Scope::default().narrowed_to(&scope("offline_access")), Some(Scope::default()));
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
