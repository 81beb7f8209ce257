//! Lookups in the table of keys.

use super::{
    keys::KEYS,
    table::{Key, pattern},
};

/// The key that a path such as `resources.0.url` is an instance of.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    let pattern = pattern(path);
    KEYS.iter().find(|key| key.path == pattern)
}

/// Whether a path names a table of keys.
pub(super) fn is_section(path: &str) -> bool {
    let pattern = pattern(path);
    KEYS.iter().any(|key| key.path.strip_prefix(&pattern).is_some_and(|rest| rest.starts_with('.')))
}

/// Whether a path names a list of tables.
pub(super) fn is_list_of_sections(path: &str) -> bool {
    is_section(&format!("{path}.#"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{
        super::table::{FILE_SUFFIX, Kind},
        *,
    };

    #[test]
    fn paths_and_variables_are_unique() {
        let paths: HashSet<&str> = KEYS.iter().map(|key| key.path).collect();
        let variables: HashSet<String> = KEYS.iter().map(Key::variable).collect();
        assert_eq!((paths.len(), variables.len()), (KEYS.len(), KEYS.len()));
    }

    #[test]
    fn no_variable_is_the_file_form_of_another() {
        let variables: HashSet<String> = KEYS.iter().map(Key::variable).collect();
        for key in KEYS.iter().filter(|key| key.kind == Kind::Secret) {
            assert!(!variables.contains(&(key.variable() + FILE_SUFFIX)), "{}", key.path);
        }
    }

    #[test]
    fn a_path_finds_its_key() {
        assert_eq!(find("resources.12.url").map(|key| key.path), Some("resources.#.url"));
        assert!(find("resources.url").is_none() && find("resources.99999.url").is_none());
        assert!(is_section("authn") && is_section("resources.3.introspection") && !is_section("auth"));
        assert!(is_list_of_sections("resources") && !is_list_of_sections("authn"));
    }

    #[test]
    fn every_key_is_explained_in_sentences() {
        for key in KEYS {
            assert!(key.doc.ends_with('.') && key.doc.len() > 20, "{}", key.path);
        }
    }
}
