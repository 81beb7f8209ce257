//! How the table of keys is built and searched.

use super::keys::KEYS;

/// What every environment variable of this program starts with.
pub(super) const PREFIX: &str = "PANGEA_MCP_AUTH_";

/// The variable that names the configuration file.
pub(super) const FILE_VARIABLE: &str = "PANGEA_MCP_AUTH_CONFIG";

/// What an environment variable ends with that names a file with a secret in it.
pub(super) const FILE_SUFFIX: &str = "_FILE";

/// Names that the original library read, honoured below the new ones.
pub(super) const LEGACY: [(&str, &str); 4] = [
    ("PANGEA_AUTHN_ISSUER_URL", "authn.issuer_url"),
    ("PANGEA_AUTHN_CLIENT_ID", "authn.client_id"),
    ("PANGEA_AUTHN_CLIENT_SECRET", "authn.client_secret"),
    ("PANGEA_VAULT_TOKEN", "repository.token"),
];

/// One key of the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// Its place in the file; `#` stands for the number of a table in a list of tables.
    pub(super) path: &'static str,
    pub(super) kind: Kind,
    pub(super) fallback: Fallback,
    /// What it is for, in one or two sentences of Markdown.
    pub(super) doc: &'static str,
}

/// What a key's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Url,
    Path,
    Boolean,
    Number,
    Duration,
    List,
    /// A list of who is let in: one that is given and empty is a mistake.
    AllowList,
    TextOrList,
    Choice(&'static [&'static str]),
    Secret,
    /// Text that may hold a secret, and may then be named as one.
    TextOrSecret,
}

/// What holds when a key is not given.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fallback {
    /// It must be given; an example in TOML.
    Required(&'static str),
    /// It must be given, and the operator makes it: an example in TOML, and the command that makes its file.
    Made(&'static str, &'static str),
    /// This value, in TOML.
    Value(&'static str),
    /// Nothing, or what these words say.
    Absent(&'static str),
}

impl Key {
    /// Its last word.
    pub(super) fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// The path of the table that holds it; empty for the top of the file.
    pub(super) fn section(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// Its environment variable, for the first of a list of tables.
    pub(super) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.path.replace('#', "0").replace('.', "__").to_uppercase())
    }
}

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

/// The path with `#` for every number.
pub(super) fn pattern(path: &str) -> String {
    let words = path.split('.').map(|word| if is_number(word) { "#" } else { word });
    words.collect::<Vec<_>>().join(".")
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.len() <= 4 && word.bytes().all(|b| b.is_ascii_digit())
}

/// How a person writes the header of a table.
pub(super) fn header(section: &str) -> String {
    match section.strip_suffix(".#") {
        Some(list) => format!("[[{list}]]"),
        None => format!("[{}]", section.replace(".#", "")),
    }
}

/// The path of a table or key with the separator, ready for a name to follow.
pub(super) fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

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
