//! The structure of the table of keys.

/// Prefix of every environment variable of this program.
pub(super) const PREFIX: &str = "PANGEA_MCP_AUTH_";

/// The variable that names the configuration file.
pub(super) const FILE_VARIABLE: &str = "PANGEA_MCP_AUTH_CONFIG";

/// Suffix of an environment variable with the path of a file that contains a secret.
pub(super) const FILE_SUFFIX: &str = "_FILE";

/// Variables of the original library; the new ones override them.
pub(super) const LEGACY: [(&str, &str); 4] = [
    ("PANGEA_AUTHN_ISSUER_URL", "authn.issuer_url"),
    ("PANGEA_AUTHN_CLIENT_ID", "authn.client_id"),
    ("PANGEA_AUTHN_CLIENT_SECRET", "authn.client_secret"),
    ("PANGEA_VAULT_TOKEN", "repository.token"),
];

#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// Path in the file; `#` stands for the index in a list of tables.
    pub(super) path: &'static str,
    pub(super) kind: Kind,
    pub(super) fallback: Fallback,
    /// Description, in one or two sentences of Markdown.
    pub(super) doc: &'static str,
}

/// The type of a key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Url,
    Path,
    Boolean,
    Number,
    Duration,
    List,
    /// A list of users, domains or groups. An empty one is an error.
    AllowList,
    TextOrList,
    Choice(&'static [&'static str]),
    Secret,
    /// Text, or the source of a secret if it contains one.
    TextOrSecret,
}

/// What applies if a key is missing.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fallback {
    /// The key is required; an example in TOML.
    Required(&'static str),
    /// The key is required, and the operator generates its value: an example in TOML, and the command for its file.
    Made(&'static str, &'static str),
    /// A default in TOML.
    Value(&'static str),
    /// No default; a description of what happens instead.
    Absent(&'static str),
}

pub(super) const fn key(path: &'static str, kind: Kind, fallback: Fallback, doc: &'static str) -> Key {
    Key { path, kind, fallback, doc }
}

impl Key {
    /// The last part of the path.
    pub(super) fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// The path of its section; empty at the top of the file.
    pub(super) fn section(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// Its environment variable; in a list of tables, that of the first table.
    pub(super) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.path.replace('#', "0").replace('.', "__").to_uppercase())
    }
}

/// The path with `#` for every number.
pub(super) fn pattern(path: &str) -> String {
    let words = path.split('.').map(|word| if is_number(word) { "#" } else { word });
    words.collect::<Vec<_>>().join(".")
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.len() <= 4 && word.bytes().all(|b| b.is_ascii_digit())
}

/// The header of a section in the file.
pub(super) fn header(section: &str) -> String {
    match section.strip_suffix(".#") {
        Some(list) => format!("[[{list}]]"),
        None => format!("[{}]", section.replace(".#", "")),
    }
}

/// The path of a key in a section.
pub(super) fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}
